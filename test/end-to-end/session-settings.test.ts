/**
 * Goal: what the settings of sessions promise: messages with QoS 0 kept for who is away, a bound on subscriptions; and topic aliases
 * that a stock client resolves.
 * Method: a broker with those settings; exact packets on bare sockets, and MQTT.js with its topic aliases on.
 */
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { Broker } from "../harness/broker.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const SETTINGS = `
session:
  queue_qos0_messages: true
  max_queued_messages: 5
limits:
  max_subscriptions: 3
`;

describeWorkers("settings of sessions", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, settings: SETTINGS });
  });
  afterAll(() => broker?.remove());

  it.each([4, 5] as const)(
    "MQTT version byte %i: messages with QoS 0 wait for who is away, the newest of them",
    async (version: Version) => {
      const topic = unique("away");
      const kept = {
        version,
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 120 } } : {}),
      };
      const clientId = unique("kept");
      const before = await RawClient.connected(broker.mqttPort, clientId, kept);
      await before.subscribe(topic, { qos: 1 });
      await before.end();
      const sender = await RawClient.connected(broker.mqttPort, unique("sender"));
      for (let number = 1; number <= 7; number += 1) sender.publish(topic, `${number}`);
      await sender.publishSettled(topic, "last", { qos: 1 });
      const after = await RawClient.connected(broker.mqttPort, clientId, kept);
      const came = [];
      for (let number = 0; number < 5; number += 1) came.push(await after.receive());
      expect(came.map(({ payload, qos }) => [payload.toString(), qos])).toEqual([
        ["4", 0],
        ["5", 0],
        ["6", 0],
        ["7", 0],
        ["last", 1],
      ]);
      await after.expectQuiet(50);
      await after.end();
      await sender.end();
    },
  );

  it.each([
    [4, 0x80],
    [5, 0x97],
  ] as const)(
    "MQTT version byte %i: one subscription too many is answered with its reason",
    async (version, reason) => {
      const client = await RawClient.connected(broker.mqttPort, unique("subscriber"), { version });
      const answers = [];
      for (const filter of ["a", "b", "c", "d", "b"])
        answers.push(...(await client.subscribe(filter, { qos: 1 })).granted);
      expect(answers).toEqual([1, 1, 1, reason, 1]);
      await client.unsubscribe("c");
      expect((await client.subscribe("d")).granted).toEqual([0]);
      await client.end();
    },
  );

  it("MQTT.js resolves the topic aliases of both directions", async () => {
    const root = unique("aliased");
    const subscriber = await connectMqttJs(broker.mqttPort, {
      protocolVersion: 5,
      properties: { topicAliasMaximum: 5 },
    });
    const publisher = await connectMqttJs(broker.mqttPort, { protocolVersion: 5, autoUseTopicAlias: true });
    let named = 0;
    subscriber.on("packetreceive", (packet) => {
      if (packet.cmd === "publish" && packet.properties?.topicAlias === undefined) named += 1;
    });
    const deliveries = collect(subscriber);
    await subscriber.subscribeAsync(`${root}/#`, { qos: 1 });
    const sent: string[] = [];
    for (let number = 0; number < 60; number += 1) {
      const topic = `${root}/sensor/${number % 4}`;
      sent.push(topic);
      await publisher.publishAsync(topic, topic, { qos: number % 2 === 0 ? 1 : 0 });
    }
    await eventually("every message has come", () => deliveries.length >= sent.length);
    expect(deliveries.map(({ topic }) => topic)).toEqual(sent);
    expect(deliveries.every(({ topic, text }) => topic === text)).toBe(true);
    expect(named).toBe(0);
    await subscriber.endAsync();
    await publisher.endAsync();
  });

  it("a full inbox drops what comes, over a restart, too, if the configuration says so", async () => {
    const settings = "session: {overflow: drop_newest, max_queued_messages: 3}\n";
    const own = await Broker.start({ workers, settings });
    onTestFinished(() => own.remove());
    const lasting = { clean: false, properties: { sessionExpiryInterval: 120 } };
    const before = await RawClient.connected(own.mqttPort, "away", lasting);
    await before.subscribe("t", { qos: 2 });
    await before.end();
    const publish = async (texts: readonly string[]): Promise<void> => {
      const sender = await RawClient.connected(own.mqttPort, "sender");
      for (const text of texts) expect(await sender.publishSettled("t", text, { qos: 1 })).toBe(0);
      await sender.end();
    };
    await publish(["1", "2", "3", "4"]);
    await own.stop();
    await own.restart();
    await publish(["5"]);
    const after = await RawClient.connected(own.mqttPort, "away", lasting);
    expect(await after.receiveTexts(3)).toEqual(["1", "2", "3"]);
    await publish(["6"]);
    expect(await after.receiveTexts(1)).toEqual(["6"]);
    await after.end();
  });
});

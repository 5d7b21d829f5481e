/**
 * Goal: windows hold in both directions: who sends more than it may at QoS 2 is told, stock clients that do not count at QoS 1 are held
 * back, and nothing is lost or doubled by either.
 * Method: bare sockets against a broker with a small Receive Maximum and a queue, so that every message waits for the disk.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { connectMqttJs } from "../harness/mqttjs.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeTransports, unique } from "../harness/servers.ts";

const RECEIVE_MAXIMUM = 5;

describeTransports("flow control", (workers, transport) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, transport, settings: `limits.receive_maximum: ${RECEIVE_MAXIMUM}\n` });
    await createQueue(broker, { topic_filter: "stored/#", is_lastvalue: false });
  });
  afterAll(async () => {
    await broker.remove();
  });
  const open = (options: Parameters<typeof RawClient.connected>[2] = {}): ReturnType<typeof RawClient.connected> =>
    RawClient.connected(broker.mqttPort, unique("client"), options);

  it("[MQTT-3.3.4-7] says 0x93 to one QoS 2 message too many without PUBREL", async () => {
    const client = await open();
    expect(client.connack.properties?.receiveMaximum).toBe(RECEIVE_MAXIMUM);
    for (let messageId = 1; messageId <= RECEIVE_MAXIMUM; messageId += 1) {
      client.publish("stored/2", "x", { qos: 2, messageId });
      await client.take("pubrec");
    }
    client.publish("stored/2", "x", { qos: 2, messageId: 1, dup: true });
    await client.take("pubrec"); // One of those that count already.
    client.publish("stored/2", "x", { qos: 2, messageId: RECEIVE_MAXIMUM + 1 });
    expect((await client.take("disconnect")).reasonCode).toBe(0x93);
    await client.expectClose();
  });

  it("[MQTT-3.3.4-7] counts what is released no more, nor what an earlier connection left", async () => {
    const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const clientId = unique("kept");
    const before = await RawClient.connected(broker.mqttPort, clientId, kept);
    for (let messageId = 1; messageId <= RECEIVE_MAXIMUM; messageId += 1) {
      before.publish("stored/2", "x", { qos: 2, messageId });
      await before.take("pubrec");
    }
    before.send({ cmd: "pubrel", messageId: 1, reasonCode: 0 });
    await before.take("pubcomp");
    before.publish("stored/2", "x", { qos: 2, messageId: 6 });
    await before.take("pubrec");
    await before.cut();
    const after = await RawClient.connected(broker.mqttPort, clientId, kept);
    for (let messageId = 11; messageId < 11 + RECEIVE_MAXIMUM; messageId += 1) {
      after.publish("stored/2", "x", { qos: 2, messageId });
      expect((await after.take("pubrec")).reasonCode ?? 0).toBe(0);
    }
    await after.end();
  });

  it.each([4, 5] as const)("reads a QoS 1 publisher of version byte %i no further than it stores", async (version) => {
    const topic = `stored/${unique("burst")}`;
    const client = await open({ version });
    const count = 40 * RECEIVE_MAXIMUM;
    const sent = Array.from({ length: count }, (_, at) => at + 1);
    client.sendTogether(
      sent.map((messageId) => ({ cmd: "publish", topic, payload: "x", qos: 1, messageId, dup: false, retain: false })),
    );
    const acknowledged: number[] = [];
    while (acknowledged.length < count) acknowledged.push((await client.take("puback")).messageId!);
    expect(acknowledged).toEqual(sent);
    await client.ping();
    await client.end();
  });

  it.each([4, 5] as const)("MQTT.js, protocol version %i, publishes all at once", async (protocolVersion) => {
    const { stored } = await ledgerOf(broker, "/stored/#");
    const client = await connectMqttJs(broker.mqttPort, { protocolVersion });
    const count = 1_000;
    await Promise.all(
      Array.from({ length: count }, (_, at) => client.publishAsync("stored/burst", `${at}`, { qos: 1 })),
    );
    await client.endAsync();
    expect((await ledgerOf(broker, "/stored/#")).stored - stored).toBe(count);
  });

  it("[MQTT-4.4.0-1] sends every PUBREL again at once, and no PUBLISH beyond the window of the new connection", async () => {
    const name = unique("released");
    const lasting = (receiveMaximum: number) => ({
      clean: false,
      properties: { sessionExpiryInterval: 600, receiveMaximum },
    });
    let receiver = await RawClient.connected(broker.mqttPort, name, lasting(10));
    await receiver.subscribe(name, { qos: 2 });
    const sender = await open();
    for (const at of [0, 1, 2, 3]) await sender.publishSettled(name, `${at}`, { qos: 2 });
    const sent: number[] = [];
    while (sent.length < 4) sent.push((await receiver.take("publish")).messageId!);
    for (const messageId of sent.slice(0, 2)) {
      receiver.send({ cmd: "pubrec", messageId, reasonCode: 0 });
      await receiver.take("pubrel");
    }
    await receiver.cut();
    receiver = await RawClient.connected(broker.mqttPort, name, lasting(1));
    for (const messageId of sent.slice(0, 2)) expect((await receiver.take("pubrel")).messageId).toBe(messageId);
    await receiver.ping();
    expect(receiver.waiting).toEqual([]);
    for (const messageId of sent.slice(0, 2)) receiver.send({ cmd: "pubcomp", messageId, reasonCode: 0 });
    for (const messageId of sent.slice(2)) {
      const packet = await receiver.receive();
      expect([packet.messageId, packet.dup]).toEqual([messageId, true]);
    }
    await receiver.end();
    await sender.end();
  });

  it("[MQTT-3.3.4-9] has one message in flight to a client that takes one", async () => {
    const topic = unique("one");
    const receiver = await open({ properties: { receiveMaximum: 1 } });
    await receiver.subscribe(topic, { qos: 2 });
    const sender = await open();
    for (const [at, qos] of ([1, 2, 0, 2, 1] as const).entries()) await sender.publishSettled(topic, `${at}`, { qos });
    const texts: string[] = [];
    while (texts.length < 5) {
      const packet = await receiver.take("publish");
      texts.push(packet.payload.toString());
      if (packet.qos === 0) continue;
      await receiver.ping();
      const inFlight = receiver.waiting.filter((waiting) => waiting.cmd === "publish" && waiting.qos > 0);
      expect(inFlight).toEqual([]);
      if (packet.qos === 1) receiver.puback(packet.messageId!);
      else {
        receiver.send({ cmd: "pubrec", messageId: packet.messageId!, reasonCode: 0 });
        await receiver.take("pubrel");
        await receiver.ping();
        receiver.send({ cmd: "pubcomp", messageId: packet.messageId!, reasonCode: 0 });
      }
    }
    expect(texts.toSorted()).toEqual(["0", "1", "2", "3", "4"]);
    expect(texts.filter((text) => text !== "2")).toEqual(["0", "1", "3", "4"]); // [MQTT-4.6.0-6]: each topic in order.
    await receiver.end();
    await sender.end();
  });
});

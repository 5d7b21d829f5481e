/**
 * Goal: every address of a queue finds it, wrong ones are refused or wait, and a message keeps its topic and properties.
 * Method: exact SUBSCRIBE packets in both versions of the protocol.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, deleteQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";

describeWorkers("addresses of queues", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);

  async function publish(topic: string, text: string): Promise<number> {
    const producer = await open("producer");
    const code = await producer.publishSettled(topic, text, { qos: 1 });
    await producer.end();
    return code;
  }

  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    it.each([
      ["$queue/NAME", 1],
      ["$queue/NAME/NAME/+/x", 1],
      ["$q/NAME/+/x", 0],
    ] as const)("%s finds the queue", async (pattern, qos) => {
      const name = unique("named");
      await createQueue(broker, { name, topic_filter: `${name}/+/x` });
      const consumer = await open("consumer", { version });
      expect((await consumer.subscribe(pattern.replaceAll("NAME", name), { qos })).granted).toEqual([1]);
      expect(await publish(`${name}/7/x`, "job")).toBe(0); // Stored: no 0x10, although nobody else subscribed.
      const packet = await consumer.receive();
      expect([packet.topic, packet.payload.toString(), packet.qos]).toEqual([`${name}/7/x`, "job", 1]);
      await consumer.end();
    });

    it("finds an unnamed queue by its filter", async () => {
      const topic = unique("unnamed");
      await createQueue(broker, { topic_filter: `${topic}/#` });
      const consumer = await open("consumer", { version });
      expect((await consumer.subscribe(`$q/${topic}/#`)).granted).toEqual([1]);
      await publish(`${topic}/a`, "job");
      expect(await consumer.receiveTexts(1)).toEqual(["job"]);
      await consumer.end();
    });

    it.each(["$queue/-x", "$queue/+/t", "$queue/#", "$queue/", "$share/g/$queue/x", "$share/g/$q/x"])(
      "refuses %s",
      async (filter) => {
        const client = await open("client", { version });
        expect((await client.subscribe(filter, { qos: 1 })).granted).toEqual([version === 5 ? 0x8f : 0x80]);
        await client.ping();
        await client.end();
      },
    );

    it("attaches a subscription that was there before the queue", async () => {
      const name = unique("later");
      const consumer = await open("consumer", { version });
      expect((await consumer.subscribe(`$queue/${name}`, { qos: 1 })).granted).toEqual([1]);
      await createQueue(broker, { name, topic_filter: name });
      await publish(name, "job");
      expect(await consumer.receiveTexts(1)).toEqual(["job"]);
      await consumer.end();
    });
  });

  it("$q/ finds the oldest of several named queues with that filter, and they all store", async () => {
    const topic = unique("several");
    const names = [unique("queue"), unique("queue")];
    for (const name of names) await createQueue(broker, { name, topic_filter: topic });
    const consumer = await open("consumer");
    await consumer.subscribe(`$q/${topic}`);
    expect(await publish(topic, "job")).toBe(0);
    expect(await consumer.receiveTexts(1)).toEqual(["job"]);
    expect((await ledgerOf(broker, names[0]!)).stored).toBe(1);
    expect((await ledgerOf(broker, names[1]!)).waiting).toBe(1);
    await consumer.end();
  });

  it("does not attach by a name with another filter", async () => {
    const name = unique("other");
    await createQueue(broker, { name, topic_filter: `${name}/a` });
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}/${name}/b`, { qos: 1 });
    await publish(`${name}/a`, "job");
    await consumer.expectQuiet(150);
    expect((await ledgerOf(broker, name)).waiting).toBe(1);
    await consumer.end();
  });

  it("passes properties and the subscription identifier on", async () => {
    const name = unique("properties");
    await createQueue(broker, { name, topic_filter: name });
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1, identifier: 42 });
    const producer = await open("producer");
    const properties = {
      responseTopic: "answer",
      correlationData: Buffer.from([1, 0, 2]),
      userProperties: { a: ["1", "2"] },
    };
    await producer.publishSettled(name, "job", { qos: 2, properties });
    const packet = await consumer.receive();
    expect(packet.qos).toBe(1);
    const { subscriptionIdentifier, responseTopic, correlationData, userProperties } = packet.properties ?? {};
    expect({ subscriptionIdentifier, responseTopic, correlationData, userProperties: { ...userProperties } }).toEqual({
      subscriptionIdentifier: 42,
      ...properties,
    });
    await consumer.end();
    await producer.end();
  });

  it("delivers to ordinary subscribers as well", async () => {
    const name = unique("both");
    await createQueue(broker, { name, topic_filter: name });
    const subscriber = await open("subscriber");
    await subscriber.subscribe(name, { qos: 1 });
    await publish(name, "job");
    expect(await subscriber.receiveTexts(1)).toEqual(["job"]);
    expect((await ledgerOf(broker, name)).waiting).toBe(1);
    await subscriber.end();
  });

  it("stores what REST publishes", async () => {
    const name = unique("rest");
    await createQueue(broker, { name, topic_filter: name });
    const answer = await request(broker, "POST", "/api/v5/publish", { topic: name, payload: "job", qos: 1 });
    expect(answer.status).toBe(200);
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    expect(await consumer.receiveTexts(1)).toEqual(["job"]);
    await consumer.end();
  });

  it("loses its queue when it is deleted, and finds the next one of that name", async () => {
    const name = unique("reborn");
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    await createQueue(broker, { name, topic_filter: name });
    expect(await deleteQueue(broker, name)).toBe(204);
    expect(await deleteQueue(broker, name)).toBe(404);
    expect(await publish(name, "into the void")).toBe(0x10);
    await createQueue(broker, { name, topic_filter: name });
    await publish(name, "job");
    expect(await consumer.receiveTexts(1)).toEqual(["job"]);
    await consumer.end();
  });

  it("refuses what a queue with the reject policy has no room for", async () => {
    const name = unique("full");
    await createQueue(broker, { name, topic_filter: name, overflow: "reject", limits: { max_shard_message_count: 2 } });
    expect([await publish(name, "1"), await publish(name, "2"), await publish(name, "3")]).toEqual([0, 0, 0x97]);
    const v3 = await open("v3", { version: 4 });
    v3.publish(name, "4", { qos: 1 });
    await v3.expectClose();
    expect(v3.waiting).toEqual([]);
    const { stored, waiting, difference } = await ledgerOf(broker, name);
    expect({ stored, waiting, difference }).toEqual({ stored: 2, waiting: 2, difference: 0 });
  });
});

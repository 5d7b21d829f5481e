/**
 * Goal: a queue that subscribing may create is there when SUBACK comes, for everyone who wants it, once; whatever goes wrong leaves a
 * subscription that waits.
 * Method: exact SUBSCRIBE packets in both versions of the protocol, publishes right behind SUBACK, several clients at a time.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, deleteQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";

const CONFIG = "/api/v5/message_queues/config";

describeWorkers("queues that subscribing creates", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({
      workers,
      settings: "queues: { auto_create: { regular: { local_max_inflight: 4 } } }",
    });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);
  const configure = async (change: object): Promise<void> => {
    expect((await request(broker, "PUT", CONFIG, change)).status).toBe(204);
  };
  const definitionOf = async (name: string) =>
    (await request(broker, "GET", `/api/v5/queue/${encodeURIComponent(name)}`)).body;
  const isThere = async (name: string): Promise<boolean> =>
    (await request(broker, "GET", `/api/v5/queue/${encodeURIComponent(name)}`)).status === 200;

  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    it("by name and filter: what is published after SUBACK is in it", async () => {
      const name = unique("wanted");
      const consumer = await open("consumer", { version });
      const producer = await open("producer");
      expect((await consumer.subscribe(`$queue/${name}/${name}/+`, { qos: 1 })).granted).toEqual([1]);
      expect(await producer.publishSettled(`${name}/1`, "job", { qos: 1 })).toBe(0);
      expect(await consumer.receiveTexts(1)).toEqual(["job"]);
      const fields = { name, topic_filter: `${name}/+`, is_lastvalue: false, local_max_inflight: 4 };
      expect(await definitionOf(name)).toMatchObject(fields);
      await consumer.end();
      await producer.end();
    });

    it("by $q/ and a filter: the unnamed queue, unless a named one serves it", async () => {
      const topic = unique("legacy");
      const consumer = await open("consumer", { version });
      await consumer.subscribe(`$q/${topic}/#`);
      expect(await definitionOf(`/${topic}/#`)).toMatchObject({ name: `/${topic}/#`, topic_filter: `${topic}/#` });
      const named = unique("named");
      await createQueue(broker, { name: named, topic_filter: named });
      await consumer.subscribe(`$q/${named}`);
      expect(await isThere(`/${named}`)).toBe(false);
      await consumer.end();
    });
  });

  it("by a name alone, or a name that has another filter, creates nothing", async () => {
    const name = unique("alone");
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    expect(await isThere(name)).toBe(false);
    await createQueue(broker, { name, topic_filter: `${name}/a` });
    await consumer.subscribe(`$queue/${name}/${name}/b`, { qos: 1 });
    expect(await definitionOf(name)).toMatchObject({ topic_filter: `${name}/a` });
    await consumer.end();
  });

  it("many at once: one queue, and each publish right behind a SUBACK is in it", async () => {
    const name = unique("together");
    const clients = await Promise.all(Array.from({ length: 30 }, () => open("client")));
    await Promise.all(
      clients.map(async (client, index) => {
        await client.subscribe(`$queue/${name}/${name}`, { qos: 1 });
        expect(await client.publishSettled(name, String(index), { qos: 1 })).toBe(0);
      }),
    );
    expect((await ledgerOf(broker, name)).stored).toBe(30);
    expect(broker.logs.filter((line) => line.includes(`"queue":"${name}"`)).length).toBe(1);
    await Promise.all(clients.map((client) => client.end()));
  });

  it("at the resumption of a session: what it was subscribed to is created again", async () => {
    const name = unique("resumed");
    const clientId = unique("durable");
    const connect = () =>
      RawClient.connected(broker.mqttPort, clientId, { clean: false, properties: { sessionExpiryInterval: 300 } });
    const first = await connect();
    await first.subscribe(`$queue/${name}/${name}`, { qos: 1 });
    await first.end();
    expect(await deleteQueue(broker, name)).toBe(204);
    const second = await connect();
    await second.subscribe(`$queue/${name}/${name}`, { qos: 1 }); // Once more: SUBACK comes when it is there.
    const producer = await open("producer");
    expect(await producer.publishSettled(name, "job", { qos: 1 })).toBe(0);
    expect(await second.receiveTexts(1)).toEqual(["job"]);
    await second.end();
    await producer.end();
  });

  it("beyond max_queue_count: granted, not created, attached when there is one", async () => {
    const name = unique("beyond");
    await configure({ max_queue_count: 1 });
    const consumer = await open("consumer");
    expect((await consumer.subscribe(`$queue/${name}/${name}`, { qos: 1 })).granted).toEqual([1]);
    expect(await isThere(name)).toBe(false);
    expect(broker.logs.some((line) => line.includes(name) && line.includes("MAX_QUEUE_COUNT_REACHED"))).toBe(true);
    await configure({ max_queue_count: 1_000 });
    await createQueue(broker, { name, topic_filter: name });
    const producer = await open("producer");
    await producer.publishSettled(name, "job", { qos: 1 });
    expect(await consumer.receiveTexts(1)).toEqual(["job"]);
    await consumer.end();
    await producer.end();
  });

  it("as PUT says from its answer on, also after a restart", async () => {
    await configure({ auto_create: { lastvalue: { key_expression: "message.topic" } } });
    const consumer = await open("consumer");
    const name = unique("kind");
    await consumer.subscribe(`$queue/${name}/${name}/#`, { qos: 1 });
    expect(await definitionOf(name)).toMatchObject({ is_lastvalue: true, key_expression: "message.topic" });
    await consumer.end();
    await broker.kill();
    await broker.restart();
    expect((await request(broker, "GET", CONFIG)).body).toMatchObject({
      max_queue_count: 1_000,
      auto_create: { regular: false },
    });
    const again = await open("consumer");
    const other = unique("kind");
    await again.subscribe(`$q/${other}/#`);
    expect(await definitionOf(`/${other}/#`)).toMatchObject({ is_lastvalue: true });
    await configure({ auto_create: {} });
    const none = unique("kind");
    await again.subscribe(`$q/${none}/#`);
    expect(await isThere(`/${none}/#`)).toBe(false);
    await again.end();
  });
});

describeWorkers("queues switched off", (workers) => {
  it("subscriptions wait and publishes pass; both go on when they are switched on", async () => {
    const broker = await Broker.start({ workers });
    try {
      const configure = (change: object) => request(broker, "PUT", CONFIG, change);
      expect((await configure({ enable: false, auto_create: { regular: {} } })).status).toBe(204);
      const client = await RawClient.connected(broker.mqttPort, "client");
      expect((await client.subscribe("$queue/jobs/jobs", { qos: 1 })).granted).toEqual([1]);
      expect(await client.publishSettled("jobs", "passes by", { qos: 1 })).toBe(0x10);
      const refused = await request(broker, "POST", "/api/v5/queues", { topic_filter: "jobs" });
      expect(refused).toMatchObject({ status: 503, body: { code: "SERVICE_UNAVAILABLE", message: "Not enabled" } });
      await broker.stop();
      await broker.restart();
      expect((await request(broker, "GET", "/api/v5/queues")).status).toBe(503);
      expect((await configure({ enable: true })).status).toBe(204);
      const other = await RawClient.connected(broker.mqttPort, "client");
      await other.subscribe("$queue/jobs/jobs", { qos: 1 });
      expect(await other.publishSettled("jobs", "job", { qos: 1 })).toBe(0);
      expect(await other.receiveTexts(1)).toEqual(["job"]);
      await other.end();
      await broker.stop();
    } finally {
      await broker.remove();
    }
  });
});

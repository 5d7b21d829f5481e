/**
 * Goal: a queue of `durability: memory` acknowledges without the disk and survives what its page says: a clean stop whole, a
 * kill but for its newest; where a queue that needs the disk matches too, that one is waited for.
 * Method: publishers of both protocol versions on bare sockets; the broker is stopped, or killed right after a PUBACK; what is
 * delivered afterwards is compared with what was acknowledged. The harness looks at the ledgers after each start.
 */
import { afterEach, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";

const JOBS = 300;
const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));

describeWorkers("a memory queue", (workers) => {
  let broker: Broker;
  afterEach(() => broker.remove());

  async function publish(topic: string, texts: readonly string[], version: 4 | 5): Promise<void> {
    const producer = await RawClient.connected(broker.mqttPort, "producer", { version });
    for (const text of texts) producer.publish(topic, text, { qos: 1 });
    for (const _ of texts) expect((await producer.take("puback")).reasonCode ?? 0).toBe(0);
    await producer.cut();
  }

  async function takeAll(name: string): Promise<string[]> {
    const { waiting } = await ledgerOf(broker, name);
    const consumer = await RawClient.connected(broker.mqttPort, `consumer-of-${name}`, { version: 4 });
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    const texts = await consumer.receiveTexts(waiting);
    await consumer.end();
    return texts;
  }

  it.each([4, 5] as const)("keeps everything over a clean stop, MQTT %i", async (version) => {
    broker = await Broker.start({ workers });
    await createQueue(broker, { name: "fast", topic_filter: "jobs", durability: "memory" });
    await publish("jobs", numbers(JOBS), version);
    await broker.stop();
    await broker.restart();
    expect(await ledgerOf(broker, "fast")).toMatchObject({ stored: JOBS, waiting: JOBS, dropped: 0 });
    expect(await takeAll("fast")).toEqual(numbers(JOBS));
  });

  it.each([4, 5] as const)("loses at most its newest in a kill, MQTT %i", async (version) => {
    broker = await Broker.start({ workers });
    await createQueue(broker, { name: "fast", topic_filter: "jobs", durability: "memory" });
    await publish("jobs", numbers(JOBS), version);
    await broker.kill();
    await broker.restart();
    const { waiting, difference } = await ledgerOf(broker, "fast");
    expect(difference).toBe(0);
    expect(await takeAll("fast")).toEqual(numbers(JOBS).slice(0, waiting));
  });

  it("waits for the disk where a queue that needs it matches too", async () => {
    broker = await Broker.start({ workers });
    await createQueue(broker, { name: "fast", topic_filter: "jobs", durability: "memory" });
    await createQueue(broker, { name: "safe", topic_filter: "jobs" });
    await publish("jobs", numbers(JOBS), 5);
    await broker.kill();
    await broker.restart();
    expect(await takeAll("safe")).toEqual(numbers(JOBS));
    const { waiting } = await ledgerOf(broker, "fast");
    if (workers === 1) expect(waiting).toBe(JOBS); // One partition: in the same commits.
    expect(await takeAll("fast")).toEqual(numbers(JOBS).slice(0, waiting));
  });

  it("becomes one, and ceases to be one, by PUT", async () => {
    broker = await Broker.start({ workers });
    await createQueue(broker, { name: "q", topic_filter: "jobs" });
    const put = (durability: string) => request(broker, "PUT", "/api/v5/queues/q", { durability });
    expect(await put("memory")).toMatchObject({ status: 200, body: { durability: "memory" } });
    await publish("jobs", ["a"], 5);
    expect(await put("fsync")).toMatchObject({ status: 200, body: { durability: "fsync" } });
    await publish("jobs", ["b", "c"], 5);
    await broker.kill();
    await broker.restart();
    expect(await request(broker, "GET", "/api/v5/queues/q")).toMatchObject({ body: { durability: "fsync" } });
    expect(await takeAll("q")).toEqual(["a", "b", "c"]); // The change itself waited for the disk, behind "a".
  });
});

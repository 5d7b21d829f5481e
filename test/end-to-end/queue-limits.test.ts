/**
 * Goal: the limits of a queue are exact in each policy, for publishers of both protocol versions and of REST; changed limits count
 * at once; and what has expired is never delivered, while what is delivered says how long it lives.
 * Method: bare sockets against the whole broker; the ledger is asked after each step.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually, pause } from "../harness/waiting.ts";

type Policy = "drop_oldest" | "drop_newest" | "reject";
const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => String(from + at));

describeWorkers("limits", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (version: 4 | 5 = 5) => RawClient.connected(broker.mqttPort, unique("client"), { version });

  async function queue(overflow: Policy, limits: object, more: object = {}): Promise<string> {
    const name = unique("limited");
    await createQueue(broker, { name, topic_filter: name, overflow, limits, ...more });
    return name;
  }

  const change = async (name: string, body: object): Promise<void> => {
    expect((await request(broker, "PUT", `/api/v5/queue/${name}`, body)).status).toBe(200);
  };

  /** Publishes one after the other; answers the reason codes, "closed" where the connection ended instead. */
  async function publish(name: string, texts: readonly string[], version: 4 | 5): Promise<(number | "closed")[]> {
    const codes: (number | "closed")[] = [];
    let client = await open(version);
    for (const text of texts) {
      try {
        codes.push(await client.publishSettled(name, text, { qos: 1 }));
      } catch (error) {
        if (!client.isClosed) throw error;
        codes.push("closed");
        client = await open(version);
      }
    }
    await client.end();
    return codes;
  }

  const ledger = async (name: string) => {
    const { stored, waiting, dropped, refused, difference } = await ledgerOf(broker, name);
    return { stored, waiting, dropped, refused, difference };
  };

  async function takeAll(name: string): Promise<string[]> {
    const { waiting } = await ledgerOf(broker, name);
    const client = await open();
    await client.subscribe(`$queue/${name}`, { qos: 1 });
    const texts = await client.receiveTexts(waiting);
    await client.end();
    return texts;
  }

  describe.each([4, 5] as const)("a publisher of MQTT %i", (version) => {
    const no = version === 5 ? 0x97 : "closed";
    const counted = { max_shard_message_count: 3 };

    it("drop_oldest: takes all and keeps the newest", async () => {
      const name = await queue("drop_oldest", counted);
      expect(await publish(name, numbers(1, 5), version)).toEqual([0, 0, 0, 0, 0]);
      expect(await ledger(name)).toEqual({ stored: 5, waiting: 3, dropped: 2, refused: 0, difference: 0 });
      expect(await takeAll(name)).toEqual(["3", "4", "5"]);
    });

    it("drop_newest: takes all and keeps the oldest", async () => {
      const name = await queue("drop_newest", counted);
      expect(await publish(name, numbers(1, 5), version)).toEqual([0, 0, 0, 0, 0]);
      expect(await ledger(name)).toEqual({ stored: 5, waiting: 3, dropped: 2, refused: 0, difference: 0 });
      expect(await takeAll(name)).toEqual(["1", "2", "3"]);
    });

    it("reject: takes what there is room for, and again when there is", async () => {
      const name = await queue("reject", counted);
      expect(await publish(name, numbers(1, 4), version)).toEqual([0, 0, 0, no]);
      expect(await ledger(name)).toEqual({ stored: 3, waiting: 3, dropped: 0, refused: 1, difference: 0 });
      expect(await takeAll(name)).toEqual(["1", "2", "3"]);
      await eventually("there is room", async () => (await ledgerOf(broker, name)).acknowledged === 3);
      expect(await publish(name, ["5"], version)).toEqual([0]);
    });

    it.each(["drop_oldest", "drop_newest", "reject"] as const)(
      "%s: what is larger than the whole queue may be is refused and pushes nothing out",
      async (overflow) => {
        const name = await queue(overflow, { max_shard_message_bytes: "1KB" });
        expect(await publish(name, ["small", "x".repeat(1_024)], version)).toEqual([0, no]);
        expect(await ledger(name)).toEqual({ stored: 1, waiting: 1, dropped: 0, refused: 1, difference: 0 });
      },
    );
  });

  it("counts bytes exactly, to the last", async () => {
    const client = await RawClient.connected(broker.mqttPort, "measuring");
    const payload = "x".repeat(100);
    await createQueue(broker, { name: "bytes-0", topic_filter: "bytes/0" });
    await client.publishSettled("bytes/0", payload, { qos: 1 });
    const { waiting_bytes: bytes } = await ledgerOf(broker, "bytes-0");
    for (const [topic, limit, codes] of [
      ["bytes/1", 3 * bytes, [0, 0, 0, 0x97]],
      ["bytes/2", 3 * bytes - 1, [0, 0, 0x97, 0x97]],
    ] as const) {
      const limits = { max_shard_message_bytes: limit };
      await createQueue(broker, { name: topic.replace("/", "-"), topic_filter: topic, overflow: "reject", limits });
      for (const code of codes) expect(await client.publishSettled(topic, payload, { qos: 1 })).toBe(code);
    }
    await client.end();
  });

  it("answers REST with quota_exceeded", async () => {
    const name = await queue("reject", { max_shard_message_count: 1 });
    const post = () => request(broker, "POST", "/api/v5/publish", { topic: name, payload: "x", qos: 1 });
    expect((await post()).status).toBe(200);
    expect(await post()).toMatchObject({ status: 400, body: { reason_code: 151, message: "quota_exceeded" } });
    expect(await ledger(name)).toMatchObject({ stored: 1, refused: 1 });
  });

  it("lowered limits count at once: drop_oldest drops, the others wait until the queue is below them", async () => {
    const lowered = { limits: { max_shard_message_count: 2 } };
    const oldest = await queue("drop_oldest", {});
    const newest = await queue("drop_newest", {});
    const reject = await queue("reject", {});
    for (const name of [oldest, newest, reject]) {
      await publish(name, numbers(1, 4), 5);
      await change(name, lowered);
    }
    expect(await ledger(oldest)).toMatchObject({ waiting: 2, dropped: 2, difference: 0 });
    expect(await takeAll(oldest)).toEqual(["3", "4"]);
    expect(await publish(newest, ["5"], 5)).toEqual([0]);
    expect(await ledger(newest)).toMatchObject({ stored: 5, waiting: 4, dropped: 1, difference: 0 });
    expect(await publish(reject, ["5"], 5)).toEqual([0x97]);
    expect(await ledger(reject)).toMatchObject({ stored: 4, waiting: 4, dropped: 0, refused: 1, difference: 0 });
    await change(reject, { limits: { max_shard_message_count: "infinity" } });
    expect(await publish(reject, ["6"], 5)).toEqual([0]);
    expect(await takeAll(newest)).toEqual(numbers(1, 4));
    expect(await takeAll(reject)).toEqual(["1", "2", "3", "4", "6"]);
  });

  it("what is in flight counts and is never dropped", async () => {
    const name = await queue("drop_oldest", { max_shard_message_count: 3 });
    await publish(name, ["1", "2"], 5);
    const consumer = await open();
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    const packets = [await consumer.take("publish"), await consumer.take("publish")];
    consumer.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: [`$queue/${name}`] });
    await consumer.take("unsuback");
    expect(await publish(name, ["3", "4", "5"], 5)).toEqual([0, 0, 0]);
    expect(await ledger(name)).toEqual({ stored: 5, waiting: 1, dropped: 2, refused: 0, difference: 0 });
    await change(name, { limits: { max_shard_message_count: 1 } });
    expect(await ledgerOf(broker, name)).toMatchObject({ waiting: 0, in_flight: 2, dropped: 3 });
    for (const { messageId } of packets) consumer.puback(messageId!);
    await eventually("both are done", async () => (await ledgerOf(broker, name)).acknowledged === 2);
    await consumer.end();
  });

  it("what has expired is not delivered; what is delivered says how long it lives", async () => {
    const name = await queue("drop_oldest", {});
    const client = await open();
    const expiring = (text: string, seconds: number) =>
      client.publishSettled(name, text, { qos: 1, properties: { messageExpiryInterval: seconds } });
    expect([await expiring("long", 100), await expiring("short", 1)]).toEqual([0, 0]);
    await publish(name, ["for ever"], 5);
    await eventually("the short one has expired", async () => {
      const { waiting, difference } = await ledgerOf(broker, name);
      expect(difference).toBe(0);
      return waiting === 2;
    });
    await client.subscribe(`$queue/${name}`, { qos: 1 });
    const [long, forEver] = [await client.receive(), await client.receive()];
    expect([long.payload.toString(), forEver.payload.toString()]).toEqual(["long", "for ever"]);
    expect(long.properties!.messageExpiryInterval).toBeLessThan(100); // [MQTT-3.3.2-6]
    expect(long.properties!.messageExpiryInterval).toBeGreaterThan(50);
    expect(forEver.properties?.messageExpiryInterval).toBeUndefined();
    await client.end();
  });

  it("a shorter retention takes what waits, a longer one keeps it, at once and over a restart", async () => {
    const shorter = await queue("drop_oldest", {});
    const longer = await queue("drop_oldest", {}, { data_retention_period: "1500ms" });
    const kept = await queue("drop_oldest", {}, { is_lastvalue: true, key_expression: "message.topic" });
    for (const name of [shorter, longer, kept]) await publish(name, ["a"], 4);
    await change(longer, { data_retention_period: "1h" });
    await pause(5); // The retention below has to be over.
    await change(shorter, { data_retention_period: 1 });
    expect(await ledgerOf(broker, shorter)).toMatchObject({ waiting: 0, difference: 0 });
    await broker.stop();
    await broker.restart();
    await pause(1_500);
    expect(await takeAll(longer)).toEqual(["a"]);
    expect(await ledgerOf(broker, shorter)).toMatchObject({ stored: 1, waiting: 0, difference: 0 });
    await change(kept, { data_retention_period: 1 });
    expect(await ledgerOf(broker, kept)).toMatchObject({ stored: 1, waiting: 0, difference: 0 });
  });
});

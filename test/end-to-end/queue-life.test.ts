/**
 * Goal: a queue's life as its users see it: several over one filter, attaching at the moment of creation, deletion under its consumers and
 * another one of the same name.
 * Method: consumers on bare sockets that acknowledge what the test says; publishes right behind each answer; the ledger is asked afterwards.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, deleteQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const ROUNDS = isFullSize ? 200 : 15;

describeWorkers("the life of a queue", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, settings: "queues: { max_queue_count: 10000 }" });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);

  async function consumerOf(filter: string, version: Version = 5): Promise<RawClient> {
    const consumer = await open("consumer", { version });
    expect((await consumer.subscribe(filter, { qos: 1 })).granted).toEqual([1]);
    return consumer;
  }

  async function publishAll(topic: string, texts: readonly string[]): Promise<void> {
    const producer = await open("producer");
    for (const text of texts) expect(await producer.publishSettled(topic, text, { qos: 1 })).toBe(0);
    await producer.end();
  }

  it("each of several queues over one filter, and over overlapping ones, has its own copy", async () => {
    const topic = unique("shared");
    const names = [unique("one"), unique("other"), unique("wide")];
    for (const name of names.slice(0, 2)) await createQueue(broker, { name, topic_filter: `${topic}/a` });
    await createQueue(broker, { name: names[2], topic_filter: `${topic}/#` });
    await publishAll(`${topic}/a`, ["1", "2"]);
    for (const name of names) {
      const consumer = await consumerOf(`$queue/${name}`);
      expect(await consumer.receiveTexts(2)).toEqual(["1", "2"]);
      await consumer.end();
    }
  });

  it.each([4, 5] as const)(
    "version byte %i: who waits is attached as it is created; what follows the answer is in it",
    async (version) => {
      const producer = await open("producer");
      for (let round = 0; round < ROUNDS; round += 1) {
        const name = unique("moment");
        const consumers = [await consumerOf(`$queue/${name}`, version), await consumerOf(`$q/${name}/+`, version)];
        await createQueue(broker, { name, topic_filter: `${name}/+`, dispatch_strategy: "round_robin" });
        const codes = [];
        for (const text of ["1", "2", "3", "4"]) {
          codes.push(await producer.publishSettled(`${name}/x`, text, { qos: 1 }));
        }
        expect(codes).toEqual([0, 0, 0, 0]);
        const texts = await Promise.all(consumers.map((consumer) => consumer.receiveTexts(2)));
        expect(texts.flat().sort()).toEqual(["1", "2", "3", "4"]);
        await Promise.all(consumers.map((consumer) => consumer.end()));
      }
      await producer.end();
    },
  );

  it("a subscription with another filter waits, and attaches when a queue of that name has it", async () => {
    const name = unique("conflict");
    await createQueue(broker, { name, topic_filter: `${name}/old` });
    const consumer = await consumerOf(`$queue/${name}/${name}/new`);
    await publishAll(`${name}/old`, ["old"]);
    await deleteQueue(broker, name);
    await createQueue(broker, { name, topic_filter: `${name}/new` });
    await publishAll(`${name}/new`, ["new"]);
    expect(await consumer.receiveTexts(1)).toEqual(["new"]);
    await consumer.end();
  });

  it("deleted under its consumers: nothing of it remains, and the next one of that name has them at once", async () => {
    const name = unique("reborn");
    const definition = { name, topic_filter: name, dispatch_strategy: "round_robin", local_max_inflight: 3 };
    await createQueue(broker, definition);
    const consumers = [await consumerOf(`$queue/${name}`), await consumerOf(`$queue/${name}`, 4)];
    await publishAll(name, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    const held = await Promise.all(
      consumers.map(async (consumer) => [
        await consumer.take("publish"),
        await consumer.take("publish"),
        await consumer.take("publish"),
      ]),
    );
    expect(await ledgerOf(broker, name)).toMatchObject({ in_flight: 6, waiting: 2 });
    expect(await deleteQueue(broker, name)).toBe(204);
    await createQueue(broker, definition);
    expect(await ledgerOf(broker, name)).toMatchObject({ stored: 0, waiting: 0, acknowledged: 0, difference: 0 });
    expect((await ledgerOf(broker, name)).consumers.length).toBe(2);

    await publishAll(name, ["new 1", "new 2"]);
    for (const [index, consumer] of consumers.entries()) {
      for (const { messageId } of held[index]!) consumer.puback(messageId!); // Late: their queue is gone.
      const packet = await consumer.take("publish");
      expect(packet.payload.toString()).toMatch(/^new/);
      expect(packet.dup).toBe(false);
    }
    await Promise.all(consumers.map((consumer) => consumer.ping()));
    expect(await ledgerOf(broker, name)).toMatchObject({ stored: 2, in_flight: 2, acknowledged: 0, difference: 0 });
    await Promise.all(consumers.map((consumer) => consumer.cut()));
    await eventually("both wait again", async () => (await ledgerOf(broker, name)).waiting === 2);
  });

  it("deleted and created again while messages flow: the new one begins empty and keeps every message from its answer on", async () => {
    const name = unique("churn");
    const producer = await open("producer");
    const consumer = await consumerOf(`$queue/${name}`);
    for (let round = 0; round < ROUNDS; round += 1) {
      await createQueue(broker, { name, topic_filter: name });
      expect(await producer.publishSettled(name, `${round}`, { qos: 1 })).toBe(0);
      expect(await consumer.receiveTexts(1)).toEqual([`${round}`]);
      producer.publish(name, "goes with it", { qos: 0 });
      await producer.ping();
      expect(await deleteQueue(broker, name)).toBe(204);
      while (consumer.waiting.length > 0) await consumer.receive();
    }
    await consumer.end();
    await producer.end();
  });

  it("$q/ keeps to its queue until that is deleted, then takes the unnamed one", async () => {
    const topic = unique("kept");
    const name = unique("named");
    await createQueue(broker, { name, topic_filter: topic });
    const consumer = await consumerOf(`$q/${topic}`);
    await createQueue(broker, { topic_filter: topic });
    const consumersOf = async (queue: string): Promise<number> => (await ledgerOf(broker, queue)).consumers.length;
    expect([await consumersOf(name), await consumersOf(`/${topic}`)]).toEqual([1, 0]);
    const later = await consumerOf(`$q/${topic}`);
    expect([await consumersOf(name), await consumersOf(`/${topic}`)]).toEqual([1, 1]);
    await deleteQueue(broker, name);
    await eventually("it has moved", async () => (await consumersOf(`/${topic}`)) === 2);
    await consumer.end();
    await later.end();
  });

  it("names are told apart by case, and both are found by their own", async () => {
    const name = unique("case");
    await createQueue(broker, { name, topic_filter: `${name}/lower` });
    await createQueue(broker, { name: name.toUpperCase(), topic_filter: `${name}/upper` });
    const consumer = await consumerOf(`$queue/${name.toUpperCase()}`);
    await publishAll(`${name}/lower`, ["lower"]);
    await publishAll(`${name}/upper`, ["upper"]);
    expect(await consumer.receiveTexts(1)).toEqual(["upper"]);
    expect((await ledgerOf(broker, name)).waiting).toBe(1);
    await consumer.end();
  });

  describe("what may not be", () => {
    it.each(["", "a/#/b", "a+", "#a", "$share/g/t", "$queue/q", "$q/t", "a\u0000b"])(
      "a queue over %j",
      async (topicFilter) => {
        const answer = await request(broker, "POST", "/api/v5/queues", {
          name: unique("bad"),
          topic_filter: topicFilter,
        });
        expect(answer).toMatchObject({ status: 400, body: { code: "BAD_REQUEST" } });
        expect((answer.body as { message: string }).message).toMatch(/^topic_filter: /);
      },
    );

    it("a queue named `config`, or a subscription to one", async () => {
      const answer = await request(broker, "POST", "/api/v5/queues", { name: "config", topic_filter: "t" });
      expect(answer).toMatchObject({ status: 400, body: { message: 'name: "config" is reserved' } });
      for (const [version, code] of [
        [5, 0x8f],
        [4, 0x80],
      ] as const) {
        const client = await open("client", { version });
        expect((await client.subscribe("$queue/config", { qos: 1 })).granted).toEqual([code]);
        await client.end();
      }
    });
  });
});

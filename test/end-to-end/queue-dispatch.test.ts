/**
 * Goal: who gets which message of a queue is as the queue's strategy, its consumers' windows and their connections say, wherever the
 * consumers live; and a change of the definition counts for the next message.
 * Method: consumers on bare sockets that acknowledge what the test says, spread over the workers by their client IDs.
 */
import type { IPublishPacket } from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, type Ledger, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const text = (packet: IPublishPacket): string => packet.payload.toString();
const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${from + index}`);

describeWorkers("dispatch", (workers) => {
  let broker: Broker;
  let producer: RawClient;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
    producer = await RawClient.connected(broker.mqttPort, "producer");
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  async function queue(definition: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const name = unique("queue");
    await createQueue(broker, { name, topic_filter: `${name}/#`, ...definition });
    return name;
  }

  async function consumer(name: string, options: Parameters<typeof RawClient.connected>[2] = {}): Promise<RawClient> {
    const client = await RawClient.connected(broker.mqttPort, unique("consumer"), options);
    expect((await client.subscribe(`$queue/${name}`, { qos: 1 })).granted).toEqual([1]);
    return client;
  }

  /** Consumers that the queue knows, in order: SUBACK may come before the queue's worker has heard of them. */
  async function consumers(name: string, count: number, options = {}): Promise<RawClient[]> {
    const clients: RawClient[] = [];
    for (let at = 1; at <= count; at += 1) {
      clients.push(await consumer(name, options));
      await eventually(`${at} are attached`, async () => (await ledgerOf(broker, name)).consumers.length === at);
    }
    return clients;
  }

  async function publish(name: string, texts: readonly string[]): Promise<void> {
    for (const payload of texts) expect(await producer.publishSettled(`${name}/x`, payload, { qos: 1 })).toBe(0);
  }

  const update = async (name: string, change: Readonly<Record<string, unknown>>): Promise<void> => {
    expect((await request(broker, "PUT", `/api/v5/queue/${name}`, change)).status).toBe(200);
  };

  const held = (client: RawClient): IPublishPacket[] =>
    client.waiting.filter((packet): packet is IPublishPacket => packet.cmd === "publish");

  const untilHeld = (clients: readonly RawClient[], counts: readonly number[]): Promise<void> =>
    eventually(
      () => `${counts} at the consumers, not ${clients.map((client) => held(client).length)}`,
      () => clients.every((client, at) => held(client).length === counts[at]),
    );

  const untilLedger = (name: string, wanted: Partial<Ledger>): Promise<void> =>
    eventually(`${name} is at ${JSON.stringify(wanted)}`, async () => {
      const ledger = await ledgerOf(broker, name);
      return Object.entries(wanted).every(([key, value]) => ledger[key as keyof Ledger] === value);
    });

  const endAll = async (clients: readonly RawClient[]): Promise<void> => {
    for (const client of clients) await client.end();
  };

  it("round_robin goes round: three consumers get two of six each, in turn, and two get 50 of 100", async () => {
    const name = await queue({ dispatch_strategy: "round_robin", local_max_inflight: 100 });
    const three = await consumers(name, 3);
    await publish(name, numbers(0, 6));
    await untilHeld(three, [2, 2, 2]);
    const turns = three.map((client) => held(client).map(text)).sort();
    expect(turns).toEqual([
      ["0", "3"],
      ["1", "4"],
      ["2", "5"],
    ]);
    await endAll(three);

    const other = await queue({ dispatch_strategy: "round_robin", local_max_inflight: 100 });
    const two = await consumers(other, 2);
    await publish(other, numbers(0, 100));
    await untilHeld(two, [50, 50]);
    await endAll(two);
  });

  it("least_inflight levels a burst, and an acknowledgement on any worker counts for the next choice", async () => {
    const name = await queue({ dispatch_strategy: "least_inflight", local_max_inflight: 50 });
    const four = await consumers(name, 4);
    for (const payload of numbers(0, 40)) producer.publish(`${name}/x`, payload, { qos: 1 });
    await untilHeld(four, [10, 10, 10, 10]);
    const fast = four[2]!;
    for (let count = 0; count < 8; count += 1) await fast.receive();
    await untilLedger(name, { acknowledged: 8, in_flight: 32 });
    await publish(name, numbers(40, 48));
    await untilHeld(four, [10, 10, 10, 10]);
    expect(held(fast).map(text).slice(2)).toEqual(numbers(40, 48));
    await endAll(four);
    for (let count = 0; count < 40; count += 1) await producer.take("puback");
  });

  it("a burst fills every window and no more, and the rest waits", async () => {
    const name = await queue({ dispatch_strategy: "random", local_max_inflight: 7 });
    const clients = [
      ...(await consumers(name, 2)),
      await consumer(name, { properties: { receiveMaximum: 3 } }),
      await consumer(name, { version: 4 }),
    ];
    for (const payload of numbers(0, 1_000)) producer.publish(`${name}/x`, payload, { qos: 1 });
    for (let count = 0; count < 1_000; count += 1) await producer.take("puback");
    await untilHeld(clients, [7, 7, 3, 7]);
    await untilLedger(name, { in_flight: 24, waiting: 976 });
    for (const client of clients) await client.expectQuiet(0, "pingresp");
    await endAll(clients);
  });

  it("a lower window holds back what is new, a higher one gives it out, both at once", async () => {
    const name = await queue({ local_max_inflight: 4 });
    const [client] = await consumers(name, 1);
    await publish(name, numbers(0, 20));
    await untilHeld([client!], [4]);
    await update(name, { local_max_inflight: 2 });
    expect((await client!.receive()).payload.toString()).toBe("0");
    expect((await client!.receive()).payload.toString()).toBe("1");
    await untilLedger(name, { acknowledged: 2, in_flight: 2 });
    expect(held(client!).map(text)).toEqual(["2", "3"]);
    await client!.receive();
    await untilHeld([client!], [2]);
    await update(name, { local_max_inflight: 10 });
    await untilHeld([client!], [10]);
    expect(held(client!).map(text)).toEqual(numbers(3, 13));
    await client!.end();
  });

  it("a changed strategy chooses the next message", async () => {
    const name = await queue({ dispatch_strategy: "round_robin", local_max_inflight: 20 });
    const two = await consumers(name, 2);
    await publish(name, numbers(0, 10));
    await untilHeld(two, [5, 5]);
    for (let count = 0; count < 4; count += 1) await two[0]!.receive();
    await untilLedger(name, { acknowledged: 4 });
    await update(name, { dispatch_strategy: "least_inflight" });
    await publish(name, numbers(10, 14));
    await untilHeld(two, [5, 5]);
    await endAll(two);
  });

  it("0x10 is no rejection, 0x80 is one, and two who reject give a message to each other", async () => {
    const name = await queue({ redispatch_interval: 60_000 });
    const [one, other] = await consumers(name, 2);
    await publish(name, ["kept"]);
    await eventually("somebody has it", () => held(one!).length + held(other!).length === 1);
    const holder = held(one!).length === 1 ? one! : other!;
    holder.puback((await holder.take("publish")).messageId!, 0x10);
    await untilLedger(name, { acknowledged: 1 });

    await publish(name, ["poison"]);
    for (let times = 0; times < 20; times += 1) {
      await eventually("somebody has it", () => held(one!).length + held(other!).length === 1);
      const refusing = held(one!).length === 1 ? one! : other!;
      const packet = await refusing.take("publish");
      expect([text(packet), packet.dup]).toEqual(["poison", times > 0]);
      refusing.puback(packet.messageId!, 0x80);
      const next = refusing === one ? other! : one!;
      await untilHeld([refusing, next], [0, 1]);
    }
    await endAll([one!, other!]);
    await untilLedger(name, { waiting: 1, acknowledged: 1, in_flight: 0 });
  });

  it("what is too large for a consumer goes to another, or waits while those behind it pass", async () => {
    const name = await queue({ dispatch_strategy: "round_robin" });
    const small = await consumer(name, { properties: { maximumPacketSize: 200 } });
    await publish(name, ["a", "b".repeat(500), "c"]);
    await untilHeld([small], [2]);
    expect(held(small).map(text)).toEqual(["a", "c"]);
    await untilLedger(name, { waiting: 1, in_flight: 2 });
    await small.receiveTexts(2);
    await untilLedger(name, { waiting: 1, in_flight: 0 });
    const status = (await request(broker, "GET", `/api/v5/queue/${name}/status`)).body as {
      readonly consumers: readonly { readonly paused: string | null }[];
    };
    expect(status.consumers.map(({ paused }) => paused)).toEqual(["packet_too_large"]);
    const large = await consumer(name);
    expect((await large.receive()).payload.length).toBe(500);
    await publish(name, ["d".repeat(500), "e".repeat(500)]);
    await untilHeld([small, large], [0, 2]);
    await large.receiveTexts(2);
    await untilLedger(name, { acknowledged: 5, waiting: 0 });
    await endAll([small, large]);
  });

  it("one client's addresses of one queue compete, and each delivery names its own", async () => {
    const filter = unique("addressed");
    await createQueue(broker, { name: filter, topic_filter: filter, dispatch_strategy: "round_robin" });
    const client = await RawClient.connected(broker.mqttPort, unique("many"));
    const addresses = [`$queue/${filter}`, `$queue/${filter}/${filter}`, `$q/${filter}`];
    for (const [at, address] of addresses.entries()) {
      const options = { qos: 1, nl: true, rap: at === 1, identifier: at + 1 } as const;
      expect((await client.subscribe(address, options)).granted).toEqual([1]);
      await eventually("attached", async () => (await ledgerOf(broker, filter)).consumers.length === at + 1);
    }
    for (const payload of numbers(0, 6)) client.publish(filter, payload, { qos: 1, retain: true });
    for (let count = 0; count < 6; count += 1) await client.take("puback");
    await untilHeld([client], [6]);
    const seen = held(client).map(({ properties, retain }) => [properties?.subscriptionIdentifier, retain]);
    expect(seen.sort()).toEqual([
      [1, false],
      [1, false],
      [2, true],
      [2, true],
      [3, false],
      [3, false],
    ]);
    await client.receiveTexts(6);
    await untilLedger(filter, { acknowledged: 6 });
    await producer.publishSettled(filter, "", { qos: 1, retain: true });
    await client.receiveTexts(1);
    await client.end();
  });

  it("a session's window is shared: neither a queue nor ordinary traffic starves the other", async () => {
    const name = await queue({ local_max_inflight: 100 });
    const client = await consumer(name, { properties: { receiveMaximum: 10 } });
    await client.subscribe(`${name}-plain`, { qos: 1 });
    for (let number = 0; number < 300; number += 1) {
      producer.publish(`${name}/x`, `queued ${number}`, { qos: 1 });
      producer.publish(`${name}-plain`, `plain ${number}`, { qos: 1 });
    }
    for (let count = 0; count < 600; count += 1) await producer.take("puback");
    await eventually("the window is full", () => held(client).length === 10);
    const order: string[] = [];
    while (order.length < 600) {
      expect(held(client).length).toBeLessThanOrEqual(10);
      order.push((await client.receive()).payload.toString().split(" ")[0]!);
    }
    // A queue of another worker hears of a place only when that worker has its turn: on a busy machine that is long.
    const least = workers === 1 ? 100 : 10;
    for (const kind of ["queued", "plain"]) {
      expect(order.slice(0, 300).filter((each) => each === kind).length).toBeGreaterThanOrEqual(least);
    }
    await untilLedger(name, { acknowledged: 300 });
    await client.end();
  });

  it("a window of one is shared by three queues and ordinary traffic", async () => {
    const client = await RawClient.connected(broker.mqttPort, unique("narrow"), { properties: { receiveMaximum: 1 } });
    const topics: string[] = [unique("plain")];
    await client.subscribe(topics[0]!, { qos: 1 });
    for (let count = 0; count < 3; count += 1) {
      const topic = unique("queued");
      topics.push(topic);
      await createQueue(broker, { name: topic, topic_filter: topic });
      await client.subscribe(`$queue/${topic}`, { qos: 1 });
    }
    for (let number = 0; number < 60; number += 1) {
      for (const topic of topics) producer.publish(topic, `${number}`, { qos: 1 });
    }
    for (let count = 0; count < 60 * topics.length; count += 1) await producer.take("puback");
    const shares = new Map<string, number>();
    for (let count = 0; count < 80; count += 1) {
      const { topic } = await client.receive();
      shares.set(topic, (shares.get(topic) ?? 0) + 1);
    }
    expect(Math.min(...topics.map((topic) => shares.get(topic) ?? 0))).toBeGreaterThanOrEqual(workers === 1 ? 10 : 2);
    await client.receiveTexts(60 * topics.length - 80);
    for (const topic of topics.slice(1)) await untilLedger(topic, { acknowledged: 60 });
    await client.end();
  });

  it("a QoS 0 consumer that does not read has no more than its window on the way, and loses nothing that was not written", async () => {
    const name = await queue({ local_max_inflight: 5 });
    const stuck = await RawClient.connected(broker.mqttPort, unique("stuck"));
    await stuck.subscribe(`$queue/${name}`, { qos: 0 });
    stuck.pause();
    const payload = "x".repeat(512 * 1024);
    const count = 60; // 30 MiB: more than any socket buffer takes.
    for (let number = 0; number < count; number += 1) producer.publish(`${name}/x`, payload, { qos: 1 });
    for (let number = 0; number < count; number += 1) await producer.take("puback");
    await eventually("its socket is full", async () => {
      const { consumers: known } = (await request(broker, "GET", `/api/v5/queue/${name}/status`)).body as {
        readonly consumers: readonly { readonly in_flight: number; readonly paused: string | null }[];
      };
      expect(known[0]!.in_flight).toBeLessThanOrEqual(5);
      return known[0]!.paused !== null;
    });
    await stuck.cut();
    await untilLedger(name, { in_flight: 0 });
    const { waiting } = await ledgerOf(broker, name);
    expect(waiting).toBeGreaterThan(0);
    const reader = await consumer(name);
    await reader.receiveTexts(waiting);
    await untilLedger(name, { acknowledged: count, waiting: 0, in_flight: 0 });
    await reader.end();
  });

  it("who subscribes again while it finishes is served again", async () => {
    const name = await queue({ local_max_inflight: 2 });
    const [client] = await consumers(name, 1);
    await publish(name, numbers(0, 4));
    await untilHeld([client!], [2]);
    await client!.unsubscribe(`$queue/${name}`);
    await client!.subscribe(`$queue/${name}`, { qos: 1 });
    await untilHeld([client!], [4]);
    expect(await client!.receiveTexts(4)).toEqual(numbers(0, 4));
    await untilLedger(name, { acknowledged: 4, in_flight: 0, waiting: 0 });
    await client!.expectQuiet(0, "publish");
    await client!.end();
  });

  it("of a consumer whose keep alive is over, messages go to another", async () => {
    const name = await queue();
    const silent = await consumer(name, { keepalive: 1 });
    await publish(name, ["a", "b"]);
    await untilHeld([silent], [2]);
    const other = await consumer(name);
    await eventually("it is cut off", () => silent.isClosed);
    expect(await other.receiveTexts(2)).toEqual(["a", "b"]);
    await untilLedger(name, { acknowledged: 2 });
    await other.end();
  });
});

/**
 * Goal: to one subscription the values of a topic never go backwards, and its last is the last: however many match, however slowly the
 * client takes them, whatever is published and cleared meanwhile, with any number of subscriptions opened at once; with QoS 1 and 2
 * none comes twice.
 * Method: three workers whose turns come in an order drawn from a seed; a publisher for each topic, as its history; slow subscribers of
 * every kind that come at a drawn moment and take what they are given at drawn moments.
 */
import { expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import { EXACT_CROSSINGS_MAX, FRAMES_PER_TURN } from "../../src/base/limits.ts";
import { CLEARED, historyFault, told } from "../harness/topic-history.ts";
import { ORDERS_OF_THREE } from "../orders.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { randomOf, testSeed } from "../random.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const WORKERS = 3;
const TOPICS = 150;
const CHANGES = 700;
const SEEDS = process.env.RESTANTE_TEST_SIZE === "full" ? 25 : 3;

interface Subscriber {
  readonly what: string;
  readonly client: MemoryClient;
  readonly filters: readonly string[];
  readonly qos: 0 | 1 | 2;
  /** It stops reading at times: with QoS 0 some of what is published is lost. */
  readonly pauses: boolean;
  readonly again: boolean;
  readonly seen: Map<string, string[]>;
}

const qosOf = (topic: number): 0 | 1 | 2 => [0, 1, 2, 1][topic % 4] as 0 | 1 | 2;
const topicOf = (number: number): string => `r/${number}`;
function topicAt(home: number): string {
  for (let number = 0; ; number += 1) {
    const topic = `elsewhere-${number}`;
    if (homePartitionOf(topic, WORKERS) === home) return topic;
  }
}
const EXACT = Array.from({ length: TOPICS }, (_, number) => topicOf(number));

/** What a publisher says of each topic: its number, or that it is cleared. */
class Publishers {
  readonly histories = Array.from({ length: TOPICS }, (): string[] => []);
  readonly #clients: readonly MemoryClient[];
  #messageId = 0;
  readonly #elsewhere = Array.from({ length: WORKERS }, (_, home) => topicAt(home));

  constructor(clients: readonly MemoryClient[]) {
    this.#clients = clients;
  }

  /** The order of a topic holds for what is published with one QoS [MQTT-4.6.0-6]. */
  publish(topic: number, isCleared: boolean): void {
    const qos = qosOf(topic);
    const history = this.histories[topic]!;
    const value = isCleared ? CLEARED : `${history.length + 1}`;
    history.push(value);
    this.#messageId = (this.#messageId % 60_000) + 1;
    this.#clients[topic % WORKERS]!.publish(topicOf(topic), value, qos, this.#messageId, { retain: true });
  }

  /** More than one worker takes of another in a turn: what comes behind waits there, and not elsewhere. */
  flood(publisher: number, home: number): void {
    for (let sent = 0; sent < 2 * FRAMES_PER_TURN; sent += 1) {
      this.#clients[publisher]!.publish(this.#elsewhere[home]!, "x", 0, 0, { retain: true });
    }
  }
}

function take(subscriber: Subscriber): void {
  const { client, seen } = subscriber;
  for (const { topic, payload } of client.take("publish").map((packet) => acknowledged(client, packet))) {
    const values = seen.get(topic) ?? [];
    values.push(payload.toString());
    seen.set(topic, values);
  }
  for (const { messageId } of client.take("pubrel")) client.acknowledge("pubcomp", messageId!);
}

function acknowledged<T extends { qos: number; messageId?: number }>(client: MemoryClient, packet: T): T {
  if (packet.qos > 0) client.acknowledge(packet.qos === 1 ? "puback" : "pubrec", packet.messageId!);
  return packet;
}

/** Goes on with what a publisher has sent. */
function finish(client: MemoryClient): void {
  client.take("puback");
  client.take("pubcomp");
  for (const { messageId } of client.take("pubrec")) client.acknowledge("pubrel", messageId!);
}

function check({ qos, pauses, again, seen, what }: Subscriber, histories: readonly string[][]): void {
  for (const [topic, history] of histories.entries()) {
    const mayMiss = pauses && Math.min(qos, qosOf(topic)) === 0;
    const values = seen.get(topicOf(topic)) ?? [];
    const fault = historyFault(values, history, { mayMiss, mayRepeat: again || mayMiss });
    expect(fault, `${what}, ${topicOf(topic)}: ${told(values)}`).toBeUndefined();
  }
}

async function subscribers(rig: Rig, draw: (below: number) => number): Promise<Subscriber[]> {
  const all: Subscriber[] = [];
  const kinds = [
    { what: "all by #", filters: ["#"], again: false },
    { what: "all by r/+", filters: ["r/+"], again: false },
    { what: "each by its topic", filters: EXACT, again: false },
    { what: "all by +/#, again and again", filters: ["+/#"], again: true },
  ];
  for (const kind of kinds) {
    for (const qos of [0, 1, 2] as const) {
      const worker = draw(WORKERS);
      const isLasting = draw(2) === 1;
      const properties = { receiveMaximum: 1 + draw(40), ...(isLasting ? { sessionExpiryInterval: 3600 } : {}) };
      const client = await rig.connected(rig.idOn(worker, `s${all.length}`), { properties, clean: !isLasting });
      const pauses = qos > 0 || draw(2) === 1;
      const what = `${kind.what}, QoS ${qos}, worker ${worker}${isLasting ? ", lasting" : ""}`;
      all.push({ ...kind, what, client, qos, pauses, seen: new Map() });
    }
  }
  return all;
}

function subscribe({ client, filters, qos }: Subscriber): void {
  const subscriptions = filters.map((topic) => ({ topic, qos, nl: false, rap: false, rh: 0 as const }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
}

it.each(Array.from({ length: SEEDS }, (_, number) => testSeed * 1_000 + number))(
  "never goes backwards, seed %i",
  async (seed) => {
    const random = randomOf(seed);
    const draw = (below: number): number => Math.floor(random() * below);
    const disks = Array.from({ length: WORKERS }, () => new MemoryDisk());
    const rig = new Rig({
      workers: WORKERS,
      seed,
      disks,
      limits: { queuedMessagesMax: 100_000, receiveMaximum: 10_000 },
      ringsBytes: 6 * 2 ** 20,
    });
    const clients: MemoryClient[] = [];
    for (let worker = 0; worker < WORKERS; worker += 1)
      clients.push(await rig.connected(rig.idOn(worker, "publisher")));
    const publishers = new Publishers(clients);
    for (let topic = 0; topic < TOPICS; topic += 1) if (draw(8) > 0) publishers.publish(topic, false);
    await rig.settle();

    const all = await subscribers(rig, draw);
    const waiting = [...all];
    const active: Subscriber[] = [];
    for (let change = 0; change < CHANGES; change += 1) {
      if (draw(CHANGES / 3) === 0) {
        const publisher = draw(WORKERS);
        publishers.flood(publisher, draw(WORKERS));
        for (let topic = publisher; topic < TOPICS; topic += WORKERS) publishers.publish(topic, draw(4) === 0);
      }
      publishers.publish(draw(TOPICS), draw(4) === 0);
      if (waiting.length > 0 && draw(20) === 0) {
        const subscriber = waiting.splice(draw(waiting.length), 1)[0]!;
        subscribe(subscriber);
        active.push(subscriber);
      }
      for (let steps = draw(12); steps > 0; steps -= 1) rig.step();
      for (const client of clients) finish(client);
      for (const subscriber of active) {
        if (subscriber.pauses && draw(6) === 0)
          subscriber.client.connection.isReading = !subscriber.client.connection.isReading;
        if (subscriber.again && draw(60) === 0) subscribe(subscriber);
        if (draw(10) === 0) take(subscriber);
      }
    }
    for (const subscriber of waiting) subscribe(subscriber);
    for (const { client } of all) client.connection.isReading = true;
    for (const worker of rig.workers) worker.wake();
    for (let before = -1, now = 0; now !== before; ) {
      before = now;
      await rig.settle();
      for (const client of clients) finish(client);
      for (const subscriber of all) take(subscriber);
      await rig.settle(); // PUBREL for what has come with QoS 2.
      for (const subscriber of all) take(subscriber);
      now = all.reduce((sum, { seen }) => [...seen.values()].reduce((count, values) => count + values.length, sum), 0);
    }
    for (const subscriber of all) check(subscriber, publishers.histories);
    for (const worker of rig.workers) expect(worker.retained.openRecalls).toBe(0);
  },
);

const MATCHES = 64;
/** Of the subscriber: so many taken at once make its worker ask for more. */
const WINDOW = 20;

/** A rig with so many topics that live on one worker, retained, and a subscriber to all of them that was given SUBACK. */
async function matching(workers: number, [from, to, home]: readonly number[], qos: 0 | 1) {
  const disks = Array.from({ length: workers }, () => new MemoryDisk());
  const rig = new Rig({ workers, seed: testSeed, disks, ringsBytes: 24 * 2 ** 20 });
  const publisher = await rig.connected(rig.idOn(from! % workers, "publisher"));
  const subscriber = await rig.connected(rig.idOn(to! % workers, "subscriber"), {
    properties: { receiveMaximum: WINDOW },
  });
  const topics: string[] = [];
  for (let number = 0; topics.length < MATCHES; number += 1) {
    if (homePartitionOf(topicOf(number), workers) === home! % workers) topics.push(topicOf(number));
  }
  for (const topic of topics) publisher.publish(topic, "1", qos, 1, { retain: true });
  await rig.settle();
  subscriber.connection.isReading = qos > 0;
  subscriber.subscribe("r/+", qos);
  await rig.settle();
  const publish = (value: string): void => {
    for (const topic of topics) publisher.publish(topic, value, qos, 1, { retain: true });
  };
  return { rig, publisher, subscriber, topics, publish };
}

function valuesOf(
  taken: readonly { topic: string; payload: string | Buffer }[],
  topics: readonly string[],
): string[][] {
  return topics.map((topic) => taken.filter((each) => each.topic === topic).map(({ payload }) => payload.toString()));
}

it.each(ORDERS_OF_THREE)(
  "asks a home that lags again: publisher on %i, subscriber on %i, home %i",
  async (...order) => {
    const { rig, publisher, subscriber, topics, publish } = await matching(3, order, 1);
    for (let sent = 0; sent < 6 * FRAMES_PER_TURN; sent += 1) {
      publisher.publish(topicAt(order[2]), "x", 0, 0, { retain: true });
    }
    publish("2");
    const taken: { topic: string; payload: string | Buffer }[] = [];
    const [from, to, home] = order;
    for (const worker of [from, to]) while (rig.stepOf(worker)); // Here all are "2".
    for (const packet of subscriber.take("publish")) taken.push(acknowledged(subscriber, packet));
    for (let asked = 0; asked < 2; asked += 1) {
      while (rig.stepOf(to));
      for (let events = 0; events < 2; events += 1) rig.stepOf(home); // It has a bell and a turn, and is behind.
    }
    do {
      for (const packet of subscriber.take("publish")) taken.push(acknowledged(subscriber, packet));
    } while (rig.step() || subscriber.packets.some(({ cmd }) => cmd === "publish"));
    for (const values of valuesOf(taken, topics)) expect(["2", "1 2"]).toContain(values.join(" "));
  },
);

it.each([1, 3])("what QoS 0 has missed comes as it is retained, %i workers", async (workers) => {
  for (const order of ORDERS_OF_THREE) {
    const { rig, subscriber, topics, publish } = await matching(workers, order, 0);
    publish("2");
    await rig.settle();
    subscriber.connection.isReading = true;
    for (const worker of rig.workers) worker.wake();
    await rig.settle();
    expect(valuesOf(subscriber.take("publish"), topics)).toEqual(topics.map(() => ["2"]));
  }
});

it("very many subscriptions that wait at once end with the last, too", async () => {
  const count = 2 * EXACT_CROSSINGS_MAX;
  const disks = Array.from({ length: WORKERS }, () => new MemoryDisk());
  const limits = { subscriptionsMax: 2 * count, queuedMessagesMax: 100_000, receiveMaximum: 60_000 };
  const rig = new Rig({ workers: WORKERS, seed: testSeed, disks, limits, ringsBytes: 24 * 2 ** 20 });
  const publisher = await rig.connected(rig.idOn(0, "publisher"));
  const subscriber = await rig.connected(rig.idOn(1, "subscriber"), { properties: { receiveMaximum: WINDOW } });
  for (let number = 0; number < count; number += 1)
    publisher.publish(topicOf(number), "1", 1, number + 1, { retain: true });
  await rig.settle();
  subscriber.connection.isReading = false;
  const late = 10;
  for (let number = 0; number < count + late; number += 1) {
    if (number < count) subscriber.subscribe(topicOf(number), 1);
    if (number >= late) publisher.publish(topicOf(number - late), "2", 1, 3_000 + number, { retain: true });
    rig.step();
  }
  subscriber.connection.isReading = true;
  for (const worker of rig.workers) worker.wake();
  const taken: { topic: string; payload: string | Buffer }[] = [];
  do {
    await rig.settle();
    for (const packet of subscriber.take("publish")) taken.push(acknowledged(subscriber, packet));
  } while (rig.step());
  const seen = new Map<string, string[]>();
  for (const { topic, payload } of taken) seen.set(topic, [...(seen.get(topic) ?? []), payload.toString()]);
  for (let number = 0; number < count; number += 1) {
    const values = seen.get(topicOf(number)) ?? [];
    expect(historyFault(values, ["1", "2"], { mayRepeat: true }), told(values)).toBeUndefined();
  }
});

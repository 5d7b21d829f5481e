/**
 * Goal: who subscribes to thousands of retained topics and takes them slowly, while they are changed and cleared, sees each topic go on
 * and never back, none of its values twice, and ends with its last.
 * Method: each topic has one publisher; subscribers by wildcards and by many topics at once, with small windows and pauses in reading.
 */
import { expect, it } from "vitest";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";
import { CLEARED, historyFault, told } from "../harness/topic-history.ts";
import { isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";

const TOPICS = isFullSize ? 6_000 : 2_000;
const CHANGES = isFullSize ? 12_000 : 2_500;
const PUBLISHERS = 3;
const IN_FLIGHT = 50;

/** Changes its topics one after the other, so many at a time unacknowledged. */
class Publisher {
  readonly histories = new Map<string, string[]>();
  readonly #client: RawClient;
  #unacknowledged = 0;

  constructor(client: RawClient) {
    this.#client = client;
  }

  async publish(topic: string, isCleared: boolean): Promise<void> {
    const history = this.histories.get(topic) ?? [];
    this.histories.set(topic, history);
    const value = isCleared ? CLEARED : `${history.length + 1}`;
    history.push(value);
    this.#client.publish(topic, value, { qos: 1, retain: true });
    this.#unacknowledged += 1;
    await this.settle(IN_FLIGHT);
  }

  async settle(atMost = 0): Promise<void> {
    for (; this.#unacknowledged > atMost; this.#unacknowledged -= 1) await this.#client.take("puback");
  }
}

/** Takes what it is given, a few at a time, until it is told to hurry. */
class Subscriber {
  readonly seen = new Map<string, string[]>();
  readonly repeated: string[] = [];
  count = 0;
  isHurried = false;
  isEnded = false;
  readonly what: string;
  readonly #client: RawClient;

  constructor(what: string, client: RawClient) {
    this.what = what;
    this.#client = client;
  }

  subscribe(filters: readonly string[], qos: 1 | 2): void {
    const subscriptions = filters.map((topic) => ({ topic, qos, nl: false, rap: false, rh: 0 as const }));
    this.#client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  }

  async run(random: () => number): Promise<void> {
    while (!this.isEnded) {
      this.#takeAll();
      if (!this.isHurried && random() < 0.1) {
        this.#client.pause();
        await pause(30);
        this.#client.resume();
      }
      await pause(this.isHurried ? 1 : 3);
    }
  }

  #takeAll(): void {
    for (let packet = this.#client.tryTake("publish"); packet !== undefined; packet = this.#client.tryTake("publish")) {
      const values = this.seen.get(packet.topic) ?? [];
      this.seen.set(packet.topic, values);
      values.push(packet.payload.toString());
      if (packet.dup) this.repeated.push(packet.topic);
      this.count += 1;
      if (packet.qos === 1) this.#client.puback(packet.messageId!);
      else this.#client.send({ cmd: "pubrec", messageId: packet.messageId!, reasonCode: 0 });
    }
    for (let packet = this.#client.tryTake("pubrel"); packet !== undefined; packet = this.#client.tryTake("pubrel")) {
      this.#client.send({ cmd: "pubcomp", messageId: packet.messageId!, reasonCode: 0 });
    }
  }
}

describeServers("retained messages to slow subscribers", (subject) => {
  it(`never go back, seed ${testSeed}`, { timeout: 180_000 }, async () => {
    const random = randomOf(testSeed);
    const draw = (below: number): number => Math.floor(random() * below);
    const root = subject.unique("order");
    const topicOf = (number: number): string => `${root}/${number}`;
    const open = (name: string, properties = {}) =>
      RawClient.connected(subject.port, subject.unique(name), { properties });

    const publishers: Publisher[] = [];
    for (let each = 0; each < PUBLISHERS; each += 1) publishers.push(new Publisher(await open("publisher")));
    const change = (number: number, isCleared: boolean): Promise<void> =>
      publishers[number % PUBLISHERS]!.publish(topicOf(number), isCleared);
    for (let number = 0; number < TOPICS; number += 1) await change(number, false);
    for (const publisher of publishers) await publisher.settle();

    const each = Array.from({ length: TOPICS / 20 }, (_, index) => topicOf(index * 20));
    const kinds = [
      { what: "#, QoS 1", filters: [`${root}/#`], qos: 1 },
      { what: "+, QoS 2", filters: [`${root}/+`], qos: 2 },
      { what: "by topic, QoS 1", filters: each, qos: 1 },
      { what: "#, QoS 1, later", filters: [`${root}/#`], qos: 1 },
    ] as const;
    const subscribers: Subscriber[] = [];
    const running: Promise<void>[] = [];
    for (let number = 0; number < CHANGES; number += 1) {
      if (number % (CHANGES / 10) === 0 && subscribers.length < kinds.length) {
        const { what, filters, qos } = kinds[subscribers.length]!;
        const subscriber = new Subscriber(what, await open("subscriber", { receiveMaximum: 10 + draw(20) }));
        subscribers.push(subscriber);
        subscriber.subscribe(filters, qos);
        running.push(subscriber.run(randomOf(number)));
      }
      await change(draw(TOPICS), draw(5) === 0);
    }
    for (const publisher of publishers) await publisher.settle();
    for (const subscriber of subscribers) subscriber.isHurried = true;

    const faults = (): string[] =>
      subscribers.flatMap(({ what, seen, repeated }) => [
        ...repeated.map((topic) => `${what}, ${topic}: sent again`),
        ...publishers.flatMap(({ histories }) =>
          [...histories].flatMap(([topic, history]) => {
            if (what.startsWith("by topic") && !each.includes(topic)) return [];
            const values = seen.get(topic) ?? [];
            const fault = historyFault(values, history);
            return fault === undefined ? [] : [`${what}, ${topic}: ${told(values)}: ${fault}`];
          }),
        ),
      ]);
    // Until nothing comes any more, or nothing is missing.
    for (let before = -1, quiet = 0; quiet < 80 && faults().length > 0; quiet += 1) {
      const now = subscribers.reduce((sum, { count }) => sum + count, 0);
      if (now !== before) quiet = 0;
      before = now;
      await pause(250);
    }
    expect(faults().slice(0, 5)).toEqual([]);
    await pause(100);
    expect(faults().slice(0, 5)).toEqual([]); // Nothing comes behind the end.
    for (const subscriber of subscribers) subscriber.isEnded = true;
    await Promise.all(running);
  });
});

/**
 * Goal: three workers together lose and double nothing, and never wait for each other: publishers on one, queues on another,
 * consumers on the third, each of them all three; rings of the smallest size, messages up to 1 MiB.
 * Method: a simulation in one thread. Turns, bells, ends of commits (some fail), sockets that stop reading, lost connections and the
 * clients' own moves happen one by one in an order drawn from a seed. At the end everything is consumed and counted.
 */
import { describe, expect, it } from "vitest";
import type { QueueRecord } from "../../src/queue/definition.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const isFullSize = process.env.RESTANTE_TEST_SIZE === "full";
const SEEDS = isFullSize ? 60 : 8;
const MOVES = isFullSize ? 2_000 : 700;
const QUEUES = 3;

interface Message {
  readonly topic: string;
  readonly text: string;
  readonly bytes: number;
  readonly qos: 1 | 2;
  /** Commits that had failed when it was sent. */
  readonly failedBefore: number;
}

interface Publisher {
  readonly id: string;
  readonly version: 4 | 5;
  client: MemoryClient;
  /** Sent and not answered, by packet identifier. */
  readonly open: Map<number, Message>;
  readonly released: Set<number>;
  nextId: number;
}

interface Consumer {
  readonly id: string;
  readonly worker: number;
  client: MemoryClient;
  readonly holding: { readonly messageId: number; readonly text: string }[];
}

class Simulation {
  readonly rig: Rig;
  readonly queues: QueueRecord[] = [];
  readonly publishers: Publisher[] = [];
  readonly consumers: Consumer[] = [];
  /** What publishers know to be stored. */
  readonly stored = new Set<string>();
  readonly consumed = new Map<string, number>();
  /** Handed to a consumer whose connection broke, or published over one that did: may come twice. */
  readonly shaken = new Set<string>();
  #serial = 0;

  constructor(seed: number) {
    this.rig = new Rig({ workers: 3, seed, disks: [new MemoryDisk(), new MemoryDisk(), new MemoryDisk()] });
  }

  #below(bound: number): number {
    return Math.floor(this.rig.random() * bound);
  }

  async begin(): Promise<void> {
    const { rig } = this;
    for (let number = 0; number < QUEUES; number += 1) {
      const strategies = ["random", "round_robin", "least_inflight"] as const;
      const fields = { name: `q${number}`, topic_filter: `t/${number}`, dispatch_strategy: strategies[number]! };
      this.queues.push(rig.createQueue(fields, number));
    }
    this.queues.push(rig.createQueue({ name: "all", topic_filter: "t/#", local_max_inflight: 3 }, 1));
    await rig.settle();
    for (let worker = 0; worker < 3; worker += 1) {
      const version = worker === 1 ? 4 : 5;
      const id = rig.idOn(worker, "publisher");
      const client = await rig.lasting(id, { version });
      this.publishers.push({ id, version, client, open: new Map(), released: new Set(), nextId: 0 });
      const consumer: Consumer = { id: rig.idOn(worker, "consumer"), worker, client: undefined as never, holding: [] };
      await this.#attach(consumer);
      this.consumers.push(consumer);
    }
  }

  async #attach(consumer: Consumer): Promise<void> {
    consumer.client = await this.rig.connected(consumer.id);
    consumer.client.subscribe("$queue/all", 1, 9);
    for (let number = 0; number < QUEUES; number += 1) {
      if (number !== consumer.worker) consumer.client.subscribe(`$queue/q${number}`, 1, 10 + number);
    }
    await this.rig.settle();
    consumer.client.take("suback");
  }

  async move(): Promise<void> {
    const { rig } = this;
    for (let steps = this.#below(20); steps > 0; steps -= 1) rig.step();
    const dice = this.#below(100);
    const publisher = this.publishers[this.#below(3)]!;
    const consumer = this.consumers[this.#below(3)]!;
    if (dice < 45) this.#publish(publisher);
    else if (dice < 75) this.#acknowledge(consumer, this.#below(4) + 1);
    else if (dice < 78) rig.failingCommits += 1;
    else if (dice < 84) publisher.client.connection.isReading = !publisher.client.connection.isReading;
    else if (dice < 90) consumer.client.connection.isReading = !consumer.client.connection.isReading;
    else if (dice < 92) await this.#reconnectConsumer(consumer);
    else if (dice < 95) await this.#reconnectPublisher(publisher);
    else rig.isCommitting = !rig.isCommitting;
    for (const worker of rig.workers) worker.wake();
    await this.#look();
  }

  #publish(publisher: Publisher): void {
    if (publisher.open.size >= 20 || publisher.client.isClosed) return;
    this.#serial += 1;
    publisher.nextId += 1;
    const large = this.#below(12) === 0;
    const bytes = large ? this.#below(1024 * 1024 - 1_000) : this.#below(3_000);
    const qos = this.#below(2) === 0 ? 1 : 2;
    const topic = `t/${this.#below(QUEUES)}`;
    const message = { topic, text: `${this.#serial}.`, bytes, qos, failedBefore: this.rig.failedCommits } as const;
    publisher.open.set(publisher.nextId, message);
    this.#send(publisher, publisher.nextId, false);
  }

  #send(publisher: Publisher, messageId: number, dup: boolean): void {
    const { topic, text, bytes, qos } = publisher.open.get(messageId)!;
    const payload = Buffer.alloc(Math.max(bytes, text.length), "x");
    payload.write(text);
    publisher.client.publish(topic, payload, qos, messageId, { dup });
  }

  #acknowledge(consumer: Consumer, count: number): void {
    for (const { messageId, text } of consumer.holding.splice(0, count)) {
      consumer.client.acknowledge("puback", messageId);
      this.consumed.set(text, (this.consumed.get(text) ?? 0) + 1);
    }
  }

  async #reconnectConsumer(consumer: Consumer): Promise<void> {
    for (const { text } of consumer.holding.splice(0)) this.shaken.add(text);
    for (const text of this.consumed.keys()) this.shaken.add(text); // Its PUBACK may still be unread.
    consumer.client.close();
    this.rig.isCommitting = true;
    this.rig.failingCommits = 0;
    await this.#attach(consumer);
  }

  /** The client goes on as MQTT says: what is not answered is sent again. */
  async #reconnectPublisher(publisher: Publisher): Promise<void> {
    publisher.client.close();
    this.rig.isCommitting = true;
    this.rig.failingCommits = 0;
    publisher.client = await this.rig.lasting(publisher.id, { version: publisher.version });
    for (const messageId of publisher.released) publisher.client.acknowledge("pubrel", messageId);
    for (const [messageId, { qos, text, failedBefore }] of publisher.open) {
      // Of QoS 2, only what was refused meanwhile, unheard, is stored again where it had been accepted.
      if (qos === 1 || this.rig.failedCommits > failedBefore) this.shaken.add(text);
      this.#send(publisher, messageId, true);
    }
  }

  async #look(): Promise<void> {
    for (const publisher of this.publishers) {
      const { client, open } = publisher;
      for (const { messageId, reasonCode = 0 } of client.take("puback")) this.#answered(open, messageId!, reasonCode);
      for (const { messageId, reasonCode = 0 } of client.take("pubrec")) {
        if (!open.has(messageId!)) continue;
        this.#answered(open, messageId!, reasonCode);
        if (reasonCode >= 0x80) continue;
        publisher.released.add(messageId!);
        client.acknowledge("pubrel", messageId!);
      }
      for (const { messageId } of client.take("pubcomp")) publisher.released.delete(messageId!);
      if (client.isClosed) await this.#reconnectPublisher(publisher);
    }
    for (const { client, holding } of this.consumers) {
      for (const { messageId, payload, dup } of client.take("publish")) {
        const text = `${payload.toString("latin1", 0, 12).split(".")[0]}.`;
        if (dup) this.shaken.add(text);
        holding.push({ messageId: messageId!, text });
      }
    }
  }

  #answered(open: Publisher["open"], messageId: number, reasonCode: number): void {
    const message = open.get(messageId);
    if (message === undefined) return; // Answered on an earlier connection as well.
    open.delete(messageId);
    if (reasonCode < 0x80) this.stored.add(message.text);
    else this.shaken.add(message.text); // One queue may have it; the publisher may not send it again.
  }

  /** Everyone reads, no commit fails any more, and everything is consumed. */
  async end(): Promise<void> {
    const { rig } = this;
    rig.isCommitting = true;
    rig.failingCommits = 0;
    const texts = (): number => [...this.consumed.values()].reduce((sum, count) => sum + count, 0);
    for (let quiet = 0, before = -1; quiet < 3; quiet = texts() === before ? quiet + 1 : 0) {
      before = texts();
      for (const { client } of [...this.publishers, ...this.consumers]) client.connection.isReading = true;
      for (const worker of rig.workers) worker.wake();
      await rig.settle();
      await rig.pass(2_000);
      await this.#look();
      for (const consumer of this.consumers) this.#acknowledge(consumer, Number.POSITIVE_INFINITY);
      await rig.settle();
    }
  }
}

describe("three workers over the smallest rings", () => {
  it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    "seed %i",
    async (seed) => {
      const simulation = new Simulation(seed);
      await simulation.begin();
      for (let moves = 0; moves < MOVES; moves += 1) await simulation.move();
      await simulation.end();

      const { rig, queues, publishers, stored, consumed, shaken } = simulation;
      for (const { open, released } of publishers) expect([open.size, released.size]).toEqual([0, 0]);
      expect(stored.size).toBeGreaterThan(20);
      for (const record of queues) {
        const status = rig.status(record);
        expect(status).toMatchObject({ difference: 0, waiting: 0, in_flight: 0 });
        expect(status.acknowledged).toBe(status.stored);
      }
      // Each message is in its own queue and in the one that takes all.
      for (const text of stored) {
        if (shaken.has(text)) expect(consumed.get(text) ?? 0).toBeGreaterThanOrEqual(2);
        else expect([text, consumed.get(text)]).toEqual([text, 2]);
      }
      for (const disk of rig.logs) expect(disk.durableRecords).toBe(0);
      rig.kill();
    },
    60_000,
  );
});

/**
 * Publishers with QoS 0, 1 and 2, queue consumers and a lasting subscriber on simulated workers, in an order drawn from a seed,
 * with everything going wrong: commits that are slow or fail, crashes between any two steps of a commit, starts with another
 * number of workers, sockets that nobody reads, lost connections, takeovers, rejections, kicks; over the smallest rings.
 *
 * What each client has seen is kept here, and with it what the broker owes: see `judge`.
 */
import type { QueueRecord } from "../../src/queue/definition.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { randomOf } from "../random.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const PARTITIONS = 3;
const OPEN_MAX = 8;
const IDENTIFIERS = 16;
/** The queue that takes all, and one for each topic. */
const ALL = "all";
const SUBSCRIBER = "subscriber";

interface Message {
  readonly topic: number;
  readonly serial: number;
  readonly publisher: string;
  readonly bytes: number;
  readonly qos: 0 | 1 | 2;
  /** Commits that had failed when it was sent first. */
  readonly failedBefore: number;
  /** Sent over so many connections. */
  sendings: number;
  isAcknowledged: boolean;
  /** Some queue could not store it and the publisher knows. */
  isRefused: boolean;
  /** A crash came after its acknowledgement by a consumer or subscriber, and before that was on disk: per target, how many. */
  readonly forgotten: Map<string, number>;
  readonly consumed: Map<string, number>;
  readonly delivered: Set<string>;
}

interface Publisher {
  readonly id: string;
  readonly version: 4 | 5;
  client: MemoryClient | undefined;
  isConnected: boolean;
  isNew: boolean;
  readonly open: Map<number, Message>;
  readonly released: Set<number>;
}

interface Held {
  readonly messageId: number;
  readonly message: Message;
  readonly target: string;
}

interface Consumer {
  readonly id: string;
  readonly isLasting: boolean;
  client: MemoryClient | undefined;
  isConnected: boolean;
  readonly holding: Held[];
  /** On this connection: the newest serial by queue and publisher. */
  readonly newest: Map<string, number>;
}

export class Ordeal {
  readonly disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
  readonly messages = new Map<string, Message>();
  readonly faults: string[] = [];
  readonly counts = { crashes: 0, failures: 0, deliveries: 0 };
  rig: Rig;
  readonly #random: () => number;
  readonly #seed: number;
  readonly #publishers: Publisher[];
  readonly #consumers: Consumer[];
  readonly #subscriber: Consumer;
  readonly #subscriberQos: 1 | 2;
  /** QoS 2 identifiers that the subscriber has received and not released. */
  readonly #received = new Set<number>();
  /** Acknowledged by consumers and perhaps not on disk yet. */
  readonly #recent: (readonly [Message, string])[] = [];
  #serial = 0;
  #starts = 0;
  #failedEarlier = 0;

  private constructor(seed: number) {
    this.#seed = seed;
    this.#random = randomOf(seed * 7_919);
    this.#subscriberQos = this.#below(2) === 0 ? 1 : 2;
    this.rig = this.#start(1_700_000_000_000);
    this.#publishers = ([5, 4] as const).map((version) => ({
      id: `publisher-${version}-${seed % 7}`,
      version,
      client: undefined,
      isConnected: false,
      isNew: true,
      open: new Map(),
      released: new Set(),
    }));
    const consumer = (id: string, isLasting: boolean): Consumer => ({
      id: `${id}-${seed % 5}`,
      isLasting,
      client: undefined,
      isConnected: false,
      holding: [],
      newest: new Map(),
    });
    this.#consumers = [consumer("one", true), consumer("two", false)];
    this.#subscriber = consumer(SUBSCRIBER, true);
  }

  static async begin(seed: number): Promise<Ordeal> {
    const ordeal = new Ordeal(seed);
    const strategies = ["random", "round_robin", "least_inflight"] as const;
    for (let topic = 0; topic < 2; topic += 1) {
      const fields = {
        name: `q${topic}`,
        topic_filter: `t/${topic}`,
        dispatch_strategy: strategies[(seed + topic) % 3]!,
      };
      await ordeal.rig.storeQueue(fields, topic);
    }
    await ordeal.rig.storeQueue({ name: ALL, topic_filter: "t/#", local_max_inflight: 3 }, 2);
    ordeal.#connect(ordeal.#subscriber, false);
    await ordeal.rig.settle();
    ordeal.#look();
    await ordeal.rig.settle();
    return ordeal;
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #start(nowMs: number): Rig {
    this.#starts += 1;
    const workers = 1 + this.#below(3);
    return new Rig({ workers, partitions: PARTITIONS, seed: this.#seed * 31 + this.#starts, disks: this.disks, nowMs });
  }

  get #failed(): number {
    return this.#failedEarlier + this.rig.failedCommits;
  }

  async move(): Promise<void> {
    const { rig } = this;
    for (let steps = this.#below(25); steps > 0; steps -= 1) rig.step();
    const dice = this.#below(1_000);
    const publisher = this.#publishers[this.#below(2)]!;
    const consumer = this.#consumers[this.#below(2)]!;
    if (dice < 420) this.#publish(publisher);
    else if (dice < 680) this.#settle(consumer, this.#below(4) + 1);
    else if (dice < 700) rig.failing.add(this.#below(PARTITIONS));
    else if (dice < 760) rig.isCommitting = !rig.isCommitting;
    else if (dice < 800)
      this.#toggleReading([...this.#publishers, ...this.#consumers, this.#subscriber][this.#below(5)]!);
    else if (dice < 840) this.#connect(consumer, this.#below(2) === 0);
    else if (dice < 870) this.#connectPublisher(publisher, this.#below(2) === 0);
    else if (dice < 876) this.#beginAgain(publisher);
    else if (dice < 890) this.#connect(this.#subscriber, this.#below(2) === 0);
    else if (dice < 900) this.#kick(consumer);
    else if (dice < 960) this.#acknowledgeAsSubscriber(this.#below(5) + 1);
    else if (dice < 980) await this.#rest(this.#below(2) === 0 ? 0 : 1_200);
    else await this.#crash();
    for (const worker of this.rig.workers) worker.wake();
    this.#look();
  }

  #toggleReading({ client }: { readonly client: MemoryClient | undefined }): void {
    if (client !== undefined) client.connection.isReading = !client.connection.isReading;
  }

  /** Everything comes to rest; then the disk knows of every acknowledgement. */
  async #rest(ms: number): Promise<void> {
    this.rig.isCommitting = true;
    await this.rig.pass(ms);
    await this.rig.settle();
    this.#recent.length = 0;
  }

  /** The process ends between two steps; of each commit under way, all may be on disk or nothing. */
  async #crash(): Promise<void> {
    this.counts.crashes += 1;
    this.#look();
    for (const log of this.rig.logs) if (log.isCommitting && this.#below(2) === 0) log.succeed(false);
    this.#failedEarlier += this.rig.failedCommits;
    this.rig.kill();
    for (const [message, target] of this.#recent.splice(0)) count(message.forgotten, target);
    for (const each of [...this.#publishers, ...this.#consumers, this.#subscriber]) {
      each.client = undefined;
      each.isConnected = false;
      if ("holding" in each) each.holding.length = 0;
    }
    this.rig = this.#start(this.rig.nowMs);
  }

  // Publishers.

  #connectPublisher(publisher: Publisher, isTakeover: boolean): void {
    if (!isTakeover) publisher.client?.close();
    publisher.isConnected = false;
    const lasting = { clean: publisher.isNew, properties: { sessionExpiryInterval: 3_600 } };
    publisher.client = this.rig.open(publisher.id, { version: publisher.version, ...lasting });
  }

  /** It has lost its state, and says so with clean start until it is heard. */
  #beginAgain(publisher: Publisher): void {
    publisher.open.clear();
    publisher.released.clear();
    publisher.isNew = true;
    this.#connectPublisher(publisher, false);
  }

  #publish(publisher: Publisher): void {
    if (publisher.client === undefined) this.#connectPublisher(publisher, false);
    const { open, released, isConnected, client } = publisher;
    if (!isConnected || open.size >= OPEN_MAX) return;
    this.#serial += 1;
    const qos = ([0, 1, 1, 2, 2] as const)[this.#below(5)]!;
    const message: Message = {
      topic: this.#below(2),
      serial: this.#serial,
      publisher: publisher.id,
      bytes: this.#below(20) === 0 ? this.#below(40_000) : this.#below(600),
      qos,
      failedBefore: this.#failed,
      sendings: 0,
      isAcknowledged: false,
      isRefused: false,
      forgotten: new Map(),
      consumed: new Map(),
      delivered: new Set(),
    };
    this.messages.set(`${this.#serial}.`, message);
    if (qos === 0) {
      this.#send(client!, message, 0, false);
      return;
    }
    const messageId = Array.from({ length: IDENTIFIERS }, (_, index) => index + 1).find(
      (id) => !open.has(id) && !released.has(id),
    );
    if (messageId === undefined) return;
    open.set(messageId, message);
    this.#send(client!, message, messageId, false);
  }

  #send(client: MemoryClient, message: Message, messageId: number, dup: boolean): void {
    message.sendings += 1;
    const text = `${message.serial}.`;
    const payload = Buffer.alloc(Math.max(message.bytes, text.length), "x");
    payload.write(text);
    client.publish(`t/${message.topic}`, payload, message.qos, messageId, { dup });
  }

  #lookAt(publisher: Publisher): void {
    const { client, open, released } = publisher;
    if (client === undefined) return;
    if (client.take("connack").length > 0) {
      const isPassing = publisher.isNew && publisher.version === 4; // MQTT 3.1.1 ends such a session with its connection.
      publisher.isNew = false;
      if (isPassing) {
        this.#connectPublisher(publisher, false);
        return;
      }
      publisher.isConnected = true;
      for (const messageId of released) client.acknowledge("pubrel", messageId);
      for (const [messageId, message] of open) this.#send(client, message, messageId, true);
    }
    for (const { messageId, reasonCode = 0 } of client.take("puback")) {
      if (open.get(messageId!)?.qos === 1) this.#answered(open, messageId!, reasonCode);
    }
    for (const { messageId, reasonCode = 0 } of client.take("pubrec")) {
      if (open.get(messageId!)?.qos === 2) {
        this.#answered(open, messageId!, reasonCode);
        if (reasonCode >= 0x80) continue;
        released.add(messageId!);
      }
      if (released.has(messageId!)) client.acknowledge("pubrel", messageId!);
    }
    for (const { messageId } of client.take("pubcomp")) released.delete(messageId!);
    if (client.isClosed || client.connection.isEnded) this.#connectPublisher(publisher, false);
  }

  #answered(open: Map<number, Message>, messageId: number, reasonCode: number): void {
    const message = open.get(messageId)!;
    open.delete(messageId);
    if (reasonCode < 0x80) message.isAcknowledged = true;
    else message.isRefused = true;
  }

  // Consumers.

  #connect(consumer: Consumer, isTakeover: boolean): void {
    if (!isTakeover) consumer.client?.close();
    consumer.isConnected = false;
    consumer.holding.length = 0;
    const lasting = { clean: false, properties: { sessionExpiryInterval: 3_600, receiveMaximum: 12 } };
    consumer.client = this.rig.open(consumer.id, consumer.isLasting ? lasting : {});
  }

  #kick(consumer: Consumer): void {
    if (consumer.client === undefined) return;
    this.rig.workerOf(consumer.id).desk.kick(consumer.id);
    consumer.client = undefined;
    consumer.isConnected = false;
    consumer.holding.length = 0;
  }

  #lookAtConsumer(consumer: Consumer): void {
    const { client } = consumer;
    if (client === undefined) {
      this.#connect(consumer, false);
      return;
    }
    if (client.take("connack").length > 0) {
      consumer.isConnected = true;
      consumer.newest.clear();
      if (consumer === this.#subscriber) client.subscribe("t/#", this.#subscriberQos, 1, 9);
      else for (const [at, name] of ["q0", "q1", ALL].entries()) client.subscribe(`$queue/${name}`, 1, 10 + at, 1 + at);
    }
    client.take("suback");
    if (consumer === this.#subscriber) this.#receive(client);
    else this.#take(consumer, client);
    if (client.isClosed || client.connection.isEnded) this.#connect(consumer, false);
  }

  #messageOf(payload: string | Buffer): Message | undefined {
    const text = `${payload.toString("latin1").slice(0, 12).split(".")[0]}.`;
    const message = this.messages.get(text);
    if (message === undefined) this.faults.push(`${text} was never published`);
    return message;
  }

  #take(consumer: Consumer, client: MemoryClient): void {
    for (const { messageId, payload, dup, properties } of client.take("publish")) {
      this.counts.deliveries += 1;
      const message = this.#messageOf(payload);
      if (message === undefined) continue;
      const identifier = Number([properties?.subscriptionIdentifier].flat()[0]);
      const target = ["q0", "q1", ALL][identifier - 1]!;
      if (target !== ALL && target !== `q${message.topic}`) this.faults.push(`${message.serial} is not of ${target}`);
      this.#checkOrder(consumer, message, target, dup);
      message.delivered.add(target);
      consumer.holding.push({ messageId: messageId!, message, target });
    }
  }

  /** What comes first of all and was sent once comes in the order of its publisher. */
  #checkOrder(consumer: Consumer, message: Message, target: string, dup: boolean): void {
    if (dup || message.delivered.has(target) || this.#mayBeRepeat(message)) return;
    const key = `${target} ${message.publisher}`;
    const newest = consumer.newest.get(key) ?? 0;
    if (message.serial < newest) this.faults.push(`${message.serial} came after ${newest} from ${target}`);
    consumer.newest.set(key, Math.max(newest, message.serial));
  }

  #mayBeRepeat(message: Message): boolean {
    return message.sendings > 1 || this.#failed > message.failedBefore;
  }

  #settle(consumer: Consumer, many: number): void {
    const { client } = consumer;
    if (client === undefined) return;
    for (const { messageId, message, target } of consumer.holding.splice(0, many)) {
      const isRejected = this.#below(8) === 0;
      client.acknowledge("puback", messageId, isRejected ? 0x83 : 0);
      if (isRejected) continue;
      count(message.consumed, target);
      this.#recent.push([message, target]);
    }
  }

  // The subscriber.

  #receive(client: MemoryClient): void {
    for (const { messageId, payload, qos } of client.take("publish")) {
      this.counts.deliveries += 1;
      const message = this.#messageOf(payload);
      if (message === undefined || qos === 0) continue;
      if (qos !== Math.min(message.qos, this.#subscriberQos))
        this.faults.push(`${message.serial} came with QoS ${qos}`);
      if (qos === 1) {
        this.#subscriber.holding.push({ messageId: messageId!, message, target: SUBSCRIBER });
        continue;
      }
      if (!this.#received.has(messageId!)) count(message.consumed, SUBSCRIBER);
      this.#received.add(messageId!);
      client.acknowledge("pubrec", messageId!);
    }
    for (const { messageId } of client.take("pubrel")) {
      this.#received.delete(messageId!);
      client.acknowledge("pubcomp", messageId!);
    }
  }

  #acknowledgeAsSubscriber(many: number): void {
    const { client, holding } = this.#subscriber;
    if (client === undefined) return;
    for (const { messageId, message } of holding.splice(0, many)) {
      client.acknowledge("puback", messageId);
      count(message.consumed, SUBSCRIBER);
      this.#recent.push([message, SUBSCRIBER]);
    }
  }

  #look(): void {
    for (const publisher of this.#publishers) this.#lookAt(publisher);
    for (const consumer of [...this.#consumers, this.#subscriber]) this.#lookAtConsumer(consumer);
  }

  /** Everyone reads, nothing fails any more, and everything is consumed. */
  async end(): Promise<void> {
    this.rig.failing.clear();
    for (const publisher of this.#publishers)
      if (publisher.client === undefined) this.#connectPublisher(publisher, false);
    for (let quiet = 0, before = -1; quiet < 4; ) {
      for (const { client } of [...this.#publishers, ...this.#consumers, this.#subscriber]) {
        if (client !== undefined) client.connection.isReading = true;
      }
      for (const worker of this.rig.workers) worker.wake();
      await this.#rest(1_200);
      this.#look();
      for (const consumer of this.#consumers) this.#settle(consumer, Number.POSITIVE_INFINITY);
      this.#acknowledgeAsSubscriber(Number.POSITIVE_INFINITY);
      await this.#rest(0);
      const now = this.counts.deliveries;
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
  }

  /** What is wrong, now that everything has been consumed; empty when nothing is. */
  judge(): string[] {
    const faults = [...this.faults];
    for (const { id, open, released } of this.#publishers) {
      if (open.size + released.size > 0) faults.push(`${id} waits for ${[...open.keys(), ...released]}`);
    }
    for (const message of this.messages.values()) {
      for (const target of [`q${message.topic}`, ALL, SUBSCRIBER]) {
        const isMemory = target === SUBSCRIBER && message.qos === 0;
        const consumed = message.consumed.get(target) ?? 0;
        const { serial, qos, isAcknowledged } = message;
        const what = `${serial} (QoS ${qos}) at ${target}: ${consumed} times`;
        if (isAcknowledged && consumed === 0 && !isMemory) faults.push(`${what}: lost`);
        if (consumed > this.#mostTimes(message, target)) faults.push(`${what}: of ${this.#mostTimes(message, target)}`);
      }
    }
    for (const record of this.rig.records) faults.push(...this.#judgeQueue(record));
    for (const [number, disk] of this.disks.entries()) {
      if (disk.records.size > 0) faults.push(`${disk.records.size} records are left in partition ${number}`);
      const left = [...disk.tables.keys()].filter((key) => /^(in|out)bound\//.test(key));
      if (left.length > 0) faults.push(`left in partition ${number}: ${left}`);
    }
    return faults;
  }

  /** How often a target may have consumed a message, with everything that happened to it. */
  #mostTimes(message: Message, target: string): number {
    const forgotten = message.forgotten.get(target) ?? 0;
    // A QoS 2 publish is stored once, unless a failed commit made its publisher begin again.
    const isOnce = message.qos === 2 && this.#failed === message.failedBefore;
    return (message.qos === 0 || isOnce ? 1 : message.sendings) + forgotten;
  }

  #judgeQueue(record: QueueRecord): string[] {
    const { name, stored, waiting, in_flight, acknowledged, difference } = this.rig.status(record);
    if (waiting === 0 && in_flight === 0 && difference === 0 && acknowledged === stored) return [];
    return [`${name}: ${JSON.stringify({ stored, waiting, in_flight, acknowledged, difference })}`];
  }
}

function count(counts: Map<string, number>, target: string): void {
  counts.set(target, (counts.get(target) ?? 0) + 1);
}

/**
 * Clients and queues of simulated workers beside the model of them: does one operation after the other, lets everything come to
 * rest, and compares what was delivered, in which order, and every ledger.
 */
import { expect } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import type { QueueDefinition } from "../../src/queue/definition.ts";
import { queueAddressOf } from "../../src/queue/queue-address.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "./memory-client.ts";
import { type Delivery, type ModelAttachment, type ModelMessage, QueueModel } from "./model.ts";
import { FILTERS, type Operation, TOPICS } from "./operations.ts";
import { Rig } from "./rig.ts";

const PARTITIONS = 3;
/** Time passes in steps of this, and everything comes to rest in between. */
const STEP_MS = 50;
/** Within this time the disk knows every count; see QUEUE_IDLE_TICK_MS. */
const LEDGER_MS = 1_050;

const QUEUES: readonly Partial<QueueDefinition>[] = [
  { name: "q0", topic_filter: "a", local_max_inflight: 3 },
  { name: "q1", topic_filter: "#", local_max_inflight: 2 },
  { name: "q2", topic_filter: "b/#", is_lastvalue: true, key_expression: "message.topic", local_max_inflight: 2 },
  { name: "/a", topic_filter: "a", local_max_inflight: 1 },
];

interface Consumer {
  readonly id: string;
  readonly version: 4 | 5;
  /** Its session outlives the connection unless it connects clean. */
  readonly isLasting: boolean;
  client: MemoryClient | undefined;
  hasSession: boolean;
  readonly subscriptions: Map<string, 0 | 1>;
  /** In the order in which they were made. */
  attachments: ModelAttachment[];
  readonly inFlight: Map<number, { readonly attachment: ModelAttachment; readonly message: ModelMessage }>;
  /** Identifiers of earlier connections. */
  readonly late: number[];
}

interface Publisher {
  readonly id: string;
  readonly version: 4 | 5;
  client: MemoryClient | undefined;
  lastId: number;
}

export class World {
  readonly #disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
  readonly #seed: number;
  #starts = 0;
  #rig: Rig;
  readonly #queues = new Map<string, QueueModel>();
  readonly #consumers: readonly Consumer[];
  readonly #publishers: readonly Publisher[];
  #serial = 0;
  #restMs: number;
  /** Deliveries seen. */
  delivered = 0;
  /** Rejections made. */
  rejected = 0;

  private constructor(seed: number, workers: number) {
    this.#seed = seed;
    this.#rig = this.#start(workers, 1_700_000_000_000);
    this.#restMs = this.#rig.nowMs;
    const consumer = (id: string, version: 4 | 5, isLasting: boolean): Consumer => ({
      id,
      version,
      isLasting,
      client: undefined,
      hasSession: false,
      subscriptions: new Map(),
      attachments: [],
      inFlight: new Map(),
      late: [],
    });
    this.#consumers = [
      consumer("lasting-5", 5, true),
      consumer("passing-5", 5, false),
      consumer("lasting-4", 4, true),
      consumer("passing-4", 4, false),
    ];
    this.#publishers = ([5, 4] as const).map((version) => ({
      id: `publisher-${version}`,
      version,
      client: undefined,
      lastId: 0,
    }));
  }

  static async make(seed: number, workers: number): Promise<World> {
    const world = new World(seed, workers);
    for (const at of [0, 1, 2]) await world.#toggle(at);
    return world;
  }

  #start(workers: number, nowMs: number): Rig {
    this.#starts += 1;
    const seed = this.#seed + this.#starts;
    return new Rig({ workers, partitions: PARTITIONS, seed, disks: this.#disks, nowMs });
  }

  async apply(operation: Operation): Promise<void> {
    switch (operation.op) {
      case "publish":
        await this.#publish(operation);
        break;
      case "connect":
        await this.#connect(this.#consumers[operation.client]!, operation.clean);
        break;
      case "disconnect":
        this.#disconnect(this.#consumers[operation.client]!);
        break;
      case "kick":
        this.#kick(this.#consumers[operation.client]!);
        break;
      case "subscribe":
        if (this.#consumers[operation.client]!.client === undefined) {
          await this.#connect(this.#consumers[operation.client]!, false);
          await this.#rest();
        }
        await this.#subscribe(this.#consumers[operation.client]!, FILTERS[operation.filter]!, operation.qos);
        break;
      case "unsubscribe":
        this.#unsubscribe(this.#consumers[operation.client]!, FILTERS[operation.filter]!);
        break;
      case "settle":
        this.#settle(this.#busyFrom(operation.client), operation.which, operation.isAccepted);
        break;
      case "late":
        this.#late(this.#consumers[operation.client]!, operation.which);
        break;
      case "pass":
        await this.#pass(operation.ms);
        break;
      case "update":
        await this.#update(operation.queue, {
          dispatch_strategy: operation.strategy,
          local_max_inflight: operation.window,
        });
        break;
      case "limit": {
        const max = operation.max === Number.POSITIVE_INFINITY ? "infinity" : operation.max;
        const limits = { max_shard_message_count: max, max_shard_message_bytes: "infinity" } as const;
        await this.#update(operation.queue, { limits, overflow: operation.overflow });
        break;
      }
      case "retain":
        await this.#update(operation.queue, { data_retention_period: operation.ms });
        break;
      case "toggle":
        await this.#toggle(operation.queue);
        break;
      case "purge":
        await this.#purge(operation.queue);
        break;
      case "restart":
        await this.#restart(operation.workers, operation.isCrash);
        break;
    }
    await this.#rest();
  }

  /** Everything is consumed; then nothing may be left anywhere. */
  async drain(): Promise<void> {
    const [drainer] = this.#consumers;
    for (const consumer of this.#consumers) {
      this.#kick(consumer);
      await this.#rest();
    }
    await this.#connect(drainer!, true);
    for (const name of this.#queues.keys()) {
      await this.#subscribe(drainer!, name.startsWith("/") ? "$q/a" : `$queue/${name}`, 0);
    }
    await this.#pass(1_000);
    while (drainer!.inFlight.size > 0) {
      this.#settle(drainer!, 0, true);
      await this.#rest();
    }
    for (const queue of this.#queues.values()) expect(queue.attachments.size > 0 ? queue.messages.length : 0).toBe(0);
    for (const [at, { name }] of QUEUES.entries()) if (this.#queues.has(name!)) await this.#toggle(at);
    await this.#rest();
    for (const [number, log] of this.#rig.logs.entries()) {
      expect(log.durableRecords, `records left in partition ${number}`).toBe(0);
      const left = [...this.#disks[number]!.tables.keys()].filter((key) => !key.startsWith("sessions/"));
      expect(left.filter((key) => !key.startsWith("meta/"))).toEqual([]);
    }
    expect(this.#rig.faults.filter((fault) => !fault.includes("cannot store"))).toEqual([]);
    this.#rig.kill();
  }

  // Queues.

  async #toggle(at: number): Promise<void> {
    const fields = QUEUES[at]!;
    const name = fields.name!;
    const queue = this.#queues.get(name);
    if (queue === undefined) {
      await this.#pass(STEP_MS); // No two queues are of one age.
      const model = new QueueModel(await this.#rig.storeQueue(fields, at % PARTITIONS));
      this.#queues.set(name, model);
      for (const { attachments } of this.#consumers) {
        for (const attachment of attachments) {
          if (attachment.queue === undefined && !attachment.isDraining) this.#bind(attachment);
        }
      }
      return;
    }
    await this.#rig.deleteQueue(queue.record);
    this.#queues.delete(name);
    for (const consumer of this.#consumers) {
      for (const attachment of [...consumer.attachments]) {
        if (attachment.queue !== queue || attachment.isDraining) continue;
        // Another attachment takes its place, so that nothing of the old queue settles at the new one.
        consumer.attachments = consumer.attachments.filter((each) => each !== attachment);
        const { client, filter, qos } = attachment;
        this.#attach(consumer, { client, filter, qos, queue: undefined, isDraining: false });
      }
    }
  }

  async #update(at: number, fields: Partial<QueueDefinition>): Promise<void> {
    const queue = this.#queues.get(QUEUES[at]!.name!);
    if (queue === undefined) return;
    queue.record = await this.#rig.updateQueue(queue.record, fields);
    queue.enforceLimits();
  }

  async #purge(at: number): Promise<void> {
    const queue = this.#queues.get(QUEUES[at]!.name!);
    if (queue === undefined) return;
    expect(await this.#rig.purgeQueue(queue.record)).toBe(queue.purge());
  }

  /** The queue that a subscription speaks of. */
  #resolve(filter: string): QueueModel | undefined {
    const address = queueAddressOf(filter)!;
    if (address.kind === "named") return this.#queues.get(address.name);
    const unnamed = this.#queues.get(`/${address.topicFilter}`);
    if (unnamed !== undefined) return unnamed;
    const named = [...this.#queues.values()].filter(
      ({ definition }) => definition.topic_filter === address.topicFilter,
    );
    return named.sort((one, other) => one.record.createdAtMs - other.record.createdAtMs)[0];
  }

  #bind(attachment: ModelAttachment): void {
    attachment.queue = this.#resolve(attachment.filter);
    attachment.queue?.attachments.add(attachment);
  }

  // Clients.

  #attach(consumer: Consumer, attachment: ModelAttachment): void {
    consumer.attachments.push(attachment);
    this.#bind(attachment);
  }

  async #connect(consumer: Consumer, clean: boolean): Promise<void> {
    const isLasting = consumer.isLasting && !clean;
    const rig = this.#rig;
    const before = consumer.client;
    this.#leave(consumer);
    const isResumed = isLasting && consumer.hasSession;
    if (!isResumed) consumer.subscriptions.clear();
    const options = { version: consumer.version };
    consumer.client = isLasting ? await rig.lasting(consumer.id, options) : await rig.connected(consumer.id, options);
    if (before !== undefined) expect(before.connection.isEnded).toBe(true);
    consumer.hasSession = isLasting;
    for (const [filter, qos] of consumer.subscriptions) {
      this.#attach(consumer, { client: consumer.id, filter, qos, queue: undefined, isDraining: false });
    }
  }

  /** The connection is gone; what it had goes back. */
  #leave(consumer: Consumer): void {
    for (const attachment of consumer.attachments) this.#end(attachment);
    consumer.attachments = [];
    consumer.late.push(...consumer.inFlight.keys());
    consumer.inFlight.clear();
  }

  #end(attachment: ModelAttachment): void {
    if (attachment.queue !== undefined && this.#isThere(attachment.queue)) attachment.queue.giveBack(attachment);
  }

  #isThere(queue: QueueModel): boolean {
    return this.#queues.get(queue.definition.name) === queue;
  }

  #disconnect(consumer: Consumer): void {
    if (consumer.client === undefined) return;
    consumer.client.close();
    consumer.client = undefined;
    this.#leave(consumer);
    if (!consumer.hasSession) consumer.subscriptions.clear();
  }

  #kick(consumer: Consumer): void {
    const worker = this.#rig.workerOf(consumer.id);
    expect(worker.desk.kick(consumer.id)).toBe(consumer.client !== undefined || consumer.hasSession);
    consumer.client = undefined;
    this.#leave(consumer);
    consumer.hasSession = false;
    consumer.subscriptions.clear();
  }

  async #subscribe(consumer: Consumer, filter: string, qos: 0 | 1): Promise<void> {
    const { client } = consumer;
    if (client === undefined) return;
    // Without identifiers nobody could tell its deliveries apart.
    if (client.version === 4 && consumer.attachments.some((each) => each.filter !== filter || each.isDraining)) return;
    const served = filter.startsWith("$q/") ? 1 : qos;
    const previous = consumer.attachments.find((each) => each.filter === filter && !each.isDraining);
    if (previous?.qos !== served) {
      if (previous !== undefined) this.#drain(consumer, previous);
      this.#attach(consumer, { client: consumer.id, filter, qos: served, queue: undefined, isDraining: false });
    }
    consumer.subscriptions.delete(filter);
    consumer.subscriptions.set(filter, served);
    const identifier = client.version === 5 ? FILTERS.indexOf(filter as (typeof FILTERS)[number]) + 1 : undefined;
    client.subscribe(filter, qos, 1, identifier);
  }

  #unsubscribe(consumer: Consumer, filter: string): void {
    const attachment = consumer.attachments.find((each) => each.filter === filter && !each.isDraining);
    if (consumer.client === undefined || attachment === undefined) return;
    this.#drain(consumer, attachment);
    consumer.subscriptions.delete(filter);
    consumer.client.unsubscribe(filter);
  }

  #drain(consumer: Consumer, attachment: ModelAttachment): void {
    attachment.isDraining = true;
    this.#endIfIdle(consumer, attachment);
  }

  #endIfIdle(consumer: Consumer, attachment: ModelAttachment): void {
    const isBusy = [...consumer.inFlight.values()].some((each) => each.attachment === attachment);
    if (!attachment.isDraining || isBusy) return;
    this.#end(attachment);
    consumer.attachments = consumer.attachments.filter((each) => each !== attachment);
  }

  #settle(consumer: Consumer, which: number, isAccepted: boolean): void {
    const { client, inFlight } = consumer;
    if (client === undefined || inFlight.size === 0) return;
    const [packetId, { attachment, message }] = [...inFlight][which % inFlight.size]!;
    const accepts = isAccepted || client.version === 4;
    client.acknowledge("puback", packetId, accepts ? 0 : 0x83);
    if (!accepts) this.rejected += 1;
    inFlight.delete(packetId);
    const { queue } = attachment;
    if (queue !== undefined && this.#isThere(queue) && message.holder === attachment) {
      queue.settle(message, accepts, this.#rig.nowMs);
    }
    this.#endIfIdle(consumer, attachment);
  }

  /** The first consumer from this one on that has something in flight. */
  #busyFrom(at: number): Consumer {
    const around = [...this.#consumers.slice(at), ...this.#consumers.slice(0, at)];
    return around.find(({ inFlight }) => inFlight.size > 0) ?? around[0]!;
  }

  /** A PUBACK for a delivery of an earlier connection. */
  #late(consumer: Consumer, which: number): void {
    const { client, late, inFlight } = consumer;
    if (client === undefined || late.length === 0) return;
    const packetId = late[which % late.length]!;
    if (!inFlight.has(packetId)) client.acknowledge("puback", packetId);
  }

  // Publishers.

  async #publish(operation: Extract<Operation, { op: "publish" }>): Promise<void> {
    const topic = TOPICS[operation.topic]!;
    const takers = [...this.#queues.values()].filter(({ definition: { topic_filter: filter } }) =>
      filter.endsWith("#") ? topic.startsWith(filter.slice(0, -1)) : topic === filter,
    );
    for (let left = operation.count; left > 0; left -= 1) {
      await this.#publishOne(operation, topic, takers);
      await this.#rest();
    }
  }

  async #publishOne(
    { publisher: at, qos, lifeS, failing }: Extract<Operation, { op: "publish" }>,
    topic: string,
    takers: readonly QueueModel[],
  ): Promise<void> {
    const publisher = this.#publishers[at]!;
    const rig = this.#rig;
    publisher.client ??= await rig.lasting(publisher.id, { version: publisher.version });
    const { client } = publisher;
    this.#serial += 1;
    const text = `m${this.#serial}`;
    const { nowMs } = rig;
    const life = client.version === 5 ? lifeS * 1_000 : 0;
    const isExactlyOnce = qos === 2;
    let worst = takers.length === 0 ? 0x10 : 0;
    for (const queue of takers) {
      const message: ModelMessage = {
        text,
        key: topic,
        publishedAtMs: nowMs,
        expiresAtMs: life === 0 ? Number.POSITIVE_INFINITY : nowMs + life,
        holder: undefined,
        attempts: 0,
        heldUntilMs: 0,
        rejecter: undefined,
        isOverwritten: false,
      };
      const isLost = queue.record.partition === failing;
      const outcome = queue.store(message, nowMs, isLost);
      if (outcome === "refused") worst = Math.max(worst, 0x97);
      else if (isLost && (outcome === "stored" || isExactlyOnce)) worst = Math.max(worst, 0x83);
    }
    // The publisher's identifier is stored wherever the message comes to, and in the partition of its session; the latter is waited
    // for only if it is the only one.
    if (isExactlyOnce && worst === 0x10) worst = 0; // It has been stored, and 0x10 is a may [MQTT 5, 3.5.2.1].
    const isAtHomeOnly = takers.length === 0 && homePartitionOf(publisher.id, PARTITIONS) === failing;
    if (isExactlyOnce && isAtHomeOnly) worst = 0x83;
    if (failing >= 0) rig.failing.add(failing);

    publisher.lastId += 1;
    const messageId = publisher.lastId;
    const properties = life === 0 ? {} : { properties: { messageExpiryInterval: lifeS } };
    const ids = qos === 0 ? {} : { messageId };
    client.send({ cmd: "publish", topic, payload: text, qos, dup: false, retain: false, ...ids, ...properties });
    await rig.settle();
    rig.failing.clear();
    if (qos === 0) return;

    const [answer] = client.take(qos === 1 ? "puback" : "pubrec");
    if (client.version === 4 && worst >= 0x80) {
      expect(answer, "an acknowledgement of what was refused").toBeUndefined();
      client.close();
      publisher.client = undefined;
      return;
    }
    expect(answer, `the answer to ${text}`).toMatchObject({ messageId });
    if (client.version === 5) expect(answer!.reasonCode, `the answer to ${text}`).toBe(worst);
    if (qos === 1 || worst >= 0x80) return;
    client.acknowledge("pubrel", messageId);
    await rig.settle();
    expect(client.take("pubcomp")).toMatchObject([{ messageId }]);
  }

  // Time.

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.#rig.pass(STEP_MS);
      await this.#rest();
    }
    if (ms < LEDGER_MS) return;
    for (const queue of this.#queues.values()) queue.recorded();
  }

  async #restart(workers: number, isCrash: boolean): Promise<void> {
    if (isCrash) {
      this.#rig.kill();
      for (const consumer of this.#consumers) {
        consumer.client = undefined;
        consumer.attachments = [];
        consumer.late.push(...consumer.inFlight.keys());
        consumer.inFlight.clear();
        if (!consumer.hasSession) consumer.subscriptions.clear();
      }
    } else {
      for (const consumer of this.#consumers) {
        this.#disconnect(consumer);
        await this.#rest();
      }
      await this.#rig.stop();
    }
    for (const publisher of this.#publishers) publisher.client = undefined;
    for (const queue of this.#queues.values()) queue.restart();
    this.#rig = this.#start(workers, this.#rig.nowMs);
    await this.#rig.settle();
    for (const queue of this.#queues.values()) {
      queue.record = this.#rig.records.find(({ definition }) => definition.name === queue.definition.name)!;
      if (isCrash) queue.forget(this.#rig.status(queue.record));
      queue.recorded();
    }
  }

  /** Everything has come to rest: what came, and what is counted, must be as the model says. */
  async #rest(): Promise<void> {
    const rig = this.#rig;
    await rig.settle();
    const { nowMs } = rig;
    const byQueue = new Map<QueueModel, Delivery[]>();
    const taken: { consumer: Consumer; packetId: number; attachment: ModelAttachment; text: string }[] = [];
    for (const consumer of this.#consumers) {
      for (const packet of consumer.client?.take("publish") ?? []) {
        const identifier = packet.properties?.subscriptionIdentifier as number | readonly number[] | undefined;
        const [number] = identifier === undefined ? [undefined] : [identifier].flat();
        const attachment = consumer.attachments.find(
          (each) => !each.isDraining && (number === undefined || each.filter === FILTERS[number - 1]),
        );
        const text = packet.payload.toString();
        if (attachment?.queue === undefined) throw new Error(`${text} came to ${consumer.id}, who is not attached`);
        const delivery = { attachment, text, isDup: packet.dup, qos: packet.qos };
        byQueue.set(attachment.queue, [...(byQueue.get(attachment.queue) ?? []), delivery]);
        this.delivered += 1;
        if (packet.qos === 0) continue;
        expect(consumer.inFlight.has(packet.messageId!), "an identifier that is in use").toBe(false);
        taken.push({ consumer, packetId: packet.messageId!, attachment, text });
      }
    }
    for (const [queue, deliveries] of byQueue) queue.deliver(deliveries, this.#restMs, nowMs);
    for (const { consumer, packetId, attachment, text } of taken) {
      const message = attachment.queue!.messages.find((each) => each.text === text)!;
      consumer.inFlight.set(packetId, { attachment, message });
    }
    this.#restMs = nowMs;
    for (const queue of this.#queues.values()) {
      queue.expire(nowMs);
      queue.checkNothingIsLeft(nowMs);
      expect(rig.status(queue.record), queue.definition.name).toMatchObject(queue.ledger);
    }
    for (const { client, id } of this.#consumers) if (client?.connection.isEnded) throw new Error(`${id} was cut off`);
  }
}

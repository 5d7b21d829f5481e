/**
 * One shared subscription, on the worker where it lives: who its members are, what waits for them, and to whom it goes.
 *
 * ```
 *   published ─┬─ QoS 0, or no member wants more ─────────► straight to a member
 *              ├─ a member's session outlives its connection ─► stored like a queue's message ─┐
 *              └─ else ────────────────────────────────────► kept in memory ──────────────────┴─► dispatcher ─► a member with room
 * ```
 *
 * It begins with its first member and ends with its last. What its members have in flight goes to the others when they leave.
 */
import { assert } from "../base/assert.ts";
import type { Region } from "../base/region.ts";
import type { AnyDispatcher, ConsumerLink } from "../dispatch/dispatcher.ts";
import type { ShareMember } from "../frame/kinds.ts";
import { qosOf } from "../frame/message.ts";
import { VolatileLog } from "../log/volatile-log.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { KeptBudget } from "../queue/kept.ts";
import { PairedQueue } from "../queue/paired-queue.ts";
import { Queue } from "../queue/queue.ts";
import type { SessionCounters } from "../session/counters.ts";
import type { Partition } from "./partition.ts";

/** What a shared subscription needs of its worker. */
export interface ShareGroupParts {
  readonly partition: Partition;
  readonly newDispatcher: (queue: PairedQueue) => AnyDispatcher;
  readonly link: ConsumerLink;
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly counters: () => SessionCounters;
  /** Messages with QoS 0 wait, too, while every member is away. */
  readonly queuesQos0: boolean;
  /** Something gathers in memory: `endTurn` before the turn ends. */
  readonly onGathering: (group: ShareGroup) => void;
  /** Something was begun in memory that `work` goes on with. */
  readonly onWorking: (group: ShareGroup) => void;
}

type Member = Pick<ShareMember, "qos" | "isDurable">;

/** It has no keys to hash. */
const NO_SEED = { high: 0, low: 0 };

export class ShareGroup {
  /** `$share/<group>/<filter>`. */
  readonly filter: string;
  readonly topicFilter: string;
  readonly partition: Partition;
  readonly dispatcher: AnyDispatcher;
  /** Itself: it stands among the queues of a route. */
  readonly group: ShareGroup = this;
  readonly #parts: ShareGroupParts;
  readonly #pair: PairedQueue;
  readonly #log = new VolatileLog();
  readonly #members = new Map<string, Member>();
  /** Members by QoS, and those whose session outlives its connection and that want more than QoS 0. */
  readonly #byQos = [0, 0, 0];
  #durableMembers = 0;
  #isGathering = false;

  /** `record`: how its stored messages are known, whether or not there are any. */
  constructor(record: QueueRecord, parts: ShareGroupParts) {
    this.filter = record.definition.name;
    this.topicFilter = record.definition.topic_filter;
    this.partition = parts.partition;
    this.#parts = parts;
    const onWork = (): void => parts.onWorking(this);
    const volatile = new Queue({
      record: { ...record, definition: { ...record.definition, durability: "memory" } },
      log: this.#log,
      seed: NO_SEED,
      random: parts.random,
      keptBudget: new KeptBudget(),
      events: { onAvailable: () => this.#onAvailable(), onChanged: () => this.#onGathering(), onWork },
    });
    this.#pair = new PairedQueue(record, volatile);
    this.dispatcher = parts.newDispatcher(this.#pair);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** Whether messages are stored from now on. */
  get isDurable(): boolean {
    return this.#durableMembers > 0;
  }

  /** Its stored messages; only when there is such a queue. */
  get queue(): Queue {
    const { stored } = this.#pair;
    assert(stored !== undefined, "a shared subscription that stores has a queue");
    return stored;
  }

  get hasStored(): boolean {
    return this.#pair.stored !== undefined;
  }

  get record(): QueueRecord {
    return this.#pair.record;
  }

  /** Opens the queue of its stored messages, new or to be recovered. */
  openStored(): Queue {
    this.#pair.stored = this.partition.queues.open(this.record, () => this.#onAvailable());
    return this.#pair.stored;
  }

  /** A member came, or has other options now. */
  join(clientId: string, { qos, isDurable }: Member): void {
    this.leave(clientId);
    this.#members.set(clientId, { qos, isDurable });
    this.#byQos[qos]! += 1;
    if (isDurable && qos > 0) this.#durableMembers += 1;
    this.#pair.isStoring = this.isDurable;
  }

  leave(clientId: string): void {
    const member = this.#members.get(clientId);
    if (member === undefined) return;
    this.#members.delete(clientId);
    this.#byQos[member.qos]! -= 1;
    if (member.isDurable && member.qos > 0) this.#durableMembers -= 1;
    this.#pair.isStoring = this.isDurable;
  }

  /** The QoS of a message here: no member is sent more than it asked for. */
  #qosOf(message: Region, offset: number): number {
    const qosMax = this.#byQos[2]! > 0 ? 2 : this.#byQos[1]! > 0 ? 1 : 0;
    return Math.min(qosMax, qosOf(message, offset));
  }

  /** Whether a message is for its queue of stored ones; else `take` is for it. */
  stores(message: Region, offset: number): boolean {
    return this.isDurable && this.#qosOf(message, offset) > 0;
  }

  /** Takes a message that is not to be stored. */
  take(message: Region, offset: number, messageBytes: number): void {
    const { random, link, queuesQos0, counters, nowMs } = this.#parts;
    if (this.#qosOf(message, offset) === 0) {
      if (this.dispatcher.pass(message, offset, random, link)) return;
      const isAway = this.dispatcher.consumers.size === 0;
      if (!isAway || !queuesQos0) {
        counters()[isAway ? "droppedOffline" : "droppedNotWritable"] += 1;
        return;
      }
    }
    const staged = this.#log.stage(message, offset, messageBytes);
    this.#pair.volatile.accept(message, offset, staged, nowMs());
  }

  /** Passes what the broker says about itself to one member that reads, or to none: nothing of it waits. */
  tell(message: Region, offset: number): void {
    if (this.#members.size > 0) this.dispatcher.pass(message, offset, this.#parts.random, this.#parts.link);
  }

  #onAvailable(): void {
    this.dispatcher?.onAvailable(); // Its queues speak of it before it is there.
  }

  #onGathering(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#parts.onGathering(this);
  }

  /** What came in this turn is where it will ever be. */
  endTurn(nowMs: number): void {
    this.#isGathering = false;
    const { gathering, gatheringRecords } = this.#log;
    this.#pair.volatile.committed(gatheringRecords === 0 ? gathering - 1 : gathering, nowMs);
  }

  /** Goes on with what was begun in memory; returns how much of `bound` is left. */
  work(bound: number): number {
    return this.#pair.volatile.work(bound);
  }

  get hasWork(): boolean {
    return this.#pair.volatile.hasWork;
  }

  /** When `onDeadline` has something to do for what is in memory. */
  get nextDeadlineMs(): number {
    return this.#log.messages === 0 ? Number.POSITIVE_INFINITY : this.#pair.volatile.nextDeadlineMs;
  }

  onDeadline(nowMs: number, bound: number): void {
    this.#pair.volatile.onDeadline(nowMs, bound);
  }
}

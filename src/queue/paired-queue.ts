/**
 * Two queues that are handed out as one: stored messages, and those in memory only. A shared subscription has the first while one of its
 * members' sessions outlives its connection, the second for all others.
 *
 * ```
 *   stored    position          the log's own, positive
 *   volatile  -position - 2     so that settlements find their way back; -1 and -2 mean something else where positions go
 * ```
 */

import type { QueueRecord } from "./definition.ts";
import type { Offer } from "./hand-out.ts";
import type { QueueCounters, QueueLatencies } from "./metrics.ts";
import type { Queue, QueueCounts } from "./queue.ts";
import type { SettleResult } from "./settle.ts";

/** What a dispatcher needs of what it hands out. */
export type DispatchedQueue = Pick<
  Queue,
  | "record"
  | "hasAvailable"
  | "heldCount"
  | "parkedCount"
  | "peek"
  | "peekHeld"
  | "holdOn"
  | "handOut"
  | "noteDelivered"
  | "takeBack"
  | "park"
  | "unpark"
  | "settle"
  | "giveBack"
  | "isIdle"
  | "counts"
  | "counters"
  | "latencies"
>;

const otherSide = (position: number): number => -position - 2;

export class PairedQueue implements DispatchedQueue {
  readonly record: QueueRecord;
  readonly volatile: Queue;
  /** Made when a first message is to be stored. */
  stored: Queue | undefined = undefined;
  /** Whether new messages are stored: those in memory are older then, and go first. */
  isStoring = false;
  #isHeldTurn = false;
  #handed: Queue;

  constructor(record: QueueRecord, volatile: Queue) {
    this.record = record;
    this.volatile = volatile;
    this.#handed = volatile;
  }

  get hasAvailable(): boolean {
    return this.volatile.hasAvailable || this.stored?.hasAvailable === true;
  }

  get heldCount(): number {
    return this.volatile.heldCount + (this.stored?.heldCount ?? 0);
  }

  get parkedCount(): number {
    return this.volatile.parkedCount + (this.stored?.parkedCount ?? 0);
  }

  peek(nowMs: number, into: Offer): boolean {
    const { stored } = this;
    if (stored === undefined) return this.#peekVolatile(nowMs, into);
    if (this.isStoring) return this.#peekVolatile(nowMs, into) || stored.peek(nowMs, into);
    return stored.peek(nowMs, into) || this.#peekVolatile(nowMs, into);
  }

  #peekVolatile(nowMs: number, into: Offer): boolean {
    if (!this.volatile.peek(nowMs, into)) return false;
    into.position = otherSide(into.position);
    return true;
  }

  /** One of either in turn. */
  peekHeld(nowMs: number, into: Offer): boolean {
    this.#isHeldTurn = !this.#isHeldTurn;
    if (this.#isHeldTurn && this.stored?.peekHeld(nowMs, into) === true) return true;
    if (this.volatile.peekHeld(nowMs, into)) {
      into.position = otherSide(into.position);
      return true;
    }
    return this.stored?.peekHeld(nowMs, into) === true;
  }

  /** Whose a position is; `own` gives the position there. */
  #queueOf(position: number): Queue {
    return position < 0 ? this.volatile : this.stored!;
  }

  holdOn(position: number): void {
    this.#queueOf(position).holdOn(own(position));
  }

  handOut(position: number, holder: number, nowMs: number): void {
    this.#handed = this.#queueOf(position);
    this.#handed.handOut(own(position), holder, nowMs);
  }

  noteDelivered(isRedelivered: boolean, publishedAtMs: number, nowMs: number): void {
    this.#handed.noteDelivered(isRedelivered, publishedAtMs, nowMs);
  }

  takeBack(position: number, excluded: number): void {
    this.#queueOf(position).takeBack(own(position), excluded);
  }

  park(position: number): void {
    this.#queueOf(position).park(own(position));
  }

  unpark(bound: number): void {
    this.volatile.unpark(bound);
    this.stored?.unpark(bound);
  }

  settle(holder: number, position: number, isAccepted: boolean, nowMs: number): SettleResult {
    if (position >= 0 && this.stored === undefined) return "unknown";
    return this.#queueOf(position).settle(holder, own(position), isAccepted, nowMs);
  }

  giveBack(holder: number): void {
    this.volatile.giveBack(holder);
    this.stored?.giveBack(holder);
  }

  isIdle(holder: number): boolean {
    return this.volatile.isIdle(holder) && this.stored?.isIdle(holder) !== false;
  }

  counts(nowMs: number): QueueCounts {
    return (this.stored ?? this.volatile).counts(nowMs);
  }

  counters(nowMs: number): QueueCounters {
    return (this.stored ?? this.volatile).counters(nowMs);
  }

  latencies(): QueueLatencies {
    return (this.stored ?? this.volatile).latencies();
  }
}

const own = (position: number): number => (position < 0 ? otherSide(position) : position);

/**
 * A queue: the order and the life of its messages, on the one worker that owns its partition.
 *
 * Every verb of a message's life has a file; this is the door to them. Holders are the numbers that the caller gives to
 * the consumers attached to this queue, small and reused.
 */

import { EXPIRY_SWEEP_MS, KEPT_RETRY_MS, QUEUE_STEP_MESSAGES, RELEASE_COST_EXPIRIES } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { publishedAtMsOf } from "../frame/message.ts";
import type { Position, RecordSummary } from "../log/contract.ts";
import { type AcceptOutcome, accept } from "./accept.ts";
import { HELD, IN_FLIGHT, LEAVING, NO_SLOT, PARKED } from "./aside-state.ts";
import { committed, failed, seal } from "./commit.ts";
import type { QueueRecord } from "./definition.ts";
import { oldestWaiting, removeWaiting } from "./depart.ts";
import { earliestExpiryMs, sweepAll, sweepStep } from "./expire.ts";
import {
  handOut,
  hasAvailable,
  holdOn,
  type Offer,
  park,
  peek,
  peekHeld,
  releaseHeld,
  takeBack,
  unpark,
} from "./hand-out.ts";
import { ACKNOWLEDGED, DEAD_LETTERED, DROPPED, EXPIRED, PURGED, REFUSED, STORED, SUPERSEDED } from "./ledger.ts";
import { type LookedAt, lookAt, Search } from "./look.ts";
import type { QueueCounters, QueueLatencies } from "./metrics.ts";
import { Purge, Removal } from "./purge.ts";
import { type QueueOptions, QueueState } from "./queue-state.ts";
import { recovered, recoverRecord } from "./recover.ts";
import { writeKept } from "./rewrite.ts";
import { giveBack, type SettleResult, settle } from "./settle.ts";
import { enforceLimits } from "./trim.ts";
import { hasWork, isUnsettled, work } from "./work.ts";

/** What the queue itself knows of its status. */
export interface QueueCounts {
  readonly stored: number;
  readonly waiting: number;
  readonly in_flight: number;
  readonly acknowledged: number;
  readonly expired: number;
  readonly superseded: number;
  readonly dropped: number;
  readonly dead_lettered: number;
  readonly purged: number;
  readonly refused: number;
  readonly difference: number;
  readonly waiting_bytes: number;
  readonly oldest_waiting_ms: number;
}

export class Queue {
  readonly #state: QueueState;

  constructor(options: QueueOptions) {
    this.#state = new QueueState(options);
  }

  get record(): QueueRecord {
    return this.#state.record;
  }

  /** Whether a publisher's acknowledgement waits for the commit; false for `durability: memory`. */
  get waitsForCommit(): boolean {
    return !this.#state.isMemory;
  }

  /** Whether nothing at all is kept here: then it has no deadline either. */
  get isEmpty(): boolean {
    return this.#state.isEmpty;
  }

  // Messages in.

  /** Offers a published message; see the outcomes in `accept.ts`. `staged` is the log's handle, of the gathering batch. */
  accept(message: Region, offset: number, staged: number, nowMs: number): AcceptOutcome {
    return accept(this.#state, message, offset, staged, nowMs);
  }

  /** Puts the ledger into the batch that is being sealed; from the log's `onSeal`, for every queue that changed. */
  seal(): void {
    seal(this.#state);
  }

  /** The batch is on disk, as are all before it. */
  committed(batch: number, nowMs: number): void {
    this.#state.metrics.onStored(batch, nowMs);
    committed(this.#state, batch);
  }

  /** The batch failed: its messages never existed, or are kept. Returns how many acknowledged ones are lost. */
  failed(batch: number): number {
    this.#state.metrics.arrivals.failed(batch);
    return failed(this.#state, batch);
  }

  /** Adds a record for each message that is kept without one; at the end, and from time to time. */
  writeKept(): void {
    writeKept(this.#state);
  }

  // Start.

  /** One live record of this queue, in order of position; before `recovered`. */
  recoverRecord(summary: RecordSummary): void {
    recoverRecord(this.#state, summary);
  }

  /** All records are in; `ledger` as it is in the table "ledgers", undefined when it has none. */
  recovered(ledger: Uint8Array | undefined): void {
    recovered(this.#state, ledger);
  }

  // Messages out, for the dispatcher.

  /** Whether `peek` may show something. */
  get hasAvailable(): boolean {
    return hasAvailable(this.#state);
  }

  get heldCount(): number {
    return this.#state.aside.counts[HELD]!;
  }

  get parkedCount(): number {
    return this.#state.aside.counts[PARKED]!;
  }

  /** Shows the next available message without handing it out; false when there is none. */
  peek(nowMs: number, into: Offer): boolean {
    return peek(this.#state, nowMs, into);
  }

  /** Shows the next rejected message; the caller hands it out or calls `holdOn`. */
  peekHeld(nowMs: number, into: Offer): boolean {
    return peekHeld(this.#state, nowMs, into);
  }

  holdOn(position: Position): void {
    holdOn(this.#state, position);
  }

  handOut(position: Position, holder: number, nowMs: number): void {
    handOut(this.#state, position, holder, nowMs);
  }

  /** The message that was handed out is on its way to its consumer. */
  noteDelivered(isRedelivered: boolean, publishedAtMs: number, nowMs: number): void {
    this.#state.metrics.onDelivered(isRedelivered, publishedAtMs, nowMs);
  }

  /** The hand-out did not happen; `excluded` as the offer said. */
  takeBack(position: Position, excluded: number): void {
    takeBack(this.#state, position, excluded);
  }

  park(position: Position): void {
    park(this.#state, position);
  }

  unpark(bound: number): void {
    unpark(this.#state, bound);
  }

  settle(holder: number, position: Position, isAccepted: boolean, nowMs: number): SettleResult {
    return settle(this.#state, holder, position, isAccepted, nowMs);
  }

  /** A message that waits is done with: somebody has it since before the start. */
  forget(position: Position): void {
    removeWaiting(this.#state, position, ACKNOWLEDGED);
  }

  /** Everything a holder has is available again, before what is newer; its number is free as soon as it is idle. */
  giveBack(holder: number): void {
    giveBack(this.#state, holder);
  }

  /** Whether a holder has nothing in flight. */
  isIdle(holder: number): boolean {
    return this.#state.aside.newestOf(holder) === NO_SLOT;
  }

  // Time.

  /** When `onDeadline` has something to do: milliseconds since the epoch, infinite when never. */
  get nextDeadlineMs(): number {
    const { aside, nextSweepMs, kept, nextKeptMs } = this.#state;
    const keptMs = kept.unwritten > 0 ? nextKeptMs : Number.POSITIVE_INFINITY;
    return Math.min(aside.earliestDueMs, keptMs, Math.max(earliestExpiryMs(this.#state), nextSweepMs));
  }

  /** Lets rejected messages go whose time has come, and takes out what has expired, up to about `bound`; returns how much it did. */
  onDeadline(nowMs: number, bound: number): number {
    const state = this.#state;
    let work = releaseHeld(state, nowMs, bound / RELEASE_COST_EXPIRIES) * RELEASE_COST_EXPIRIES;
    if (state.kept.unwritten > 0 && state.nextKeptMs <= nowMs) {
      state.nextKeptMs = nowMs + KEPT_RETRY_MS;
      writeKept(state);
    }
    if (state.nextSweepMs > nowMs || earliestExpiryMs(state) > nowMs) return work;
    let isMore = true;
    while (isMore && work < bound) {
      const before = state.sweepWork;
      isMore = sweepStep(state, nowMs);
      work += state.sweepWork - before;
    }
    if (!isMore) state.nextSweepMs = nowMs + EXPIRY_SWEEP_MS;
    return work;
  }

  /** Whether something was begun that takes steps. */
  get hasWork(): boolean {
    return hasWork(this.#state);
  }

  /** Goes on with that, for up to `bound` messages; returns how much of `bound` is left. */
  work(bound: number): number {
    return work(this.#state, bound);
  }

  /** Takes out some of what has expired and goes on with what was begun; says whether there is more. For those who want exact counts. */
  tidyStep(nowMs: number): boolean {
    work(this.#state, QUEUE_STEP_MESSAGES);
    return sweepStep(this.#state, nowMs) || hasWork(this.#state);
  }

  // Administration.

  /** A changed definition counts from now on: limits, retention, policy, window and strategy. */
  update(record: QueueRecord): void {
    const state = this.#state;
    const before = state.retentionMs;
    const wasMemory = state.isMemory;
    state.define(record);
    const now = state.retentionMs;
    if (now !== before) {
      state.ledger.isRetentionChanged = true;
      state.ledger.retentionMsMax = Math.max(state.ledger.retentionMsMax, now);
      if (now < before) this.#advanceExpiries(before - now);
    }
    enforceLimits(state);
    state.events.onChanged();
    if (wasMemory !== state.isMemory || now !== before) state.events.onAvailable();
  }

  #advanceExpiries(byMs: number): void {
    const state = this.#state;
    state.line.advanceExpiries(byMs);
    state.aside.advanceExpiries(byMs);
    state.asideEarliestMs -= byMs;
    state.asideSweptEarliestMs -= byMs;
  }

  counts(nowMs: number): QueueCounts {
    const state = this.#state;
    while (isUnsettled(state)) work(state, QUEUE_STEP_MESSAGES);
    sweepAll(state, nowMs);
    const { ledger } = state;
    const { waiting, inFlight } = state;
    return {
      stored: ledger.get(STORED),
      waiting,
      in_flight: inFlight,
      acknowledged: ledger.get(ACKNOWLEDGED),
      expired: ledger.get(EXPIRED),
      superseded: ledger.get(SUPERSEDED),
      dropped: ledger.get(DROPPED),
      dead_lettered: ledger.get(DEAD_LETTERED),
      purged: ledger.get(PURGED),
      refused: ledger.get(REFUSED),
      difference: ledger.remaining - waiting - inFlight,
      waiting_bytes: state.waitingBytes,
      oldest_waiting_ms: this.#oldestAgeMs(nowMs),
    };
  }

  /** What only grows, of its messages. */
  counters(nowMs: number): QueueCounters {
    const { stored, refused, acknowledged, expired, superseded, dropped, dead_lettered, purged } = this.counts(nowMs);
    const { delivered, redelivered, rejected } = this.#state.metrics;
    return {
      published: stored + refused,
      stored,
      refused,
      delivered,
      redelivered,
      acknowledged,
      rejected,
      expired,
      superseded,
      dropped,
      dead_lettered,
      purged,
    };
  }

  latencies(): QueueLatencies {
    return this.#state.metrics.latencies();
  }

  #oldestAgeMs(nowMs: number): number {
    const state = this.#state;
    const oldest = oldestWaiting(state);
    if (oldest === -1 || state.read(oldest) !== "found") return 0;
    return Math.max(0, nowMs - publishedAtMsOf(state.location.region, state.location.offset));
  }

  /** Settlements that were ignored; messages that the log could not give back. Since the start. */
  get unknownSettles(): number {
    return this.#state.unknownSettles;
  }

  get unreadable(): number {
    return this.#state.unreadable;
  }

  /** Where up to `limit` messages that wait behind `after` lie. */
  searchBehind(after: Position, limit: number): Search {
    return new Search(this.#state, after, limit);
  }

  /** Shows one of those, consuming nothing. */
  lookAt(position: Position, nowMs: number, into: LookedAt): "found" | "gone" | "damaged" {
    return lookAt(this.#state, position, nowMs, into);
  }

  /** Begins to remove what waits now; the caller takes the steps. */
  beginPurge(): Purge {
    return new Purge(this.#state);
  }

  /** The queue was deleted and must not be used again: its ledger goes, its records with the steps that the caller takes. */
  beginRemoval(): Removal {
    return new Removal(this.#state);
  }

  /** For tests and metrics: messages in flight, and those leaving. */
  get inFlight(): number {
    return this.#state.aside.counts[IN_FLIGHT]!;
  }

  get leaving(): number {
    return this.#state.aside.counts[LEAVING]!;
  }
}

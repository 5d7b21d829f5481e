/**
 * The messages of a queue that stand aside of its line: in flight, come back, put off. A slab in pages with an index by position; a
 * list per holder of what it holds, lists of what is held and parked, heaps of what waits, so that every step costs the same whatever
 * the queue holds.
 *
 * ```
 *   line ──hand out──► IN_FLIGHT ──settle──► gone
 *                       │  ▲  └──reject──► HELD ──another takes it──► IN_FLIGHT
 *            holder gone│  │hand out        │ redispatch interval
 *                       ▼  │                ▼
 *                      RETURNED ◄───────────┘
 *   line, RETURNED, HELD, PARKED ──a successor is stored──► LEAVING ──successor on disk──► gone
 *   line, RETURNED ──too large for all who could take it──► PARKED ──a larger consumer──► RETURNED
 * ```
 */
import { ASIDE_PAGE_SLOTS } from "../base/limits.ts";
import { batchOf, RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { AsideOrder } from "./aside-order.ts";
import { AsidePage, PAGE_MASK, PAGE_SHIFT } from "./aside-page.ts";
import {
  FREE,
  HELD,
  IN_FLIGHT,
  isWaitingState,
  LEAVING,
  NO_HOLDER,
  NO_SLOT,
  type PARKED,
  RETURNED,
  STATES,
} from "./aside-state.ts";
import { PositionIndex } from "./position-index.ts";

const CAPACITY_MIN = 16;

/** Where every queue begins, and most idle ones stay: a typed array of its own costs 180 bytes though it holds nothing. */
const NO_SLOTS = new Int32Array(0);

export class Aside {
  readonly #pages: AsidePage[] = [];
  #capacity = 0;
  /** What all expiries are noted too late by: every message expires so much earlier. */
  #advancedMs = 0;
  /** By holder: the newest message it holds, NO_SLOT when none. */
  #heads = NO_SLOTS;
  /** How often a holder's number has been given up: what it rejected before is anybody's. */
  #epochs = NO_SLOTS;
  #free = NO_SLOT;
  readonly #index = new PositionIndex();
  /** Of what waits here; made when the first does. */
  #order: AsideOrder | undefined;
  /** By state. */
  readonly counts = new Float64Array(STATES);
  readonly byteCounts = new Float64Array(STATES);

  #pageOf(slot: number): AsidePage {
    return this.#pages[slot >> PAGE_SHIFT]!;
  }

  /** Slots run from 0 to here; the free ones among them are FREE. */
  get capacity(): number {
    return this.#capacity;
  }

  // What is known of a message.

  positionOf(slot: number): number {
    return this.#pageOf(slot).positions[slot & PAGE_MASK]!;
  }

  stateOf(slot: number): number {
    return this.#pageOf(slot).states[slot & PAGE_MASK]!;
  }

  /** A lower bound, as in the line. */
  expiryOf(slot: number): number {
    return this.#pageOf(slot).expiries[slot & PAGE_MASK]! - this.#advancedMs;
  }

  setExpiry(slot: number, expiresAtMs: number): void {
    this.#pageOf(slot).expiries[slot & PAGE_MASK] = expiresAtMs + this.#advancedMs;
  }

  /** Every message expires `byMs` earlier. */
  advanceExpiries(byMs: number): void {
    this.#advancedMs += byMs;
  }

  bytesOf(slot: number): number {
    return this.#pageOf(slot).bytes[slot & PAGE_MASK]!;
  }

  highOf(slot: number): number {
    return this.#pageOf(slot).highs[slot & PAGE_MASK]!;
  }

  lowOf(slot: number): number {
    return this.#pageOf(slot).lows[slot & PAGE_MASK]!;
  }

  /** Hand-outs so far. */
  attemptsOf(slot: number): number {
    return this.#pageOf(slot).attempts[slot & PAGE_MASK]!;
  }

  /** IN_FLIGHT: who has it, NO_HOLDER when nobody yet. */
  holderOf(slot: number): number {
    return this.#pageOf(slot).holders[slot & PAGE_MASK]!;
  }

  /** IN_FLIGHT: since when. */
  handedAtMsOf(slot: number): number {
    return this.#pageOf(slot).handedAtMs[slot & PAGE_MASK]!;
  }

  /** HELD: who rejected it and is still there, or NO_HOLDER. */
  rejecterOf(slot: number): number {
    const holder = this.holderOf(slot);
    return holder !== NO_HOLDER && this.handedAtMsOf(slot) === this.#epochs[holder] ? holder : NO_HOLDER;
  }

  /** LEAVING: for which message. */
  successorOf(slot: number): number {
    return this.#pageOf(slot).dues[slot & PAGE_MASK]!;
  }

  /** LEAVING: why, a `LeavingReason`. */
  reasonOf(slot: number): number {
    return this.holderOf(slot);
  }

  /** IN_FLIGHT: a newer value of the same key is on disk; what comes back is not handed out again. */
  isOverwritten(slot: number): boolean {
    return this.#pageOf(slot).overwritten[slot & PAGE_MASK] === 1;
  }

  overwrite(slot: number): void {
    this.#pageOf(slot).overwritten[slot & PAGE_MASK] = 1;
  }

  // Which there are.

  /** The slot of a position, NO_SLOT when it is not here. */
  find(position: number): number {
    return this.#index.find(position);
  }

  /** The message's slot if it is in this state. */
  findIn(state: number, position: number): number {
    const slot = this.find(position);
    return slot !== NO_SLOT && this.stateOf(slot) === state ? slot : NO_SLOT;
  }

  /** HELD or PARKED: the one longest there or put back there, NO_SLOT when there is none. */
  firstOf(state: typeof HELD | typeof PARKED): number {
    return this.#order?.firstOf(state) ?? NO_SLOT;
  }

  /** RETURNED: the first in stored order, NO_SLOT when there is none. */
  get firstReturned(): number {
    return this.#order?.firstReturned ?? NO_SLOT;
  }

  /** Of all that wait here: the first in stored order, NO_SLOT when none does. */
  get firstWaiting(): number {
    return this.#order?.firstWaiting ?? NO_SLOT;
  }

  /** HELD: the first that is due, NO_SLOT when there is none. */
  get firstDue(): number {
    return this.#order?.firstDue ?? NO_SLOT;
  }

  /** HELD: when the first may go to its rejecter again, infinite when there is none. */
  get earliestDueMs(): number {
    const slot = this.firstDue;
    return slot === NO_SLOT ? Number.POSITIVE_INFINITY : this.#pageOf(slot).dues[slot & PAGE_MASK]!;
  }

  /** The newest message of a holder, NO_SLOT when it has none. */
  newestOf(holder: number): number {
    return holder < this.#heads.length ? this.#heads[holder]! : NO_SLOT;
  }

  /** Every message of a batch; `visit` may remove it. Looks at all slots or at all positions that a batch can have, whichever are fewer. */
  forEachOfBatch(batch: number, visit: (slot: number) => void): void {
    if (this.#capacity <= RECORDS_PER_BATCH_MAX) {
      for (let slot = 0; slot < this.#capacity; slot += 1) {
        if (this.stateOf(slot) !== FREE && batchOf(this.positionOf(slot)) === batch) visit(slot);
      }
      return;
    }
    const begin = batch * RECORDS_PER_BATCH_MAX;
    for (let position = begin; position < begin + RECORDS_PER_BATCH_MAX; position += 1) {
      const slot = this.find(position);
      if (slot !== NO_SLOT) visit(slot);
    }
  }

  // How they change.

  add(position: number, expiresAtMs: number, bytes: number, high: number, low: number, state: number): number {
    if (this.#free === NO_SLOT) this.#grow();
    const slot = this.#free;
    const page = this.#pageOf(slot);
    const at = slot & PAGE_MASK;
    this.#free = page.nexts[at]!;
    page.positions[at] = position;
    page.expiries[at] = expiresAtMs + this.#advancedMs;
    page.bytes[at] = bytes;
    page.highs[at] = high;
    page.lows[at] = low;
    page.overwritten[at] = 0;
    page.attempts[at] = 0;
    page.holders[at] = NO_HOLDER;
    this.#index.add(position, slot);
    this.#enter(slot, page, at, state);
    return slot;
  }

  /** Changes a message's state; leaving IN_FLIGHT takes it from its holder. */
  move(slot: number, state: number): void {
    const page = this.#pageOf(slot);
    const at = slot & PAGE_MASK;
    this.#leave(slot, page, at);
    this.#enter(slot, page, at, state);
  }

  /** Gives a message that is IN_FLIGHT and nobody's yet to a holder. */
  give(slot: number, holder: number, nowMs: number): void {
    if (holder >= this.#heads.length) this.#growHolders(holder);
    const page = this.#pageOf(slot);
    const at = slot & PAGE_MASK;
    const head = this.#heads[holder]!;
    page.nexts[at] = head;
    page.previous[at] = NO_SLOT;
    if (head !== NO_SLOT) this.#pageOf(head).previous[head & PAGE_MASK] = slot;
    this.#heads[holder] = slot;
    page.holders[at] = holder;
    page.handedAtMs[at] = nowMs;
    page.attempts[at]! += 1;
  }

  /** A message in flight was not delivered after all: RETURNED, or HELD again as it was for who rejected it. */
  takeBack(slot: number, rejecter: number): void {
    this.#pageOf(slot).attempts[slot & PAGE_MASK]! -= 1;
    if (rejecter === NO_HOLDER) this.release(slot);
    else this.#hold(slot, rejecter);
  }

  /** A message in flight was rejected by its holder, which may not have it again before `dueMs`. */
  hold(slot: number, dueMs: number): void {
    this.#pageOf(slot).dues[slot & PAGE_MASK] = dueMs;
    this.#hold(slot, this.holderOf(slot));
  }

  #hold(slot: number, rejecter: number): void {
    const page = this.#pageOf(slot);
    this.move(slot, HELD);
    page.holders[slot & PAGE_MASK] = rejecter;
    page.handedAtMs[slot & PAGE_MASK] = this.#epochs[rejecter]!;
  }

  /** A message is RETURNED, anybody's. */
  release(slot: number): void {
    this.move(slot, RETURNED);
    this.#pageOf(slot).holders[slot & PAGE_MASK] = NO_HOLDER;
  }

  /** A message goes as soon as its successor is on disk. */
  leaveFor(slot: number, successor: number, reason: number): void {
    const page = this.#pageOf(slot);
    if (page.states[slot & PAGE_MASK] !== LEAVING) this.move(slot, LEAVING);
    page.dues[slot & PAGE_MASK] = successor;
    page.holders[slot & PAGE_MASK] = reason;
  }

  /** HELD or PARKED: behind all others. */
  toBack(slot: number): void {
    this.#order!.toBack(slot, this.stateOf(slot));
  }

  /** A holder's number will be another's. */
  giveUp(holder: number): void {
    if (holder < this.#epochs.length) this.#epochs[holder]! += 1;
  }

  remove(slot: number): void {
    const page = this.#pageOf(slot);
    const at = slot & PAGE_MASK;
    this.#leave(slot, page, at);
    page.states[at] = FREE;
    this.#index.remove(page.positions[at]!);
    page.nexts[at] = this.#free;
    this.#free = slot;
  }

  #enter(slot: number, page: AsidePage, at: number, state: number): void {
    this.counts[state]! += 1;
    this.byteCounts[state]! += page.bytes[at]!;
    page.states[at] = state;
    if (!isWaitingState(state)) return;
    this.#order ??= new AsideOrder(this.#pages);
    this.#order.add(slot, state);
  }

  #leave(slot: number, page: AsidePage, at: number): void {
    const state = page.states[at]!;
    this.counts[state]! -= 1;
    this.byteCounts[state]! -= page.bytes[at]!;
    if (state === IN_FLIGHT) this.#takeFromHolder(page, at);
    else if (isWaitingState(state)) this.#order!.remove(slot, state);
  }

  #takeFromHolder(page: AsidePage, at: number): void {
    const holder = page.holders[at]!;
    if (holder === NO_HOLDER) return;
    const next = page.nexts[at]!;
    const previous = page.previous[at]!;
    if (next !== NO_SLOT) this.#pageOf(next).previous[next & PAGE_MASK] = previous;
    if (previous !== NO_SLOT) this.#pageOf(previous).nexts[previous & PAGE_MASK] = next;
    else this.#heads[holder] = next;
  }

  #growHolders(holder: number): void {
    const capacity = Math.max(CAPACITY_MIN, (holder + 1) * 2);
    const heads = new Int32Array(capacity).fill(NO_SLOT);
    heads.set(this.#heads);
    this.#heads = heads;
    const epochs = new Int32Array(capacity);
    epochs.set(this.#epochs);
    this.#epochs = epochs;
  }

  /** The first page grows to its full size, then there is one more. */
  #grow(): void {
    const old = this.#capacity;
    const capacity = Math.max(CAPACITY_MIN, old < ASIDE_PAGE_SLOTS ? old * 4 : old + ASIDE_PAGE_SLOTS);
    if (old < ASIDE_PAGE_SLOTS) this.#pages[0] = new AsidePage(capacity, this.#pages[0]);
    else this.#pages.push(new AsidePage(ASIDE_PAGE_SLOTS));
    for (let slot = capacity - 1; slot >= old; slot -= 1) {
      this.#pageOf(slot).nexts[slot & PAGE_MASK] = this.#free;
      this.#free = slot;
    }
    this.#capacity = capacity;
  }
}

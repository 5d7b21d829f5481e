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
import * as page from "./aside-page.ts";
import * as states from "./aside-state.ts";
import { PositionIndex } from "./position-index.ts";

// Constants of this module are folded into its code; an imported one is loaded at every use, which is 10 % of queue and dispatch.
const {
  ATTEMPTS,
  BYTES,
  DUE,
  EXPIRY,
  HANDED_AT_MS,
  HIGH,
  HOLDER,
  LOW,
  NEXT,
  NUMBERS,
  OVERWRITTEN,
  PAGE_MASK,
  PAGE_SHIFT,
  POSITION,
  PREVIOUS,
  STATE,
  WORDS,
} = page;
const { FREE, HELD, IN_FLIGHT, LEAVING, NO_HOLDER, NO_SLOT, RETURNED, STATES, isWaitingState } = states;

const CAPACITY_MIN = 16;

/** Where every queue begins, and most idle ones stay: a typed array of its own costs 180 bytes though it holds nothing. */
const NO_SLOTS = new Int32Array(0);

export class Aside {
  readonly #pages: page.AsidePage[] = [];
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

  #pageOf(slot: number): page.AsidePage {
    return this.#pages[slot >> PAGE_SHIFT]!;
  }

  #numberOf(slot: number, column: number): number {
    return this.#pageOf(slot).numbers[(slot & PAGE_MASK) * NUMBERS + column]!;
  }

  #setNumber(slot: number, column: number, number: number): void {
    this.#pageOf(slot).numbers[(slot & PAGE_MASK) * NUMBERS + column] = number;
  }

  #wordOf(slot: number, column: number): number {
    return this.#pageOf(slot).words[(slot & PAGE_MASK) * WORDS + column]!;
  }

  #setWord(slot: number, column: number, word: number): void {
    this.#pageOf(slot).words[(slot & PAGE_MASK) * WORDS + column] = word;
  }

  /** Slots run from 0 to here; the free ones among them are FREE. */
  get capacity(): number {
    return this.#capacity;
  }

  // What is known of a message.

  positionOf(slot: number): number {
    return this.#numberOf(slot, POSITION);
  }

  stateOf(slot: number): number {
    return this.#wordOf(slot, STATE);
  }

  /** A lower bound, as in the line. */
  expiryOf(slot: number): number {
    return this.#numberOf(slot, EXPIRY) - this.#advancedMs;
  }

  setExpiry(slot: number, expiresAtMs: number): void {
    this.#setNumber(slot, EXPIRY, expiresAtMs + this.#advancedMs);
  }

  /** Every message expires `byMs` earlier. */
  advanceExpiries(byMs: number): void {
    this.#advancedMs += byMs;
  }

  bytesOf(slot: number): number {
    return this.#wordOf(slot, BYTES) >>> 0;
  }

  highOf(slot: number): number {
    return this.#wordOf(slot, HIGH) >>> 0;
  }

  lowOf(slot: number): number {
    return this.#wordOf(slot, LOW) >>> 0;
  }

  /** Hand-outs so far. */
  attemptsOf(slot: number): number {
    return this.#wordOf(slot, ATTEMPTS) >>> 0;
  }

  /** IN_FLIGHT: who has it, NO_HOLDER when nobody yet. */
  holderOf(slot: number): number {
    return this.#wordOf(slot, HOLDER);
  }

  /** IN_FLIGHT: since when. */
  handedAtMsOf(slot: number): number {
    return this.#numberOf(slot, HANDED_AT_MS);
  }

  /** HELD: who rejected it and is still there, or NO_HOLDER. */
  rejecterOf(slot: number): number {
    const holder = this.holderOf(slot);
    return holder !== NO_HOLDER && this.handedAtMsOf(slot) === this.#epochs[holder] ? holder : NO_HOLDER;
  }

  /** LEAVING: for which message. */
  successorOf(slot: number): number {
    return this.#numberOf(slot, DUE);
  }

  /** LEAVING: why, a `LeavingReason`. */
  reasonOf(slot: number): number {
    return this.holderOf(slot);
  }

  /** IN_FLIGHT: a newer value of the same key is on disk; what comes back is not handed out again. */
  isOverwritten(slot: number): boolean {
    return this.#wordOf(slot, OVERWRITTEN) === 1;
  }

  overwrite(slot: number): void {
    this.#setWord(slot, OVERWRITTEN, 1);
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

  /** The message's slot if this holder has it in flight. */
  findHeldBy(holder: number, position: number): number {
    const slot = this.find(position);
    return slot !== NO_SLOT && this.stateOf(slot) === IN_FLIGHT && this.holderOf(slot) === holder ? slot : NO_SLOT;
  }

  /** HELD or PARKED: the one longest there or put back there, NO_SLOT when there is none. */
  firstOf(state: typeof HELD | typeof states.PARKED): number {
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
    return slot === NO_SLOT ? Number.POSITIVE_INFINITY : this.#numberOf(slot, DUE);
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
    const { numbers, words } = this.#pageOf(slot);
    const number = (slot & PAGE_MASK) * NUMBERS;
    const word = (slot & PAGE_MASK) * WORDS;
    this.#free = words[word + NEXT]!;
    numbers[number + POSITION] = position;
    numbers[number + EXPIRY] = expiresAtMs + this.#advancedMs;
    words[word + BYTES] = bytes;
    words[word + HIGH] = high;
    words[word + LOW] = low;
    words[word + OVERWRITTEN] = 0;
    words[word + ATTEMPTS] = 0;
    words[word + HOLDER] = NO_HOLDER;
    this.#index.add(position, slot);
    this.#enter(slot, words, word, state);
    return slot;
  }

  /** Changes a message's state; leaving IN_FLIGHT takes it from its holder. */
  move(slot: number, state: number): void {
    const { words } = this.#pageOf(slot);
    const word = (slot & PAGE_MASK) * WORDS;
    this.#leave(slot, words, word);
    this.#enter(slot, words, word, state);
  }

  /** Gives a message that is IN_FLIGHT and nobody's yet to a holder. */
  give(slot: number, holder: number, nowMs: number): void {
    if (holder >= this.#heads.length) this.#growHolders(holder);
    const { numbers, words } = this.#pageOf(slot);
    const word = (slot & PAGE_MASK) * WORDS;
    const head = this.#heads[holder]!;
    words[word + NEXT] = head;
    words[word + PREVIOUS] = NO_SLOT;
    if (head !== NO_SLOT) this.#setWord(head, PREVIOUS, slot);
    this.#heads[holder] = slot;
    words[word + HOLDER] = holder;
    words[word + ATTEMPTS]! += 1;
    numbers[(slot & PAGE_MASK) * NUMBERS + HANDED_AT_MS] = nowMs;
  }

  /** A message in flight was not delivered after all: RETURNED, or HELD again as it was for who rejected it. */
  takeBack(slot: number, rejecter: number): void {
    this.#setWord(slot, ATTEMPTS, this.#wordOf(slot, ATTEMPTS) - 1);
    if (rejecter === NO_HOLDER) this.release(slot);
    else this.#hold(slot, rejecter);
  }

  /** A message in flight was rejected by its holder, which may not have it again before `dueMs`. */
  hold(slot: number, dueMs: number): void {
    this.#setNumber(slot, DUE, dueMs);
    this.#hold(slot, this.holderOf(slot));
  }

  #hold(slot: number, rejecter: number): void {
    this.move(slot, HELD);
    this.#setWord(slot, HOLDER, rejecter);
    this.#setNumber(slot, HANDED_AT_MS, this.#epochs[rejecter]!);
  }

  /** A message is RETURNED, anybody's. */
  release(slot: number): void {
    this.move(slot, RETURNED);
    this.#setWord(slot, HOLDER, NO_HOLDER);
  }

  /** A message goes as soon as its successor is on disk. */
  leaveFor(slot: number, successor: number, reason: number): void {
    if (this.stateOf(slot) !== LEAVING) this.move(slot, LEAVING);
    this.#setNumber(slot, DUE, successor);
    this.#setWord(slot, HOLDER, reason);
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
    const { numbers, words } = this.#pageOf(slot);
    const word = (slot & PAGE_MASK) * WORDS;
    this.#leave(slot, words, word);
    words[word + STATE] = FREE;
    this.#index.remove(numbers[(slot & PAGE_MASK) * NUMBERS + POSITION]!);
    words[word + NEXT] = this.#free;
    this.#free = slot;
  }

  /** `word`: where its words begin. */
  #enter(slot: number, words: Int32Array, word: number, state: number): void {
    this.counts[state]! += 1;
    this.byteCounts[state]! += words[word + BYTES]! >>> 0;
    words[word + STATE] = state;
    if (!isWaitingState(state)) return;
    this.#order ??= new AsideOrder(this.#pages);
    this.#order.add(slot, state);
  }

  #leave(slot: number, words: Int32Array, word: number): void {
    const state = words[word + STATE]!;
    this.counts[state]! -= 1;
    this.byteCounts[state]! -= words[word + BYTES]! >>> 0;
    if (state === IN_FLIGHT) this.#takeFromHolder(words, word);
    else if (isWaitingState(state)) this.#order!.remove(slot, state);
  }

  #takeFromHolder(words: Int32Array, word: number): void {
    const holder = words[word + HOLDER]!;
    if (holder === NO_HOLDER) return;
    const next = words[word + NEXT]!;
    const previous = words[word + PREVIOUS]!;
    if (next !== NO_SLOT) this.#setWord(next, PREVIOUS, previous);
    if (previous !== NO_SLOT) this.#setWord(previous, NEXT, next);
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
    if (old < ASIDE_PAGE_SLOTS) this.#pages[0] = new page.AsidePage(capacity, this.#pages[0]);
    else this.#pages.push(new page.AsidePage(ASIDE_PAGE_SLOTS));
    for (let slot = capacity - 1; slot >= old; slot -= 1) {
      this.#setWord(slot, NEXT, this.#free);
      this.#free = slot;
    }
    this.#capacity = capacity;
  }
}

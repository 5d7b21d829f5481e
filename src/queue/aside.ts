/**
 * The messages of a queue that stand aside of its line: in flight, come back, put off. A slab of columns with an index
 * by position, and a list per holder of what it holds, so that handing out, settling and giving everything back cost
 * the same whatever the queue holds.
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
import { PositionIndex } from "./position-index.ts";

export const FREE = 0;
export const IN_FLIGHT = 1;
export const RETURNED = 2;
export const HELD = 3;
export const PARKED = 4;
/** Superseded or dropped in favour of a message that is not on disk yet; RETURNED, and anybody's, if that fails. */
export const LEAVING = 5;
const STATES = 6;

export const NO_SLOT = -1;
export const NO_HOLDER = -1;
const CAPACITY_MIN = 16;

/** Where every queue begins, and most idle ones stay: a typed array of its own costs 180 bytes though it holds nothing. */
const NO_FLOATS = new Float64Array(0);
const NO_WORDS = new Uint32Array(0);
const NO_BYTES = new Uint8Array(0);
const NO_SLOTS = new Int32Array(0);

export class Aside {
  #capacity = 0;
  positions = NO_FLOATS;
  expiries = NO_FLOATS;
  /** HELD: when the rejecter may have it again. LEAVING: the position of the message it leaves for. */
  dues = NO_FLOATS;
  /** IN_FLIGHT: since when. */
  handedAtMs = NO_FLOATS;
  bytes = NO_WORDS;
  highs = NO_WORDS;
  lows = NO_WORDS;
  states = NO_BYTES;
  /** IN_FLIGHT: a newer value of the same key is on disk; what comes back is not handed out again. */
  overwritten = NO_BYTES;
  /** Hand-outs so far. */
  attempts = NO_WORDS;
  /** IN_FLIGHT: who has it. HELD: who rejected it. LEAVING: why, a `LeavingReason`. */
  holders = NO_SLOTS;
  #next = NO_SLOTS;
  #previous = NO_SLOTS;
  /** By holder: the newest message it holds, NO_SLOT when none. */
  #heads = NO_SLOTS;
  #free = NO_SLOT;
  readonly #index = new PositionIndex();
  /** By state. */
  readonly counts = new Float64Array(STATES);
  readonly byteCounts = new Float64Array(STATES);

  /** Slots run from 0 to here; the free ones among them are FREE. */
  get capacity(): number {
    return this.#capacity;
  }

  /** The slot of a position, NO_SLOT when it is not here. */
  find(position: number): number {
    return this.#index.find(position, this.positions);
  }

  /** The message's slot if it is in this state. */
  findIn(state: number, position: number): number {
    const slot = this.find(position);
    return slot !== NO_SLOT && this.states[slot] === state ? slot : NO_SLOT;
  }

  add(position: number, expiresAtMs: number, bytes: number, high: number, low: number, state: number): number {
    if (this.#free === NO_SLOT) this.#grow();
    const slot = this.#free;
    this.#free = this.#next[slot]!;
    this.positions[slot] = position;
    this.expiries[slot] = expiresAtMs;
    this.bytes[slot] = bytes;
    this.highs[slot] = high;
    this.lows[slot] = low;
    this.overwritten[slot] = 0;
    this.attempts[slot] = 0;
    this.holders[slot] = NO_HOLDER;
    this.states[slot] = state;
    this.counts[state]! += 1;
    this.byteCounts[state]! += bytes;
    this.#index.add(position, slot, this.positions);
    return slot;
  }

  /** Changes a message's state; leaving IN_FLIGHT takes it from its holder. */
  move(slot: number, state: number): void {
    const from = this.states[slot]!;
    if (from === IN_FLIGHT) this.#unlink(slot);
    this.counts[from]! -= 1;
    this.byteCounts[from]! -= this.bytes[slot]!;
    this.counts[state]! += 1;
    this.byteCounts[state]! += this.bytes[slot]!;
    this.states[slot] = state;
  }

  /** Gives a message that is IN_FLIGHT and nobody's yet to a holder. */
  give(slot: number, holder: number): void {
    if (holder >= this.#heads.length) this.#growHolders(holder);
    const head = this.#heads[holder]!;
    this.#next[slot] = head;
    this.#previous[slot] = NO_SLOT;
    if (head !== NO_SLOT) this.#previous[head] = slot;
    this.#heads[holder] = slot;
    this.holders[slot] = holder;
  }

  /** The newest message of a holder, NO_SLOT when it has none. */
  newestOf(holder: number): number {
    return holder < this.#heads.length ? this.#heads[holder]! : NO_SLOT;
  }

  remove(slot: number): void {
    const state = this.states[slot]!;
    if (state === IN_FLIGHT) this.#unlink(slot);
    this.counts[state]! -= 1;
    this.byteCounts[state]! -= this.bytes[slot]!;
    this.states[slot] = FREE;
    this.#index.remove(this.positions[slot]!, this.positions);
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  #unlink(slot: number): void {
    const holder = this.holders[slot]!;
    if (holder === NO_HOLDER) return;
    const next = this.#next[slot]!;
    const previous = this.#previous[slot]!;
    if (next !== NO_SLOT) this.#previous[next] = previous;
    if (previous !== NO_SLOT) this.#next[previous] = next;
    else this.#heads[holder] = next;
  }

  #growHolders(holder: number): void {
    const heads = new Int32Array(Math.max(CAPACITY_MIN, (holder + 1) * 2)).fill(NO_SLOT);
    heads.set(this.#heads);
    this.#heads = heads;
  }

  #grow(): void {
    const old = this.#capacity;
    const capacity = Math.max(CAPACITY_MIN, old * 2);
    this.positions = grown(new Float64Array(capacity), this.positions);
    this.expiries = grown(new Float64Array(capacity), this.expiries);
    this.dues = grown(new Float64Array(capacity), this.dues);
    this.handedAtMs = grown(new Float64Array(capacity), this.handedAtMs);
    this.bytes = grown(new Uint32Array(capacity), this.bytes);
    this.highs = grown(new Uint32Array(capacity), this.highs);
    this.lows = grown(new Uint32Array(capacity), this.lows);
    this.states = grown(new Uint8Array(capacity), this.states);
    this.overwritten = grown(new Uint8Array(capacity), this.overwritten);
    this.attempts = grown(new Uint32Array(capacity), this.attempts);
    this.holders = grown(new Int32Array(capacity), this.holders);
    this.#next = grown(new Int32Array(capacity), this.#next);
    this.#previous = grown(new Int32Array(capacity), this.#previous);
    for (let slot = capacity - 1; slot >= old; slot -= 1) {
      this.#next[slot] = this.#free;
      this.#free = slot;
    }
    this.#capacity = capacity;
  }
}

function grown<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from);
  return to;
}

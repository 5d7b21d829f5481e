/**
 * A hierarchical timer wheel: very many deadlines (keep alive, redispatch, will delay, expiry), each scheduled and cancelled
 * in constant time without allocation. The time is an argument; resolution is one millisecond.
 *
 * ```
 *   tick, 42 bits = 139 years of ms:   │ digit 6 │ … │ digit 1 │ digit 0 │     6 bits each
 *
 *   An entry stands in the slot of the highest digit in which its tick differs from the wheel's:
 *     level 0: 64 slots of 1 ms · level 1: 64 slots of 64 ms · … · level 6: 64 slots of 2 years
 *   When the wheel's tick reaches a slot of level 0, its entries are due; of a higher level, they move to lower ones.
 * ```
 *
 * A slot is a ring of entries linked through themselves; a bit per slot says whether it has any, so idle time costs
 * nothing.
 */
import { assert } from "./assert.ts";

const DIGIT_BITS = 6;
const SLOTS = 1 << DIGIT_BITS;
const LEVELS = 7;
const LOW_DIGITS = 5;
const LOW_SPAN = 2 ** (LOW_DIGITS * DIGIT_BITS);
const TICK_MAX = 2 ** (LEVELS * DIGIT_BITS) - 1;
const UNSCHEDULED = -1;

/** A deadline and what happens then. Made once by its owner, scheduled as often as needed, on one wheel at a time. */
export class TimerEntry {
  readonly onDue: (nowMs: number) => void;
  /** The deadline it is scheduled for, in the wheel's time; meaningless while it is not. */
  deadlineMs = 0;
  /** The wheel's own: neighbours in the slot, and the slot (-1 = not scheduled). */
  next: TimerEntry;
  previous: TimerEntry;
  slot = UNSCHEDULED;

  /** `onDue` may schedule and cancel any entry, this one included. */
  constructor(onDue: (nowMs: number) => void) {
    this.onDue = onDue;
    this.next = this;
    this.previous = this;
  }

  get isScheduled(): boolean {
    return this.slot !== UNSCHEDULED;
  }
}

export class TimerWheel {
  readonly #startMs: number;
  /** The wheel's time in ms since its start: every entry with a tick up to here has been due. */
  #tick = 0;
  #count = 0;
  /** A slot's ring begins and ends at its anchor. Slot = level * 64 + digit. */
  readonly #anchors = Array.from({ length: LEVELS * SLOTS }, () => new TimerEntry(neverDue));
  /** Bits of slots that have entries: two words of 32 for each level. */
  readonly #occupied = new Int32Array(LEVELS * 2);

  constructor(nowMs: number) {
    this.#startMs = Math.floor(nowMs);
  }

  /** Entries scheduled. */
  get count(): number {
    return this.#count;
  }

  /**
   * Schedules an entry, or moves one that is scheduled. It is due with the first `advance` to `deadlineMs` or later; a deadline
   * that has passed, with the next one that advances. One 139 years or more after the wheel's start is due then; Infinity
   * cancels.
   */
  schedule(entry: TimerEntry, deadlineMs: number): void {
    assert(!Number.isNaN(deadlineMs), "a deadline is a number");
    this.cancel(entry);
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    entry.deadlineMs = deadlineMs;
    this.#insert(entry);
    this.#count += 1;
  }

  /** Does nothing when it is not scheduled. */
  cancel(entry: TimerEntry): void {
    if (entry.slot === UNSCHEDULED) return;
    this.#unlink(entry);
    this.#count -= 1;
  }

  /**
   * Moves the time on and calls `onDue` of what is due, in order of deadline, at most `limit` of them: a turn is bounded. Returns
   * how many; as many as the limit means that there may be more. Time that goes back does nothing.
   */
  advance(nowMs: number, limit = Number.POSITIVE_INFINITY): number {
    const target = Math.min(Math.floor(nowMs) - this.#startMs, TICK_MAX);
    let due = 0;
    for (;;) {
      // Entries of the tick that the wheel stands at: those of a limited advance, else none.
      due += this.#fireSlot(this.#digitOf(0), nowMs, limit - due);
      if (due >= limit) return due;
      const slot = this.#nextSlot();
      if (slot === UNSCHEDULED || this.#tickOf(slot) > target) break;
      this.#tick = this.#tickOf(slot);
      if (slot >= SLOTS) this.#cascade(slot);
    }
    if (target > this.#tick) this.#tick = target;
    return due;
  }

  /**
   * When to call `advance` next: never after the earliest deadline, and not long before a near one (a far one may be asked for
   * earlier, at most six times in its life). Infinity when nothing is scheduled.
   */
  nextDeadlineMs(): number {
    const here = this.#digitOf(0);
    if (this.#anchors[here]!.next !== this.#anchors[here]) return this.#startMs + this.#tick;
    const slot = this.#nextSlot();
    return slot === UNSCHEDULED ? Number.POSITIVE_INFINITY : this.#startMs + this.#tickOf(slot);
  }

  #fireSlot(slot: number, nowMs: number, limit: number): number {
    const anchor = this.#anchors[slot]!;
    let due = 0;
    while (anchor.next !== anchor && due < limit) {
      const entry = anchor.next;
      this.#unlink(entry);
      this.#count -= 1;
      due += 1;
      entry.onDue(nowMs);
    }
    return due;
  }

  /** Moves the entries of a slot that the wheel's time has reached to lower levels. */
  #cascade(slot: number): void {
    const anchor = this.#anchors[slot]!;
    while (anchor.next !== anchor) {
      const entry = anchor.next;
      this.#unlink(entry);
      this.#insert(entry, true);
    }
  }

  /** Puts an entry in its slot: the present tick's only when it cascades there, so that `onDue` cannot go round in circles. */
  #insert(entry: TimerEntry, isCascade = false): void {
    const earliest = isCascade ? this.#tick : this.#tick + 1;
    const tick = Math.min(Math.max(Math.ceil(entry.deadlineMs) - this.#startMs, earliest), TICK_MAX);
    const high = Math.floor(tick / LOW_SPAN);
    const highNow = Math.floor(this.#tick / LOW_SPAN);
    const low = tick % LOW_SPAN;
    const level = high === highNow ? levelOf(low ^ (this.#tick % LOW_SPAN)) : LOW_DIGITS + levelOf(high ^ highNow);
    const digit =
      level < LOW_DIGITS
        ? (low >> (level * DIGIT_BITS)) & (SLOTS - 1)
        : (high >> ((level - LOW_DIGITS) * DIGIT_BITS)) & (SLOTS - 1);
    this.#link(entry, level * SLOTS + digit);
  }

  #link(entry: TimerEntry, slot: number): void {
    const anchor = this.#anchors[slot]!;
    entry.slot = slot;
    entry.next = anchor;
    entry.previous = anchor.previous;
    anchor.previous.next = entry;
    anchor.previous = entry;
    this.#occupied[slot >> 5]! |= 1 << (slot & 31);
  }

  #unlink(entry: TimerEntry): void {
    const { slot, next, previous } = entry;
    assert(slot !== UNSCHEDULED, "only a scheduled entry is unlinked");
    previous.next = next;
    next.previous = previous;
    if (next === previous && next === this.#anchors[slot]) this.#occupied[slot >> 5]! &= ~(1 << (slot & 31));
    entry.next = entry;
    entry.previous = entry;
    entry.slot = UNSCHEDULED;
  }

  /** The slot that is reached next: of the lowest level that has any, the first. Its digit is above the wheel's. */
  #nextSlot(): number {
    for (let word = 0; word < this.#occupied.length; word += 1) {
      const bits = this.#occupied[word]!;
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
    }
    return UNSCHEDULED;
  }

  /** The tick at which a slot is reached. */
  #tickOf(slot: number): number {
    const level = slot >> DIGIT_BITS;
    const width = 2 ** (level * DIGIT_BITS);
    const round = width * SLOTS;
    return Math.floor(this.#tick / round) * round + (slot & (SLOTS - 1)) * width;
  }

  #digitOf(level: number): number {
    return Math.floor(this.#tick / 2 ** (level * DIGIT_BITS)) % SLOTS;
  }
}

/** The highest digit in which two numbers differ, of their difference by bits (below 2^30). */
const levelOf = (difference: number): number =>
  difference === 0 ? 0 : Math.floor((31 - Math.clz32(difference)) / DIGIT_BITS);

function neverDue(): void {
  assert(false, "an anchor is never due");
}

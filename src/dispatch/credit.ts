/**
 * Credit: what the consumers of one worker have settled of what one owner of queues handed them, in memory that both
 * see. A PUBACK counts for the owner's next choice before its frame has crossed the ring.
 *
 * ```
 *   byte                        word            written by
 *   0                           dispatched[S]   owner
 *   4S + 128                    settled[S]      the consumers' worker
 *   8S + 128                    paused[S]       the consumers' worker
 *   12S + 256                   dirty[S/32]     both: set by the consumers' worker, taken by the owner
 *   … + 128                     summary[S/1024] both, likewise: which words of `dirty` have a bit
 * ```
 *
 * S slots, a multiple of 1,024; areas of different writers stand 128 bytes apart. Every word but the bits is `generation << 16 | value`: a slot
 * is used again by a later attachment, and a count belongs to one attachment. Counts run modulo 65,536.
 *
 * For consumers on the owner's own worker the memory is not shared and everything else is the same.
 */
import { assert } from "../base/assert.ts";
import { CREDIT_SLOTS_PER_OWNER, CREDIT_TABLE_SLOTS_MIN } from "../base/limits.ts";

/** Why the consumers' worker takes nothing for a consumer at the moment; the values of `paused`. */
export const NOT_PAUSED = 0;
export const SESSION_WINDOW_FULL = 1;
export const SOCKET_FULL = 2;
export type CreditPause = typeof NOT_PAUSED | typeof SESSION_WINDOW_FULL | typeof SOCKET_FULL;

const APART_BYTES = 128;
/** A bit of the summary stands for 32 slots, a word of it for 1,024. */
const GROUP_SLOTS = 1_024;
const GROUP_BYTES = 12 * GROUP_SLOTS + GROUP_SLOTS / 8 + 4;

/** Memory for one of the tables between `workers` workers: shared by two of them, or one worker's own. */
export function newCreditMemory(isShared: boolean, workers: number): ArrayBufferLike {
  const slots = Math.max(CREDIT_TABLE_SLOTS_MIN, Math.floor(CREDIT_SLOTS_PER_OWNER / workers));
  const bytes = Math.ceil(slots / GROUP_SLOTS) * GROUP_BYTES + 3 * APART_BYTES;
  return isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

/** One table, seen from either side. Each method says whose it is. */
export class CreditTable {
  /** Attachments it takes. */
  readonly slots: number;
  readonly #dispatched: Int32Array;
  readonly #settled: Int32Array;
  readonly #paused: Int32Array;
  readonly #dirty: Int32Array;
  readonly #summary: Int32Array;

  constructor(memory: ArrayBufferLike) {
    const groups = (memory.byteLength - 3 * APART_BYTES) / GROUP_BYTES;
    assert(Number.isInteger(groups), "a credit table's memory comes from newCreditMemory");
    const slots = groups * GROUP_SLOTS;
    const settledAt = 4 * slots + APART_BYTES;
    const dirtyAt = settledAt + 8 * slots + APART_BYTES;
    this.slots = slots;
    this.#dispatched = new Int32Array(memory, 0, slots);
    this.#settled = new Int32Array(memory, settledAt, slots);
    this.#paused = new Int32Array(memory, settledAt + 4 * slots, slots);
    this.#dirty = new Int32Array(memory, dirtyAt, slots / 32);
    this.#summary = new Int32Array(memory, dirtyAt + slots / 8 + APART_BYTES, groups);
  }

  // The owner's.

  /** Says how many messages were handed to the attachment so far, modulo 65,536. */
  setDispatched(slot: number, generation: number, count: number): void {
    Atomics.store(this.#dispatched, slot, (generation << 16) | (count & 0xffff));
  }

  /** What an attachment has settled, modulo 65,536; -1 when the slot is another attachment's by now. */
  settled(slot: number, generation: number): number {
    const word = Atomics.load(this.#settled, slot);
    return word >>> 16 === generation ? word & 0xffff : -1;
  }

  paused(slot: number, generation: number): CreditPause {
    const word = Atomics.load(this.#paused, slot);
    return word >>> 16 === generation ? ((word & 0xffff) as CreditPause) : NOT_PAUSED;
  }

  /**
   * Takes the slots whose settled or paused word changed since the last call; returns how many, at most all. Slots are opened from
   * below: those at `end` and behind are not looked at.
   */
  takeDirty(into: Int32Array, end: number): number {
    let count = 0;
    for (let group = 0; group * GROUP_SLOTS < end; group += 1) {
      if (Atomics.load(this.#summary, group) === 0) continue;
      let words = Atomics.exchange(this.#summary, group, 0);
      while (words !== 0) {
        const index = group * 32 + 31 - Math.clz32(words & -words);
        words &= words - 1;
        let bits = Atomics.exchange(this.#dirty, index, 0);
        while (bits !== 0) {
          into[count] = index * 32 + 31 - Math.clz32(bits & -bits);
          count += 1;
          bits &= bits - 1;
        }
      }
    }
    return count;
  }

  // The consumers' worker's.

  /** Begins an attachment, before its ATTACH is sent. Generations are 16 bits. */
  open(slot: number, generation: number): void {
    Atomics.store(this.#settled, slot, generation << 16);
    Atomics.store(this.#paused, slot, generation << 16);
  }

  /** Counts settlements, before their frames are sent. */
  addSettled(slot: number, count: number): void {
    const word = this.#settled[slot]!;
    Atomics.store(this.#settled, slot, (word & ~0xffff) | ((word + count) & 0xffff));
    this.#mark(slot);
  }

  setPaused(slot: number, reason: CreditPause): void {
    const word = this.#paused[slot]!;
    if ((word & 0xffff) === reason) return;
    Atomics.store(this.#paused, slot, (word & ~0xffff) | reason);
    this.#mark(slot);
  }

  /** What the owner has handed out and this side has not settled; for a view of the whole, not for decisions. */
  inFlight(slot: number): number {
    return (Atomics.load(this.#dispatched, slot) - Atomics.load(this.#settled, slot)) & 0xffff;
  }

  /**
   * The bit first, then the summary: the owner takes them the other way round, so no bit is left behind unseen. A bit that is there still
   * is one that the owner will take, and reads the words after it.
   */
  #mark(slot: number): void {
    if ((Atomics.load(this.#dirty, slot >>> 5) & (1 << (slot & 31))) !== 0) return;
    Atomics.or(this.#dirty, slot >>> 5, 1 << (slot & 31));
    Atomics.or(this.#summary, slot >>> 10, 1 << ((slot >>> 5) & 31));
  }
}

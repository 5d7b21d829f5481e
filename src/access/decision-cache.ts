/**
 * Decisions that were made, by whose they are and the bytes of a topic: a table of fixed size, in which a newer decision takes the place
 * of an older one. A hit allocates nothing.
 *
 * ```
 *   hash of owner and topic ──► place: owner · hash · bytes of the topic · decision
 * ```
 */

import { hashBytes } from "../base/hash.ts";
import { DECISION_TOPIC_BYTES_MAX, DECISIONS_REMEMBERED } from "../base/limits.ts";

/** An answer of `find`. */
export const NOT_DECIDED = -1;
const YES = 2;
const NO = 1;

export class DecisionCache {
  readonly #owners = new Int32Array(DECISIONS_REMEMBERED);
  readonly #hashes = new Int32Array(DECISIONS_REMEMBERED);
  readonly #lengths = new Uint8Array(DECISIONS_REMEMBERED);
  readonly #decisions = new Uint8Array(DECISIONS_REMEMBERED);
  readonly #topics = new Uint8Array(DECISIONS_REMEMBERED * DECISION_TOPIC_BYTES_MAX);
  /** Of the topic that was looked for last. */
  #hash = 0;
  #place = 0;

  /** 1, 0 or NOT_DECIDED, of the topic at [start, end). An owner's number is used for one set of rules and one question only. */
  find(owner: number, bytes: Uint8Array, start: number, end: number): number {
    if (end - start > DECISION_TOPIC_BYTES_MAX) return NOT_DECIDED;
    const hash = hashBytes(bytes, start, end) | 0;
    const place = (Math.imul(hash ^ owner, 0x9e3779b1) >>> 16) & (DECISIONS_REMEMBERED - 1);
    this.#hash = hash;
    this.#place = place;
    if (this.#owners[place] !== owner || this.#hashes[place] !== hash || this.#decisions[place] === 0)
      return NOT_DECIDED;
    if (this.#lengths[place] !== end - start) return NOT_DECIDED;
    const topics = this.#topics;
    const at = place * DECISION_TOPIC_BYTES_MAX - start;
    for (let index = start; index < end; index += 1) if (topics[at + index] !== bytes[index]) return NOT_DECIDED;
    return this.#decisions[place] === YES ? 1 : 0;
  }

  /** Remembers the decision on the topic that `find` has just not found. */
  keep(owner: number, bytes: Uint8Array, start: number, end: number, isAllowed: boolean): void {
    if (end - start > DECISION_TOPIC_BYTES_MAX) return;
    const place = this.#place;
    this.#owners[place] = owner;
    this.#hashes[place] = this.#hash;
    this.#lengths[place] = end - start;
    this.#decisions[place] = isAllowed ? YES : NO;
    this.#topics.set(bytes.subarray(start, end), place * DECISION_TOPIC_BYTES_MAX);
  }
}

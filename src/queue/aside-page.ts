/**
 * A stretch of the slab of messages that stand aside: what is known of a message lies together, so that a step of its life touches few
 * lines of the cache. The first page of a slab begins small and grows up to the full size, the others have it from the start: no step
 * copies more than a page.
 *
 * ```
 *   numbers (f64)   position · expiry · due · handedAtMs
 *   words (i32)     bytes · high · low · attempts · holder · next · previous · place · duePlace · state · overwritten
 *                   76 bytes a slot
 * ```
 */
import { ASIDE_PAGE_SLOTS } from "../base/limits.ts";

/** A slot's page, and its place in that. */
export const PAGE_SHIFT = Math.log2(ASIDE_PAGE_SLOTS);
export const PAGE_MASK = ASIDE_PAGE_SLOTS - 1;

/** Numbers of a slot. */
export const NUMBERS = 4;
export const POSITION = 0;
export const EXPIRY = 1;
export const DUE = 2;
export const HANDED_AT_MS = 3;

/** Words of a slot; BYTES, HIGH, LOW and ATTEMPTS have no sign. */
export const WORDS = 11;
export const BYTES = 0;
export const HIGH = 1;
export const LOW = 2;
export const ATTEMPTS = 3;
export const HOLDER = 4;
export const NEXT = 5;
export const PREVIOUS = 6;
export const PLACE = 7;
export const DUE_PLACE = 8;
export const STATE = 9;
export const OVERWRITTEN = 10;

export class AsidePage {
  readonly numbers: Float64Array;
  readonly words: Int32Array;

  /** With the slots of `from`, a smaller page that this one takes the place of. */
  constructor(capacity: number, from?: AsidePage) {
    this.numbers = new Float64Array(capacity * NUMBERS);
    this.words = new Int32Array(capacity * WORDS);
    if (from === undefined) return;
    this.numbers.set(from.numbers);
    this.words.set(from.words);
  }
}

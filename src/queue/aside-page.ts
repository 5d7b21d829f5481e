/**
 * A stretch of the slab of messages that stand aside: one column for each thing that is known of a message. The first page of a slab
 * begins small and grows up to the full size, the others have it from the start: no step copies more than a page.
 *
 * ```
 *   column                  bytes a slot
 *   position, expiry        f64 f64
 *   due, handedAtMs         f64 f64
 *   bytes, high, low        u32 u32 u32
 *   attempts                u32
 *   holder, next, previous  i32 i32 i32
 *   place, duePlace         i32 i32
 *   state, overwritten      u8 u8            70 in all
 * ```
 */
import { ASIDE_PAGE_SLOTS } from "../base/limits.ts";

/** A slot's page, and its place in that. */
export const PAGE_SHIFT = Math.log2(ASIDE_PAGE_SLOTS);
export const PAGE_MASK = ASIDE_PAGE_SLOTS - 1;

export class AsidePage {
  readonly capacity: number;
  readonly positions: Float64Array;
  readonly expiries: Float64Array;
  readonly dues: Float64Array;
  readonly handedAtMs: Float64Array;
  readonly bytes: Uint32Array;
  readonly highs: Uint32Array;
  readonly lows: Uint32Array;
  readonly attempts: Uint32Array;
  readonly holders: Int32Array;
  readonly nexts: Int32Array;
  readonly previous: Int32Array;
  readonly places: Int32Array;
  readonly duePlaces: Int32Array;
  readonly states: Uint8Array;
  readonly overwritten: Uint8Array;

  /** With the slots of `from`, a smaller page that this one takes the place of. */
  constructor(capacity: number, from?: AsidePage) {
    this.capacity = capacity;
    this.positions = new Float64Array(capacity);
    this.expiries = new Float64Array(capacity);
    this.dues = new Float64Array(capacity);
    this.handedAtMs = new Float64Array(capacity);
    this.bytes = new Uint32Array(capacity);
    this.highs = new Uint32Array(capacity);
    this.lows = new Uint32Array(capacity);
    this.attempts = new Uint32Array(capacity);
    this.holders = new Int32Array(capacity);
    this.nexts = new Int32Array(capacity);
    this.previous = new Int32Array(capacity);
    this.places = new Int32Array(capacity);
    this.duePlaces = new Int32Array(capacity);
    this.states = new Uint8Array(capacity);
    this.overwritten = new Uint8Array(capacity);
    if (from !== undefined) this.#take(from);
  }

  #take(from: AsidePage): void {
    this.positions.set(from.positions);
    this.expiries.set(from.expiries);
    this.dues.set(from.dues);
    this.handedAtMs.set(from.handedAtMs);
    this.bytes.set(from.bytes);
    this.highs.set(from.highs);
    this.lows.set(from.lows);
    this.attempts.set(from.attempts);
    this.holders.set(from.holders);
    this.nexts.set(from.nexts);
    this.previous.set(from.previous);
    this.places.set(from.places);
    this.duePlaces.set(from.duePlaces);
    this.states.set(from.states);
    this.overwritten.set(from.overwritten);
  }
}

/**
 * A stretch of the table of waiting batches: up to `LOG_TABLE_CHUNK_BATCHES` rows in order of their batch, 21 bytes each.
 *
 * ```
 *   base (number of its first batch)
 *     delta    u32   number - base            state  u8   flags below
 *     records  u16   - 1: of the value        bits   u32  settled records: a word of bits (records <= 32),
 *     width    u16   - 1: see batch-format          else the number of a bitmap, 0 = none settled yet
 *     stored   u16   - 1: have an entry       bytes  u32  of the stored value
 *     live     u16   - 1
 * ```
 */
import { LOG_TABLE_CHUNK_BATCHES } from "../base/limits.ts";

export const GONE = 1;
/** Settled records changed since they were last handed to a commit. */
export const DIRTY = 2;
/** Waits for a rewrite. */
export const QUEUED = 4;
/** Its value cannot be read. */
export const DAMAGED = 8;

export const ROW_BYTES = 21;
/** A distance that `delta` can hold. */
export const DELTA_MAX = 0xffffffff;

export class BatchChunk {
  base: number;
  used = 0;
  waiting = 0;
  readonly delta = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);
  readonly records = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly width = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly stored = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly live = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly state = new Uint8Array(LOG_TABLE_CHUNK_BATCHES);
  readonly bits = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);
  readonly bytes = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);

  constructor(base: number) {
    this.base = base;
  }

  /** Adds a row behind all others: its place. Bits and state are 0. */
  add(batch: number, records: number, width: number, stored: number, live: number, bytes: number): number {
    const at = this.used;
    this.used = at + 1;
    this.waiting += 1;
    this.delta[at] = batch - this.base;
    this.records[at] = records - 1;
    this.width[at] = width - 1;
    this.stored[at] = stored - 1;
    this.live[at] = live - 1;
    this.state[at] = 0;
    this.bits[at] = 0;
    this.bytes[at] = bytes;
    return at;
  }

  copyFrom(source: BatchChunk, from: number): void {
    const to = this.used;
    this.delta[to] = source.base + source.delta[from]! - this.base;
    this.records[to] = source.records[from]!;
    this.width[to] = source.width[from]!;
    this.stored[to] = source.stored[from]!;
    this.live[to] = source.live[from]!;
    this.state[to] = source.state[from]!;
    this.bits[to] = source.bits[from]!;
    this.bytes[to] = source.bytes[from]!;
    this.used = to + 1;
    this.waiting += 1;
  }

  isGone(at: number): boolean {
    return (this.state[at]! & GONE) !== 0;
  }

  batchAt(at: number): number {
    return this.base + this.delta[at]!;
  }

  /** Whether a row's value spans several batches. */
  isMergedAt(at: number): boolean {
    return this.width[at]! < this.records[at]!;
  }

  /** The first record of `batch` in a row's value; -1 when the row does not cover that batch. */
  firstOf(at: number, batch: number): number {
    const first = (batch - this.base - this.delta[at]!) * (this.width[at]! + 1);
    return first >= 0 && first <= this.records[at]! ? first : -1;
  }

  /** How many rows begin at `batch` or before. */
  rowsUpTo(batch: number): number {
    const delta = batch - this.base;
    let low = 0;
    let high = this.used;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.delta[middle]! <= delta) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Sets a flag of a row; false when it was set. */
  mark(at: number, flag: number): boolean {
    const state = this.state[at]!;
    this.state[at] = state | flag;
    return (state & flag) === 0;
  }

  /** Clears a flag of a row; false when it was not set. */
  clear(at: number, flag: number): boolean {
    const state = this.state[at]!;
    this.state[at] = state & ~flag;
    return (state & flag) !== 0;
  }
}

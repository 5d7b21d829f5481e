/**
 * What memory knows of every batch on disk that has live records: 19 bytes a batch, however many wait.
 *
 * Batches are appended in order of their number and removed anywhere, so the table is a list of chunks of typed arrays, each
 * sorted: found by binary search, with the place of the last look-up tried first. A chunk with few left is merged into its neighbour.
 *
 * ```
 *   chunk   base (number of its first batch)
 *     delta    u32   number - base            state  u8   flags below
 *     records  u16   - 1: added to the batch  bits   u32  settled records: a word of bits (records <= 32),
 *     stored   u16   - 1: in the stored value             else the number of a bitmap, 0 = none settled yet
 *     live     u16   - 1                      bytes  u32  of the stored value
 * ```
 */
import { LOG_TABLE_CHUNK_BATCHES } from "../base/limits.ts";

const GONE = 1;
/** Settled records changed since they were last handed to a commit. */
const DIRTY = 2;
/** Waits for a rewrite. */
const QUEUED = 4;
/** Its value cannot be read. */
const DAMAGED = 8;
const INLINE_RECORDS = 32;

class Chunk {
  base: number;
  used = 0;
  waiting = 0;
  readonly delta = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);
  readonly records = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly stored = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly live = new Uint16Array(LOG_TABLE_CHUNK_BATCHES);
  readonly state = new Uint8Array(LOG_TABLE_CHUNK_BATCHES);
  readonly bits = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);
  readonly bytes = new Uint32Array(LOG_TABLE_CHUNK_BATCHES);

  constructor(base: number) {
    this.base = base;
  }

  copyFrom(source: Chunk, from: number): void {
    const to = this.used;
    this.delta[to] = source.base + source.delta[from]! - this.base;
    this.records[to] = source.records[from]!;
    this.stored[to] = source.stored[from]!;
    this.live[to] = source.live[from]!;
    this.state[to] = source.state[from]!;
    this.bits[to] = source.bits[from]!;
    this.bytes[to] = source.bytes[from]!;
    this.used = to + 1;
    this.waiting += 1;
  }
}

/**
 * `find` places the table on a batch; the methods and getters below "of the found batch" then speak of it, until the next `find`,
 * `append` or `remove`. Nothing is allocated for a look.
 */
export class BatchTable {
  /** Totals over all batches: how many, their live records, their values' bytes and the share of settled records in those. */
  batches = 0;
  liveRecords = 0;
  valueBytes = 0;
  #deadBytes = 0;
  #chunks: Chunk[] = [];
  #chunk: Chunk = new Chunk(0);
  #at = 0;
  #bitmaps: (Uint8Array | undefined)[] = [undefined];
  #freeBitmaps: number[] = [];
  #bitmapBytes = 0;

  /** An estimate: every record of a value counts alike. */
  get deadBytes(): number {
    return this.batches === 0 ? 0 : Math.max(0, this.#deadBytes);
  }

  get memoryBytes(): number {
    return this.#chunks.length * LOG_TABLE_CHUNK_BATCHES * 19 + this.#bitmapBytes;
  }

  /**
   * Adds a batch with a number above all others, and finds it. `stored` of its `records` are in a value of `valueBytes`;
   * `settled` has the bits of those that are done, whether stored or not, and `live` counts the others (1 or more).
   */
  append(
    batch: number,
    records: number,
    stored: number,
    live: number,
    settled: Uint8Array | undefined,
    valueBytes: number,
  ): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used === LOG_TABLE_CHUNK_BATCHES || batch - chunk.base > 0xffffffff) {
      chunk = new Chunk(batch);
      this.#chunks.push(chunk);
    }
    if (chunk.waiting === 0) {
      chunk.base = batch;
      chunk.used = 0;
    }
    const at = chunk.used;
    chunk.used += 1;
    chunk.waiting += 1;
    chunk.delta[at] = batch - chunk.base;
    chunk.records[at] = records - 1;
    chunk.stored[at] = stored - 1;
    chunk.live[at] = live - 1;
    chunk.state[at] = 0;
    chunk.bits[at] = 0;
    chunk.bytes[at] = valueBytes;
    this.#chunk = chunk;
    this.#at = at;
    if (settled !== undefined) this.#setBits(settled, records);
    this.batches += 1;
    this.liveRecords += live;
    this.valueBytes += valueBytes;
    this.#deadBytes += (valueBytes * (stored - live)) / stored;
  }

  /** Places the table on a batch; false when it has no live record. */
  find(batch: number): boolean {
    const last = this.#chunk;
    const at = this.#at;
    if (at < last.used && last.base + last.delta[at]! === batch) return (last.state[at]! & GONE) === 0;
    const next = at + 1;
    if (next < last.used && last.base + last.delta[next]! === batch) {
      this.#at = next;
      return (last.state[next]! & GONE) === 0;
    }
    return this.#search(batch);
  }

  /** Of the found batch: whether a record is not settled. */
  isLive(index: number): boolean {
    const { records, bits } = this.#chunk;
    const last = records[this.#at]!;
    const word = bits[this.#at]!;
    if (index > last) return false;
    if (last < INLINE_RECORDS) return ((word >>> index) & 1) === 0;
    return word === 0 || (this.#bitmaps[word]![index >>> 3]! & (1 << (index & 7))) === 0;
  }

  /** Of the found batch: settles a record; how many are live now, or -1 when it was settled before or is unknown. */
  settle(index: number): number {
    if (!this.isLive(index)) return -1;
    const chunk = this.#chunk;
    const at = this.#at;
    const last = chunk.records[at]!;
    if (last < INLINE_RECORDS) chunk.bits[at]! |= 1 << index;
    else {
      if (chunk.bits[at] === 0) chunk.bits[at] = this.#newBitmap(last + 1);
      this.#bitmaps[chunk.bits[at]!]![index >>> 3]! |= 1 << (index & 7);
    }
    this.liveRecords -= 1;
    this.#deadBytes += chunk.bytes[at]! / (chunk.stored[at]! + 1);
    const live = chunk.live[at]!;
    if (live > 0) chunk.live[at] = live - 1;
    return live;
  }

  /** Of the found batch: forgets it, because all its records are settled, or although `live` of them are not. */
  remove(live: 0 | "live"): void {
    const chunk = this.#chunk;
    const at = this.#at;
    const liveRecords = live === 0 ? 0 : this.live;
    const stored = chunk.stored[at]! + 1;
    if (chunk.records[at]! >= INLINE_RECORDS) this.#freeBitmap(chunk.bits[at]!, chunk.records[at]! + 1);
    chunk.state[at] = GONE;
    chunk.waiting -= 1;
    this.batches -= 1;
    this.liveRecords -= liveRecords;
    this.valueBytes -= chunk.bytes[at]!;
    this.#deadBytes -= (chunk.bytes[at]! * (stored - liveRecords)) / stored;
    if (this.batches === 0) this.#deadBytes = 0;
    if (chunk.waiting * 4 <= LOG_TABLE_CHUNK_BATCHES) this.#shrink(chunk);
  }

  /** Of the found batch: its settled bits changed. False when that was known. */
  markDirty(): boolean {
    return this.#mark(DIRTY);
  }

  /** Of the found batch: its bits go with the next commit. False when they had not changed. */
  clearDirty(): boolean {
    return this.#clear(DIRTY);
  }

  /** Of the found batch: it waits for a rewrite. False when it did already. */
  markQueued(): boolean {
    return this.#mark(QUEUED);
  }

  clearQueued(): boolean {
    return this.#clear(QUEUED);
  }

  /** Of the found batch: its value is damaged. False when that was known. */
  markDamaged(): boolean {
    return this.#mark(DAMAGED);
  }

  get isDamaged(): boolean {
    return (this.#chunk.state[this.#at]! & DAMAGED) !== 0;
  }

  /** The number of the found batch. */
  get batch(): number {
    return this.#chunk.base + this.#chunk.delta[this.#at]!;
  }

  get records(): number {
    return this.#chunk.records[this.#at]! + 1;
  }

  get live(): number {
    return this.#chunk.live[this.#at]! + 1;
  }

  get stored(): number {
    return this.#chunk.stored[this.#at]! + 1;
  }

  get storedBytes(): number {
    return this.#chunk.bytes[this.#at]!;
  }

  /** Of the found batch: a rewritten value with fewer records took the place of the old one. */
  replaceStored(stored: number, valueBytes: number): void {
    const chunk = this.#chunk;
    const at = this.#at;
    const live = chunk.live[at]! + 1;
    const before = chunk.stored[at]! + 1;
    this.#deadBytes -= (chunk.bytes[at]! * (before - live)) / before;
    this.#deadBytes += (valueBytes * (stored - live)) / stored;
    this.valueBytes += valueBytes - chunk.bytes[at]!;
    chunk.stored[at] = stored - 1;
    chunk.bytes[at] = valueBytes;
  }

  /** Of the found batch: its settled bits, to be copied at once. */
  get settledBits(): Uint8Array {
    const records = this.records;
    const word = this.#chunk.bits[this.#at]!;
    const bytes = Math.ceil(records / 8);
    if (records > INLINE_RECORDS) return word === 0 ? new Uint8Array(bytes) : this.#bitmaps[word]!;
    return Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24).subarray(0, bytes);
  }

  #setBits(settled: Uint8Array, records: number): void {
    const chunk = this.#chunk;
    const bytes = Math.ceil(records / 8);
    if (records > INLINE_RECORDS) {
      chunk.bits[this.#at] = this.#newBitmap(records);
      this.#bitmaps[chunk.bits[this.#at]!]!.set(settled.subarray(0, bytes));
      return;
    }
    let word = 0;
    for (let index = 0; index < bytes; index += 1) word |= settled[index]! << (8 * index);
    chunk.bits[this.#at] = word;
  }

  #newBitmap(records: number): number {
    const bitmap = new Uint8Array(Math.ceil(records / 8));
    this.#bitmapBytes += bitmap.length;
    const place = this.#freeBitmaps.pop() ?? this.#bitmaps.length;
    this.#bitmaps[place] = bitmap;
    return place;
  }

  #freeBitmap(place: number, records: number): void {
    if (place === 0) return;
    this.#bitmaps[place] = undefined;
    this.#freeBitmaps.push(place);
    this.#bitmapBytes -= Math.ceil(records / 8);
  }

  #mark(flag: number): boolean {
    const state = this.#chunk.state[this.#at]!;
    this.#chunk.state[this.#at] = state | flag;
    return (state & flag) === 0;
  }

  #clear(flag: number): boolean {
    const state = this.#chunk.state[this.#at]!;
    this.#chunk.state[this.#at] = state & ~flag;
    return (state & flag) !== 0;
  }

  #search(batch: number): boolean {
    const chunk = this.#chunks[this.#placeOf(batch)];
    if (chunk === undefined) return false;
    const delta = batch - chunk.base;
    let low = 0;
    let high = chunk.used;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (chunk.delta[middle]! < delta) low = middle + 1;
      else high = middle;
    }
    if (low === chunk.used || chunk.delta[low] !== delta) return false;
    this.#chunk = chunk;
    this.#at = low;
    return (chunk.state[low]! & GONE) === 0;
  }

  /** The place of the chunk in which a batch would be; -1 when it is before all of them. */
  #placeOf(batch: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.base <= batch) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Drops an empty chunk, or merges a sparse one into the one before; the last chunk still grows and is left alone. */
  #shrink(chunk: Chunk): void {
    const place = this.#placeOf(chunk.base);
    if (place === this.#chunks.length - 1) return;
    if (chunk.waiting === 0) {
      this.#chunks.splice(place, 1);
      return;
    }
    const before = this.#chunks[place - 1];
    if (before === undefined || (before.waiting + chunk.waiting) * 2 > LOG_TABLE_CHUNK_BATCHES) return;
    const merged = new Chunk(before.base);
    if (chunk.base + chunk.delta[chunk.used - 1]! - before.base > 0xffffffff) return;
    for (const source of [before, chunk]) {
      for (let from = 0; from < source.used; from += 1) {
        if ((source.state[from]! & GONE) === 0) merged.copyFrom(source, from);
      }
    }
    this.#chunks.splice(place - 1, 2, merged);
    this.#chunk = merged;
    this.#at = 0;
  }
}

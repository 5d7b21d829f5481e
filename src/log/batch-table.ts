/**
 * What memory knows of every value on disk that has live records: 21 bytes a value, however many wait.
 *
 * Batches are appended in order of their number and removed anywhere, so the table is a list of chunks of typed arrays, each
 * sorted: found by binary search, with the place of the last look-up tried first. A chunk with few left is joined to its neighbour.
 * A row stands for one batch, or for all batches that were merged into one value: then its records count through them.
 */
import { LOG_TABLE_CHUNK_BATCHES } from "../base/limits.ts";
import { BatchChunk, DAMAGED, DELTA_MAX, DIRTY, GONE, QUEUED, ROW_BYTES } from "./batch-chunk.ts";
import { Bitmaps } from "./bitmaps.ts";

const INLINE_RECORDS = 32;

/** The value that takes the place of several. */
export interface MergedValue {
  readonly records: number;
  readonly width: number;
  readonly entries: number;
  readonly valueBytes: number;
}

/**
 * `find` places the table on a batch; the methods and getters below "of the found batch" then speak of it, until the next `find`,
 * `append` or `remove`. Nothing is allocated for a look.
 */
export class BatchTable {
  /** Totals: values, their live records and bytes, and the share of settled records in those; of merged values once more. */
  batches = 0;
  liveRecords = 0;
  valueBytes = 0;
  mergedBytes = 0;
  #deadBytes = 0;
  #mergedDeadBytes = 0;
  #chunks: BatchChunk[] = [];
  #chunk: BatchChunk = new BatchChunk(0);
  #at = 0;
  /** The first record of the batch that was looked for, in the found row's value. */
  #first = 0;
  readonly #bitmaps = new Bitmaps();

  /** An estimate: every record of a value counts alike. */
  get deadBytes(): number {
    return this.batches === 0 ? 0 : Math.max(0, this.#deadBytes);
  }

  /** Of that, in merged values. */
  get mergedDeadBytes(): number {
    return this.batches === 0 ? 0 : Math.max(0, this.#mergedDeadBytes);
  }

  get memoryBytes(): number {
    return this.#chunks.length * LOG_TABLE_CHUNK_BATCHES * ROW_BYTES + this.#bitmaps.bytes;
  }

  /**
   * Adds a batch with a number above all others, and finds it. `stored` of its `records` are in a value of `valueBytes`;
   * `settled` has the bits of those that are done, whether stored or not, and `live` counts the others (1 or more).
   * `width` is less than `records` when the value is a merged one.
   */
  append(
    batch: number,
    records: number,
    stored: number,
    live: number,
    settled: Uint8Array | undefined,
    valueBytes: number,
    width = records,
  ): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used === LOG_TABLE_CHUNK_BATCHES || batch - chunk.base > DELTA_MAX) {
      chunk = new BatchChunk(batch);
      this.#chunks.push(chunk);
    }
    if (chunk.waiting === 0) {
      chunk.base = batch;
      chunk.used = 0;
    }
    this.#stand(chunk, chunk.add(batch, records, width, stored, live, valueBytes));
    if (settled !== undefined) this.#setBits(settled, records);
    this.liveRecords += live;
    this.#count(1);
  }

  /** Places the table on a batch; false when it has no live record. */
  find(batch: number): boolean {
    const last = this.#chunk;
    for (let at = this.#at; at <= this.#at + 1 && at < last.used; at += 1) {
      const first = last.firstOf(at, batch);
      if (first < 0) continue;
      this.#at = at;
      this.#first = first;
      return !last.isGone(at);
    }
    return this.#search(batch);
  }

  /** Places the table on the first row that begins at `batch` or after it; false when there is none. */
  seek(batch: number): boolean {
    for (let place = Math.max(0, this.#placeOf(batch)); place < this.#chunks.length; place += 1) {
      const chunk = this.#chunks[place]!;
      for (let at = batch <= chunk.base ? 0 : chunk.rowsUpTo(batch - 1); at < chunk.used; at += 1) {
        if (chunk.isGone(at)) continue;
        this.#stand(chunk, at);
        return true;
      }
    }
    return false;
  }

  /** Places the table on the row after the found one; false, and it stays, when there is none in its chunk. */
  next(): boolean {
    const chunk = this.#chunk;
    for (let at = this.#at + 1; at < chunk.used; at += 1) {
      if (chunk.isGone(at)) continue;
      this.#stand(chunk, at);
      return true;
    }
    return false;
  }

  /** Of the found row: whether what is appended will be its neighbour, or that of a row behind it. */
  get isInLastChunk(): boolean {
    return this.#chunk === this.#chunks.at(-1) && this.#chunk.used < LOG_TABLE_CHUNK_BATCHES;
  }

  /** Of the found batch: whether a record is not settled. */
  isLive(index: number): boolean {
    return index <= this.#chunk.width[this.#at]! && this.isRecordLive(this.#first + index);
  }

  /** Of the found row: the same for a record of its value, counted through all its batches. */
  isRecordLive(record: number): boolean {
    const { records, bits } = this.#chunk;
    const last = records[this.#at]!;
    const word = bits[this.#at]!;
    if (record > last) return false;
    if (last < INLINE_RECORDS) return ((word >>> record) & 1) === 0;
    return word === 0 || (this.#bitmaps.at(word)[record >>> 3]! & (1 << (record & 7))) === 0;
  }

  /** Of the found batch: settles a record; how many of the row are live now, or -1 when it was settled before or is unknown. */
  settle(index: number): number {
    if (!this.isLive(index)) return -1;
    const chunk = this.#chunk;
    const at = this.#at;
    const record = this.#first + index;
    const last = chunk.records[at]!;
    if (last < INLINE_RECORDS) chunk.bits[at]! |= 1 << record;
    else {
      if (chunk.bits[at] === 0) chunk.bits[at] = this.#bitmaps.add(last + 1);
      this.#bitmaps.at(chunk.bits[at]!)[record >>> 3]! |= 1 << (record & 7);
    }
    this.liveRecords -= 1;
    const deadBytes = chunk.bytes[at]! / (chunk.stored[at]! + 1);
    this.#deadBytes += deadBytes;
    if (chunk.isMergedAt(at)) this.#mergedDeadBytes += deadBytes;
    const live = chunk.live[at]!;
    if (live > 0) chunk.live[at] = live - 1;
    return live;
  }

  /** Of the found row: forgets it, because all its records are settled, or although `live` of them are not. */
  remove(live: 0 | "live"): void {
    const chunk = this.#chunk;
    const at = this.#at;
    const liveRecords = live === 0 ? 0 : this.live;
    this.#count(-1, liveRecords);
    this.liveRecords -= liveRecords;
    this.#dropBits(chunk, at);
    chunk.state[at] = GONE;
    chunk.waiting -= 1;
    if (chunk.waiting * 4 <= LOG_TABLE_CHUNK_BATCHES) this.#shrink(chunk);
  }

  /**
   * One value takes the place of those of `batches`, rows that followed each other in one chunk when they were looked at; some
   * may be gone meanwhile. How many of its records are live: the table stands on it then; with 0 it is not in the table.
   */
  merge(batches: readonly number[], { records, width, entries, valueBytes }: MergedValue): number {
    if (!batches.some((batch) => this.find(batch))) return 0;
    const first = batches[0]!;
    const last = batches.at(-1)!;
    const chunk = this.#chunk;
    const settled = new Uint8Array(Math.ceil(records / 8)).fill(0xff);
    const joined = new BatchChunk(Math.min(chunk.base, first));
    let live = 0;
    let at = -1;
    for (let from = 0; from < chunk.used; from += 1) {
      if (chunk.isGone(from)) continue;
      const batch = chunk.batchAt(from);
      const isWithin = batch >= first && batch <= last;
      if (isWithin) {
        this.#stand(chunk, from);
        live += this.live;
        this.#clearLive(settled, batch - first, width);
        this.#count(-1);
        this.#dropBits(chunk, from);
      }
      if (at < 0 && batch >= first) at = joined.add(first, records, width, entries, 1, valueBytes);
      if (!isWithin) joined.copyFrom(chunk, from);
    }
    joined.live[at] = live - 1;
    this.#chunks[this.#chunks.indexOf(chunk)] = joined;
    this.#stand(joined, at);
    if (live < records) this.#setBits(settled, records);
    this.#count(1);
    if (joined.waiting * 4 <= LOG_TABLE_CHUNK_BATCHES) this.#shrink(joined);
    this.find(first);
    return live;
  }

  /** Of the found batch: its settled bits changed. False when that was known. */
  markDirty(): boolean {
    return this.#chunk.mark(this.#at, DIRTY);
  }

  /** Of the found batch: its bits go with the next commit. False when they had not changed. */
  clearDirty(): boolean {
    return this.#chunk.clear(this.#at, DIRTY);
  }

  /** Of the found batch: it waits for a rewrite. False when it did already. */
  markQueued(): boolean {
    return this.#chunk.mark(this.#at, QUEUED);
  }

  clearQueued(): boolean {
    return this.#chunk.clear(this.#at, QUEUED);
  }

  /** Of the found batch: its value is damaged. False when that was known. */
  markDamaged(): boolean {
    return this.#chunk.mark(this.#at, DAMAGED);
  }

  get isDamaged(): boolean {
    return (this.#chunk.state[this.#at]! & DAMAGED) !== 0;
  }

  /** Under what number the found row is stored: its first batch's. */
  get batch(): number {
    return this.#chunk.batchAt(this.#at);
  }

  /** The last batch that the found row stands for. */
  get lastBatch(): number {
    return this.batch + Math.ceil(this.records / this.width) - 1;
  }

  /** Records of each batch of a merged value, settled ones included; `records` when it is one batch. */
  get width(): number {
    return this.#chunk.width[this.#at]! + 1;
  }

  get isMerged(): boolean {
    return this.#chunk.isMergedAt(this.#at);
  }

  /** Memory of the found row. */
  get rowBytes(): number {
    const { bits, records } = this.#chunk;
    const hasBitmap = records[this.#at]! >= INLINE_RECORDS && bits[this.#at] !== 0;
    return ROW_BYTES + (hasBitmap ? Math.ceil(this.records / 8) : 0);
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
    this.#count(-1);
    this.#chunk.stored[this.#at] = stored - 1;
    this.#chunk.bytes[this.#at] = valueBytes;
    this.#count(1);
  }

  /** Of the found batch: its settled bits, to be copied at once. */
  get settledBits(): Uint8Array {
    const records = this.records;
    const word = this.#chunk.bits[this.#at]!;
    const bytes = Math.ceil(records / 8);
    if (records > INLINE_RECORDS) return word === 0 ? new Uint8Array(bytes) : this.#bitmaps.at(word);
    return Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24).subarray(0, bytes);
  }

  #stand(chunk: BatchChunk, at: number): void {
    this.#chunk = chunk;
    this.#at = at;
    this.#first = 0;
  }

  /** Adds the found row to the totals, or takes it out of them. */
  #count(sign: 1 | -1, live = this.live): void {
    const bytes = this.storedBytes;
    const deadBytes = (bytes * (this.stored - live)) / this.stored;
    this.batches += sign;
    this.valueBytes += sign * bytes;
    this.#deadBytes += sign * deadBytes;
    if (this.isMerged) {
      this.mergedBytes += sign * bytes;
      this.#mergedDeadBytes += sign * deadBytes;
    }
    if (this.batches > 0) return;
    this.#deadBytes = 0; // No rounding error outlives a table.
    this.#mergedDeadBytes = 0;
  }

  /** Clears the bits of the found row's live records in those of a wider value that begins `batchesBefore` batches before. */
  #clearLive(settled: Uint8Array, batchesBefore: number, width: number): void {
    const { records, width: ownWidth } = this;
    for (let record = 0; record < records; record += 1) {
      if (!this.isRecordLive(record)) continue;
      const to = (batchesBefore + Math.floor(record / ownWidth)) * width + (record % ownWidth);
      settled[to >>> 3]! &= ~(1 << (to & 7));
    }
  }

  #setBits(settled: Uint8Array, records: number): void {
    const chunk = this.#chunk;
    const bytes = Math.ceil(records / 8);
    if (records > INLINE_RECORDS) {
      chunk.bits[this.#at] = this.#bitmaps.add(records);
      this.#bitmaps.at(chunk.bits[this.#at]!).set(settled.subarray(0, bytes));
      return;
    }
    let word = 0;
    for (let index = 0; index < bytes; index += 1) word |= settled[index]! << (8 * index);
    chunk.bits[this.#at] = word;
  }

  #dropBits(chunk: BatchChunk, at: number): void {
    if (chunk.records[at]! >= INLINE_RECORDS) this.#bitmaps.remove(chunk.bits[at]!);
  }

  #search(batch: number): boolean {
    const chunk = this.#chunks[this.#placeOf(batch)];
    if (chunk === undefined) return false;
    const at = chunk.rowsUpTo(batch) - 1;
    const first = at < 0 ? -1 : chunk.firstOf(at, batch);
    if (first < 0) return false;
    this.#stand(chunk, at);
    this.#first = first;
    return !chunk.isGone(at);
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

  /** Drops an empty chunk, or joins a sparse one to the one before; the last chunk still grows and is left alone. */
  #shrink(chunk: BatchChunk): void {
    const place = this.#placeOf(chunk.base);
    if (place === this.#chunks.length - 1) return;
    if (chunk.waiting === 0) {
      this.#chunks.splice(place, 1);
      return;
    }
    const before = this.#chunks[place - 1];
    if (before === undefined || (before.waiting + chunk.waiting) * 2 > LOG_TABLE_CHUNK_BATCHES) return;
    if (chunk.batchAt(chunk.used - 1) - before.base > DELTA_MAX) return;
    const joined = new BatchChunk(before.base);
    for (const source of [before, chunk]) {
      for (let from = 0; from < source.used; from += 1) {
        if (!source.isGone(from)) joined.copyFrom(source, from);
      }
    }
    this.#chunks.splice(place - 1, 2, joined);
    this.#stand(joined, 0);
  }
}

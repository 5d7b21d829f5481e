/**
 * Rewrites mostly dead batches: same number, same record indices, only the live messages and their entries, in both values.
 * So a queue that nobody drains does not hold the bytes of its neighbours.
 *
 * A batch waits here from the moment when half of what its value holds is dead. Nothing happens while the dead bytes of all batches
 * together are few: what drains in order removes itself, and rewriting it would only write it twice.
 */

import { LOG_REWRITE_BYTES_MIN, LOG_REWRITE_COST_BYTES_MIN, LOG_REWRITE_GAIN_BYTES_MIN } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import {
  BATCH_MAGIC,
  ENTRY_BYTES,
  entryIndex,
  entryMessageBytes,
  entryOffset,
  HEADER_BYTES,
  INDEX_MAGIC,
  recordsOf,
  sealValue,
} from "./batch-format.ts";
import { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";

/** A list shorter than this is not worth tidying. */
const WAITING_MIN = 1_024;

/** A batch with its two new values; they take effect with the commit that they go into. */
export interface Rewrite {
  readonly batch: number;
  readonly image: BatchImage;
  readonly index: Buffer;
}

export class Rewriter {
  readonly #table: BatchTable;
  readonly #deadBytesFloor: number;
  #waiting: number[] = [];
  #next = 0;

  /** Nothing is rewritten while the settled records' bytes are no more than `deadBytesFloor`. */
  constructor(table: BatchTable, deadBytesFloor: number) {
    this.#table = table;
    this.#deadBytesFloor = deadBytesFloor;
  }

  /** Of the batch that the table has found: it may have become worth a rewrite. The table may stand elsewhere afterwards. */
  consider(): void {
    const table = this.#table;
    const dead = table.stored - table.live;
    if (dead * 2 < table.stored || (table.storedBytes * dead) / table.stored < LOG_REWRITE_GAIN_BYTES_MIN) return;
    if (table.isDamaged || !table.markQueued()) return;
    this.#waiting.push(table.batch);
    if (this.waitingCount > WAITING_MIN + 2 * table.batches) this.#forgetRemoved();
  }

  /** Batches on the list, also those that went meanwhile. */
  get waitingCount(): number {
    return this.#waiting.length - this.#next;
  }

  /** Whether the dead bytes are so many that a commit should carry rewrites. */
  get isDue(): boolean {
    const { deadBytes, valueBytes } = this.#table;
    return this.#next < this.#waiting.length && deadBytes > this.#deadBytesFloor && deadBytes * 4 > valueBytes;
  }

  /**
   * The rewrites for one commit, of old values of about `bytesMax` together; `load` gives a batch's image or undefined when
   * it is damaged.
   */
  take(bytesMax: number, load: (batch: number) => BatchImage | undefined): Rewrite[] {
    const rewrites: Rewrite[] = [];
    let bytes = 0;
    while (bytes < Math.max(bytesMax, LOG_REWRITE_BYTES_MIN) && this.isDue) {
      const batch = this.#waiting[this.#next]!;
      this.#next += 1;
      if (!this.#table.find(batch)) continue;
      this.#table.clearQueued();
      const old = load(batch);
      if (old === undefined || !this.#table.find(batch)) continue;
      bytes += Math.max(old.valueBytes, LOG_REWRITE_COST_BYTES_MIN);
      rewrites.push(rewrite(old, this.#table));
    }
    if (this.#next > WAITING_MIN && this.#next * 2 > this.#waiting.length) this.#forgetRemoved();
    return rewrites;
  }

  /** Where nothing is ever due, batches come on the list and go from the store: the list is no longer than the table. */
  #forgetRemoved(): void {
    this.#waiting = this.#waiting.slice(this.#next).filter((batch) => this.#table.find(batch));
    this.#next = 0;
  }
}

/** The new values of the batch that the table has found: the entries of its live records and the messages they name. */
function rewrite(old: BatchImage, table: BatchTable): Rewrite {
  const live: number[] = [];
  const moved = new Map<number, number>(); // From old offsets to new ones: records may share a message.
  let messagesEnd = HEADER_BYTES;
  for (let entry = 0; entry < old.entries; entry += 1) {
    const at = old.entriesOffset + entry * ENTRY_BYTES;
    if (!table.isLive(entryIndex(old.region, at))) continue;
    live.push(at);
    const offset = entryOffset(old.region, at);
    if (moved.has(offset)) continue;
    moved.set(offset, messagesEnd);
    messagesEnd += entryMessageBytes(old.region, at);
  }

  const entriesBytes = live.length * ENTRY_BYTES;
  const value = Region.allocate(messagesEnd + entriesBytes);
  const index = Region.allocate(HEADER_BYTES + entriesBytes);
  for (const [place, at] of live.entries()) {
    const offset = entryOffset(old.region, at);
    const to = moved.get(offset)!;
    old.region.bytes.copy(value.bytes, to, offset, offset + entryMessageBytes(old.region, at));
    for (const [target, start] of [
      [value, messagesEnd],
      [index, HEADER_BYTES],
    ] as const) {
      const entryAt = start + place * ENTRY_BYTES;
      old.region.bytes.copy(target.bytes, entryAt, at, at + ENTRY_BYTES);
      target.view.setUint32(entryAt, to, true);
    }
  }
  const records = recordsOf(old.region);
  sealValue(value, BATCH_MAGIC, old.batch, records, live.length, messagesEnd);
  sealValue(index, INDEX_MAGIC, old.batch, records, live.length, HEADER_BYTES);
  return { batch: old.batch, image: new BatchImage(old.batch, value, undefined), index: index.bytes };
}

/** The value of a batch, or of merged ones, in memory, from the arena that wrote it or from the disk, ready to be read. */
import type { Region } from "../base/region.ts";
import type { Arena } from "./arena.ts";
import {
  BATCH_MAGIC,
  ENTRY_BYTES,
  entriesOf,
  entriesOffsetOf,
  entryIndex,
  entryOffset,
  faultOf,
  recordsOf,
  widthOf,
} from "./batch-format.ts";

export class BatchImage {
  readonly batch: number;
  readonly region: Region;
  readonly valueBytes: number;
  readonly entries: number;
  readonly entriesOffset: number;
  /** As the header says; see batch-format. */
  readonly records: number;
  readonly width: number;
  /** Whose memory this is, to be given back when the image goes; undefined when the image has its own. */
  readonly arena: Arena | undefined;
  readonly #isWhole: boolean;

  constructor(batch: number, region: Region, arena: Arena | undefined) {
    this.batch = batch;
    this.region = region;
    this.arena = arena;
    this.entries = entriesOf(region);
    this.entriesOffset = entriesOffsetOf(region);
    this.valueBytes = this.entriesOffset + this.entries * ENTRY_BYTES;
    this.records = recordsOf(region);
    this.width = widthOf(region);
    this.#isWhole = this.entries === this.records;
  }

  /** Checks and wraps a value that was read; what is wrong with it instead when it is damaged. */
  static of(batch: number, region: Region): BatchImage | string {
    return faultOf(region, BATCH_MAGIC, batch) ?? new BatchImage(batch, region, undefined);
  }

  /** Memory that the image holds. */
  get heldBytes(): number {
    return this.arena?.heldBytes ?? this.region.memory.byteLength;
  }

  /** Which record of the value one of a batch's is: the value stands for that batch, or for it among others. */
  recordOf(batch: number, index: number): number {
    return (batch - this.batch) * this.width + index;
  }

  /** Where the entry of a record of the value lies in it; 0 when it has none. */
  entryOf(record: number): number {
    if (this.#isWhole) return record < this.entries ? this.entriesOffset + record * ENTRY_BYTES : 0;
    let low = 0;
    let high = this.entries;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (entryIndex(this.region, this.entriesOffset + middle * ENTRY_BYTES) < record) low = middle + 1;
      else high = middle;
    }
    const at = this.entriesOffset + low * ENTRY_BYTES;
    return low < this.entries && entryIndex(this.region, at) === record ? at : 0;
  }

  /** Where the record's message lies in the region; 0 when it is gone from the value. */
  messageOf(record: number): number {
    const at = this.entryOf(record);
    return at === 0 ? 0 : entryOffset(this.region, at);
  }
}

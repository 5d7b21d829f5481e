/**
 * Merges small neighbours: values that follow each other become one, under the number of the first. So a publisher that commits each
 * message alone costs a row of the table and two values for some hundred messages, not for every one.
 *
 * ```
 *   cursor ─► │ 8 │ 9 │ 10 │ 14 │ 15-90, half dead │ 91-200 │ …          a run ends where it is large enough, or its neighbour is
 *             └────────── a run ───────────────────┘
 *   table     │ 8-90 │ 91-200 │ …
 * ```
 *
 * A cursor goes round the table, a bounded number of rows for each commit, and a commit carries one run, or as many bytes as its own batch if
 * that is more: nobody waits for a merge. What can still grow, at the end of the table, is left alone until it is large enough, so a
 * message is copied once. Merged values of which half is dead are merged again, once such dead bytes are a quarter of theirs:
 * a last-value queue then takes less than twice its live bytes.
 */
import {
  LOG_MERGE_BATCHES_MAX,
  LOG_MERGE_BATCHES_MIN,
  LOG_MERGE_BYTES,
  LOG_MERGE_LOOKS,
  LOG_MERGE_READ_BYTES,
  LOG_MERGE_SMALL_BYTES,
} from "../base/limits.ts";
import type { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";
import { RECORDS_PER_BATCH_MAX } from "./contract.ts";
import { copyLive } from "./live-copy.ts";

/** Neighbours with the two values that take their place; they take effect with the commit that they go into. */
export interface Merge {
  /** Under what numbers they are stored until then, in order. */
  readonly batches: readonly number[];
  readonly image: BatchImage;
  readonly index: Buffer;
}

/** What is small and what is enough; the limits of the same names, unless a test says otherwise. */
export interface MergeBounds {
  readonly smallBytes: number;
  readonly mergedBytes: number;
  readonly batchesMin: number;
}

export const MERGE_BOUNDS: MergeBounds = {
  smallBytes: LOG_MERGE_SMALL_BYTES,
  mergedBytes: LOG_MERGE_BYTES,
  batchesMin: LOG_MERGE_BATCHES_MIN,
};

/** Neighbours that may be merged. */
class Run {
  readonly batches: number[] = [];
  width = 0;
  liveBytes = 0;
  storedBytes = 0;
  rowBytes = 0;
  /** The last batch that it stands for. */
  #last = 0;

  /** How the records of the merged value count. */
  get records(): number {
    return (this.#last - this.batches[0]! + 1) * this.width;
  }

  /** Adds the found row; false when the value would be too wide: for its format, or for memory, of which merging takes no more. */
  tryAdd(table: BatchTable): boolean {
    const width = Math.max(this.width, table.width);
    const records = (table.lastBatch - (this.batches[0] ?? table.batch) + 1) * width;
    const rowBytes = this.rowBytes + table.rowBytes;
    if (records > RECORDS_PER_BATCH_MAX || (this.batches.length > 0 && records / 8 > rowBytes)) return false;
    this.batches.push(table.batch);
    this.width = width;
    this.#last = table.lastBatch;
    this.rowBytes = rowBytes;
    this.storedBytes += table.storedBytes;
    this.liveBytes += liveBytesOf(table);
    return true;
  }

  isEnough(bounds: MergeBounds): boolean {
    if (this.batches.length < bounds.batchesMin && !this.isHalfDead) return false;
    return this.liveBytes >= bounds.mergedBytes || this.batches.length >= LOG_MERGE_BATCHES_MAX || this.isCostly;
  }

  /** Whether what it would read is a commit's share. */
  get isCostly(): boolean {
    return this.storedBytes >= LOG_MERGE_READ_BYTES;
  }

  get isHalfDead(): boolean {
    return this.batches.length > 1 && this.liveBytes * 2 <= this.storedBytes;
  }
}

export class Merger {
  readonly #table: BatchTable;
  readonly #bounds: MergeBounds;
  /** The batch from which the next look goes on. */
  #cursor = 0;

  constructor(table: BatchTable, bounds: MergeBounds) {
    this.#table = table;
    this.#bounds = bounds;
  }

  /**
   * The merges for one commit, of old values of about `bytesMax` together, or one; not of the batches in `taken`. `load` gives a
   * batch's image or undefined when it is damaged.
   */
  take(bytesMax: number, taken: ReadonlySet<number>, load: (batch: number) => BatchImage | undefined): Merge[] {
    const merges: Merge[] = [];
    let bytes = 0;
    for (let looks = 0; looks < LOG_MERGE_LOOKS && (bytes === 0 || bytes < bytesMax); ) {
      if (!this.#table.seek(this.#cursor)) {
        this.#cursor = 0;
        break;
      }
      const { run, looked } = this.#nextRun(taken);
      looks += looked;
      const merge = run === undefined ? undefined : this.#merge(run, load);
      if (merge === undefined) continue;
      bytes += run!.storedBytes;
      merges.push(merge);
    }
    return merges;
  }

  /** The run that begins at the found row, if it pays; the cursor goes behind what was looked at. */
  #nextRun(taken: ReadonlySet<number>): { readonly run: Run | undefined; readonly looked: number } {
    const table = this.#table;
    const run = new Run();
    let looked = 0;
    let isEnded = false;
    do {
      looked += 1;
      const isPart = this.#isMergeable && !taken.has(table.batch) && run.tryAdd(table);
      // What ended a run may begin the next one; what did not begin one is passed.
      this.#cursor = isPart || run.batches.length === 0 ? table.lastBatch + 1 : table.batch;
      isEnded = run.batches.length > 0 && (!isPart || run.isEnough(this.#bounds) || run.isCostly);
    } while (!isEnded && looked < LOG_MERGE_LOOKS && table.next());
    const isOpen = !isEnded && (table.isInLastChunk || looked >= LOG_MERGE_LOOKS);
    if (looked >= LOG_MERGE_LOOKS && isOpen) this.#cursor = run.batches[0] ?? this.#cursor; // It is not longer than that.
    const pays = run.batches.length >= this.#bounds.batchesMin || run.isHalfDead;
    return { run: pays && !isOpen ? run : undefined, looked };
  }

  /** Of the found row. */
  get #isMergeable(): boolean {
    const table = this.#table;
    if (table.isDamaged) return false;
    if (table.storedBytes <= this.#bounds.smallBytes) return true;
    if (!table.isMerged || table.mergedDeadBytes * 4 <= table.mergedBytes) return false;
    const liveBytes = liveBytesOf(table);
    return liveBytes * 2 <= table.storedBytes && liveBytes * 2 <= this.#bounds.mergedBytes;
  }

  #merge(run: Run, load: (batch: number) => BatchImage | undefined): Merge | undefined {
    const images: BatchImage[] = [];
    for (const batch of run.batches) {
      const image = this.#table.find(batch) ? load(batch) : undefined;
      if (image === undefined) return undefined; // Damaged: the next round ends the run before it.
      images.push(image);
    }
    return { batches: run.batches, ...copyLive(images, run, this.#table) };
  }
}

const liveBytesOf = (table: BatchTable): number => (table.storedBytes * table.live) / table.stored;

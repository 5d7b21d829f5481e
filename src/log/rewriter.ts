/**
 * Rewrites mostly dead values: same number, same record indices, only the live messages and their entries, in both values.
 * So a queue that nobody drains does not hold the bytes of its neighbours.
 *
 * A batch waits here from the moment when half of what its value holds is dead. Nothing happens while the dead bytes of all batches
 * together are few: what drains in order removes itself, and rewriting it would only write it twice.
 */

import { LOG_REWRITE_BYTES_MIN, LOG_REWRITE_COST_BYTES_MIN, LOG_REWRITE_GAIN_BYTES_MIN } from "../base/limits.ts";
import type { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";
import { copyLive } from "./live-copy.ts";

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
      // Merged meanwhile: it is considered again with its neighbours.
      if (!this.#table.find(batch) || this.#table.batch !== batch || !this.#table.clearQueued()) continue;
      const old = load(batch);
      if (old === undefined) continue;
      bytes += Math.max(old.valueBytes, LOG_REWRITE_COST_BYTES_MIN);
      rewrites.push({ batch, ...copyLive([old], old, this.#table) });
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

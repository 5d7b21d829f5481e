/**
 * When the messages of the batches that are not on disk yet were published: runs of messages of one batch and one moment, so
 * that what came in one turn takes one entry.
 *
 * ```
 *   [batch · publishedAtMs · messages] [ … ] …      oldest first; a batch's entries go when it ends
 * ```
 */
import type { Histogram } from "../base/histogram.ts";

const CAPACITY_MIN = 16;
/** More is given back once all have gone. */
const CAPACITY_KEPT = 1_024;
const NOTHING = new Float64Array(0);

export class Arrivals {
  #batches = NOTHING;
  #publishedAtMs = NOTHING;
  #counts = NOTHING;
  #start = 0;
  #end = 0;

  add(batch: number, publishedAtMs: number): void {
    const last = this.#end - 1;
    if (last >= this.#start && this.#publishedAtMs[last] === publishedAtMs && this.#batches[last] === batch) {
      this.#counts[last]! += 1;
      return;
    }
    if (this.#end === this.#batches.length) this.#makeRoom();
    const at = this.#end;
    this.#batches[at] = batch;
    this.#publishedAtMs[at] = publishedAtMs;
    this.#counts[at] = 1;
    this.#end = at + 1;
  }

  /** Every batch up to this one is on disk. */
  stored(batch: number, nowMs: number, into: Histogram): void {
    for (; this.#start < this.#end && this.#batches[this.#start]! <= batch; this.#start += 1) {
      into.record(nowMs - this.#publishedAtMs[this.#start]!, this.#counts[this.#start]!);
    }
    this.#restart();
  }

  failed(batch: number): void {
    while (this.#start < this.#end && this.#batches[this.#start]! <= batch) this.#start += 1;
    this.#restart();
  }

  #restart(): void {
    if (this.#start < this.#end) return;
    this.#start = 0;
    this.#end = 0;
    if (this.#batches.length > CAPACITY_KEPT) this.#resize(CAPACITY_KEPT);
  }

  #makeRoom(): void {
    const length = this.#end - this.#start;
    if (this.#start > length) {
      for (const column of [this.#batches, this.#publishedAtMs, this.#counts])
        column.copyWithin(0, this.#start, this.#end);
    } else this.#resize(Math.max(CAPACITY_MIN, 2 * this.#batches.length));
    this.#start = 0;
    this.#end = length;
  }

  #resize(capacity: number): void {
    const resized = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(capacity);
      larger.set(column.subarray(this.#start, this.#end));
      return larger;
    };
    this.#batches = resized(this.#batches);
    this.#publishedAtMs = resized(this.#publishedAtMs);
    this.#counts = resized(this.#counts);
  }
}

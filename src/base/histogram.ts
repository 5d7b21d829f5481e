/**
 * A histogram of whole milliseconds in log-linear buckets: four to each power of two, so that a quantile is at most a quarter too
 * high, from nothing to 49 days. Recording allocates nothing; the memory (1 KB) is taken with the first value.
 *
 * ```
 *   value   0  1  2  3 │ 4  5  6  7 │ 8-9 10-11 12-13 14-15 │ 16-19 20-23 …
 *   bucket  0  1  2  3 │ 4  5  6  7 │  8    9    10    11   │  12    13   …
 * ```
 *
 * Values are rounded down by the clock they come from, so bucket 0 holds what took less than a millisecond. With a clock of
 * milliseconds neighbours are mostly alike: a run of equal values is one entry.
 */
const PER_DOUBLING_BITS = 2;
const PER_DOUBLING = 1 << PER_DOUBLING_BITS;
const VALUE_MAX = 0xffff_ffff;
const BUCKETS = (32 - PER_DOUBLING_BITS + 1) * PER_DOUBLING;
const SUM = BUCKETS;
const MAX = BUCKETS + 1;
const NOTHING = new Float64Array(0);

/** Every bound that a summary names, in milliseconds: the powers of two up to twelve days. */
export const BUCKET_BOUNDS_MS: readonly number[] = Array.from({ length: 31 }, (_, power) => 2 ** power);

export interface HistogramSummary {
  readonly count: number;
  readonly sum: number;
  readonly max: number;
  /** The highest value that the bucket of the quantile may hold, never above `max`; 0 of nothing. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** How many took less than `le`; the last bound is infinite. */
  readonly buckets: readonly { readonly le: number | "+Inf"; readonly count: number }[];
}

export class Histogram {
  #cells: Float64Array = NOTHING;
  /** The run that is not in its cell yet. */
  #runValueMs = 0;
  #runLength = 0;
  #count = 0;

  /** Whole milliseconds. Negative ones, of a clock that was set back, count as 0. */
  record(valueMs: number, times = 1): void {
    if (valueMs !== this.#runValueMs) {
      this.#endRun();
      this.#runValueMs = valueMs;
    }
    this.#runLength += times;
  }

  #endRun(): void {
    const times = this.#runLength;
    if (times === 0) return;
    if (this.#cells.length === 0) this.#cells = new Float64Array(MAX + 1);
    const cells = this.#cells;
    const value = Math.max(0, Math.min(VALUE_MAX, this.#runValueMs));
    cells[bucketOf(value)]! += times;
    cells[SUM]! += value * times;
    if (value > cells[MAX]!) cells[MAX] = value;
    this.#count += times;
    this.#runLength = 0;
  }

  summary(): HistogramSummary {
    this.#endRun();
    const cells = this.#cells;
    return {
      count: this.#count,
      sum: cells[SUM] ?? 0,
      max: cells[MAX] ?? 0,
      p50: this.#quantile(0.5),
      p90: this.#quantile(0.9),
      p99: this.#quantile(0.99),
      buckets: [
        ...BUCKET_BOUNDS_MS.map((le) => ({ le, count: this.#below(le) })),
        { le: "+Inf" as const, count: this.#count },
      ],
    };
  }

  #quantile(share: number): number {
    const wanted = Math.ceil(share * this.#count);
    if (wanted === 0) return 0;
    let bucket = 0;
    for (let seen = this.#cells[0]!; seen < wanted; seen += this.#cells[bucket]!) bucket += 1;
    return Math.min(lowestOf(bucket + 1) - 1, this.#cells[MAX]!);
  }

  /** Values below a bound that begins a bucket. */
  #below(bound: number): number {
    let count = 0;
    for (let bucket = bucketOf(bound) - 1; bucket >= 0; bucket -= 1) count += this.#cells[bucket] ?? 0;
    return count;
  }
}

function bucketOf(value: number): number {
  if (value < PER_DOUBLING) return value;
  const shift = 31 - Math.clz32(value) - PER_DOUBLING_BITS;
  return (shift << PER_DOUBLING_BITS) + (value >>> shift);
}

/** The lowest value of a bucket. */
function lowestOf(bucket: number): number {
  if (bucket < PER_DOUBLING) return bucket;
  const shift = (bucket >> PER_DOUBLING_BITS) - 1;
  return (PER_DOUBLING + (bucket & (PER_DOUBLING - 1))) * 2 ** shift;
}

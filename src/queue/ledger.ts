/**
 * A queue's ledger: how many messages came, and what became of them, since its creation.
 *
 * ```
 *   stored = waiting + in flight + acknowledged + expired + superseded + dropped + dead-lettered + purged
 * ```
 *
 * Waiting and in flight are counted where the messages are, everything else here; so the difference is found, not
 * defined. The ledger commits with the records: each counter moves in the batch that holds the `add` or the `settle` it
 * counts, so after a crash the counters and the records that are there still agree.
 *
 * As stored (little endian, `LEDGER_BYTES`):
 * ```
 *    0  u32  version            1
 *    4  u32  flags              bit 0: data_retention_period was changed at least once
 *    8  u32  seedHigh           of the key hashes in the log
 *   12  u32  seedLow
 *   16  f64  retentionMsMax     the longest data_retention_period so far
 *   24  f64  stored · acknowledged · expired · superseded · dropped · deadLettered · purged · refused
 * ```
 * To change it: 1. raise the version; 2. keep reading the old one; 3. add a test with bytes of the old one.
 */
import { Region } from "../base/region.ts";
import type { HashSeed } from "./key-hash.ts";

const LEDGER_VERSION = 1;
const RETENTION_CHANGED = 1;
const COUNTERS = 8;
export const LEDGER_BYTES = 24 + COUNTERS * 8;

export const STORED = 0;
export const ACKNOWLEDGED = 1;
export const EXPIRED = 2;
export const SUPERSEDED = 3;
export const DROPPED = 4;
export const DEAD_LETTERED = 5;
export const PURGED = 6;
/** Outside the sum: messages that were never stored. */
export const REFUSED = 7;

export class Ledger {
  readonly #counters = new Float64Array(COUNTERS);
  seed: HashSeed;
  retentionMsMax = 0;
  isRetentionChanged = false;

  constructor(seed: HashSeed) {
    this.seed = seed;
  }

  get(counter: number): number {
    return this.#counters[counter]!;
  }

  count(counter: number, by: number): void {
    this.#counters[counter]! += by;
  }

  /** Messages that the ledger says are still there. */
  get remaining(): number {
    let remaining = this.#counters[STORED]!;
    for (let counter = ACKNOWLEDGED; counter <= PURGED; counter += 1) remaining -= this.#counters[counter]!;
    return remaining;
  }

  /**
   * Writes the ledger as it is on disk with the batch that is being sealed: `superseded` and `dropped` are those whose
   * records are settled by then, which differs from what the ledger counts.
   */
  encode(into: Region, superseded: number, dropped: number): void {
    const { view } = into;
    view.setUint32(0, LEDGER_VERSION, true);
    view.setUint32(4, this.isRetentionChanged ? RETENTION_CHANGED : 0, true);
    view.setUint32(8, this.seed.high, true);
    view.setUint32(12, this.seed.low, true);
    view.setFloat64(16, this.retentionMsMax, true);
    for (let counter = 0; counter < COUNTERS; counter += 1) {
      view.setFloat64(24 + counter * 8, this.#counters[counter]!, true);
    }
    view.setFloat64(24 + SUPERSEDED * 8, superseded, true);
    view.setFloat64(24 + DROPPED * 8, dropped, true);
  }

  /** Takes over stored bytes; false when they are none of a known version, and then nothing is taken over. */
  decode(bytes: Uint8Array): boolean {
    const { view } = Region.over(bytes);
    if (bytes.byteLength !== LEDGER_BYTES || view.getUint32(0, true) !== LEDGER_VERSION) return false;
    this.isRetentionChanged = (view.getUint32(4, true) & RETENTION_CHANGED) !== 0;
    this.seed = { high: view.getUint32(8, true), low: view.getUint32(12, true) };
    this.retentionMsMax = view.getFloat64(16, true);
    for (let counter = 0; counter < COUNTERS; counter += 1) {
      this.#counters[counter] = view.getFloat64(24 + counter * 8, true);
    }
    return true;
  }
}

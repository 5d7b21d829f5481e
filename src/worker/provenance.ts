/**
 * Where an adopted record comes from: the partition and the position of a shared subscription's message. It lies in the record itself,
 * where a queue's has the hash of its key, and goes with it wherever the session moves; positions are never given twice.
 *
 * ```
 *   keyHashHigh   bits 21-31  partition + 1     bits 0-20  position, high     0 and 0: the record is nobody's but its session's
 *   keyHashLow    bits 0-31   position, low
 * ```
 *
 * These bytes outlive the process: a record without them is as all were before there were any.
 */
import type { RecordSummary } from "../log/contract.ts";

export interface Provenance {
  readonly partition: number;
  readonly position: number;
}

const LOW = 2 ** 32;
const HIGH_BITS = 21;

export const provenanceHigh = (partition: number, position: number): number =>
  (((partition + 1) << HIGH_BITS) | Math.floor(position / LOW)) >>> 0;

export const provenanceLow = (position: number): number => position % LOW;

/** Undefined: it was not adopted. */
export function provenanceOf(record: Pick<RecordSummary, "keyHashHigh" | "keyHashLow">): Provenance | undefined {
  const { keyHashHigh, keyHashLow } = record;
  const partition = (keyHashHigh >>> HIGH_BITS) - 1;
  if (partition < 0) return undefined;
  return { partition, position: (keyHashHigh & (2 ** HIGH_BITS - 1)) * LOW + keyHashLow };
}

/**
 * One message in the partitions of this worker, while it is routed: what has been done in each, and whose commits its publisher
 * then waits for.
 */
import type { BatchCompany } from "./batch-company.ts";
import type { Share } from "./inbound-record.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import { JOIN, type Joins } from "./waiters.ts";

export const NOT_STAGED = -2;
/** Everyone in the partition has this QoS 2 message already. */
export const KNOWN = -3;

export interface Staging {
  readonly partition: Partition;
  /** The log's handle of the message, NO_ROOM, NOT_STAGED or KNOWN. */
  staged: number;
  /** A part of those here have this QoS 2 message already: these shares say who. */
  known: readonly Share[] | undefined;
  /** Something of the message is in its gathering batch, and its publisher waits for that. */
  isTouched: boolean;
  /** A queue in memory has taken it, for which nobody waits. */
  isInMemory: boolean;
  /** Of a batch before that one which has the message already and is not on disk. */
  earlier: BatchCompany | undefined;
}

export const newStaging = (partition: Partition): Staging => ({
  partition,
  staged: NOT_STAGED,
  known: undefined,
  isTouched: false,
  isInMemory: false,
  earlier: undefined,
});

export function resetStaging(staging: Staging): void {
  staging.staged = NOT_STAGED;
  staging.known = undefined;
  staging.isTouched = false;
  staging.isInMemory = false;
  staging.earlier = undefined;
}

export interface AwaitParts {
  readonly worker: number;
  readonly partners: readonly Partner[];
  readonly joins: Joins;
  readonly expect: (origin: number, sequence: number) => void;
}

/** Whoever waits is answered when all touched partitions have committed; if there is none, at once with `reason`. */
export function awaitPartitions(
  all: readonly Staging[],
  parts: AwaitParts,
  worker: number,
  origin: number,
  sequence: number,
  reason: number,
): void {
  if (sequence < 0) return;
  const isOwn = worker === parts.worker;
  let awaited = 0;
  for (const { isTouched, earlier } of all) {
    if (isTouched) awaited += 1;
    if (earlier !== undefined) awaited += 1;
  }
  if (awaited === 0) {
    if (!isOwn) parts.partners[worker]!.stored(origin, sequence, reason);
    return;
  }
  if (isOwn) for (let mark = 0; mark < awaited; mark += 1) parts.expect(origin, sequence);
  // One answer of several batches, or one that is worse than they can say, is joined here.
  const isJoined = !isOwn && (awaited > 1 || reason >= 0x80);
  const place = isJoined ? parts.joins.open(worker, origin, sequence, awaited, reason) : origin;
  for (const { partition, isTouched, earlier } of all) {
    if (isTouched) partition.company.waiters.add(isJoined ? JOIN : worker, place, isJoined ? 0 : sequence);
    earlier?.waiters.add(isJoined ? JOIN : worker, place, isJoined ? 0 : sequence);
  }
}

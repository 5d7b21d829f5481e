/**
 * Raising the number of partitions at the start: sessions and retained messages whose home changes move, queues stay.
 *
 * Everything is copied first, then the descriptor is renamed, then the originals go. At each moment one number of partitions is in
 * force, and it alone says where the home of a client ID or a topic is: what lies elsewhere is a copy not yet, or an original no
 * longer, in force. So one rule clears away after a crash on either side of the rename.
 *
 * ```
 *   store.json  raising.json
 *       P           –          at rest
 *       P        {P → N}       copying; after a crash: copies lie in partitions that are not their home of P: swept, then again
 *   ════ store.json renamed: the commit point ════
 *       N        {P → N}       originals lie in partitions that are not their home of N: swept
 *       N           –          at rest
 * ```
 *
 * What moves, and how a sweep knows it:
 * - A session: its record under a target new in the destination, on disk no later than the first of its messages, so that
 *   a sweep finds those by the record's target. Positions of deliveries in flight are translated.
 * - A QoS 2 delivery in flight, by its session's client ID; a retained message, by its topic.
 * - A QoS 2 identifier says who has its message in a form that is true under either number (worker/inbound-record.ts): it is
 *   copied to wherever that may be asked and never swept; its end removes it from every partition.
 *
 * Memory: the records of the sessions that move, and 30 bytes for each of their messages: less than the workers take for them
 * afterwards. Messages pass through batch by batch.
 */
import { RAISE_BATCH_BYTES, RAISE_RETAINED_BYTES, RAISE_SETTLED_RECORDS } from "../base/limits.ts";
import { openStore, readStoreDescriptor, writeStoreDescriptor } from "../log/partitions.ts";
import { StoreFault } from "../log/store-fault.ts";
import { copyToNewHomes } from "./raise-copy.ts";
import { dropPartitionsFrom, hasPartition, type Raise, readRaise, removeRaise, writeRaise } from "./raise-marker.ts";
import { sweep } from "./raise-sweep.ts";

/** What one step holds in memory or commits at once; given in tests, so that a small store takes many steps. */
export interface RaiseBounds {
  readonly batchBytes: number;
  readonly retainedBytes: number;
  readonly settledRecords: number;
}

/** Takes a line for the log of the process. */
export type LogLine = (fields: object, message: string) => void;

/**
 * Makes the store in `dataDirectory` have at least `workers` partitions (1 to LOG_PARTITIONS_MAX) and returns how many it has;
 * a new store gets exactly so many. Ends first what a crash cut short. To be called while nothing else has the store open.
 * Throws StoreFault; the store is then usable as before, by a start with any number of workers.
 */
export async function raisePartitions(
  dataDirectory: string,
  workers: number,
  log: LogLine,
  bounds: RaiseBounds = BOUNDS,
): Promise<number> {
  const descriptor = readStoreDescriptor(dataDirectory);
  if (descriptor === undefined) {
    refuseForeign(dataDirectory, 0, workers);
    return openStore(dataDirectory, workers).partitions;
  }
  const { format, partitions } = descriptor;
  const unfinished = readRaise(dataDirectory);
  if (unfinished !== undefined) {
    log({ ...unfinished, partitions }, "clearing away after a raise of the partitions that was cut short");
    await clearAway(dataDirectory, unfinished, partitions, log, bounds);
  }
  if (partitions >= workers) return partitions;

  refuseForeign(dataDirectory, partitions, workers);
  const raise: Raise = { from: partitions, to: workers };
  log({ ...raise }, "raising the number of partitions: sessions and retained messages move");
  writeRaise(dataDirectory, raise);
  const moved = await copyToNewHomes(dataDirectory, raise, bounds);
  log({ ...raise, ...moved }, "copied to the new partitions");
  writeStoreDescriptor(dataDirectory, { format, partitions: workers });
  log({ ...raise }, "the new number of partitions is in force");
  await clearAway(dataDirectory, raise, workers, log, bounds);
  return workers;
}

const BOUNDS: RaiseBounds = {
  batchBytes: RAISE_BATCH_BYTES,
  retainedBytes: RAISE_RETAINED_BYTES,
  settledRecords: RAISE_SETTLED_RECORDS,
};

/** Removes what is not in force on this side of the commit point, and with it the raise. */
async function clearAway(
  dataDirectory: string,
  raise: Raise,
  partitions: number,
  log: LogLine,
  bounds: RaiseBounds,
): Promise<void> {
  const { from, to } = raise;
  if (partitions !== from && partitions !== to) {
    const message = `the store in ${dataDirectory} has ${partitions} partitions, and raising.json speaks of ${from} and ${to}`;
    throw new StoreFault("store_damaged", message, "restore both files from the same backup");
  }
  if (partitions === from) dropPartitionsFrom(dataDirectory, from);
  // Partitions from `from` on are gone, or hold nothing but what was copied there.
  const swept = await sweep(dataDirectory, from, partitions, bounds.settledRecords);
  removeRaise(dataDirectory);
  log({ partitions, ...swept }, "cleared away what lay in partitions that are not its home");
}

/** Directories beyond the number of partitions that no raise has made hold data of a store whose descriptor is lost. */
function refuseForeign(dataDirectory: string, from: number, to: number): void {
  for (let partition = from; partition < to; partition += 1) {
    if (!hasPartition(dataDirectory, partition)) continue;
    const counted = from === 0 ? "store.json is missing" : `store.json counts ${from}`;
    const message = `there is a partition-${partition} in ${dataDirectory}, and ${counted}`;
    throw new StoreFault("store_damaged", message, "restore store.json, or move the directory away");
  }
}

/**
 * The store of a data directory: which partitions it has, and opening those of a worker.
 *
 * ```
 *   DATA_DIR/               0700
 *     store.json            0600   {"format":2,"partitions":P}
 *     partition-0/ … P-1/   0700   an LMDB environment each
 * ```
 *
 * Raising P: the caller moves the sessions and retained messages whose home changes, then writes the descriptor; until that
 * rename the store has the old P, however far the move got.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import { LOG_PARTITIONS_MAX } from "../base/limits.ts";
import type { LogEvents, PartitionLog } from "./contract.ts";
import { openPartitionLog } from "./partition-log.ts";
import { StoreFault } from "./store-fault.ts";
import { newerStore, STORE_FORMAT } from "./store-format.ts";

/** What `store.json` says. */
export interface StoreDescriptor {
  readonly format: number;
  /** Number of partitions, 1 to LOG_PARTITIONS_MAX. */
  readonly partitions: number;
}

/**
 * The store in `dataDirectory`; a new one gets `partitionsWanted` partitions, an existing one keeps its own number. Throws
 * StoreFault: `store_newer`, `store_damaged` when the descriptor cannot be read, `store_unavailable`.
 */
export function openStore(dataDirectory: string, partitionsWanted: number): StoreDescriptor {
  const existing = readStoreDescriptor(dataDirectory);
  if (existing !== undefined) return existing;
  const descriptor = { format: STORE_FORMAT, partitions: partitionsWanted };
  writeStoreDescriptor(dataDirectory, descriptor);
  return descriptor;
}

/** The descriptor of the store in a data directory; undefined when there is none yet. Throws StoreFault. */
export function readStoreDescriptor(dataDirectory: string): StoreDescriptor | undefined {
  const path = join(dataDirectory, "store.json");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StoreFault("store_unavailable", `cannot read ${path}`, "check its owner and mode", cause);
  }
  const { format, partitions } = parse(text, path);
  if (!Number.isSafeInteger(format)) throw damaged(path, undefined);
  if (format > STORE_FORMAT) throw newerStore(dataDirectory, format); // Whatever else it says.
  if (!Number.isSafeInteger(partitions) || partitions < 1 || partitions > LOG_PARTITIONS_MAX) {
    throw damaged(path, undefined);
  }
  return { format, partitions };
}

/** Replaces the descriptor as a whole: after a crash it is the old one or the new one. Makes the directory. Throws StoreFault. */
export function writeStoreDescriptor(dataDirectory: string, descriptor: StoreDescriptor): void {
  const { partitions } = descriptor;
  assert(partitions >= 1 && partitions <= LOG_PARTITIONS_MAX, "a store has 1 to LOG_PARTITIONS_MAX partitions");
  const path = join(dataDirectory, "store.json");
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    const next = openSync(`${path}.next`, "w", 0o600);
    try {
      writeSync(next, `${JSON.stringify({ format: descriptor.format, partitions })}\n`);
      fsyncSync(next);
    } finally {
      closeSync(next);
    }
    renameSync(`${path}.next`, path);
    syncDirectory(dataDirectory);
  } catch (cause) {
    throw new StoreFault("store_unavailable", `cannot write ${path}`, "check owner, mode and free space", cause);
  }
}

export const partitionDirectoryOf = (dataDirectory: string, partition: number): string =>
  join(dataDirectory, `partition-${partition}`);

/** The partitions that run on a worker: p mod workers. */
export function partitionsOf(worker: number, workers: number, partitions: number): number[] {
  const mine: number[] = [];
  for (let partition = worker; partition < partitions; partition += workers) mine.push(partition);
  return mine;
}

/** Opens the logs of some partitions, in their order. When one fails, those already open are closed. Throws StoreFault. */
export async function openPartitions(
  dataDirectory: string,
  partitions: readonly number[],
  eventsOf: (partition: number) => LogEvents,
): Promise<PartitionLog[]> {
  const logs: PartitionLog[] = [];
  try {
    for (const partition of partitions) {
      const directory = partitionDirectoryOf(dataDirectory, partition);
      logs.push(openPartitionLog({ directory, partition, events: eventsOf(partition) }));
    }
  } catch (fault) {
    await Promise.all(logs.map((log) => log.close()));
    throw fault;
  }
  return logs;
}

function parse(text: string, path: string): StoreDescriptor {
  try {
    return { ...(JSON.parse(text) as StoreDescriptor) };
  } catch (cause) {
    throw damaged(path, cause);
  }
}

const damaged = (path: string, cause: unknown): StoreFault =>
  new StoreFault("store_damaged", `${path} is not a store descriptor`, "restore it from a backup", cause);

/** Makes a rename in the directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

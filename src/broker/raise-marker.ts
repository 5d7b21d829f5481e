/**
 * The mark that a raise of the partitions is under way, and the directories that it makes.
 *
 * ```
 *   DATA_DIR/raising.json   0600   {"from":P,"to":N}   from before the first copy until the last leftover is gone
 * ```
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { partitionDirectoryOf } from "../log/partitions.ts";
import { StoreFault } from "../log/store-fault.ts";

/** From P partitions to N, P < N. */
export interface Raise {
  readonly from: number;
  readonly to: number;
}

/** The raise that was begun and has not ended. Throws StoreFault. */
export function readRaise(dataDirectory: string): Raise | undefined {
  const path = pathOf(dataDirectory);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new StoreFault("store_unavailable", `cannot read ${path}`, "check its owner and mode", cause);
  }
  const raise = parse(text);
  if (raise !== undefined) return raise;
  throw new StoreFault("store_damaged", `${path} does not say which raise it marks`, "restore it from a backup");
}

/** Durable when it returns. Throws StoreFault. */
export function writeRaise(dataDirectory: string, { from, to }: Raise): void {
  const path = pathOf(dataDirectory);
  changing(path, () => {
    const next = openSync(`${path}.next`, "w", 0o600);
    try {
      writeSync(next, `${JSON.stringify({ from, to })}\n`);
      fsyncSync(next);
    } finally {
      closeSync(next);
    }
    renameSync(`${path}.next`, path);
    syncDirectory(dataDirectory);
  });
}

/** Durable when it returns. Throws StoreFault. */
export function removeRaise(dataDirectory: string): void {
  const path = pathOf(dataDirectory);
  changing(path, () => {
    rmSync(path);
    syncDirectory(dataDirectory);
  });
}

export const hasPartition = (dataDirectory: string, partition: number): boolean =>
  existsSync(partitionDirectoryOf(dataDirectory, partition));

/** Removes the directories of all partitions from number `first` on: partial copies. Durable when it returns. */
export function dropPartitionsFrom(dataDirectory: string, first: number): void {
  changing(dataDirectory, () => {
    for (const name of readdirSync(dataDirectory)) {
      const number = /^partition-(\d+)$/.exec(name)?.[1];
      if (number !== undefined && Number(number) >= first) rmSync(join(dataDirectory, name), { recursive: true });
    }
    syncDirectory(dataDirectory);
  });
}

/** Makes the directories of a raise's new partitions durable, with the files in them. */
export function syncPartitions(dataDirectory: string, { from, to }: Raise): void {
  changing(dataDirectory, () => {
    for (let partition = from; partition < to; partition += 1) {
      syncDirectory(partitionDirectoryOf(dataDirectory, partition));
    }
    syncDirectory(dataDirectory);
  });
}

const pathOf = (dataDirectory: string): string => join(dataDirectory, "raising.json");

function parse(text: string): Raise | undefined {
  try {
    const { from, to } = JSON.parse(text) as Raise;
    return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 1 && from < to ? { from, to } : undefined;
  } catch {
    return undefined;
  }
}

function changing(path: string, change: () => void): void {
  try {
    change();
  } catch (cause) {
    throw new StoreFault("store_unavailable", `cannot change ${path}`, "check owner, mode and free space", cause);
  }
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The mark of a clean stop. A start without it looks at the pages of the store before LMDB does: LMDB does not survive all that a crash of
 * the machine or a bad disk can leave.
 *
 * ```
 *   DATA_DIR/clean   0600, empty   from the end of a clean stop until the next start
 * ```
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syncDirectory } from "../log/partitions.ts";

/** Takes the mark away; whether it was there. Durable when it returns. Throws what the file system throws. */
export function takeCleanMark(dataDirectory: string): boolean {
  const path = pathOf(dataDirectory);
  if (!existsSync(path)) return false;
  rmSync(path);
  syncDirectory(dataDirectory);
  return true;
}

/** Everything is closed and on disk. Throws what the file system throws. */
export function leaveCleanMark(dataDirectory: string): void {
  const descriptor = openSync(pathOf(dataDirectory), "w", 0o600);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  syncDirectory(dataDirectory);
}

const pathOf = (dataDirectory: string): string => join(dataDirectory, "clean");

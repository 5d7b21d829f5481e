/** Tells a full disk from a bad one: LMDB reports both as an input/output error. */
import { statfsSync } from "node:fs";
import { constants } from "node:os";
import type { CommitFault } from "./contract.ts";

/** A transaction also writes branch pages, free lists and the pages around its values: this much, a guess upwards. */
const TRANSACTION_EXTRA_BYTES = 256 * 1024;

export function faultOfCommit(cause: unknown, directory: string, commitBytes: number): CommitFault {
  return { kind: isDiskFull(cause, directory, commitBytes) ? "disk_full" : "io_error", cause };
}

function isDiskFull(cause: unknown, directory: string, commitBytes: number): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (code === constants.errno.ENOSPC || code === constants.errno.EDQUOT) return true;
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize < commitBytes + TRANSACTION_EXTRA_BYTES;
  } catch {
    return false; // A file system that cannot even be asked is not merely full.
  }
}

/** Tells a full disk from a bad one: LMDB reports both as an input/output error. */
import { statfsSync } from "node:fs";
import { constants } from "node:os";
import type { CommitFault } from "./contract.ts";

/** A commit that was not tried, because the store's file might have to grow by so many bytes and cannot. */
export class DiskFull extends Error {
  override readonly name = "DiskFull";

  constructor(growthBytes: number) {
    super(`the disk is full: the commit may need ${growthBytes} bytes`);
  }
}

export function faultOfCommit(cause: unknown, directory: string, growthBytes: number): CommitFault {
  return { kind: isDiskFull(cause, directory, growthBytes) ? "disk_full" : "io_error", cause };
}

function isDiskFull(cause: unknown, directory: string, growthBytes: number): boolean {
  if (cause instanceof DiskFull) return true;
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (code === constants.errno.ENOSPC || code === constants.errno.EDQUOT) return true;
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize < growthBytes;
  } catch {
    return false; // A file system that cannot even be asked is not merely full.
  }
}

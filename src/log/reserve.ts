/**
 * Keeps blocks of the store's file allocated ahead of its last page, so that LMDB never meets a full disk.
 *
 * ```
 *   0                     used up to here          allocated up to here
 *   │ pages, some free    │ growth of a commit │ reserve │ ahead │
 * ```
 *
 * Two reasons. On a full disk LMDB cannot even forget: a settlement writes pages too, so draining a queue would free nothing;
 * the reserve is for that. And lmdb 3.5.6 writes beyond a buffer of 100 bytes as it words the error of a failed write
 * (mdb.c, "Attempting to write page at position …"): seen to end the process with "malloc(): invalid next size".
 *
 * Where a file system cannot allocate, free space is asked for before each commit, which others may take meanwhile.
 */
import { closeSync, openSync, statfsSync } from "node:fs";
import { LOG_AHEAD_BYTES } from "../base/limits.ts";
import { tryAllocate } from "../base/posix.ts";

export interface ReserveParts {
  /** The store's file; it exists. */
  readonly file: string;
  readonly directory: string;
  /** Bytes of the file up to its last used page, and of free pages before that. */
  readonly endBytes: () => number;
  readonly freeBytes: () => number;
}

export class Reserve {
  readonly #parts: ReserveParts;
  readonly #descriptor: number;
  #isSupported = true;
  /** The file is used up to here at most: each claim may have been used up. */
  #endBytes: number;
  #allocatedBytes = 0;

  constructor(parts: ReserveParts) {
    this.#parts = parts;
    this.#descriptor = openSync(parts.file, "r+");
    this.#endBytes = parts.endBytes();
  }

  /**
   * Whether a commit that lengthens the file by at most `growthBytes` cannot meet a full disk, with `keepBytes` left for others.
   * Asked while no commit is under way.
   */
  tryClaim(growthBytes: number, keepBytes: number): boolean {
    const neededBytes = growthBytes + keepBytes;
    if (this.#endBytes + neededBytes > this.#allocatedBytes) {
      this.#endBytes = this.#parts.endBytes();
      if (this.#endBytes + neededBytes > this.#allocatedBytes && !this.#extend(neededBytes)) return false;
    }
    this.#endBytes += growthBytes;
    return true;
  }

  #extend(neededBytes: number): boolean {
    for (const aheadBytes of [neededBytes + LOG_AHEAD_BYTES, neededBytes]) {
      if (!this.#isSupported) break;
      const outcome = tryAllocate(this.#descriptor, this.#endBytes, aheadBytes);
      if (outcome === "allocated") {
        this.#allocatedBytes = this.#endBytes + aheadBytes;
        return true;
      }
      this.#isSupported = outcome !== "unsupported";
    }
    if (this.#isSupported) return false;
    const { bavail, bsize } = statfsSync(this.#parts.directory);
    return bavail * bsize + this.#parts.freeBytes() >= neededBytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

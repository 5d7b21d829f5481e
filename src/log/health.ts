/**
 * Whether a log can store, as its commits tell and, while they fail, a probe.
 *
 * ```
 *   sound ──a commit fails──► faulty ──tick──► … ──tick without a failure before it──► probe: room? a commit goes through ──► sound
 *                               ▲                                                                                  │
 *                               └──────────────────────── a commit fails ──────────────────────────────────────────┘
 * ```
 *
 * The probe is why a log is sound again although nobody stores anything; one per tick bounds its cost, and the quiet tick before it
 * how often a log that is just at the edge says so.
 */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { CommitFault } from "./contract.ts";

export class Health {
  /** Why the log cannot store; undefined when it can, as far as is known. */
  fault: CommitFault | undefined;
  /** The least room that a commit with records asked for since then, in vain or not: with that there is again what to store in. */
  growthBytes = 0;
  #hasFailed = false;

  /** Notes a failed commit, which might have lengthened the file by so much; whether the log was sound before. */
  fail(fault: CommitFault, growthBytes: number): boolean {
    const wasSound = this.fault === undefined;
    this.growthBytes = wasSound ? growthBytes : Math.min(this.growthBytes, growthBytes);
    this.fault = fault;
    this.#hasFailed = true;
    return wasSound;
  }

  /** Notes a commit with records that went through. */
  succeed(growthBytes: number): void {
    this.growthBytes = Math.min(this.growthBytes, growthBytes);
  }

  /** Whether it is time to probe: no commit has failed since the last tick. */
  tick(): boolean {
    const isQuiet = !this.#hasFailed;
    this.#hasFailed = false;
    return isQuiet;
  }
}

/**
 * Whether the disk takes a write at all: a page in a file of its own, because LMDB may damage the process's memory when one of its
 * writes fails (reserve.ts).
 */
export function isWritable(directory: string): boolean {
  const path = join(directory, "probe");
  try {
    const descriptor = openSync(path, "w", 0o600);
    try {
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
      rmSync(path, { force: true });
    }
    return true;
  } catch {
    return false;
  }
}

const PROBE_BYTES = 4_096;

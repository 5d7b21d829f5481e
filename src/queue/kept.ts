/**
 * Messages of a memory queue that were acknowledged to their publishers and are not on disk because a commit failed. They keep
 * their position, and with it their place in the queue and with their consumer; their bytes are copied into memory,
 * within a bound for the partition, and a new record of each is added to the log until it is on disk.
 *
 * ```
 *   commit failed ──► UNWRITTEN ──a new record──► WRITING ──on disk──► WRITTEN: its bytes are the log's again
 *                       ▲  │                        │
 *                       │  └─no room for its bytes: lost, with its consumer only
 *                       └────────commit failed──────┘
 * ```
 */
import { KEPT_BYTES_MAX, KEPT_ENTRY_BYTES } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { batchOf, type MessageLocation, type Position, type QueueLog, type ReadResult } from "../log/contract.ts";

/** Bytes that the kept messages of a partition take. */
export class KeptBudget {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  tryClaim(bytes: number): boolean {
    if (this.#bytes + bytes > KEPT_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

const NO_RECORD = -1;

interface Entry {
  /** Undefined: its bytes are in the log, or lost. */
  region: Region | undefined;
  claimedBytes: number;
  /** Where its new record lies. */
  record: Position;
}

/** Where every queue begins, and nearly all stay: nothing is ever put into these. */
const NONE = new Map<Position, Entry>();
const NOWHERE: readonly Position[] = [];

export class Kept {
  readonly #budget: KeptBudget;
  #entries = NONE;
  /** Those whose new record is not on disk yet. */
  #writing: readonly Position[] = NOWHERE;
  #unwritten = 0;

  constructor(budget: KeptBudget) {
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Messages without a record: a crash loses them. */
  get unwritten(): number {
    return this.#unwritten;
  }

  has(position: Position): boolean {
    return this.#entries.has(position);
  }

  /** Copies a message of the batch that has just failed; false when there is no room for it. */
  tryKeep(position: Position, source: MessageLocation, bytes: number): boolean {
    const claimedBytes = bytes + KEPT_ENTRY_BYTES;
    if (!this.#budget.tryClaim(claimedBytes)) return false;
    const region = Region.allocate(bytes);
    source.region.bytes.copy(region.bytes, 0, source.offset, source.offset + bytes);
    this.#add(position, { region, claimedBytes, record: NO_RECORD });
    return true;
  }

  /** A message that only its consumer has: nothing of it is left should it come back. */
  noteLost(position: Position): void {
    this.#add(position, { region: undefined, claimedBytes: 0, record: NO_RECORD });
  }

  #add(position: Position, entry: Entry): void {
    if (this.#entries === NONE) this.#entries = new Map();
    this.#entries.set(position, entry);
    this.#unwritten += 1;
  }

  read(position: Position, log: QueueLog, into: MessageLocation): ReadResult {
    const entry = this.#entries.get(position);
    if (entry === undefined) return log.read(position, into);
    if (entry.region !== undefined) {
      into.region = entry.region;
      into.offset = 0;
      return "found";
    }
    return entry.record === NO_RECORD ? "gone" : log.read(entry.record, into);
  }

  /** Takes a message out, which is done with; returns the record to settle. */
  settle(position: Position): Position {
    const entry = this.#entries.get(position);
    if (entry === undefined) return position;
    this.#entries.delete(position);
    this.#budget.release(entry.claimedBytes);
    if (entry.record !== NO_RECORD) return entry.record;
    this.#unwritten -= 1;
    return position;
  }

  /** Visits those that have bytes and no record, oldest first. `write` returns the new record, or a negative to end it. */
  write(write: (position: Position, message: Region) => Position | "later"): void {
    const writing = [...this.#writing];
    for (const [position, entry] of this.#entries) {
      if (entry.region === undefined || entry.record !== NO_RECORD) continue;
      const record = write(position, entry.region);
      if (record === "later") continue;
      if (record < 0) break;
      entry.record = record;
      this.#unwritten -= 1;
      writing.push(position);
    }
    this.#writing = writing;
  }

  /** Everything at positions below `before` is on disk. */
  committed(before: Position): void {
    if (this.#writing.length === 0) return;
    this.#writing = this.#writing.filter((position) => {
      const entry = this.#entries.get(position);
      if (entry === undefined) return false; // Done with meanwhile.
      if (entry.record >= before) return true;
      entry.region = undefined;
      this.#budget.release(entry.claimedBytes - KEPT_ENTRY_BYTES);
      entry.claimedBytes = KEPT_ENTRY_BYTES;
      return false;
    });
  }

  failed(batch: number): void {
    if (this.#writing.length === 0) return;
    this.#writing = this.#writing.filter((position) => {
      const entry = this.#entries.get(position);
      if (entry === undefined) return false;
      if (batchOf(entry.record) !== batch) return true;
      entry.record = NO_RECORD;
      this.#unwritten += 1;
      return false;
    });
  }
}

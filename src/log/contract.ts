/**
 * The storage contract: what one partition's durable log does for its owner. LMDB implements it now, a replicated
 * stream engine may later; one contract test suite runs on every implementation.
 *
 * A partition has one owner thread, and every method is called from it. A batch gathers; `flush` seals it and starts its commit,
 * one at a time; meanwhile the next one gathers. What a batch holds becomes durable together or not at all.
 *
 * ```
 *   stage/add/settle/put ──► gathering ──flush──► committing ──fsync──► onCommitted(batch)
 *                                ▲                    └── failed ─────► onFailed(batch, fault)
 * ```
 */
import type { Region } from "../base/region.ts";

/**
 * Where a record lies: `batch * RECORDS_PER_BATCH_MAX + index`, an exact integer below 2^53. Positions grow in the order of
 * `add` within a partition and never change, also when a batch is rewritten.
 */
export type Position = number;

export const RECORDS_PER_BATCH_MAX = 65_536;
export const batchOf = (position: Position): number => Math.floor(position / RECORDS_PER_BATCH_MAX);
export const indexOf = (position: Position): number => position - batchOf(position) * RECORDS_PER_BATCH_MAX;

/** An answer of `stage` and `add`: the gathering batch is full; park the publisher and come back after a commit. */
export const NO_ROOM = -1;

/** The record tables beside the messages: small keyed values that commit with the batch that gathers. */
export type Table = "queues" | "ledgers" | "sessions" | "inbound" | "outbound" | "retained" | "meta";

/** Why a commit failed. The batch is gone as a whole; the log is usable again as soon as the cause is. */
export interface CommitFault {
  readonly kind: "disk_full" | "io_error";
  readonly cause: unknown;
}

/** What `read` found; for `"found"`, `MessageLocation` says where. */
export type ReadResult = "found" | "gone" | "damaged";

/** Filled by `read`; the bytes stay valid until the next call into the log, and not beyond the turn: the end of a commit uses memory again. */
export interface MessageLocation {
  region: Region;
  offset: number;
}

/** One live record at recovery, or of an index: everything but the message itself. */
export interface RecordSummary {
  position: Position;
  target: number;
  flags: number;
  messageBytes: number;
  expiresAtMs: number;
  keyHashHigh: number;
  keyHashLow: number;
}

export interface LogEvents {
  /**
   * Called just before a batch is sealed: the owner puts its changed ledgers and cursors now. Inside `flush`, or from the event loop
   * when the log starts the next commit itself; then before `onCommitted` of the one that ended, so that the disk does not wait.
   */
  onSeal(batch: number): void;
  /** The batch is on disk. Called from the event loop, never from inside a call into the log; batches in order. */
  onCommitted(batch: number): void;
  /**
   * The batch is not stored: none of its records exist, its `put`s and settlements are taken up again by the log
   * (settlements) or are the owner's to repeat (puts). During this call, and no longer, `read` still finds the messages, for
   * an owner that wants to add them again. Same calling rules as `onCommitted`.
   */
  onFailed(batch: number, fault: CommitFault): void;
  /**
   * The log cannot store (the first of its commits that failed), or can again: undefined. It finds the end by itself, whether or not
   * anything is to be stored. After `onFailed` or `onCommitted` of the batch that told.
   */
  onHealth?(fault: CommitFault | undefined): void;
  /** Stored bytes proved bad; see `Damage`. Called from inside the log: note it, do not call back. */
  onDamage?(damage: Damage): void;
}

/**
 * Stored bytes that do not match their checksum or layout. What they held is quarantined (a copy stays in the store, nothing
 * reads it) and reported once; everything else is served.
 */
export interface Damage {
  readonly what: "batch" | "index" | "settled" | "table";
  /** Of a batch, its index or its settled bits; 0 for a table value. */
  readonly batch: number;
  /** Of a merged value: the last of the batches in it. Their records are what is damaged. */
  readonly lastBatch?: number;
  /** Of a table value, as `table/key`. */
  readonly key?: string;
  /** Live records that cannot be served because of it, 0 when everything could be rebuilt, -1 when unknown. */
  readonly records: number;
  readonly reason: string;
}

/** What the log counts about itself; all since it was opened, except what is there now. */
export interface LogStatistics {
  /** Values (batches, or several merged into one) and records that wait now, and their bytes as stored; `deadBytes` of them belong to settled records (an estimate). */
  readonly batches: number;
  readonly records: number;
  readonly batchBytes: number;
  readonly deadBytes: number;
  /** Commits that reached the disk, and that failed; values rewritten; values that took the place of several; values removed. */
  readonly commits: number;
  readonly failedCommits: number;
  readonly rewrites: number;
  readonly merges: number;
  readonly removals: number;
  /** Batch values read from the disk because no memory held them. */
  readonly loads: number;
  /** Pages of the environment's file up to its last used one, pages free within it, and the size of a page. */
  readonly pages: number;
  readonly freePages: number;
  readonly pageBytes: number;
  /** Memory of the table of waiting batches with its bitmaps. */
  readonly tableBytes: number;
  /** Findings so far: how many, and the first of them. */
  readonly damageCount: number;
  readonly damage: readonly Damage[];
}

/** What a flush does with a batch that nobody waits for: it holds settlements, and neither records nor keyed values. */
export type SettlementsMode = "now" | "mayWait";

/** What a queue works on: of a partition's log, or of one in memory. */
export type QueueLog = Pick<
  PartitionLog,
  "gathering" | "gatheringRecords" | "committed" | "hasDamage" | "stage" | "add" | "settle" | "put" | "read"
>;

export interface PartitionLog {
  /** The number of the batch that gathers now. */
  readonly gathering: number;
  /** The number of the newest batch known to be on disk; 0 = none yet. */
  readonly committed: number;
  /** Bytes and records of the gathering batch, and whether a commit is under way: for back-pressure and tests. */
  readonly gatheringBytes: number;
  readonly gatheringRecords: number;
  readonly isCommitting: boolean;
  /** Whether there is anything that the next commit would carry: records, settlements, keyed values. */
  readonly isGathering: boolean;
  /** Records on disk that are not settled, and the bytes of the values that hold them; settled ones beside them still count there. */
  readonly storedRecords: number;
  readonly storedBytes: number;
  /** Whether damage was ever found in it: then the records may be fewer, or more, than their owners have counted. After `recover`. */
  readonly hasDamage: boolean;

  /**
   * Copies a message into the gathering batch, once for all its targets; returns a handle for `add`, valid until
   * the next `flush` or the end of the turn, or NO_ROOM. `messageBytes` is what the message's own first word says.
   */
  stage(source: Region, offset: number, messageBytes: number): number;
  /**
   * Adds a record: target `target` (an owner's number, u32) gets the staged message. `flags` (u16) belong to the owner.
   * Returns its position, or NO_ROOM.
   */
  add(
    target: number,
    staged: number,
    flags: number,
    expiresAtMs: number,
    keyHashHigh: number,
    keyHashLow: number,
  ): Position;
  /** The record is done with; its space is freed. Idempotent. Durable with the next commit. */
  settle(position: Position): void;
  /**
   * Sets a keyed value, durable with the gathering batch; `undefined` removes it. The bytes are copied. The key is a string of
   * any length but 0; the last `put` of a key in a batch counts.
   */
  put(table: Table, key: string, value: Uint8Array | undefined): void;
  /**
   * Seals the gathering batch and starts its commit, unless one is under way (then after it) or there is nothing to commit. With `"mayWait"`
   * a batch of settlements alone gathers for up to `LOG_SETTLEMENTS_WAIT_MS` more; a record or a `put` ends the wait at the next flush.
   */
  flush(settlements?: SettlementsMode): void;
  /** Finds the message of a live record, committed or still gathering. */
  read(position: Position, into: MessageLocation): ReadResult;
  /**
   * Every live committed record in order of position, expired ones too; used once, before the first call of any other method
   * but `entries`. The visitor must not keep the summary.
   */
  recover(visit: (record: RecordSummary) => void): void;
  /** Every keyed value of a table in order of key, as of the last commit; for the start. Values are copies. */
  entries(table: Table, visit: (key: string, value: Buffer) => void): void;
  /** For metrics and tests; walks the store's free list, so not per turn. */
  stats(): LogStatistics;
  /** Commits what gathers, waits for it (its event is still delivered), closes. */
  close(): Promise<void>;
}

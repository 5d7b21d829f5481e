/**
 * The log of one partition on LMDB: gathers a batch in an arena while the one before commits, and knows every batch that waits.
 *
 * ```
 *   stage add ─► gathering arena ──seal──► commit in flight ──fsync──► read cache, table of batches
 *   settle ────► bits in the table ─seal─► bitmap values, removals ──┤
 *   put ───────► table changes ────seal──► keyed values ─────────────┤   one LMDB transaction
 *                mostly dead batches ─────► rewritten values ────────┘
 * ```
 */
import { assert } from "../base/assert.ts";
import {
  LOG_BATCH_NUMBERS_RESERVED,
  LOG_DEAD_BYTES_FLOOR,
  LOG_PROBE_MS,
  LOG_READ_CACHE_BYTES_DEFAULT,
  LOG_RETRY_MS_MAX,
  LOG_RETRY_MS_MIN,
  LOG_SETTLEMENTS_WAIT_MS,
} from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { totalBytes } from "../frame/message.ts";
import { Arena } from "./arena.ts";
import type { BatchImage } from "./batch-image.ts";
import { BatchImages } from "./batch-images.ts";
import { BatchTable } from "./batch-table.ts";
import { type Commit, skipCommit, writeCommit } from "./commit.ts";
import { DiskFull, faultOfCommit } from "./commit-fault.ts";
import {
  batchOf,
  type CommitFault,
  type LogEvents,
  type LogStatistics,
  type MessageLocation,
  NO_ROOM,
  type PartitionLog,
  type Position,
  RECORDS_PER_BATCH_MAX,
  type ReadResult,
  type RecordSummary,
  type SettlementsMode,
  type Table,
} from "./contract.ts";
import { DamageReport } from "./damage-report.ts";
import { Environment } from "./environment.ts";
import { Health, isWritable } from "./health.ts";
import { Pending } from "./pending.ts";
import { visitTable } from "./record-tables.ts";
import { recoverBatches } from "./recovery.ts";
import { Rewriter } from "./rewriter.ts";
import { Space } from "./space.ts";
import { ceilingOf, checkFormat, STORE_FORMAT, storedFormatOf } from "./store-format.ts";

export interface PartitionLogOptions {
  /** The partition's own directory (`DATA_DIR/partition-N`); made with mode 0700 when it is missing. */
  readonly directory: string;
  readonly partition: number;
  readonly events: LogEvents;
  /** Calls back once after `afterMs`: retries, probes, settlements that wait; `setTimeout` unless given (simulation). */
  readonly schedule?: (callback: () => void, afterMs: number) => void;
  /** Bytes of batches kept in memory for reading; `LOG_READ_CACHE_BYTES_DEFAULT` unless given. */
  readonly readCacheBytes?: number;
  /** Settled bytes on disk below which nothing is rewritten; `LOG_DEAD_BYTES_FLOOR` unless given. */
  readonly deadBytesFloor?: number;
}

/** Opens or creates the log. Throws a StoreFault when the store is of a newer version or cannot be opened. */
export function openPartitionLog(options: PartitionLogOptions): PartitionLog {
  return new LmdbPartitionLog(options);
}

class LmdbPartitionLog implements PartitionLog {
  readonly #directory: string;
  readonly #partition: number;
  readonly #events: LogEvents;
  readonly #schedule: (callback: () => void, afterMs: number) => void;
  readonly #environment: Environment;
  readonly #space: Space;
  readonly #damage: DamageReport;
  readonly #table = new BatchTable();
  readonly #rewriter: Rewriter;
  readonly #health = new Health();
  readonly #images: BatchImages;
  readonly #pending: Pending;

  #arena = new Arena();
  #commit: Commit | undefined;
  #committed = 0;
  #ceiling = 0;
  #isRecovered = false;
  /** A flush that came while a commit was under way. */
  #wanted: SettlementsMode | undefined;
  /** Settlements alone gather until a timer fires, or until something joins them. */
  #isWaiting = false;
  #isClosed = false;
  /** The pause after a failed commit; 0 when the last one went well. */
  #retryMs = 0;
  #isPausing = false;
  #isProbeDue = false;
  #isFormatOld: boolean;
  #whenIdle: (() => void) | undefined;
  #commits = 0;
  /** The batch whose owner is just told that it failed. */
  #failing: Commit | undefined;
  #failedCommits = 0;
  #rewrites = 0;
  #removed = 0;

  constructor(options: PartitionLogOptions) {
    this.#directory = options.directory;
    this.#partition = options.partition;
    this.#events = options.events;
    this.#schedule = options.schedule ?? ((callback, afterMs) => setTimeout(callback, afterMs).unref());
    this.#rewriter = new Rewriter(this.#table, options.deadBytesFloor ?? LOG_DEAD_BYTES_FLOOR);
    this.#pending = new Pending(this.#table);
    this.#environment = Environment.open(options.directory);
    checkFormat(this.#environment, options.directory, options.partition);
    this.#damage = new DamageReport(options.events, this.#environment);
    this.#space = new Space(options.directory, this.#environment, this.#table, this.#damage);
    this.#images = new BatchImages({
      environment: this.#environment,
      table: this.#table,
      damage: this.#damage,
      cacheBytes: options.readCacheBytes ?? LOG_READ_CACHE_BYTES_DEFAULT,
    });
    // A store of an older format becomes one of this with the next commit: a new ceiling goes with it.
    this.#isFormatOld = storedFormatOf(this.#environment) < STORE_FORMAT;
    this.#ceiling = ceilingOf(this.#environment);
    this.#committed = Math.max(this.#ceiling, this.#environment.lastBatchOf("indexes"));
    this.#arena.reset(this.#committed + 1);
  }

  get gathering(): number {
    return this.#arena.batch;
  }

  get committed(): number {
    return this.#committed;
  }

  get gatheringBytes(): number {
    return this.#arena.usedBytes;
  }

  get gatheringRecords(): number {
    return this.#arena.records;
  }

  get isCommitting(): boolean {
    return this.#commit !== undefined;
  }

  get hasDamage(): boolean {
    return this.#damage.isKnown;
  }

  stage(source: Region, offset: number, messageBytes: number): number {
    if (!this.#isRecovered) this.recover(ignore);
    assert(totalBytes(source, offset) === messageBytes, "a message's first word is its length");
    return this.#arena.stage(source, offset, messageBytes);
  }

  add(
    target: number,
    staged: number,
    flags: number,
    expiresAtMs: number,
    keyHashHigh: number,
    keyHashLow: number,
  ): Position {
    const index = this.#arena.add(target, staged, flags, expiresAtMs, keyHashHigh, keyHashLow);
    return index === NO_ROOM ? NO_ROOM : this.#arena.batch * RECORDS_PER_BATCH_MAX + index;
  }

  settle(position: Position): void {
    if (!this.#isRecovered) this.recover(ignore);
    const batch = batchOf(position);
    const index = position - batch * RECORDS_PER_BATCH_MAX;
    if (batch === this.#arena.batch) {
      this.#arena.settle(index);
      return;
    }
    const table = this.#table;
    if (!table.find(batch)) return;
    const live = table.settle(index);
    if (live < 0) return;
    if (live > 0) {
      this.#pending.noteDirty(batch);
      this.#rewriter.consider();
      return;
    }
    this.#pending.remove(batch, table.storedBytes);
    table.remove(0);
    this.#images.drop(batch);
  }

  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.#pending.puts.set(table, key, value);
  }

  flush(settlements: SettlementsMode = "now"): void {
    if (!this.#isRecovered) this.recover(ignore);
    if (this.#commit !== undefined || this.#isPausing) {
      if (this.#wanted !== "now") this.#wanted = settlements;
      return;
    }
    if (settlements === "mayWait" && this.#hasOnlySettlements) this.#wait();
    else if (this.#hasWork || this.#rewriter.isDue) this.#begin();
    else if (this.#arena.records === 0) this.#arena.reset(this.#arena.batch); // Staged for nobody.
  }

  read(position: Position, into: MessageLocation): ReadResult {
    if (!this.#isRecovered) this.recover(ignore);
    const batch = batchOf(position);
    const index = position - batch * RECORDS_PER_BATCH_MAX;
    if (batch === this.#arena.batch) {
      if (!this.#arena.isLive(index)) return "gone";
      into.region = this.#arena.messages;
      into.offset = this.#arena.messageOf(index);
      return "found";
    }
    const image = this.#failing?.batch === batch ? this.#failing.image : this.#liveImageOf(batch, index);
    if (image === "gone") return "gone";
    const offset = image === undefined ? 0 : image.messageOf(index);
    if (offset === 0) return "damaged";
    into.region = image!.region;
    into.offset = offset;
    return "found";
  }

  recover(visit: (record: RecordSummary) => void): void {
    assert(!this.#isRecovered, "a log is recovered once, first of all");
    this.#isRecovered = true;
    const repairs = recoverBatches(this.#environment, this.#table, this.#damage, visit);
    this.#pending.repair(repairs.removals, repairs.indexes);
  }

  entries(table: Table, visit: (key: string, value: Buffer) => void): void {
    visitTable(this.#environment, table, this.#damage, visit);
  }

  stats(): LogStatistics {
    return {
      batches: this.#table.batches,
      records: this.#table.liveRecords,
      batchBytes: this.#table.valueBytes,
      deadBytes: this.#table.deadBytes,
      commits: this.#commits,
      failedCommits: this.#failedCommits,
      rewrites: this.#rewrites,
      removals: this.#removed,
      loads: this.#images.loads,
      ...this.#environment.pages(),
      tableBytes: this.#table.memoryBytes,
      damageCount: this.#damage.count,
      damage: this.#damage.list,
    };
  }

  async close(): Promise<void> {
    const failedBefore = this.#failedCommits;
    this.#isClosed = true;
    while (this.#commit !== undefined || (this.#hasWork && this.#failedCommits === failedBefore)) {
      const idle = new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
      if (this.#commit === undefined) this.#begin();
      await idle;
    }
    this.#space.close();
    await this.#environment.close();
  }

  /** Whether a commit has anything to say; rewrites alone are no reason. */
  get #hasWork(): boolean {
    return this.#arena.records > 0 || !this.#pending.isEmpty || this.#damage.hasAside;
  }

  /** Whether nobody waits for what gathers. Where rewrites are due, the disk is not kept waiting. */
  get #hasOnlySettlements(): boolean {
    if (this.#arena.records > 0 || !this.#pending.isSettlementsOnly) return false;
    return !this.#damage.hasAside && !this.#rewriter.isDue;
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#schedule(this.#onWaited, LOG_SETTLEMENTS_WAIT_MS);
  }

  readonly #onWaited = (): void => {
    this.#isWaiting = false;
    if (!this.#isClosed && this.#commit === undefined && !this.#isPausing && this.#hasWork) this.#begin();
  };

  /** Seals the gathering batch and starts its commit; that of a probe may be empty. */
  #begin(): void {
    const isProbe = this.#isProbeDue;
    this.#isProbeDue = false;
    this.#wanted = undefined;
    const arena = this.#arena;
    this.#events.onSeal(arena.batch);
    const commit: Commit = {
      batch: arena.batch,
      arena,
      image: arena.records > arena.settled ? arena.seal() : undefined,
      ...this.#pending.take(),
      rewrites: this.#rewriter.take(arena.usedBytes, (batch) => this.#imageOf(batch)),
      partition: this.#partition,
      ceiling: arena.batch > this.#ceiling ? arena.batch + LOG_BATCH_NUMBERS_RESERVED : this.#ceiling,
      isCeilingNew: isProbe || this.#isFormatOld || arena.batch > this.#ceiling,
      isProbe,
    };
    this.#commit = commit;
    this.#arena = this.#images.takeArena();
    this.#arena.reset(commit.batch + 1);

    const { growthBytes, isGranted } = this.#space.claim(commit);
    const done = isGranted
      ? this.#environment.commit((changes) => writeCommit(commit, this.#table, this.#damage, changes))
      : this.#skip(commit, growthBytes);
    if (commit.image !== undefined) {
      const settled = arena.settled === 0 ? undefined : arena.settledBits;
      const live = arena.records - arena.settled;
      this.#table.append(commit.batch, arena.records, arena.records, live, settled, commit.image.valueBytes);
    }
    done.then(
      () => this.#succeeded(commit, growthBytes),
      (cause: unknown) => this.#failed(commit, faultOfCommit(cause, this.#directory, growthBytes), growthBytes),
    );
  }

  #skip(commit: Commit, growthBytes: number): Promise<void> {
    skipCommit(commit, this.#table);
    return Promise.reject(new DiskFull(growthBytes));
  }

  #succeeded(commit: Commit, growthBytes: number): void {
    this.#commit = undefined;
    this.#committed = commit.batch;
    this.#ceiling = commit.ceiling;
    this.#isFormatOld = false;
    this.#commits += 1;
    this.#rewrites += commit.rewrites.length;
    this.#removed += commit.removals.length;
    if (commit.image !== undefined || !this.#isPausing) this.#retryMs = 0;
    for (const { batch, image } of commit.rewrites) {
      if (!this.#table.find(batch)) continue;
      this.#table.replaceStored(image.entries, image.valueBytes);
      this.#images.put(image);
    }
    this.#images.keep(commit.batch, commit.image, commit.arena);
    if (commit.image !== undefined) this.#health.succeed(growthBytes);
    const isSoundAgain = commit.isProbe && this.#health.fault !== undefined;
    if (isSoundAgain) this.#health.fault = undefined;
    this.#next();
    this.#events.onCommitted(commit.batch);
    if (isSoundAgain) this.#events.onHealth?.(undefined);
    this.#rest();
  }

  #failed(commit: Commit, fault: CommitFault, growthBytes: number): void {
    this.#commit = undefined;
    this.#failedCommits += 1;
    if (commit.image !== undefined && this.#table.find(commit.batch)) this.#table.remove("live");
    this.#pending.takeBack(commit);
    for (const { batch } of commit.rewrites) if (this.#table.find(batch)) this.#rewriter.consider();
    this.#retryMs = Math.min(LOG_RETRY_MS_MAX, Math.max(LOG_RETRY_MS_MIN, this.#retryMs * 2));
    this.#isPausing = !this.#isClosed;
    if (this.#isPausing) {
      this.#schedule(() => {
        this.#isPausing = false;
        if (!this.#isClosed && this.#commit === undefined) this.#next();
      }, this.#retryMs);
    }
    const wasSound = this.#health.fail(fault, growthBytes);
    this.#failing = commit;
    this.#events.onFailed(commit.batch, fault);
    this.#failing = undefined;
    this.#images.release(commit.arena);
    if (wasSound) {
      this.#events.onHealth?.(fault);
      this.#schedule(() => this.#probe(), LOG_PROBE_MS);
    }
    // What makes room goes alone, without waiting for records that may not fit either.
    const isAlone = commit.image !== undefined && this.#commit === undefined && this.#arena.records === 0;
    if (isAlone && fault.kind === "disk_full" && this.#hasWork) this.#begin();
    this.#rest();
  }

  /** What was asked for while a commit was under way, what a failed one left, and the rewriter's work, start by themselves. */
  #next(): void {
    if (this.#isClosed || this.#isPausing) return;
    const isRetry = this.#retryMs > 0;
    if (!this.#hasWork ? !this.#rewriter.isDue : this.#wanted === undefined && !isRetry) return;
    if (this.#wanted === "mayWait" && !isRetry && this.#hasOnlySettlements) this.#wait();
    else this.#begin();
  }

  /** While the log cannot store: tries whether it can again, when nothing has failed for a while. */
  #probe(): void {
    const { fault, growthBytes } = this.#health;
    if (this.#isClosed || fault === undefined) return;
    this.#schedule(() => this.#probe(), LOG_PROBE_MS);
    if (!this.#health.tick() || this.#isPausing) return;
    this.#isProbeDue =
      fault.kind === "disk_full" ? this.#space.hasRoomForRecords(growthBytes, 0) : isWritable(this.#directory);
    if (this.#isProbeDue && this.#commit === undefined) this.#begin(); // Or with the commit after the one under way.
  }

  #rest(): void {
    this.#whenIdle?.();
    this.#whenIdle = undefined;
  }

  #liveImageOf(batch: number, index: number): BatchImage | "gone" | undefined {
    return this.#table.find(batch) && this.#table.isLive(index) ? this.#imageOf(batch) : "gone";
  }

  /** The batch's value from memory or disk; undefined when it is damaged. */
  #imageOf(batch: number): BatchImage | undefined {
    if (this.#commit !== undefined && this.#commit.batch === batch) return this.#commit.image;
    return this.#images.load(batch);
  }
}

const ignore = (): void => undefined;

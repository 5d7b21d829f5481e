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
  LOG_RESERVE_BYTES,
  LOG_RETRY_MS_MAX,
  LOG_RETRY_MS_MIN,
  LOG_SETTLEMENTS_WAIT_MS,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { totalBytes } from "../frame/message.ts";
import { Arena } from "./arena.ts";
import { BatchImage } from "./batch-image.ts";
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
import { Environment, fileOf } from "./environment.ts";
import { growthOfCommit } from "./growth.ts";
import { Health, isWritable } from "./health.ts";
import { ReadCache } from "./read-cache.ts";
import { TableChanges, visitTable } from "./record-tables.ts";
import { recoverBatches } from "./recovery.ts";
import { Reserve } from "./reserve.ts";
import { Rewriter } from "./rewriter.ts";
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
  readonly #reserve: Reserve;
  readonly #damage: DamageReport;
  readonly #table = new BatchTable();
  readonly #rewriter: Rewriter;
  readonly #health = new Health();
  readonly #cache: ReadCache;
  readonly #freeArenas: Arena[] = [];

  #arena = new Arena();
  #puts = new TableChanges();
  /** Batches whose settled bits changed, and batches to remove, since the last seal. */
  #dirty: number[] = [];
  #removals: number[] = [];
  #removedBytes = 0;
  #indexes = new Map<number, Buffer>();
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
  #loads = 0;

  constructor(options: PartitionLogOptions) {
    this.#directory = options.directory;
    this.#partition = options.partition;
    this.#events = options.events;
    this.#schedule = options.schedule ?? ((callback, afterMs) => setTimeout(callback, afterMs).unref());
    this.#rewriter = new Rewriter(this.#table, options.deadBytesFloor ?? LOG_DEAD_BYTES_FLOOR);
    this.#cache = new ReadCache(options.readCacheBytes ?? LOG_READ_CACHE_BYTES_DEFAULT, (image) => {
      if (image.arena !== undefined) this.#release(image.arena);
    });
    this.#environment = Environment.open(options.directory);
    checkFormat(this.#environment, options.directory, options.partition);
    this.#reserve = new Reserve({
      file: fileOf(options.directory),
      directory: options.directory,
      endBytes: () => this.#environment.endBytes(),
      freeBytes: () => this.#freeBytes,
    });
    this.#reserve.tryClaim(0, LOG_RESERVE_BYTES); // While there is space.
    this.#damage = new DamageReport(options.events, this.#environment);
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
      if (table.markDirty()) this.#dirty.push(batch);
      this.#rewriter.consider();
      return;
    }
    this.#removedBytes += table.storedBytes;
    table.remove(0);
    this.#removals.push(batch);
    this.#cache.drop(batch);
  }

  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.#puts.set(table, key, value);
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
    this.#removals = repairs.removals;
    this.#indexes = repairs.indexes;
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
      loads: this.#loads,
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
    this.#reserve.close();
    await this.#environment.close();
  }

  /** Whether a commit has anything to say; rewrites alone are no reason. */
  get #hasWork(): boolean {
    return (
      this.#arena.records > 0 ||
      !this.#puts.isEmpty ||
      this.#dirty.length > 0 ||
      this.#removals.length > 0 ||
      this.#indexes.size > 0 ||
      this.#damage.hasAside
    );
  }

  /** Whether nobody waits for what gathers. Where rewrites are due, the disk is not kept waiting. */
  get #hasOnlySettlements(): boolean {
    const hasSettlements = this.#dirty.length > 0 || this.#removals.length > 0;
    if (!hasSettlements || this.#arena.records > 0 || !this.#puts.isEmpty) return false;
    return this.#indexes.size === 0 && !this.#damage.hasAside && !this.#rewriter.isDue;
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
      puts: this.#puts,
      dirty: this.#dirty,
      removals: this.#removals,
      removedBytes: this.#removedBytes,
      indexes: this.#indexes,
      rewrites: this.#rewriter.take(arena.usedBytes, (batch) => this.#imageOf(batch)),
      partition: this.#partition,
      ceiling: arena.batch > this.#ceiling ? arena.batch + LOG_BATCH_NUMBERS_RESERVED : this.#ceiling,
      isCeilingNew: isProbe || this.#isFormatOld || arena.batch > this.#ceiling,
      isProbe,
    };
    this.#commit = commit;
    this.#puts = new TableChanges();
    this.#dirty = [];
    this.#removals = [];
    this.#removedBytes = 0;
    this.#indexes = new Map();
    this.#arena = this.#freeArenas.pop() ?? new Arena();
    this.#arena.reset(commit.batch + 1);

    let growthBytes = this.#growthOf(commit, true);
    let hasSpace = this.#hasSpaceFor(commit, growthBytes);
    if (!hasSpace) {
      growthBytes = this.#growthOf(commit, false);
      hasSpace = this.#hasSpaceFor(commit, growthBytes);
    }
    const done = hasSpace
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

  #growthOf(commit: Commit, isGuess: boolean): number {
    const treePages = (): number => this.#environment.treePages();
    return growthOfCommit(commit, this.#table, treePages, isGuess) + this.#damage.asideBytes;
  }

  /** What brings no records may use the reserve: most of it makes room. */
  #hasSpaceFor(commit: Commit, growthBytes: number): boolean {
    if (commit.image === undefined) return this.#reserve.tryClaim(growthBytes, 0);
    return this.#hasSpaceForRecords(growthBytes, growthBytes);
  }

  /** Whether a commit with records may lengthen the file by so much; so many bytes of it are taken. */
  #hasSpaceForRecords(growthBytes: number, takenBytes: number): boolean {
    const leftBytes = growthBytes - takenBytes;
    if (this.#reserve.tryClaim(takenBytes, leftBytes + LOG_RESERVE_BYTES)) return true;
    // On a full disk the pages that became free within the file take it, or most of it: they may lie too far apart.
    return this.#freeBytes > 2 * growthBytes && this.#reserve.tryClaim(takenBytes, leftBytes + LOG_RESERVE_BYTES / 2);
  }

  get #freeBytes(): number {
    const { freePages, pageBytes } = this.#environment.pages();
    return freePages * pageBytes;
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
      this.#cache.put(image);
    }
    this.#keep(commit);
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
    for (const removed of commit.removals) if (removed !== commit.batch) this.#removals.push(removed);
    this.#removedBytes += commit.removedBytes;
    for (const [batch, index] of commit.indexes) this.#indexes.set(batch, index);
    for (const touched of commit.dirty) this.#markDirty(touched);
    for (const { batch } of commit.rewrites) {
      this.#markDirty(batch);
      if (this.#table.find(batch)) this.#rewriter.consider();
    }
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
    this.#release(commit.arena);
    if (wasSound) {
      this.#events.onHealth?.(fault);
      this.#schedule(() => this.#probe(), LOG_PROBE_MS);
    }
    // What makes room goes alone, without waiting for records that may not fit either.
    const isAlone = commit.image !== undefined && this.#commit === undefined && this.#arena.records === 0;
    if (isAlone && fault.kind === "disk_full" && this.#hasWork) this.#begin();
    this.#rest();
  }

  #markDirty(batch: number): void {
    if (this.#table.find(batch) && this.#table.markDirty()) this.#dirty.push(batch);
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
      fault.kind === "disk_full" ? this.#hasSpaceForRecords(growthBytes, 0) : isWritable(this.#directory);
    if (this.#isProbeDue && this.#commit === undefined) this.#begin(); // Or with the commit after the one under way.
  }

  #rest(): void {
    this.#whenIdle?.();
    this.#whenIdle = undefined;
  }

  /** Keeps a batch that was just stored for its readers: a small one as a copy, so that its arena gathers again. */
  #keep(commit: Commit): void {
    const { image, arena } = commit;
    if (image === undefined || !this.#table.find(commit.batch)) {
      this.#release(arena);
      return;
    }
    if (image.valueBytes * 4 > arena.heldBytes) {
      this.#cache.put(image);
      return;
    }
    const copy = Region.allocate(image.valueBytes);
    image.region.bytes.copy(copy.bytes, 0, 0, image.valueBytes);
    this.#cache.put(new BatchImage(commit.batch, copy, undefined));
    this.#release(arena);
  }

  #release(arena: Arena): void {
    if (this.#freeArenas.length < 2) this.#freeArenas.push(arena);
  }

  #liveImageOf(batch: number, index: number): BatchImage | "gone" | undefined {
    return this.#table.find(batch) && this.#table.isLive(index) ? this.#imageOf(batch) : "gone";
  }

  /** The batch's value from memory or disk; undefined when it is damaged. */
  #imageOf(batch: number): BatchImage | undefined {
    if (this.#commit !== undefined && this.#commit.batch === batch) return this.#commit.image;
    const kept = this.#cache.get(batch);
    if (kept !== undefined) return kept;
    if (this.#table.isDamaged) return undefined;
    this.#loads += 1;
    const value = this.#environment.getBatch("batches", batch);
    const image = value === undefined ? "the value is missing" : BatchImage.of(batch, value);
    if (image instanceof BatchImage) {
      this.#cache.put(image);
      return image;
    }
    this.#table.markDamaged();
    this.#damage.add({ what: "batch", batch, records: this.#table.live, reason: image }, value);
    return undefined;
  }
}

const ignore = (): void => undefined;

/**
 * The log of one partition on LMDB: gathers a batch in an arena while the one before commits, and knows every batch that waits.
 *
 * ```
 *   stage add ─► gathering arena ──seal──► commit in flight ──fsync──► read cache, table of batches
 *   settle ────► bits in the table ─seal─► bitmap values, removals ──┤
 *   put ───────► table changes ────seal──► keyed values ─────────────┤   one LMDB transaction
 *                mostly dead batches ─────► rewritten values ────────┤
 *                small neighbours ─► merged values ──────────────────┘
 * ```
 */
import { assert } from "../base/assert.ts";
import { LOG_DEAD_BYTES_FLOOR, LOG_READ_CACHE_BYTES_DEFAULT } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { totalBytes } from "../frame/message.ts";
import { BatchImages } from "./batch-images.ts";
import { BatchTable } from "./batch-table.ts";
import { CommitCycle } from "./commit-cycle.ts";
import {
  batchOf,
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
import { MERGE_BOUNDS, type MergeBounds, Merger } from "./merger.ts";
import { Pending } from "./pending.ts";
import { visitTable } from "./record-tables.ts";
import { recoverBatches } from "./recovery.ts";
import { Rewriter } from "./rewriter.ts";
import { Space } from "./space.ts";
import { checkFormat } from "./store-format.ts";

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
  /** Which neighbours are merged; `MERGE_BOUNDS` unless given. */
  readonly merge?: MergeBounds;
}

/** Opens or creates the log. Throws a StoreFault when the store is of a newer version or cannot be opened. */
export function openPartitionLog(options: PartitionLogOptions): PartitionLog {
  return new LmdbPartitionLog(options);
}

class LmdbPartitionLog implements PartitionLog {
  readonly #environment: Environment;
  readonly #space: Space;
  readonly #damage: DamageReport;
  readonly #table = new BatchTable();
  readonly #rewriter: Rewriter;
  readonly #images: BatchImages;
  readonly #pending = new Pending(this.#table);
  readonly #cycle: CommitCycle;
  #isRecovered = false;

  constructor(options: PartitionLogOptions) {
    const { directory, partition, events } = options;
    this.#rewriter = new Rewriter(this.#table, options.deadBytesFloor ?? LOG_DEAD_BYTES_FLOOR);
    this.#environment = Environment.open(directory);
    checkFormat(this.#environment, directory, partition);
    this.#damage = new DamageReport(events, this.#environment);
    this.#space = new Space(directory, this.#environment, this.#table, this.#damage);
    this.#images = new BatchImages({
      environment: this.#environment,
      table: this.#table,
      damage: this.#damage,
      cacheBytes: options.readCacheBytes ?? LOG_READ_CACHE_BYTES_DEFAULT,
    });
    this.#cycle = new CommitCycle({
      directory,
      partition,
      events,
      schedule: options.schedule ?? ((callback, afterMs) => setTimeout(callback, afterMs).unref()),
      environment: this.#environment,
      space: this.#space,
      damage: this.#damage,
      table: this.#table,
      rewriter: this.#rewriter,
      merger: new Merger(this.#table, options.merge ?? MERGE_BOUNDS),
      images: this.#images,
      pending: this.#pending,
    });
  }

  get gathering(): number {
    return this.#cycle.arena.batch;
  }

  get committed(): number {
    return this.#cycle.committed;
  }

  get gatheringBytes(): number {
    return this.#cycle.arena.usedBytes;
  }

  get gatheringRecords(): number {
    return this.#cycle.arena.records;
  }

  get isCommitting(): boolean {
    return this.#cycle.isCommitting;
  }

  get isGathering(): boolean {
    return this.#cycle.hasWork;
  }

  get hasDamage(): boolean {
    return this.#damage.isKnown;
  }

  stage(source: Region, offset: number, messageBytes: number): number {
    if (!this.#isRecovered) this.recover(ignore);
    assert(totalBytes(source, offset) === messageBytes, "a message's first word is its length");
    return this.#cycle.arena.stage(source, offset, messageBytes);
  }

  add(
    target: number,
    staged: number,
    flags: number,
    expiresAtMs: number,
    keyHashHigh: number,
    keyHashLow: number,
  ): Position {
    const index = this.#cycle.arena.add(target, staged, flags, expiresAtMs, keyHashHigh, keyHashLow);
    return index === NO_ROOM ? NO_ROOM : this.#cycle.arena.batch * RECORDS_PER_BATCH_MAX + index;
  }

  settle(position: Position): void {
    if (!this.#isRecovered) this.recover(ignore);
    const batch = batchOf(position);
    const index = position - batch * RECORDS_PER_BATCH_MAX;
    if (batch === this.#cycle.arena.batch) {
      this.#cycle.arena.settle(index);
      return;
    }
    const table = this.#table;
    if (!table.find(batch)) return;
    const live = table.settle(index);
    if (live < 0) return;
    const stored = table.batch;
    if (live > 0) {
      this.#pending.noteDirty(stored);
      this.#rewriter.consider();
      return;
    }
    this.#pending.remove(stored, table.storedBytes);
    table.remove(0);
    this.#images.drop(stored);
  }

  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.#pending.puts.set(table, key, value);
  }

  flush(settlements: SettlementsMode = "now"): void {
    if (!this.#isRecovered) this.recover(ignore);
    this.#cycle.flush(settlements);
  }

  read(position: Position, into: MessageLocation): ReadResult {
    if (!this.#isRecovered) this.recover(ignore);
    const batch = batchOf(position);
    const index = position - batch * RECORDS_PER_BATCH_MAX;
    if (batch === this.#cycle.arena.batch) {
      if (!this.#cycle.arena.isLive(index)) return "gone";
      into.region = this.#cycle.arena.messages;
      into.offset = this.#cycle.arena.messageOf(index);
      return "found";
    }
    let image = this.#cycle.failingImageOf(batch);
    if (image === undefined) {
      const table = this.#table;
      if (!table.find(batch) || !table.isLive(index)) return "gone";
      image = this.#cycle.imageOf(table.batch);
    }
    const offset = image === undefined ? 0 : image.messageOf(image.recordOf(batch, index));
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

  get storedRecords(): number {
    return this.#table.liveRecords;
  }

  get storedBytes(): number {
    return this.#table.valueBytes;
  }

  stats(): LogStatistics {
    return {
      batches: this.#table.batches,
      records: this.#table.liveRecords,
      batchBytes: this.#table.valueBytes,
      deadBytes: this.#table.deadBytes,
      ...this.#cycle.counters,
      loads: this.#images.loads,
      ...this.#environment.pages(),
      tableBytes: this.#table.memoryBytes,
      damageCount: this.#damage.count,
      damage: this.#damage.list,
    };
  }

  async close(): Promise<void> {
    await this.#cycle.close();
    this.#space.close();
    await this.#environment.close();
  }
}

const ignore = (): void => undefined;

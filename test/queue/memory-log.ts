/**
 * The storage contract in memory, with the faults a test wants: commits succeed, fail or are cut short by a crash when the
 * test says so. What is durable is kept apart from what is not, so that a crash forgets exactly the rest.
 */
import { Region } from "../../src/base/region.ts";
import {
  batchOf,
  type LogEvents,
  type LogStatistics,
  type MessageLocation,
  NO_ROOM,
  type PartitionLog,
  RECORDS_PER_BATCH_MAX,
  type ReadResult,
  type RecordSummary,
  type SettlementsMode,
  type Table,
} from "../../src/log/contract.ts";

interface StoredRecord extends RecordSummary {
  bytes: Buffer;
}

/** What survives a crash. */
export class MemoryDisk {
  readonly records = new Map<number, StoredRecord>();
  readonly tables = new Map<string, Buffer>();
  lastBatch = 0;
}

export class MemoryLog implements PartitionLog {
  readonly #disk: MemoryDisk;
  readonly #events: LogEvents;
  readonly #records = new Map<number, StoredRecord>();
  #staged: Buffer[] = [];
  #index = 0;
  #settled = new Set<number>();
  #puts = new Map<string, Buffer | undefined>();
  #committing:
    | { batch: number; records: StoredRecord[]; settled: Set<number>; puts: Map<string, Buffer | undefined> }
    | undefined;
  readonly hasDamage = false;
  readonly recordsPerBatchMax: number;
  readonly #schedule: ((callback: () => void) => void) | undefined;
  #isWaiting = false;
  gathering: number;
  committed: number;
  gatheringBytes = 0;

  /** `schedule` calls back some time later: settlements alone wait until then. Without it they wait for a flush that says now. */
  constructor(
    disk: MemoryDisk,
    events: LogEvents,
    recordsPerBatchMax = RECORDS_PER_BATCH_MAX,
    schedule?: (callback: () => void) => void,
  ) {
    this.#schedule = schedule;
    this.#disk = disk;
    this.#events = events;
    this.recordsPerBatchMax = recordsPerBatchMax;
    this.committed = disk.lastBatch;
    this.gathering = disk.lastBatch + 1;
    for (const [position, record] of disk.records) this.#records.set(position, record);
  }

  get gatheringRecords(): number {
    return this.#index;
  }

  get storedRecords(): number {
    return this.#records.size;
  }

  get storedBytes(): number {
    let bytes = 0;
    for (const { messageBytes } of this.#records.values()) bytes += messageBytes;
    return bytes;
  }

  get isCommitting(): boolean {
    return this.#committing !== undefined;
  }

  get isGathering(): boolean {
    return this.#index > 0 || this.#settled.size > 0 || this.#puts.size > 0;
  }

  /** Records that a crash now would leave. */
  get durableRecords(): number {
    return this.#disk.records.size;
  }

  stage(source: Region, offset: number, messageBytes: number): number {
    this.#staged.push(Buffer.from(source.bytes.subarray(offset, offset + messageBytes)));
    this.gatheringBytes += messageBytes;
    return this.#staged.length - 1;
  }

  add(target: number, staged: number, flags: number, expiresAtMs: number, high: number, low: number): number {
    if (this.#index === this.recordsPerBatchMax) return NO_ROOM;
    const position = this.gathering * RECORDS_PER_BATCH_MAX + this.#index;
    this.#index += 1;
    const bytes = this.#staged[staged]!;
    this.#records.set(position, {
      position,
      target,
      flags,
      messageBytes: bytes.byteLength,
      expiresAtMs,
      keyHashHigh: high,
      keyHashLow: low,
      bytes,
    });
    return position;
  }

  settle(position: number): void {
    this.#settled.add(position);
    this.#records.delete(position);
  }

  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.#puts.set(`${table}/${key}`, value === undefined ? undefined : Buffer.from(value));
  }

  flush(settlements: SettlementsMode = "now"): void {
    const isAlone = this.#index === 0 && this.#puts.size === 0;
    if (this.#committing !== undefined || (isAlone && this.#settled.size === 0)) return;
    if (settlements === "mayWait" && isAlone) {
      if (this.#isWaiting) return;
      this.#isWaiting = true;
      this.#schedule?.(() => {
        this.#isWaiting = false;
        this.flush();
      });
      return;
    }
    const batch = this.gathering;
    this.#events.onSeal(batch);
    const records = [...this.#records.values()].filter((record) => batchOf(record.position) === batch);
    this.#committing = { batch, records, settled: this.#settled, puts: this.#puts };
    this.#settled = new Set();
    this.#puts = new Map();
    this.#staged = [];
    this.#index = 0;
    this.gatheringBytes = 0;
    this.gathering += 1;
  }

  /** As `succeed`, but the next batch is sealed before the owner hears of it. */
  succeedSealingNext(): void {
    const { batch } = this.#committing!;
    this.succeed(false);
    this.flush();
    this.#events.onCommitted(batch);
  }

  /** Ends the commit under way: on disk. `isAnnounced` false: the crash comes before the owner hears of it. */
  succeed(isAnnounced = true): void {
    const committing = this.#committing;
    if (committing === undefined) return;
    this.#committing = undefined;
    const { batch, records, settled, puts } = committing;
    for (const record of records) this.#disk.records.set(record.position, record);
    for (const position of settled) this.#disk.records.delete(position);
    for (const [key, value] of puts) {
      if (value === undefined) this.#disk.tables.delete(key);
      else this.#disk.tables.set(key, value);
    }
    this.#disk.lastBatch = batch;
    this.committed = batch;
    if (isAnnounced) this.#events.onCommitted(batch);
  }

  /** Ends the commit under way: it failed. */
  fail(): void {
    const committing = this.#committing;
    if (committing === undefined) return;
    this.#committing = undefined;
    for (const position of committing.settled) this.#settled.add(position);
    this.#events.onFailed(committing.batch, { kind: "disk_full", cause: undefined });
    for (const position of [...this.#records.keys()]) {
      if (batchOf(position) === committing.batch) this.#records.delete(position);
    }
  }

  read(position: number, into: MessageLocation): ReadResult {
    const record = this.#records.get(position);
    if (record === undefined) return "gone";
    into.region = Region.over(Buffer.from(record.bytes));
    into.offset = 0;
    return "found";
  }

  recover(visit: (record: RecordSummary) => void): void {
    for (const position of [...this.#disk.records.keys()].sort((a, b) => a - b))
      visit(this.#disk.records.get(position)!);
  }

  entries(table: Table, visit: (key: string, value: Buffer) => void): void {
    for (const [key, value] of this.#disk.tables) {
      if (key.startsWith(`${table}/`)) visit(key.slice(table.length + 1), Buffer.from(value));
    }
  }

  stats(): LogStatistics {
    throw new Error("a log in memory has no statistics");
  }

  async close(): Promise<void> {
    this.succeed();
    this.flush();
    this.succeed();
  }
}

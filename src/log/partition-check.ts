/**
 * What is in a partition's file, sound or damaged, read without LMDB and without changing a byte. Values are looked at one by one:
 * each has a checksum.
 */
import { existsSync } from "node:fs";
import { Region } from "../base/region.ts";
import {
  BATCH_MAGIC,
  batchesOf,
  decodeSettled,
  ENTRY_BYTES,
  entriesOf,
  entryIndex,
  faultOf,
  HEADER_BYTES,
  INDEX_MAGIC,
  recordsOf,
  widthOf,
} from "./batch-format.ts";
import type { Table } from "./contract.ts";
import { BATCH_STORES, batchOfKey, fileOf, KEYED_STORES, type KeyedStore } from "./environment.ts";
import { PageFile } from "./page-file.ts";
import { type PageFault, walkPages } from "./page-walk.ts";
import { partitionDirectoryOf } from "./partitions.ts";
import { isSoundTableValue } from "./record-tables.ts";
import { StoreFault } from "./store-fault.ts";

/** Bytes that are not what was written. */
export interface Finding {
  /** `page 7 of batches`, `batch 12`, `index of batch 12`, `sessions/c1`, … */
  readonly where: string;
  readonly reason: string;
}

export interface PartitionReport {
  readonly partition: number;
  /** Length of the file; 0 when there is none yet. */
  readonly bytes: number;
  readonly batches: number;
  /** Records that wait, of queues and sessions together, as far as indexes and settled bits can be read. */
  readonly records: number;
  /** Sound values by table. */
  readonly tables: Readonly<Record<Table, number>>;
  /** How many findings; the first of them. */
  readonly damage: number;
  readonly findings: readonly Finding[];
}

/** The page faults of a partition's file: what LMDB would not survive. `[]` when there is no file yet. */
export function faultsOfPages(directory: string): readonly PageFault[] {
  if (!existsSync(fileOf(directory))) return [];
  const file = new PageFile(fileOf(directory));
  try {
    return walkPages(file).faults;
  } finally {
    file.close();
  }
}

/** Looks at everything in a partition's file. Throws what reading it throws. */
export function checkPartition(directory: string, partition: number): PartitionReport {
  if (!existsSync(fileOf(directory))) {
    return { partition, bytes: 0, batches: 0, records: 0, tables: noTables(), damage: 0, findings: [] };
  }
  const file = new PageFile(fileOf(directory));
  try {
    return new Check(file, partition).run();
  } finally {
    file.close();
  }
}

export const describeFault = ({ page, tree, reason }: PageFault): Finding => ({
  where: `page ${page} of ${tree}`,
  reason,
});

/** The refusal of a store that LMDB must not be let loose on. */
export function damagedPages(dataDirectory: string, partition: number, faults: readonly PageFault[]): StoreFault {
  const { where, reason } = describeFault(faults[0]!);
  const more = faults.length === 1 ? "" : `, and ${faults.length - 1} more`;
  const directory = partitionDirectoryOf(dataDirectory, partition);
  return new StoreFault(
    "store_damaged",
    `the store of partition ${partition}, ${directory}, is damaged: ${where}: ${reason}${more}`,
    `restante fsck --data-dir ${dataDirectory} shows it and rescues what is readable`,
  );
}

class Check {
  readonly #file: PageFile;
  readonly #partition: number;
  readonly #findings: Finding[] = [];
  readonly #tables = noTables();
  /** Entries of indexes, by batch, until their settled bits come. */
  readonly #indexes = new Map<number, Buffer>();
  /** Findings about batches, by number: their indexes say how much that concerns. */
  readonly #damaged = new Map<number, { where: string; reason: string }>();
  #damage = 0;
  #batches = 0;
  #records = 0;

  constructor(file: PageFile, partition: number) {
    this.#file = file;
    this.#partition = partition;
  }

  run(): PartitionReport {
    const { faults } = walkPages(this.#file, (tree, key, read) => this.#onEntry(tree, key, read));
    for (const index of this.#indexes.values()) this.#records += liveIn(index, undefined);
    return {
      partition: this.#partition,
      bytes: this.#file.bytes,
      batches: this.#batches,
      records: this.#records,
      tables: this.#tables,
      damage: this.#damage + faults.length,
      findings: [...faults.map(describeFault), ...this.#findings].slice(0, FINDINGS_MAX),
    };
  }

  /** Trees come in order of their names: batches, indexes, …, settled after them. */
  #onEntry(tree: string, key: Buffer, read: () => Buffer | undefined): void {
    const value = read();
    if (isBatchStore(tree)) {
      const batch = key.length === 8 ? batchOfKey(key) : 0;
      this.#onBatchValue(tree, batch, value);
      return;
    }
    if (!isTable(tree)) return; // "quarantine" holds what is known to be bad, "log" two short values.
    const name = `${tree}/${key.toString("utf8", 1)}`;
    if (value === undefined) this.#find(name, "its pages are damaged");
    else if (!isSoundTableValue(key, value)) this.#find(name, "checksum does not match");
    else this.#tables[tree] += 1;
  }

  #onBatchValue(tree: (typeof BATCH_STORES)[number], batch: number, value: Buffer | undefined): void {
    const where =
      tree === "batches" ? `batch ${batch}` : `${tree === "indexes" ? "index" : "settled bits"} of batch ${batch}`;
    if (value === undefined) {
      const finding = this.#find(where, "its pages are damaged");
      if (tree === "batches") this.#damaged.set(batch, finding);
      return;
    }
    if (tree === "settled") {
      const index = this.#indexes.get(batch);
      if (index === undefined) return;
      const bits = decodeSettled(value, batch, recordsOf(Region.over(index)), widthOf(Region.over(index)));
      if (bits === undefined) this.#find(where, "checksum or length does not match");
      else {
        this.#records += liveIn(index, bits);
        this.#indexes.delete(batch);
      }
      return;
    }
    const reason = faultOf(Region.over(value), tree === "batches" ? BATCH_MAGIC : INDEX_MAGIC, batch);
    if (reason !== undefined) {
      const finding = this.#find(where, reason);
      if (tree === "batches") this.#damaged.set(batch, finding);
    } else if (tree === "batches") this.#batches += 1;
    else {
      this.#indexes.set(batch, value);
      this.#countDamaged(batch, Region.over(value));
    }
  }

  /** A damaged batch's own header cannot be believed; its index has what it is about. */
  #countDamaged(batch: number, index: Region): void {
    const finding = this.#damaged.get(batch);
    if (finding === undefined) return;
    const batches = batchesOf(index);
    if (batches > 1) finding.where = `batches ${batch} to ${batch + batches - 1}`;
    finding.reason += `; records: ${entriesOf(index)}`;
  }

  #find(where: string, reason: string): { where: string; reason: string } {
    this.#damage += 1;
    const finding = { where, reason };
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push(finding);
    return finding;
  }
}

const FINDINGS_MAX = 100;

/** Entries of an index that are not settled. */
function liveIn(value: Buffer, settled: Uint8Array | undefined): number {
  const index = Region.over(value);
  const end = HEADER_BYTES + entriesOf(index) * ENTRY_BYTES;
  if (settled === undefined) return entriesOf(index);
  let live = 0;
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    const record = entryIndex(index, at);
    if ((settled[record >>> 3]! & (1 << (record & 7))) === 0) live += 1;
  }
  return live;
}

export const isBatchStore = (tree: string): tree is (typeof BATCH_STORES)[number] =>
  (BATCH_STORES as readonly string[]).includes(tree);
export const isTable = (tree: string): tree is Table =>
  (KEYED_STORES as readonly string[]).includes(tree) && tree !== ("quarantine" satisfies KeyedStore) && tree !== "log";

const noTables = (): Record<Table, number> => ({
  queues: 0,
  ledgers: 0,
  sessions: 0,
  inbound: 0,
  outbound: 0,
  retained: 0,
  meta: 0,
});

/**
 * Rescue: what can be read of a damaged partition, into a new one. The source is only read, and not through LMDB.
 *
 * ```
 *   trees, as far as they can be reached ──► sound values ────────────────┐
 *   pages that nobody owns (where a tree is damaged) ─► batches by their  ├─► new environment
 *     magic, leaves of keyed values by their checksums, newest first ─────┘    indexes made again where they are lost
 * ```
 *
 * A page that the list of free pages names is not looked at: what lies there was removed. When that list is damaged it cannot be told, and
 * an old copy may come again; so may the messages of a batch whose settled bits are lost.
 */

import { LOG_BATCH_NUMBERS_RESERVED, LOG_EMPTY_STORE_BYTES } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import {
  BATCH_MAGIC,
  batchesOf,
  decodeSettled,
  ENTRY_BYTES,
  entriesOf,
  entriesOffsetOf,
  faultOf,
  HEADER_BYTES,
  INDEX_MAGIC,
  recordsOf,
  widthOf,
} from "./batch-format.ts";
import type { Table } from "./contract.ts";
import { batchOfKey, Environment, fileOf, keyOf, type Rescued } from "./environment.ts";
import type { ValueShape } from "./live-copy.ts";
import {
  IN_OVERFLOW,
  kindOf,
  LEAF,
  nodesOf,
  numberOf,
  OVERFLOW,
  overflowPagesOf,
  PageFile,
  transactionOf,
  wordAt,
} from "./page-file.ts";
import { FREE, type PageWalk, walkPages } from "./page-walk.ts";
import { isBatchStore, isTable } from "./partition-check.ts";
import { isSoundTableValue } from "./record-tables.ts";
import { indexFrom } from "./recovery.ts";
import { faultOfCopy, StoreFault } from "./store-fault.ts";
import { CEILING_KEY, encodeCeiling, formatChange } from "./store-format.ts";

/** What was rescued of a partition, and what not. */
export interface Salvage {
  readonly batches: number;
  /** Of those, found outside of the trees. */
  readonly found: number;
  /** Batches of which the messages are lost; batches whose settled bits may be lost: their messages may come again. */
  readonly lostBatches: number;
  readonly unsettled: number;
  readonly values: Readonly<Partial<Record<Table, number>>>;
  readonly lostValues: number;
  /** Whether old copies may have come again: the list of free pages is damaged. */
  readonly isStalePossible: boolean;
}

/** Rescues a partition's file into a new environment in `to`. Throws StoreFault and what reading throws. */
export async function salvagePartition(from: string, to: string, partition: number): Promise<Salvage> {
  const file = new PageFile(fileOf(from));
  try {
    const environment = Environment.open(to);
    try {
      return new Rescue(file, environment, partition, to).run();
    } finally {
      await environment.close();
    }
  } catch (error) {
    throw error instanceof StoreFault && error.code === "disk_full" ? error : faultOfCopy(error, to);
  } finally {
    file.close();
  }
}

/** A value outside of the trees; of two with one key the one of the newer transaction counts. */
interface Candidate {
  readonly transaction: number;
  /** The last of the batches in it. */
  readonly last: number;
  readonly read: () => Buffer | undefined;
}

class Rescue {
  readonly #file: PageFile;
  readonly #environment: Environment;
  readonly #partition: number;
  readonly #directory: string;
  /** How the records count of the batches, and of the indexes, that are rescued. */
  readonly #batches = new Map<number, ValueShape>();
  readonly #indexes = new Map<number, ValueShape>();
  readonly #settled = new Set<number>();
  readonly #values: Partial<Record<Table, number>> = {};
  readonly #names = new Set<string>();
  #pending: Rescued[] = [];
  #pendingBytes = 0;
  #found = 0;
  #lostValues = 0;

  constructor(file: PageFile, environment: Environment, partition: number, directory: string) {
    this.#directory = directory;
    this.#file = file;
    this.#environment = environment;
    this.#partition = partition;
  }

  run(): Salvage {
    const walk = walkPages(this.#file, (tree, key, read) => this.#onEntry(tree, key, read));
    const isLost = walk.damagedTrees.has("main") || walk.damagedTrees.has("meta");
    const isDamaged = (tree: string): boolean => isLost || walk.damagedTrees.has(tree);
    if (walk.faults.length > 0) this.#searchLostPages(walk, isDamaged);
    let lostBatches = 0;
    for (const batch of this.#indexes.keys()) if (!this.#batches.has(batch)) lostBatches += 1;
    let unsettled = 0;
    if (isDamaged("settled")) for (const batch of this.#batches.keys()) if (!this.#settled.has(batch)) unsettled += 1;
    this.#finish();
    return {
      batches: this.#batches.size,
      found: this.#found,
      lostBatches,
      unsettled,
      values: this.#values,
      lostValues: this.#lostValues,
      isStalePossible: isDamaged("free"),
    };
  }

  /** An entry of a tree. They come in order of the trees' names: indexes after batches, settled bits after both. */
  #onEntry(tree: string, key: Buffer, read: () => Buffer | undefined): void {
    if (isBatchStore(tree)) {
      const value = read();
      if (key.length === 8 && value !== undefined) this.#takeBatchValue(tree, batchOfKey(key), value);
    } else if (isTable(tree)) {
      const value = read();
      if (value === undefined || !isSoundTableValue(key, value)) this.#lostValues += 1;
      else this.#takeValue(tree, key, value);
    }
  }

  /** Keeps a value of a batch when it is sound and the first of its kind. */
  #takeBatchValue(store: "batches" | "indexes" | "settled", batch: number, value: Buffer): boolean {
    if (store === "settled") {
      const shape = this.#indexes.get(batch) ?? this.#batches.get(batch);
      if (shape === undefined || this.#settled.has(batch)) return false;
      if (decodeSettled(value, batch, shape.records, shape.width) === undefined) return false;
      this.#settled.add(batch);
    } else {
      const known = store === "batches" ? this.#batches : this.#indexes;
      const region = Region.over(value);
      if (known.has(batch) || faultOf(region, store === "batches" ? BATCH_MAGIC : INDEX_MAGIC, batch) !== undefined)
        return false;
      const shape = { records: recordsOf(region), width: widthOf(region) };
      const other = (store === "batches" ? this.#indexes : this.#batches).get(batch);
      // One of the two is from before a merge. An index is made again.
      if (other !== undefined && (other.records !== shape.records || other.width !== shape.width)) return false;
      known.set(batch, shape);
    }
    this.#put({ store, batch, value });
    return true;
  }

  #takeValue(store: Table, key: Buffer, value: Buffer): void {
    const name = `${store}/${key.toString("latin1")}`;
    if (this.#names.has(name)) return;
    this.#names.add(name);
    this.#values[store] = (this.#values[store] ?? 0) + 1;
    this.#put({ store, key: Buffer.from(key), value });
  }

  /** Batches first, then their indexes and settled bits, then keyed values: what is accepted depends on what is there. */
  #searchLostPages({ owners, transaction, damagedTrees }: PageWalk, isDamaged: (tree: string) => boolean): void {
    const found = { batches: new Map<number, Candidate>(), indexes: new Map<number, Candidate>() };
    const leaves: { readonly page: number; readonly transaction: number }[] = [];
    // The commit whose meta page is damaged has written into pages that were free before it.
    const isNewestLost = damagedTrees.has("meta");
    for (let page = 2; page < owners.length; page += 1) {
      if (owners[page] !== 0 && !(isNewestLost && owners[page] === FREE)) continue;
      const header = this.#file.headerOf(page);
      if (header.length < 24 || numberOf(header) !== page) continue;
      const candidate = { page, transaction: transactionOf(header) };
      const isNewer = transaction >= 0 && candidate.transaction > transaction;
      if (isNewer && !isNewestLost) continue; // Of a commit that never was.
      if (owners[page] === FREE && !isNewer) continue;
      if (kindOf(header) === LEAF) leaves.push(candidate);
      else if (kindOf(header) === OVERFLOW) {
        const bytes = overflowPagesOf(header) * this.#file.pageBytes;
        if (bytes <= this.#file.bytes)
          this.#note(found, this.#file.overflowValue(page, bytes), candidate.transaction, page);
      }
    }
    leaves.sort((one, other) => other.transaction - one.transaction);
    for (const leaf of leaves) {
      for (const value of this.#valuesOf(leaf.page)) this.#note(found, value.read(), leaf.transaction, undefined);
    }
    const old = this.#oldCopies([found.batches, found.indexes]);
    for (const store of ["batches", "indexes"] as const) {
      for (const [batch, candidate] of found[store]) {
        // A sound tree says what is live: what it does not name was removed.
        const isLive =
          store === "batches" ? isDamaged("indexes") || this.#indexes.has(batch) : this.#batches.has(batch);
        const value = isLive && !old.has(candidate) ? candidate.read() : undefined;
        if (value !== undefined && this.#takeBatchValue(store, batch, value) && store === "batches") this.#found += 1;
      }
    }
    const keyed = [...damagedTrees].filter(isTable);
    for (const { page } of leaves) {
      for (const { key, read } of this.#valuesOf(page)) {
        const value = read();
        if (value === undefined) continue;
        if (key.length === 8 && isDamaged("settled") && this.#takeBatchValue("settled", batchOfKey(key), value))
          continue;
        // Which table a leaf belongs to only its tree says.
        if (!isSoundTableValue(key, value)) continue;
        if (keyed.length === 1) this.#takeValue(keyed[0]!, key, value);
        else this.#lostValues += 1;
      }
    }
  }

  /** Of what was found: batches that are part of a merged value, rescued or found as well. They are copies from before the merge. */
  #oldCopies(found: readonly ReadonlyMap<number, Candidate>[]): ReadonlySet<Candidate> {
    const ranges: { readonly first: number; readonly last: number; readonly candidate?: Candidate }[] = [];
    for (const known of [this.#batches, this.#indexes]) {
      for (const [first, { records, width }] of known)
        ranges.push({ first, last: first + Math.ceil(records / width) - 1 });
    }
    for (const each of found)
      for (const [first, candidate] of each) ranges.push({ first, last: candidate.last, candidate });
    ranges.sort((one, other) => one.first - other.first || other.last - one.last);
    const old = new Set<Candidate>();
    let widest = { first: -1, last: -1 };
    for (const { first, last, candidate } of ranges) {
      const isPart = last <= widest.last && (first > widest.first || last < widest.last);
      if (!isPart) widest = { first, last };
      else if (candidate !== undefined) old.add(candidate);
    }
    return old;
  }

  /** Notes a batch or an index that lies there whole. */
  #note(
    found: Readonly<Record<"batches" | "indexes", Map<number, Candidate>>>,
    bytes: Buffer | undefined,
    transaction: number,
    page: number | undefined,
  ): void {
    if (bytes === undefined || bytes.length < HEADER_BYTES) return;
    const magic = bytes.readUInt32LE(0);
    if (magic !== BATCH_MAGIC && magic !== INDEX_MAGIC) return;
    const region = Region.over(bytes);
    const length = entriesOffsetOf(region) + entriesOf(region) * ENTRY_BYTES;
    const batch = bytes.readDoubleLE(24);
    if (length > bytes.length || faultOf(Region.over(bytes.subarray(0, length)), magic, batch) !== undefined) return;
    const kind = found[magic === BATCH_MAGIC ? "batches" : "indexes"];
    const known = kind.get(batch);
    if (known !== undefined && known.transaction >= transaction) return;
    // A long one is read again when it is wanted: not all fit into memory.
    const read = page === undefined ? () => bytes : () => this.#file.overflowValue(page, length);
    kind.set(batch, { transaction, last: batch + batchesOf(region) - 1, read });
  }

  /** The entries of a leaf outside of the trees. */
  #valuesOf(page: number): { readonly key: Buffer; readonly read: () => Buffer | undefined }[] {
    const nodes = nodesOf(this.#file.page(page));
    if (typeof nodes === "string") return [];
    return nodes.map(({ key, flags, inline, valueBytes }) => ({
      key,
      read: () => {
        if ((flags & IN_OVERFLOW) === 0) return inline;
        const first = wordAt(inline, 0);
        if (first >= this.#file.pages || valueBytes > this.#file.bytes) return undefined;
        return numberOf(this.#file.headerOf(first)) === first ? this.#file.overflowValue(first, valueBytes) : undefined;
      },
    }));
  }

  /** Indexes that are lost are made again; the store's own values follow. */
  #finish(): void {
    this.#flush();
    let last = 0;
    for (const batch of this.#batches.keys()) {
      last = Math.max(last, batch);
      if (this.#indexes.has(batch)) continue;
      const value = this.#environment.getBatch("batches", batch)!;
      this.#put({ store: "indexes", batch, value: indexFrom(Region.over(value), batch).bytes });
    }
    for (const batch of this.#indexes.keys()) last = Math.max(last, batch);
    const format = formatChange(this.#partition);
    this.#put({ store: "log", ...format });
    // Numbers that were given and left no batch are not known: a distance that no store comes near.
    const ceiling = last + 1_024 * LOG_BATCH_NUMBERS_RESERVED;
    this.#put({ store: "log", key: CEILING_KEY, value: encodeCeiling(ceiling) });
    // Says to the next start that counts may not add up.
    this.#put({ store: "quarantine", key: keyOf("salvage").bytes, value: Buffer.from("salvaged") });
    this.#flush();
  }

  #put(rescued: Rescued): void {
    this.#pending.push(rescued);
    this.#pendingBytes += rescued.value.length;
    if (this.#pendingBytes > PENDING_BYTES_MAX) this.#flush();
  }

  #flush(): void {
    // Values in leaves, of which half may be empty; LMDB must not meet a full disk.
    const neededBytes = 2 * this.#pendingBytes + this.#pending.length * ENTRY_BYTES + LOG_EMPTY_STORE_BYTES;
    const fault = faultOfCopy(undefined, this.#directory, neededBytes);
    if (fault !== undefined) throw fault;
    this.#environment.storeNow(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/** Values in memory before they are stored together. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024;

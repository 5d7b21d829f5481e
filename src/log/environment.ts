/**
 * One LMDB environment: the one door to lmdb, and the options that the log relies on.
 *
 * What was probed on lmdb 3.5.6 and holds here:
 * - `batch` with `eventTurnBatching: false` is one transaction, as long as no synchronous transaction interrupts it: none
 *   is made after the environment is open.
 * - With `overlappingSync: false` its promise settles after fdatasync of the pages and the O_DSYNC write of the meta page.
 * - LMDB reads the bytes of a put at the commit: they belong to it until the promise settles. Keys are copied at once.
 * - A commit that fails rejects the batch's promise with "Commit failed" and, apart from it, the promise in its `commitError`;
 *   nobody else sees the latter, so it is taken up here. The next batch works as soon as the disk does.
 * - Reads see the newest commit, in a read transaction that lmdb ends with the turn.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { LOG_EMPTY_STORE_BYTES, LOG_KEY_BYTES_MAX, LOG_SCAN_BYTES, LOG_SCAN_VALUES } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import type { Table } from "./contract.ts";
import { StoreFault } from "./store-fault.ts";

/** The sub-databases: batches by number, the rest by string. */
export type BatchStore = "batches" | "indexes" | "settled";
export type KeyedStore = Table | "quarantine" | "log";

export const BATCH_STORES: readonly BatchStore[] = ["batches", "indexes", "settled"];
export const KEYED_STORES: readonly KeyedStore[] = [
  "queues",
  "ledgers",
  "sessions",
  "inbound",
  "outbound",
  "retained",
  "meta",
  "quarantine",
  "log",
];

const commitFailures = new WeakSet<object>();

/**
 * Whether an unhandled rejection is lmdb's second report of a failed commit, which the log has told its owner as `onFailed`.
 * Exactly that one may be ignored by the process's handler; every other is a bug.
 */
export function isCommitFailedRejection(reason: unknown): boolean {
  if (typeof reason !== "object" || reason === null) return false;
  if (commitFailures.has(reason)) return true;
  return reason instanceof Error && reason.message.startsWith("Commit failed") && "commitError" in reason;
}

/** What a transaction consists of. Values are neither copied nor to be changed until the commit ends. */
export interface Changes {
  putBatch(store: BatchStore, batch: number, value: Buffer): void;
  removeBatch(store: BatchStore, batch: number): void;
  put(store: KeyedStore, key: Buffer, value: Buffer): void;
  remove(store: KeyedStore, key: Buffer): void;
}

/** A value as it is stored, to be put into another environment. */
export type Rescued =
  | { readonly store: BatchStore; readonly batch: number; readonly value: Buffer }
  | { readonly store: KeyedStore; readonly key: Buffer; readonly value: Buffer };

export class Environment implements Changes {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #stores = new Map<string, Database<Buffer, Buffer>>();
  readonly #batchKey = Buffer.alloc(8);

  private constructor(root: RootDatabase<Buffer, Buffer>) {
    this.#root = root;
    for (const name of [...BATCH_STORES, ...KEYED_STORES]) {
      this.#stores.set(name, root.openDB<Buffer, Buffer>(name, { encoding: "binary", keyEncoding: "binary" }));
    }
  }

  /** Opens or creates the environment in a directory of mode 0700, its files 0600. Throws StoreFault. */
  static open(directory: string): Environment {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      if (!existsSync(fileOf(directory))) checkSpace(directory);
      return new Environment(
        open<Buffer, Buffer>({
          path: directory,
          noSubdir: false,
          maxDbs: 32,
          encoding: "binary",
          keyEncoding: "binary",
          overlappingSync: false,
          eventTurnBatching: false,
          // A transaction begins when its batch is complete, not in the middle of it.
          txnStartThreshold: Number.MAX_SAFE_INTEGER,
          batchStartThreshold: Number.MAX_SAFE_INTEGER,
          permissionsMode: 0o600,
        } as Parameters<typeof open>[0]) as RootDatabase<Buffer, Buffer>,
      );
    } catch (cause) {
      throw new StoreFault(
        "store_unavailable",
        `cannot open the store in ${directory}: ${(cause as Error).message}`,
        "check the directory's owner, mode and free space",
        cause,
      );
    }
  }

  /** One transaction of all that `write` asks for; resolves when it is on disk, rejects with the cause when it is not. */
  async commit(write: (changes: Changes) => void): Promise<void> {
    try {
      await this.#root.batch(() => write(this));
    } catch (error) {
      throw await causeOf(error);
    }
  }

  /** Stores values in one transaction before it returns; only where no commit is ever made beside it (rescue). */
  storeNow(rescued: readonly Rescued[]): void {
    this.#root.transactionSync(() => {
      for (const each of rescued) {
        const key = "key" in each ? each.key : Buffer.from(this.#keyOf(each.batch));
        this.#store(each.store).putSync(key, each.value);
      }
    });
  }

  putBatch(store: BatchStore, batch: number, value: Buffer): void {
    void this.#store(store).put(this.#keyOf(batch), value);
  }

  removeBatch(store: BatchStore, batch: number): void {
    void this.#store(store).remove(this.#keyOf(batch));
  }

  put(store: KeyedStore, key: Buffer, value: Buffer): void {
    void this.#store(store).put(key, value);
  }

  remove(store: KeyedStore, key: Buffer): void {
    void this.#store(store).remove(key);
  }

  /** A copy of a batch value. */
  getBatch(store: BatchStore, batch: number): Buffer | undefined {
    return asBuffer(this.#store(store).getBinary(this.#keyOf(batch)));
  }

  /** Copies a batch value into the region that `take` gives for its length; undefined when there is none. */
  readBatch(batch: number, take: (byteLength: number) => Region): Region | undefined {
    // lmdb's own memory, good until its next read: no copy is made for us to keep.
    const value = this.#store("batches").getBinaryFast(this.#keyOf(batch));
    if (value === undefined) return undefined;
    const region = take(value.length);
    region.bytes.set(value.subarray(0, value.length));
    return region;
  }

  /** A copy of a keyed value. */
  get(store: KeyedStore, key: Buffer): Buffer | undefined {
    return asBuffer(this.#store(store).getBinary(key));
  }

  /**
   * All values of a store in order of key, copies both, read in bounded chunks: a transaction lives as long as one chunk is read,
   * so values that change meanwhile may be seen either way.
   */
  *scan(store: BatchStore | KeyedStore): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
    const database = this.#store(store);
    let start = Buffer.alloc(1);
    for (;;) {
      const chunk: { key: Buffer; value: Buffer }[] = [];
      let bytes = 0;
      for (const { key, value } of database.getRange({ start, limit: LOG_SCAN_VALUES })) {
        chunk.push({ key: Buffer.from(key), value: Buffer.from(value) });
        bytes += value.length;
        if (bytes >= LOG_SCAN_BYTES) break;
      }
      const last = chunk.at(-1);
      if (last === undefined) return;
      start = Buffer.concat([last.key, Buffer.alloc(1)]); // The next possible key.
      yield* chunk;
    }
  }

  /** The highest batch number of a store; 0 when it is empty. */
  lastBatchOf(store: BatchStore): number {
    const end = Buffer.alloc(9, 0xff);
    for (const key of this.#store(store).getKeys({ start: end, reverse: true, limit: 1 })) return batchOfKey(key);
    return 0;
  }

  countOf(store: KeyedStore): number {
    return (this.#store(store).getStats() as { entryCount: number }).entryCount;
  }

  /** Pages up to the last used one, pages free among them, bytes of a page. */
  pages(): { pages: number; freePages: number; pageBytes: number } {
    const root = this.#root.getStats() as PageStatistics & {
      pageSize: number;
      lastPageNumber: number;
      root: PageStatistics;
      free: PageStatistics;
    };
    let used = 2 + pagesOf(root.root) + pagesOf(root.free);
    for (const store of this.#stores.values()) used += pagesOf(store.getStats() as PageStatistics);
    const pages = root.lastPageNumber + 1;
    return { pages, freePages: Math.max(0, pages - used), pageBytes: root.pageSize };
  }

  /** Bytes of the file up to its last used page, as of the last commit. */
  endBytes(): number {
    const { lastPageNumber, pageSize } = this.#root.getStats() as { lastPageNumber: number; pageSize: number };
    return (lastPageNumber + 1) * pageSize;
  }

  /** Branch and leaf pages of all trees together. */
  treePages(): number {
    let pages = 0;
    for (const store of this.#stores.values()) {
      const { treeBranchPageCount, treeLeafPageCount } = store.getStats() as PageStatistics;
      pages += treeBranchPageCount + treeLeafPageCount;
    }
    return pages;
  }

  /** Copies what the last commit left into `data.mdb` of a directory, without the free pages. Throws StoreFault. */
  async copyTo(directory: string): Promise<void> {
    try {
      await this.#root.backup(directory, true);
    } catch (cause) {
      const message = `cannot copy the store to ${directory}: ${(cause as Error).message}`;
      throw new StoreFault("store_unavailable", message, "check the directory's owner, mode and free space", cause);
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #store(name: string): Database<Buffer, Buffer> {
    return this.#stores.get(name)!;
  }

  #keyOf(batch: number): Buffer {
    this.#batchKey.writeUInt32BE(Math.floor(batch / 2 ** 32), 0);
    this.#batchKey.writeUInt32BE(batch % 2 ** 32, 4);
    return this.#batchKey;
  }
}

/** The file that LMDB keeps in an environment's directory. */
export const fileOf = (directory: string): string => join(directory, "data.mdb");

/** A new store is not begun on a full disk: LMDB must not meet one; see reserve.ts. */
function checkSpace(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < LOG_EMPTY_STORE_BYTES) throw new Error("the disk is full");
}

export const batchOfKey = (key: Buffer): number => key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4);

/**
 * A string as a key: a byte 1 that keeps it off the lowest keys, which lmdb reserves, then its UTF-8 bytes, or when they are too
 * many their beginning and a hash of all of them. Then `isHashed`, and the value must repeat the string.
 */
export function keyOf(key: string): { readonly bytes: Buffer; readonly isHashed: boolean } {
  const text = Buffer.from(key);
  if (text.length <= LOG_KEY_BYTES_MAX) return { bytes: Buffer.concat([PLAIN, text]), isHashed: false };
  const hash = createHash("sha256").update(text).digest();
  return { bytes: Buffer.concat([PLAIN, text.subarray(0, LOG_KEY_BYTES_MAX), hash]), isHashed: true };
}

const PLAIN = Buffer.from([1]);

interface PageStatistics {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

const pagesOf = (statistics: PageStatistics): number =>
  statistics.treeBranchPageCount + statistics.treeLeafPageCount + statistics.overflowPages;

const asBuffer = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What lies under lmdb's "Commit failed", taking up its second rejection. */
async function causeOf(error: unknown): Promise<unknown> {
  if (typeof error !== "object" || error === null) return error;
  commitFailures.add(error);
  const under = (error as { commitError?: unknown }).commitError;
  if (!(under instanceof Promise)) return error;
  const found = under.then(
    () => error,
    (cause: unknown) => {
      if (typeof cause === "object" && cause !== null) commitFailures.add(cause);
      return cause;
    },
  );
  // It rejects in the same turn as the batch; should it not, the first error is good enough.
  const later = new Promise<unknown>((resolve) => {
    setImmediate(resolve, error);
  });
  return Promise.race([found, later]);
}

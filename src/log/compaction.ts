/**
 * Compaction: a partition's file made as small as its used pages, while nobody has it open.
 *
 * ```
 *   survey: every page and value read ──► copy by LMDB, in compact/ ──► a commit ──► surveyed as well: the same ──► rename
 *
 *   partition-0/
 *     data.mdb             the old file, untouched up to the rename
 *     compact/data.mdb     the copy; what a crash leaves of it goes with the next compaction, and nobody else looks at it
 * ```
 *
 * In LMDB's copy (probed on lmdb 3.5.6) the first meta page says transaction 0 and the second that of the source, made odd. Our check of
 * the pages takes such a gap for damage; one commit fills it.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LOG_EMPTY_STORE_BYTES } from "../base/limits.ts";
import { Environment, fileOf } from "./environment.ts";
import { PageFile } from "./page-file.ts";
import { type PageFault, USED, walkPages } from "./page-walk.ts";
import { syncDirectory } from "./partitions.ts";
import { faultOfCopy, StoreFault } from "./store-fault.ts";
import { checkFormat, repeatFormat } from "./store-format.ts";

/** What a partition's file holds. */
export interface Survey {
  /** Length of the file. */
  readonly bytes: number;
  /** Of the disk, at most, while the copy is made. */
  readonly neededBytes: number;
  readonly faults: readonly PageFault[];
  /** Of all keys and values, and how many there are in each table. */
  readonly content: string;
}

/** Reads a partition's whole file without LMDB; undefined when there is none yet. Throws what reading throws. */
export function surveyPartition(directory: string): Survey | undefined {
  if (!existsSync(fileOf(directory))) return undefined;
  const file = new PageFile(fileOf(directory));
  try {
    const hash = createHash("sha256");
    const entries = new Map<string, number>();
    const { faults, owners } = walkPages(file, (tree, key, read) => {
      const value = read() ?? Buffer.alloc(0); // Damaged: a fault of the walk.
      hash.update(`${tree} ${key.length} ${value.length} `).update(key).update(value);
      entries.set(tree, (entries.get(tree) ?? 0) + 1);
    });
    let usedPages = 0;
    for (const owner of owners) if (owner === USED) usedPages += 1;
    return {
      bytes: file.bytes,
      neededBytes: usedPages * file.pageBytes + LOG_EMPTY_STORE_BYTES,
      faults,
      content: `${hash.digest("hex")} ${JSON.stringify([...entries])}`,
    };
  } finally {
    file.close();
  }
}

/**
 * Puts a compact copy in the place of the file that was surveyed, and answers its length. Whatever happens meanwhile, the directory holds
 * the old file or the new one, whole. Throws StoreFault, and what the file system throws; the old file is in place then.
 */
export async function compactPartition(directory: string, partition: number, survey: Survey): Promise<number> {
  const aside = join(directory, "compact");
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { mode: 0o700 });
  try {
    await copyCompact(directory, aside, partition);
    const copy = surveyPartition(aside);
    if (copy === undefined || copy.faults.length > 0 || copy.content !== survey.content) {
      const hint = "nothing was changed; look for faults of the disk in the kernel's messages";
      throw new StoreFault("store_unavailable", `the copy of ${directory} does not hold what was copied`, hint);
    }
    syncFile(fileOf(aside));
    syncDirectory(aside);
    rmSync(join(directory, "lock.mdb"), { force: true }); // It tells of the old file's readers; LMDB makes it again.
    renameSync(fileOf(aside), fileOf(directory));
    syncDirectory(directory);
    return copy.bytes;
  } catch (error) {
    throw faultOfCopy(error, directory); // While what was copied still takes its room.
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

async function copyCompact(from: string, to: string, partition: number): Promise<void> {
  const source = Environment.open(from);
  try {
    checkFormat(source, from, partition);
    await source.copyTo(to);
  } finally {
    await source.close();
  }
  const copy = Environment.open(to);
  try {
    await copy.commit((changes) => repeatFormat(copy, changes, partition));
  } finally {
    await copy.close();
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * `restante fsck --salvage TO_DIR`: what is readable of a damaged store, into a new data directory that a broker starts on. The source is
 * only read. The new store's descriptor comes last: a rescue that was cut short is no store.
 */
import { copyFileSync, type Dirent, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { holdDataDirectory } from "../config/data-directory.ts";
import { partitionDirectoryOf, writeStoreDescriptor } from "../log/partitions.ts";
import { type Salvage, salvagePartition } from "../log/salvage.ts";
import { STORE_FORMAT } from "../log/store-format.ts";
import { EXIT_REFUSED } from "./refusal.ts";
import { refusingStoreFaults } from "./store-refusal.ts";

/** Prints what was rescued; the exit code: 0 when nothing is known to be lost. Throws CodedError. */
export function salvage(dataDirectory: string, to: string): Promise<number> {
  const hold = holdDataDirectory(dataDirectory);
  return refusingStoreFaults(async () => {
    const entries = readdirSync(dataDirectory, { withFileTypes: true });
    const partitions = entries.filter((entry) => entry.isDirectory() && /^partition-\d+$/.test(entry.name)).length;
    if (partitions === 0) throw new CodedError("DATA_DIR_UNUSABLE", `there is no store in ${dataDirectory}`);
    mkdirSync(to, { recursive: true, mode: 0o700 });
    if (readdirSync(to).length > 0) throw new CodedError("DATA_DIR_UNUSABLE", `${to} is not empty`);
    try {
      return await rescue(dataDirectory, to, entries, partitions);
    } catch (error) {
      for (const name of readdirSync(to)) rmSync(join(to, name), { recursive: true }); // A part of a rescue is none.
      throw error;
    }
  }).finally(() => hold.release());
}

async function rescue(
  dataDirectory: string,
  to: string,
  entries: readonly Dirent[],
  partitions: number,
): Promise<number> {
  let isWhole = true;
  for (let partition = 0; partition < partitions; partition += 1) {
    const [from, into] = [dataDirectory, to].map((directory) => partitionDirectoryOf(directory, partition)) as [
      string,
      string,
    ];
    const rescued = await salvagePartition(from, into, partition);
    for (const line of linesOf(partition, rescued)) console.log(line);
    if (rescued.lostBatches + rescued.lostValues > 0) isWhole = false;
  }
  for (const { name } of entries.filter((entry) => entry.isFile() && !OWN_FILES.includes(entry.name))) {
    copyFileSync(join(dataDirectory, name), join(to, name)); // The API key, and what else lies beside the partitions.
  }
  writeStoreDescriptor(to, { format: STORE_FORMAT, partitions });
  console.log(`start it with: restante start --data-dir ${to}`);
  return isWhole ? 0 : EXIT_REFUSED;
}

const OWN_FILES = ["broker.lock", "clean", "store.json", "store.json.next"];

function* linesOf(
  partition: number,
  { batches, found, lostBatches, unsettled, values, lostValues, isStalePossible }: Salvage,
): Generator<string> {
  const where = `partition ${partition}:`;
  const tables = Object.entries(values).map(([table, count]) => `${count} ${table}`);
  yield `${where} rescued: ${[`${batches} batches, ${found} of them outside of the damaged trees`, ...tables].join(", ")}`;
  if (lostBatches > 0) yield `${where} lost: the messages of ${lostBatches} batches`;
  if (lostValues > 0) yield `${where} lost: ${lostValues} values of tables`;
  if (unsettled > 0)
    yield `${where} what was acknowledged of ${unsettled} batches may come again: their settled bits are lost`;
  if (isStalePossible) yield `${where} removed messages may come again: it cannot be told which pages are free`;
}

/**
 * `restante compact`: each partition's file made as small as what it holds. A broker must not run on the directory, and cannot start
 * meanwhile. All refusals come before the first change.
 */
import { statfsSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import { leaveCleanMark, takeCleanMark } from "../broker/clean-mark.ts";
import { openDataDirectory } from "../config/data-directory.ts";
import { compactPartition, type Survey, surveyPartition } from "../log/compaction.ts";
import { damagedPages } from "../log/partition-check.ts";
import { partitionDirectoryOf, readStoreDescriptor, type StoreDescriptor } from "../log/partitions.ts";
import { refusingStoreFaults } from "./store-refusal.ts";

/** What was gained, as `--json` prints it; bytes of the files. */
interface Gain {
  readonly partitions: { readonly partition: number; readonly before: number; readonly after: number }[];
  before: number;
  after: number;
}

/** Prints what it gained; the exit code: 0. Throws CodedError. */
export function compact(dataDirectory: string, isJson = false): Promise<number> {
  process.umask(0o077);
  return refusingStoreFaults(async () => {
    storeIn(dataDirectory); // Before the lock: its file is made where there is none.
    const hold = await openDataDirectory(dataDirectory);
    try {
      hold.describe({
        pid: process.pid,
        startedAt: new Date().toISOString(),
        ready: false,
        listeners: {},
        workers: 0,
      });
      const print = isJson ? () => undefined : (line: string) => console.log(line);
      const gain = await compactStore(dataDirectory, storeIn(dataDirectory), print);
      if (isJson) console.log(JSON.stringify(gain));
      return 0;
    } finally {
      hold.release();
    }
  });
}

async function compactStore(
  dataDirectory: string,
  { partitions }: StoreDescriptor,
  print: (line: string) => void,
): Promise<Gain> {
  const surveys: (Survey | undefined)[] = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    const survey = surveyPartition(partitionDirectoryOf(dataDirectory, partition));
    if (survey !== undefined && survey.faults.length > 0) throw damagedPages(dataDirectory, partition, survey.faults);
    surveys.push(survey);
  }
  checkSpace(dataDirectory, surveys);

  takeCleanMark(dataDirectory);
  const gain: Gain = { partitions: [], before: 0, after: 0 };
  for (const [partition, survey] of surveys.entries()) {
    if (survey === undefined) continue;
    const before = survey.bytes;
    const after = await compactPartition(partitionDirectoryOf(dataDirectory, partition), partition, survey);
    print(`partition ${partition}: ${before} bytes -> ${after}`);
    gain.partitions.push({ partition, before, after });
    gain.before += before;
    gain.after += after;
  }
  leaveCleanMark(dataDirectory); // Every page was looked at, and is on disk.
  print(`all: ${gain.before} bytes -> ${gain.after}`);
  return gain;
}

function storeIn(dataDirectory: string): StoreDescriptor {
  const descriptor = readStoreDescriptor(dataDirectory);
  if (descriptor !== undefined) return descriptor;
  throw new CodedError("DATA_DIR_UNUSABLE", `there is no store in ${dataDirectory}`);
}

/** One copy is there at a time, and none is longer than the file that it replaces. */
function checkSpace(dataDirectory: string, surveys: readonly (Survey | undefined)[]): void {
  for (const [partition, survey] of surveys.entries()) {
    if (survey === undefined) continue;
    const { bavail, bsize } = statfsSync(partitionDirectoryOf(dataDirectory, partition));
    if (bavail * bsize >= survey.neededBytes) continue;
    const message = `the copy of partition ${partition} needs up to ${survey.neededBytes} bytes, and the file system of ${dataDirectory} has ${bavail * bsize}`;
    throw new CodedError("DISK_FULL", message);
  }
}

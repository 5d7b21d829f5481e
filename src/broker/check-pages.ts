/** Refuses a store that LMDB must not be let loose on, after a stop that was not clean. */

import { damagedPages, faultsOfPages } from "../log/partition-check.ts";
import { partitionDirectoryOf, readStoreDescriptor } from "../log/partitions.ts";
import { takeCleanMark } from "./clean-mark.ts";
import type { LogLine } from "./raise-partitions.ts";

/** To be called before anything opens the store. Throws StoreFault. */
export function checkPages(dataDirectory: string, log: LogLine): void {
  const wasClean = takeCleanMark(dataDirectory);
  const descriptor = readStoreDescriptor(dataDirectory);
  if (wasClean || descriptor === undefined) return;
  const { partitions } = descriptor;
  const beganMs = performance.now();
  for (let partition = 0; partition < partitions; partition += 1) {
    const faults = faultsOfPages(partitionDirectoryOf(dataDirectory, partition));
    if (faults.length > 0) throw damagedPages(dataDirectory, partition, faults);
  }
  const ms = Math.round(performance.now() - beganMs);
  log({ partitions, ms }, "the last stop was not clean: the pages of the store were checked, and are sound");
}

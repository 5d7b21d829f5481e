/**
 * `restante fsck`: what is in the store of a data directory, and what of it is damaged. Reads only; a broker must not run on it.
 */
import { holdDataDirectory } from "../config/data-directory.ts";
import { checkPartition, type PartitionReport } from "../log/partition-check.ts";
import { partitionDirectoryOf, readStoreDescriptor } from "../log/partitions.ts";
import { EXIT_REFUSED, printRefusal } from "./refusal.ts";
import { refusingStoreFaults } from "./store-refusal.ts";

/** Prints what there is; the exit code: 0 when it is sound. Throws CodedError. */
export function fsck(dataDirectory: string): Promise<number> {
  const hold = holdDataDirectory(dataDirectory);
  return refusingStoreFaults(() => {
    const descriptor = readStoreDescriptor(dataDirectory);
    if (descriptor === undefined) {
      printRefusal(`there is no store in ${dataDirectory}`);
      return EXIT_REFUSED;
    }
    let damage = 0;
    for (let partition = 0; partition < descriptor.partitions; partition += 1) {
      const report = checkPartition(partitionDirectoryOf(dataDirectory, partition), partition);
      for (const line of linesOf(report)) console.log(line);
      damage += report.damage;
    }
    console.log(damage === 0 ? "sound" : `damaged: ${damage} ${damage === 1 ? "finding" : "findings"}`);
    return damage === 0 ? 0 : EXIT_REFUSED;
  }).finally(() => hold.release());
}

function* linesOf({
  partition,
  bytes,
  batches,
  records,
  tables,
  damage,
  findings,
}: PartitionReport): Generator<string> {
  yield `partition ${partition}: ${bytes} bytes, ${batches} batches with ${records} messages that wait, ${tables.queues} queues, ` +
    `${tables.sessions} sessions, ${tables.retained} retained messages`;
  for (const { where, reason } of findings) yield `partition ${partition}: damaged: ${where}: ${reason}`;
  if (damage > findings.length) yield `partition ${partition}: damaged: ${damage - findings.length} more findings`;
}

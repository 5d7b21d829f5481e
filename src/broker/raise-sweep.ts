/** Clears partitions of sessions and retained messages whose home they are not: partial copies, or originals that have moved. */
import { homePartitionOf } from "../base/hash.ts";
import { decodeSession, parsePacketKey } from "../worker/session-record.ts";
import { MovingRecords } from "./moving-records.ts";
import { OpenPartition } from "./open-partition.ts";

/** What was removed. */
export interface Swept {
  sessions: number;
  records: number;
  retained: number;
}

/**
 * Sweeps the partitions below `end` of a store that has `partitions` of them, up to `settledRecords` records in one commit. May
 * be cut short at any moment and repeated.
 */
export async function sweep(
  dataDirectory: string,
  end: number,
  partitions: number,
  settledRecords: number,
): Promise<Swept> {
  const swept: Swept = { sessions: 0, records: 0, retained: 0 };
  for (let number = 0; number < end; number += 1) {
    const partition = new OpenPartition(dataDirectory, number);
    try {
      await sweepPartition(partition, partitions, settledRecords, swept);
    } finally {
      await partition.close();
    }
  }
  return swept;
}

async function sweepPartition(
  partition: OpenPartition,
  partitions: number,
  settledRecords: number,
  swept: Swept,
): Promise<void> {
  const { log, number } = partition;
  const clientIds: string[] = [];
  const targets = new Set<number>();
  log.entries("sessions", (clientId, bytes) => {
    if (homePartitionOf(clientId, partitions) === number) return;
    clientIds.push(clientId);
    targets.add(decodeSession(bytes).target);
  });
  const outbound: string[] = [];
  log.entries("outbound", (key) => {
    if (homePartitionOf(parsePacketKey(key).clientId, partitions) !== number) outbound.push(key);
  });
  const topics: string[] = [];
  log.entries("retained", (topic) => {
    if (homePartitionOf(topic, partitions) !== number) topics.push(topic);
  });
  if (clientIds.length === 0 && topics.length === 0) return;

  const records = new MovingRecords();
  log.recover((record) => {
    if (targets.has(record.target)) records.push(record);
  });
  for (let index = 0; index < records.length; index += 1) {
    log.settle(records.positionAt(index));
    if ((index + 1) % settledRecords === 0) await partition.commit();
  }
  // The sessions' records go last: until then they say whose the messages are.
  for (const clientId of clientIds) log.put("sessions", clientId, undefined);
  for (const key of outbound) log.put("outbound", key, undefined);
  for (const topic of topics) log.put("retained", topic, undefined);
  await partition.commit();
  swept.sessions += clientIds.length;
  swept.records += records.length;
  swept.retained += topics.length;
}

/**
 * `$SYS` on a worker: what it has counted (sums kept where things happen, and a walk over its sessions in steps, with turns in between),
 * and what all of them have, for its own subscribers.
 */
import { setImmediate } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import { COUNTED_PER_TURN } from "../base/limits.ts";
import { layOutSystemValue } from "./command-message.ts";
import type { SystemValue, WorkerCounts } from "./commands.ts";
import type { BrokerWorker } from "./worker.ts";

/** What connections have sent, since the start. */
export interface SentCounts {
  readonly packetsReserved: number;
  readonly bytesWritten: number;
}

/** Tells subscribers what the broker says about itself: now, and as they come. */
export function tellSystem(worker: BrokerWorker, values: readonly SystemValue[]): void {
  for (const value of values) {
    const message = layOutSystemValue(value, worker.nowMs());
    worker.retained.keepSystem(message);
    worker.publishing.tell(message);
  }
  worker.wake();
}

export async function countsOf(worker: BrokerWorker): Promise<WorkerCounts> {
  const { counters, sessions } = worker.desk;
  let connected = 0;
  let away = 0;
  let subscriptions = 0;
  let sharedSubscriptions = 0;
  let steps = 0;
  for (const session of sessions) {
    if (session.isConnected) connected += 1;
    else away += 1;
    for (const filter of session.subscriptions.keys()) {
      if (filter.startsWith("$share/")) sharedSubscriptions += 1;
      else subscriptions += 1;
    }
    steps += 1 + session.subscriptions.size;
    if (steps < COUNTED_PER_TURN) continue;
    steps = 0;
    await setImmediate();
  }
  const { retained, sent } = worker;
  let storedMessages = retained.count;
  let storedBytes = retained.bytes;
  for (const { log } of worker.partitions.values()) {
    storedMessages += log.storedRecords;
    storedBytes += log.storedBytes;
  }
  const heap = getHeapStatistics();
  return {
    clientsConnected: connected,
    clientsAway: away,
    clientsExpired: counters.expiredSessions,
    connects: counters.connects,
    refusedConnects: counters.refusedConnections,
    deniedPublishes: counters.deniedPublishes,
    deniedSubscriptions: counters.deniedSubscriptions,
    deniedDeliveries: counters.deniedDeliveries,
    packetsReceived: counters.packetsReceived,
    packetsSent: sent.packetsReserved,
    bytesReceived: counters.bytesReceived,
    bytesSent: sent.bytesWritten,
    publishesReceived: counters.publishesReceived,
    publishBytesReceived: counters.publishBytesReceived,
    publishesSent: counters.publishesSent,
    publishBytesSent: counters.publishBytesSent,
    publishesDropped:
      counters.droppedNotWritable +
      counters.droppedInboxFull +
      counters.droppedExpired +
      counters.droppedTooLarge +
      counters.droppedOffline +
      counters.droppedDamaged,
    subscriptions,
    sharedSubscriptions,
    retainedMessages: retained.count,
    storedMessages,
    storedBytes,
    heapBytes: heap.used_heap_size + heap.external_memory,
  };
}

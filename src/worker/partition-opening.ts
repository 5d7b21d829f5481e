/** Opens a partition of a worker: what its commits mean for those who wait for them. */
import { partitionDirectoryOf } from "../log/partitions.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { deliverStored } from "../session/deliver.ts";
import type { Session } from "../session/session.ts";
import { Partition, type PartitionEvents } from "./partition.ts";
import { partitionNotices } from "./partition-notices.ts";
import { JOIN, type Joins } from "./waiters.ts";
import type { WorkerOptions } from "./worker-options.ts";

export interface PartitionOwner {
  readonly options: WorkerOptions;
  readonly joins: Joins;
  /** Says to a publisher of that worker what became of its message. */
  readonly answer: (worker: number, origin: number, sequence: number, reason: number) => void;
  /** A session has got messages: they are sent in the next turn. */
  readonly pumpSoon: (session: Session) => void;
  readonly wake: () => void;
}

export function openPartition(number: number, { options, joins, answer, pumpSoon, wake }: PartitionOwner): Partition {
  const { dataDirectory, partitions, openLog, random, nowMs, onFault, onNotice } = options;
  const events: PartitionEvents = {
    onAnswer: (worker, origin, sequence, outcome) => {
      const reason = outcome === "stored" ? ReasonCode.success : ReasonCode.implementationSpecificError;
      if (worker !== JOIN) answer(worker, origin, sequence, reason);
      else joins.resolve(origin, reason, answer);
    },
    onDelivery: (session, position, messageBytes, flags) => {
      if (!session.isDurable) {
        partition.log.settle(position); // The session ended while its message was on its way to the disk.
        return;
      }
      deliverStored(session, position, messageBytes, flags);
      pumpSoon(session);
    },
    onCommit: wake,
    ...partitionNotices(onFault, onNotice),
  };
  const share = { partitions, partition: number };
  const directory = partitionDirectoryOf(dataDirectory, number);
  const partition: Partition = new Partition(share, directory, random, nowMs, events, openLog);
  return partition;
}

/** What the operator reads of a partition in the log of the process. */
import type { PartitionEvents } from "./partition.ts";

/** Writes a line: fields, and what they are about. */
export type Notice = (fields: object, message: string) => void;

/** `onFault`: what is wrong; `onNotice`: what is worth knowing. */
export function partitionNotices(
  onFault: Notice,
  onNotice: Notice,
): Pick<PartitionEvents, "onDamage" | "onLoss" | "onHealth"> {
  return {
    onDamage: (partition, damage) =>
      onFault({ partition, ...damage }, "stored bytes are damaged; they are set aside, the rest is served"),
    onLoss: (partition, messages) =>
      onFault({ partition, messages }, "memory queues lost messages that could not be stored: counted as dropped"),
    onHealth: (partition, fault, forMs) => {
      if (fault === undefined) onNotice({ partition, forMs }, "the partition can store again");
      else
        onFault({ partition, reason: fault.kind, err: fault.cause }, "the partition cannot store: publishers are told");
    },
  };
}

/**
 * A purge of a queue for its operator, in steps between which the worker takes its turns: ten million messages go while
 * others come.
 */
import { setImmediate } from "node:timers/promises";
import { CodedError } from "../base/errors.ts";
import { PURGE_MESSAGES_PER_TURN } from "../base/limits.ts";
import type { Queue } from "../queue/queue.ts";
import type { CommitOutcome } from "./batch-company.ts";
import type { Partition } from "./partition.ts";

/** How many went, once that is on disk. `queueNow` throws when the queue is gone; `wake` lets a turn commit the step. */
export async function purgeQueue(partition: Partition, queueNow: () => Queue, wake: () => void): Promise<number> {
  const purge = queueNow().beginPurge();
  let committed: Promise<CommitOutcome> = Promise.resolve("stored");
  for (let isDone = false; !isDone; ) {
    const before = purge.purged;
    isDone = purge.step(PURGE_MESSAGES_PER_TURN);
    if (purge.purged > before) committed = new Promise((resolve) => partition.company.afterCommit(resolve)); // The last ends last.
    wake();
    if (!isDone) await setImmediate();
    queueNow();
  }
  if ((await committed) === "failed") {
    throw new CodedError("IO_ERROR", `${purge.purged} messages are purged, but the disk does not know it yet`);
  }
  return purge.purged;
}

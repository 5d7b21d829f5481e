/**
 * Goal: no step of a queue's work grows with what it holds. Method: real queues over a log in memory; what a step does is counted
 * (records settled, messages moved), never timed.
 */
import { expect, it } from "vitest";
import { EXPIRIES_PER_TICK, SWEEP_COST_EXPIRIES } from "../../src/base/limits.ts";
import { totalBytes } from "../../src/frame/message.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import { record } from "../queue/definitions.ts";
import { MemoryDisk, MemoryLog } from "../queue/memory-log.ts";
import { message } from "../queue/message.ts";
import { randomOf } from "../random.ts";

it("queues with one expired message each share a tick, some thousand of them", () => {
  const log = new MemoryLog(new MemoryDisk(), {
    onSeal: (batch) => queues.onSeal(batch),
    onCommitted: (batch) => queues.onCommitted(batch, 0),
    onFailed: (batch) => void queues.onFailed(batch),
  });
  const queues = new PartitionQueues(log, randomOf(1));
  const region = message({ expiresAtMs: 1_000 });
  const all = Array.from({ length: 10_000 }, (_, number) =>
    queues.open({ ...record({}), target: number + 1 }, () => {}),
  );
  queues.recover(() => expect.unreachable());
  for (const queue of all) queue.accept(region, 0, log.stage(region, 0, totalBytes(region, 0)), 0);
  log.flush();
  log.succeed();

  const perTick = Math.ceil(EXPIRIES_PER_TICK / (SWEEP_COST_EXPIRIES + 2));
  for (let left = all.length; left > 0; ) {
    queues.onDeadline(1_000);
    const now = all.filter((queue) => !queue.isEmpty).length;
    expect(left - now).toBe(Math.min(left, perTick));
    left = now;
  }
});

/**
 * Goal: queue and dispatcher keep order, windows and ledger over the real log, across a crash and across a clean restart.
 * Method: the operations of the model test over LMDB, every commit awaited or not as they say; a crash is a copy of the data
 * directory as it is on disk while nothing is being committed, opened in place of the original. Neighbouring batches are merged as soon as there are two.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import type { QueueDefinition } from "../../src/queue/definition.ts";
import { MERGE_ALL } from "../log/messages.ts";
import { randomOf } from "../random.ts";
import { anyOperation } from "./operations.ts";
import { type Operation, Rig } from "./rig.ts";

const isFull = process.env.RESTANTE_TEST_SIZE === "full";
const lastValue = { is_lastvalue: true, key_expression: "message.headers.properties.User-Property.k" } as const;
const limits = { max_shard_message_count: 5, max_shard_message_bytes: "infinity" } as const;

let merges: number;

test.each<[string, Partial<QueueDefinition>]>([
  ["regular", { dispatch_strategy: "round_robin" }],
  ["regular with a limit", { dispatch_strategy: "random", limits }],
  ["last value", { ...lastValue, dispatch_strategy: "least_inflight" }],
  ["last value with a limit", { ...lastValue, limits }],
])(
  "%s",
  async (_name, definition) => {
    merges = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyOperation, { minLength: 60, maxLength: 200, size: "max" }), (operations) =>
        run(definition, operations),
      ),
      { numRuns: isFull ? 20 : 3, endOnFailure: true },
    );
    expect(merges).toBeGreaterThan(0);
  },
  300_000,
);

async function run(definition: Partial<QueueDefinition>, operations: readonly Operation[]): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "restante-dispatch-"));
  let directory = join(root, "0");
  const logs: PartitionLog[] = [];
  const rig = new Rig({
    definition,
    random: randomOf(7),
    open: (events) => {
      const log = openPartitionLog({ directory, partition: 0, events, merge: MERGE_ALL });
      logs.push(log);
      return log;
    },
  });
  const idle = async (): Promise<void> => {
    while (rig.log.isCommitting) await turn();
  };
  for (const [index, next] of operations.entries()) {
    if (next.op === "succeed") await idle();
    else if (next.op === "crash") {
      await idle();
      const copy = join(root, String(index + 1));
      await cp(directory, copy, { recursive: true });
      directory = copy;
      const durable = rig.log.committed;
      rig.crash(durable);
    } else if (next.op !== "fail") rig.apply(next);
    rig.check();
  }
  for (const _ of rig.drain()) await idle();
  await idle();
  expect(rig.log.stats().records).toBe(0);
  for (const log of logs) {
    merges += log.stats().merges;
    await log.close();
  }
  await rm(root, { recursive: true, force: true });
}

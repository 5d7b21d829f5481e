/**
 * Goal: whatever clients and operators do, queues are what a plain model says: each message to one consumer at a time, in stored
 * order, within every window, counted once, lost never; over 1 to 3 workers, failed commits, crashes and restarts.
 * Method: lists of random operations against the real code of the workers (rings, logs in memory, injected time), beside the
 * model; compared whenever everything is at rest; at the end everything is consumed and deleted, and nothing is left on disk.
 *
 * A failure prints its seed and path; RESTANTE_TEST_SEED and RESTANTE_TEST_PATH replay them, RESTANTE_TEST_RUNS sets how many lists.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyOperation, type Operation } from "./operations.ts";
import { World } from "./world.ts";

const isFullSize = process.env.RESTANTE_TEST_SIZE === "full";
const { RESTANTE_TEST_PATH, RESTANTE_TEST_RUNS } = process.env;
const runs = Number(RESTANTE_TEST_RUNS ?? (isFullSize ? 1_000 : 40));

async function run(operations: readonly Operation[], worldSeed: number, workers: number): Promise<World> {
  const world = await World.make(worldSeed, workers);
  for (const operation of operations) await world.apply(operation);
  await world.drain();
  return world;
}

describe("a list that was once wrong", () => {
  const full = { op: "limit", queue: 0, max: 1, overflow: "drop_newest" } as const;
  const publish = { op: "publish", publisher: 0, topic: 0, qos: 1, lifeS: 0, count: 2, failing: -1 } as const;
  const restart = { op: "restart", workers: 1, isCrash: false } as const;

  it.each<[string, readonly Operation[]]>([
    ["what is dropped at once is counted after a stop", [full, { ...publish, qos: 0 }, restart]],
    ["what is refused is counted after a stop", [{ ...full, overflow: "reject" }, publish, restart]],
    [
      "what is refused is counted after a crash, a second later",
      [{ ...full, overflow: "reject" }, publish, { op: "pass", ms: 2_500 }, { ...restart, isCrash: true }],
    ],
  ])("%s", async (_title, operations) => {
    for (const workers of [1, 2, 3]) await run(operations, 0, workers);
  });
});

it(`a model of queues and the workers agree over ${runs} lists of operations`, async () => {
  let delivered = 0;
  let rejected = 0;
  const lists = fc.array(anyOperation, { maxLength: 100, size: "max" });
  const property = fc.asyncProperty(
    lists,
    fc.nat(),
    fc.integer({ min: 1, max: 3 }),
    async (operations, world, workers) => {
      const made = await run(operations, world, workers);
      delivered += made.delivered;
      rejected += made.rejected;
    },
  );
  const path = RESTANTE_TEST_PATH === undefined ? {} : { path: RESTANTE_TEST_PATH };
  await fc.assert(property, { numRuns: runs, ...path });
  console.log(`model: ${delivered} deliveries, ${rejected} rejections`);
  if (RESTANTE_TEST_PATH === undefined) expect(Math.min(delivered, rejected)).toBeGreaterThan(runs / 10);
}, 3_600_000);

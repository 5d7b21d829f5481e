/** Random operations for the rig. */
import fc from "fast-check";
import type { Operation } from "./rig.ts";

export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("publish" as const),
      key: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) }, { weight: 1, arbitrary: fc.constant(0) }),
      extraBytes: fc.constantFrom(0, 0, 0, 40, 200),
      lifeMs: fc.constantFrom(0, 0, 0, 20, 2_000),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom("flush" as const, "succeed" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("fail" as const) }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constantFrom("frames" as const, "pump" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("settle" as const),
      which: fc.nat(20),
      isAccepted: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("attach" as const),
      receiveMaximum: fc.integer({ min: 1, max: 4 }),
      packetBytesMax: fc.constantFrom(1_000_000, 1_000_000, 150, 90),
      qos: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom(
        "detach" as const,
        "drain" as const,
        "pause" as const,
        "unpause" as const,
        "unpause" as const,
        "refuse" as const,
      ),
      consumer: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("retry" as const, "purge" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("crash" as const), isCommitDone: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("late" as const), which: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("tick" as const), ms: fc.constantFrom(1, 30, 60, 3_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("update" as const),
      strategy: fc.constantFrom("random" as const, "round_robin" as const, "least_inflight" as const),
      window: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("limit" as const), maxCount: fc.integer({ min: 1, max: 6 }) }) },
);

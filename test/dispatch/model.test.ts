/**
 * Goal: whatever happens in whatever order, each message goes to one consumer at a time, in stored order, within every
 * window, is lost never and counted once; also across failed commits and crashes.
 * Method: random operations against the real queue and dispatcher over a log in memory whose commits succeed, fail or are
 * cut off as the operations say; a plain model judges every hand-out and every count.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { QueueDefinition } from "../../src/queue/definition.ts";
import { MemoryDisk, MemoryLog } from "../queue/memory-log.ts";
import { type Operation, Rig } from "./rig.ts";

const isFull = process.env.RESTANTE_TEST_SIZE === "full";

const operation: fc.Arbitrary<Operation> = fc.oneof(
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

const unlimited = { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" } as const;
const count = { max_shard_message_count: 4, max_shard_message_bytes: "infinity" } as const;
const bytes = { max_shard_message_count: "infinity", max_shard_message_bytes: 300 } as const;
const lastValue = { is_lastvalue: true, key_expression: "message.headers.properties.User-Property.k" } as const;

const kinds: readonly (readonly [string, Partial<QueueDefinition>])[] = [
  ["regular, random", { limits: unlimited, dispatch_strategy: "random" }],
  ["regular, round_robin", { limits: unlimited, dispatch_strategy: "round_robin" }],
  ["regular, least_inflight", { limits: unlimited, dispatch_strategy: "least_inflight" }],
  ["regular, at most 4, drop_oldest", { limits: count, overflow: "drop_oldest" }],
  ["regular, at most 4, drop_newest", { limits: count, overflow: "drop_newest" }],
  ["regular, at most 4, reject", { limits: count, overflow: "reject" }],
  ["regular, at most 300 bytes, drop_oldest", { limits: bytes, overflow: "drop_oldest" }],
  ["regular, retention of 100 ms", { limits: unlimited, data_retention_period: 100 }],
  ["last value", { ...lastValue, limits: unlimited, dispatch_strategy: "least_inflight" }],
  ["last value, at most 4, drop_oldest", { ...lastValue, limits: count, overflow: "drop_oldest" }],
  ["last value, at most 300 bytes, reject", { ...lastValue, limits: bytes, overflow: "reject" }],
];

test.each(kinds)("%s", (_name, definition) => {
  let deliveries = 0;
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120, size: "max" }), fc.nat(), (operations, seed) => {
      deliveries += run(definition, operations, seed);
    }),
    { numRuns: isFull ? 5_000 : 150 },
  );
  expect(deliveries).toBeGreaterThan(100);
});

function run(definition: Partial<QueueDefinition>, operations: readonly Operation[], seed: number): number {
  const disk = new MemoryDisk();
  let log: MemoryLog | undefined;
  const rig = new Rig({
    definition,
    random: randomOf(seed),
    open: (events) => {
      log = new MemoryLog(disk, events);
      return log;
    },
  });
  for (const next of operations) {
    if (next.op === "succeed") log!.succeed();
    else if (next.op === "fail") log!.fail();
    else if (next.op === "crash") {
      if (next.isCommitDone) log!.succeed(false);
      rig.crash();
    } else rig.apply(next);
    rig.check();
  }
  drain(rig, () => log!.succeed());
  expect(log!.durableRecords, "an empty queue leaves no record").toBe(0);
  return rig.deliveries;
}

/** One good consumer takes all there is: everything ends, and the disk is empty. */
function drain(rig: Rig, succeed: () => void): void {
  for (const attached of [...rig.attached]) rig.detach(attached);
  rig.attach(100, 1_000_000, 1);
  for (let round = 0; round < 200; round += 1) {
    rig.apply({ op: "tick", ms: 1_000 });
    rig.check();
    rig.apply({ op: "flush" });
    succeed();
    rig.pump();
    for (let count = rig.attached[0]!.unsettled.length; count > 0; count -= 1) rig.settle(0, true);
    rig.frames();
    rig.check();
    if (round > 2 && rig.model.live().length === 0 && !rig.log.isCommitting) break;
  }
  rig.apply({ op: "flush" });
  succeed();
  rig.apply({ op: "flush" });
  succeed();
  expect(rig.model.live().map((message) => message.id)).toEqual([]);
}

/** Mulberry32: the run replays from its seed. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

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
import { randomOf } from "../random.ts";
import { anyOperation } from "./operations.ts";
import { type Operation, Rig } from "./rig.ts";

const isFull = process.env.RESTANTE_TEST_SIZE === "full";

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
  ["memory", { limits: unlimited, durability: "memory" }],
  ["memory, at most 4, drop_oldest", { limits: count, overflow: "drop_oldest", durability: "memory" }],
  ["memory, at most 4, reject", { limits: count, overflow: "reject", durability: "memory" }],
  ["memory, last value", { ...lastValue, limits: unlimited, durability: "memory" }],
  ["memory, last value, at most 4, drop_oldest", { ...lastValue, limits: count, durability: "memory" }],
  ["last value, at most 300 bytes, reject", { ...lastValue, limits: bytes, overflow: "reject" }],
];

test.each(kinds)(
  "%s",
  (_name, definition) => {
    let deliveries = 0;
    fc.assert(
      fc.property(fc.array(anyOperation, { maxLength: 120, size: "max" }), fc.nat(), (operations, seed) => {
        deliveries += run(definition, operations, seed);
      }),
      { numRuns: isFull ? 500 : 80 },
    );
    expect(deliveries).toBeGreaterThan(20);
  },
  300_000,
);

/** One consumer's link refuses what another had rejected, while an older rejected message waits: a third one takes it at once. */
const refusedAfterRejection: readonly Operation[] = [
  { op: "publish", key: 1, extraBytes: 0, lifeMs: 0 },
  { op: "attach", receiveMaximum: 1, packetBytesMax: 1000000, qos: 0 },
  { op: "publish", key: 1, extraBytes: 200, lifeMs: 0 },
  { op: "publish", key: 1, extraBytes: 0, lifeMs: 0 },
  { op: "attach", receiveMaximum: 1, packetBytesMax: 1000000, qos: 0 },
  { op: "flush" },
  { op: "detach", consumer: 0 },
  { op: "succeed" },
  { op: "attach", receiveMaximum: 1, packetBytesMax: 90, qos: 0 },
  { op: "attach", receiveMaximum: 2, packetBytesMax: 1000000, qos: 0 },
  { op: "pump" },
  { op: "settle", which: 0, isAccepted: true },
  { op: "refuse", consumer: 2 },
  { op: "attach", receiveMaximum: 1, packetBytesMax: 150, qos: 0 },
  { op: "settle", which: 1, isAccepted: false },
  { op: "settle", which: 0, isAccepted: false },
  { op: "detach", consumer: 0 },
  { op: "pump" },
];

test("a list that was once wrong", () => {
  expect(run({ limits: unlimited, dispatch_strategy: "round_robin" }, refusedAfterRejection, 0)).toBeGreaterThan(1);
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
      rig.crash(disk.lastBatch);
    } else rig.apply(next);
    rig.check();
  }
  for (const _ of rig.drain()) log!.succeed();
  expect(log!.durableRecords, "an empty queue leaves no record").toBe(0);
  return rig.deliveries;
}

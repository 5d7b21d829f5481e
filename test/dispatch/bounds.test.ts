/**
 * Goal: no step of a queue's work grows with what it holds. Method: real queues over a log in memory; what a step does is counted
 * (records settled, messages moved), never timed.
 */
import { expect, it } from "vitest";
import {
  EXPIRIES_PER_TICK,
  LINE_CHUNK_MESSAGES,
  QUEUE_AT_ONCE_MESSAGES,
  QUEUE_STEP_MESSAGES,
  RELEASE_COST_EXPIRIES,
  SWEEP_COST_EXPIRIES,
} from "../../src/base/limits.ts";
import { totalBytes } from "../../src/frame/message.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import { record } from "../queue/definitions.ts";
import { MemoryDisk, MemoryLog } from "../queue/memory-log.ts";
import { message } from "../queue/message.ts";
import { randomOf } from "../random.ts";
import { Bench } from "./bench.ts";

const limitOf = (count: number) => ({ max_shard_message_count: count, max_shard_message_bytes: "infinity" }) as const;

/** Counts the records that are settled from now on. */
function countSettled(bench: Bench): { settled: number } {
  const counter = { settled: 0 };
  const settle = bench.log.settle.bind(bench.log);
  bench.log.settle = (position) => {
    counter.settled += 1;
    settle(position);
  };
  return counter;
}

/** The most records settled in one step until a queue has nothing more to go on with. */
function mostInAStep(bench: Bench, counter: { settled: number }): number {
  let most = 0;
  for (let isMore = true; isMore; ) {
    const before = counter.settled;
    isMore = bench.queues.workSome(QUEUE_STEP_MESSAGES);
    most = Math.max(most, counter.settled - before);
  }
  return most;
}

function commit(bench: Bench): void {
  bench.log.flush();
  bench.log.succeed();
}

it("a lowered limit counts at once, its records go in steps, and a crash in between changes no sum", () => {
  const bench = new Bench({});
  for (let number = 0; number < 20; number += 1) bench.publish(1_000, { payload: `${number}` });
  const counter = countSettled(bench);
  bench.update({ limits: limitOf(10) });
  expect(counter.settled).toBeLessThanOrEqual(LINE_CHUNK_MESSAGES);
  expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 10, dropped: 19_990, difference: 0 });
  bench.publish(1, { payload: "new" });
  expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 10, dropped: 19_991, difference: 0 });

  expect(bench.queues.workSome(QUEUE_STEP_MESSAGES)).toBe(true);
  commit(bench);
  expect(bench.disk.records.size).toBeGreaterThan(10_000);
  const after = new Bench({ limits: limitOf(10) }, bench.disk); // A crash here.
  expect(after.dispatcher.status(0)).toMatchObject({ stored: 20_001, waiting: 10, dropped: 19_991, difference: 0 });

  expect(mostInAStep(bench, counter)).toBeLessThanOrEqual(QUEUE_STEP_MESSAGES);
  expect(counter.settled).toBe(19_991);
  commit(bench);
  expect(bench.disk.records.size).toBe(10);
  bench.attach({ receiveMaximum: 20 });
  bench.pump();
  expect(bench.handed.map(({ payload }) => payload)).toEqual([...Array(9).fill("19"), "new"]);
});

it("a limit of bytes likewise, and a deleted queue takes with it what it had dropped", () => {
  const bench = new Bench({});
  for (let number = 0; number < 10; number += 1) bench.publish(1_000, { payload: "x".repeat(100 + number) });
  const { waiting_bytes } = bench.dispatcher.status(0);
  const counter = countSettled(bench);
  bench.update({
    limits: { max_shard_message_count: "infinity", max_shard_message_bytes: Math.floor(waiting_bytes / 4) },
  });
  const status = bench.dispatcher.status(0);
  expect(status.waiting_bytes).toBeLessThanOrEqual(waiting_bytes / 4);
  expect(status.waiting_bytes).toBeGreaterThan(waiting_bytes / 4 - 500);
  expect(status).toMatchObject({ waiting: 10_000 - status.dropped, difference: 0 });
  bench.queues.remove(bench.record.target);
  while (bench.queues.removeSome(100));
  expect(counter.settled).toBe(10_000);
});

it("what stands aside is dropped in steps, and nothing is handed out before that", () => {
  const bench = new Bench({});
  const small = bench.attach({ packetBytesMax: 5 });
  for (let number = 0; number < 20; number += 1) bench.publish(1_000, { payload: `${number}` });
  bench.pump();
  expect(bench.dispatcher.queue.parkedCount).toBe(20_000);
  bench.detach(small);
  const counter = countSettled(bench);
  bench.update({ limits: limitOf(5) });
  expect(counter.settled).toBe(QUEUE_AT_ONCE_MESSAGES);
  bench.attach();
  bench.ready.beginRound();
  expect(bench.ready.next()?.pump(0, bench.random, bench, 10) ?? 0).toBe(0);
  expect(bench.offer(1, { payload: "new" })).toEqual([0]); // It takes one place, the rest goes in its own time.
  expect(mostInAStep(bench, counter)).toBeLessThanOrEqual(QUEUE_STEP_MESSAGES);
  commit(bench);
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 20_001, waiting: 5, dropped: 19_996, difference: 0 });
  bench.pump();
  expect(bench.handed.map(({ payload }) => payload)).toEqual(["19", "19", "19", "19", "new"]);
});

it("what a consumer held comes back in steps, before what is newer", () => {
  const bench = new Bench({ local_max_inflight: 65_535 });
  const first = bench.attach();
  for (let number = 0; number < 10; number += 1) bench.publish(1_000);
  bench.pump();
  bench.publish(1_000);
  const handed = bench.handed.splice(0).slice(0, 10_000);
  expect(handed.length).toBe(10_000);
  const late = bench.attach();
  bench.detach(first);
  expect(bench.dispatcher.queue.inFlight).toBe(10_000 - QUEUE_AT_ONCE_MESSAGES);
  bench.ready.beginRound();
  expect(bench.ready.next()?.pump(0, bench.random, bench, 10) ?? 0).toBe(0);
  const second = bench.attach(); // Its number is not the one of who has just gone.
  expect(second.holder).not.toBe(first.holder);
  for (let left = 10_000 - QUEUE_AT_ONCE_MESSAGES; left > 0; left = bench.dispatcher.queue.inFlight) {
    bench.queues.workSome(QUEUE_STEP_MESSAGES);
    expect(left - bench.dispatcher.queue.inFlight).toBe(Math.min(left, QUEUE_STEP_MESSAGES));
  }
  bench.detach(second);
  bench.pump();
  expect(bench.handed.map(({ position }) => position).slice(0, 10_000)).toEqual(handed.map(({ position }) => position));
  expect(bench.handed.length).toBe(11_000);
  expect(
    bench.handed.every(({ consumer, isRedelivered }, at) => consumer === late && isRedelivered === at < 10_000),
  ).toBe(true);
  expect(bench.dispatcher.status(0)).toMatchObject({ in_flight: 11_000, waiting: 0, difference: 0 });
});

it("rejected messages whose time has come are anybody's in steps, also of a rejecter that has gone", () => {
  const bench = new Bench({ local_max_inflight: 65_535, redispatch_interval: 1_000 });
  const consumer = bench.attach();
  for (let number = 0; number < 20; number += 1) bench.publish(1_000);
  bench.pump();
  for (const { position } of [...bench.handed]) bench.settle(consumer, position, false);
  expect(bench.dispatcher.queue.heldCount).toBe(20_000);
  for (let left = 20_000, isFirst = true; left > 0; left = bench.dispatcher.queue.heldCount, isFirst = false) {
    bench.tick(isFirst ? 1_000 : 50);
    const released = left - bench.dispatcher.queue.heldCount;
    expect(released).toBe(Math.min(left, EXPIRIES_PER_TICK / RELEASE_COST_EXPIRIES));
  }
  bench.handed.length = 0;
  bench.pump();
  for (const { position } of [...bench.handed]) bench.settle(consumer, position, false);
  bench.detach(consumer);
  bench.handed.length = 0;
  expect(bench.attach().holder).toBe(consumer.holder); // Its number is another's, and what it rejected is anybody's.
  bench.pump();
  expect(bench.handed.length).toBe(20_000);
});

it("a lowered retention takes out what has expired in steps", () => {
  const bench = new Bench({ data_retention_period: 1_000_000 });
  const small = bench.attach({ packetBytesMax: 5 });
  for (let number = 0; number < 20; number += 1) bench.publish(1_000);
  bench.pump(); // Half of what waits stands aside.
  for (let number = 0; number < 20; number += 1) bench.publish(1_000);
  bench.detach(small);
  bench.nowMs = 500_000;
  bench.publish(1);
  const counter = countSettled(bench);
  bench.update({ data_retention_period: 10_000 });
  expect(counter.settled).toBe(0);
  let most = 0;
  for (let ticks = 0; counter.settled < 40_000 && ticks < 10; ticks += 1) {
    const before = counter.settled;
    bench.tick(50);
    most = Math.max(most, counter.settled - before);
  }
  expect(most).toBeLessThanOrEqual(EXPIRIES_PER_TICK + 2 * QUEUE_STEP_MESSAGES + LINE_CHUNK_MESSAGES);
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ expired: 40_000, waiting: 1, difference: 0 });
});

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

/**
 * Goal: what the model does not cover: oversized messages, refused links, pauses, draining, readiness, deletion, retention
 * that changes.
 * Method: examples on the real dispatcher and queue over a log in memory.
 */
import { describe, expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import { NOT_PAUSED, SESSION_WINDOW_FULL } from "../../src/dispatch/credit.ts";
import { ACCEPTED, DROPPED_NEWEST, REFUSED_LIMIT } from "../../src/queue/accept.ts";
import type { LookedAt } from "../../src/queue/look.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import { MemoryLog } from "../queue/memory-log.ts";
import { Bench } from "./bench.ts";

describe("oversized messages", () => {
  test("wait while those behind pass, and go first to a consumer that can take them", () => {
    const bench = new Bench({});
    const small = bench.attach({ packetBytesMax: 100 });
    bench.publish(100, { payload: "x".repeat(500) });
    bench.publish(5);
    bench.pump();
    expect(bench.handed.length).toBe(5);
    expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 100, in_flight: 5 });
    bench.settleAll();
    expect(bench.dispatcher.status(0).consumers[0]).toMatchObject({ clientid: "c0", paused: "packet_too_large" });
    bench.handed.length = 0;
    const large = bench.attach({});
    bench.publish(1);
    bench.pump();
    expect(bench.handed.filter(({ consumer }) => consumer === large).length).toBe(10);
    for (let round = 0; round < 20; round += 1) {
      bench.settleAll();
      bench.pump();
    }
    expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 0, in_flight: 0, difference: 0 });
    const its = bench.handed.filter(({ consumer }) => consumer === small);
    expect(its.length).toBeLessThanOrEqual(1);
  });

  test("all go to a consumer whose window takes them, however many there are", () => {
    const bench = new Bench({ local_max_inflight: 300 });
    bench.attach({ packetBytesMax: 100 });
    bench.publish(200, { payload: "x".repeat(500) });
    bench.pump();
    const large = bench.attach({});
    bench.pump();
    expect(bench.handed.filter(({ consumer }) => consumer === large).length).toBe(200);
  });

  test("those that have gone meanwhile are in nobody's way", () => {
    const bench = new Bench({ local_max_inflight: 300 });
    bench.attach({ packetBytesMax: 100 });
    for (let round = 0; round < 20; round += 1) {
      bench.publish(100, { payload: "x".repeat(500), expiresAtMs: bench.nowMs + 1_000 });
      bench.pump();
      bench.tick(2_000);
    }
    bench.publish(70, { payload: "x".repeat(500) });
    bench.pump();
    const large = bench.attach({});
    bench.pump();
    expect(bench.handed.filter(({ consumer }) => consumer === large).length).toBe(70);
    expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ expired: 2_000, waiting: 0, difference: 0 });
  });

  test("those in front of what a consumer takes are in its way no longer than it takes to look", () => {
    const bench = new Bench({});
    bench.attach({ packetBytesMax: 100 });
    bench.publish(200, { payload: "x".repeat(1_000) });
    bench.publish(3, { payload: "x".repeat(500) });
    bench.pump();
    const medium = bench.attach({ packetBytesMax: 800 });
    bench.pump();
    expect(bench.handed.filter(({ consumer }) => consumer === medium).length).toBe(3);
    expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 200, in_flight: 3 });
  });

  test("the limit is exact, to the byte", () => {
    // 1 fixed header, 2 remaining length, 2 + 1 topic, 2 packet identifier, 1 properties length, 200 payload.
    for (const [packetBytesMax, delivered] of [
      [209, 1],
      [208, 0],
    ] as const) {
      const bench = new Bench({});
      bench.attach({ packetBytesMax });
      bench.publish(1, { topic: "t", payload: "x".repeat(200) });
      bench.pump();
      expect(bench.handed.length).toBe(delivered);
    }
  });
});

describe("pauses", () => {
  test("a refused message stays, is no redelivery, and goes when its link is retried", () => {
    const bench = new Bench({});
    const consumer = bench.attach();
    bench.refusing.add(consumer);
    bench.publish(2);
    bench.pump();
    expect(bench.dispatcher.status(0)).toMatchObject({
      waiting: 2,
      in_flight: 0,
      consumers: [{ paused: "socket_full" }],
    });
    bench.refusing.clear();
    bench.pump();
    expect(bench.handed.length).toBe(0);
    expect(bench.ready.blockedCount).toBe(1);
    bench.ready.retryBlocked();
    bench.pump();
    expect(bench.handed.map(({ isRedelivered }) => isRedelivered)).toEqual([false, false]);
  });

  test("a full session is left alone until its worker says so", () => {
    const bench = new Bench({ local_max_inflight: 1 });
    const consumer = bench.attach();
    bench.slots.table.setPaused(consumer.slot, SESSION_WINDOW_FULL);
    bench.publish(2);
    bench.pump();
    expect(bench.dispatcher.status(0).consumers[0]!.paused).toBe("session_window_full");
    bench.slots.table.setPaused(consumer.slot, NOT_PAUSED);
    bench.pump();
    expect(bench.handed.length).toBe(1);
    expect(bench.dispatcher.status(0).consumers[0]).toMatchObject({ paused: "no_window", in_flight: 1, window: 1 });
  });
});

test("a draining consumer keeps what it has, gets nothing more, and may still reject", () => {
  const bench = new Bench({ local_max_inflight: 2 });
  const worker = bench.attach();
  bench.publish(4);
  bench.pump();
  bench.dispatcher.drain(worker);
  const [first, second] = bench.handed;
  bench.settle(worker, first!.position, true);
  expect(bench.dispatcher.isIdle(worker)).toBe(false);
  bench.settle(worker, second!.position, false);
  expect(bench.dispatcher.isIdle(worker)).toBe(true);
  bench.pump();
  expect(bench.handed.length).toBe(2);
  bench.attach();
  bench.pump();
  expect(bench.handed.slice(2).map(({ position }) => position)).toEqual([second!.position, second!.position + 1]);
});

test("an idle queue is not visited; one at its bound is visited again", () => {
  const bench = new Bench({ local_max_inflight: 100 });
  expect(bench.ready.count).toBe(0);
  bench.publish(10);
  expect(bench.ready.count).toBe(0);
  bench.attach();
  expect(bench.ready.count).toBe(1);
  bench.ready.beginRound();
  const dispatcher = bench.ready.next();
  expect(dispatcher!.pump(0, bench.random, bench, 4)).toBe(4);
  expect(bench.ready.count).toBe(1);
  bench.pump();
  expect([bench.handed.length, bench.ready.count]).toEqual([10, 0]);
  bench.publish(1);
  expect(bench.ready.count).toBe(1);
});

test("a deleted queue leaves nothing on disk and serves nobody", () => {
  const bench = new Bench({});
  bench.attach();
  bench.publish(30);
  bench.pump();
  bench.offer(5);
  expect(bench.dispatcher.close()).toEqual(bench.consumers);
  bench.queues.remove(1);
  for (let isMore = true; isMore; ) {
    isMore = bench.queues.removeSome(7);
    bench.log.flush();
    bench.log.succeed();
  }
  bench.log.flush();
  bench.log.succeed();
  bench.pump();
  expect(bench.handed.length).toBe(10);
  expect([bench.log.durableRecords, [...bench.disk.tables.keys()]]).toEqual([0, []]);
});

test("a deletion that a crash cuts short leaves strangers, which the next start settles", () => {
  const bench = new Bench({});
  bench.publish(30);
  bench.queues.remove(1);
  expect(bench.queues.removeSome(12)).toBe(true);
  bench.log.flush();
  bench.log.succeed();
  const log = new MemoryLog(bench.disk, { onSeal: () => {}, onCommitted: () => {}, onFailed: () => {} });
  const strangers: number[] = [];
  new PartitionQueues(log, bench.random).recover(({ position }) => strangers.push(position));
  expect(strangers.length).toBe(18);
  for (const position of strangers) log.settle(position);
  log.flush();
  log.succeed();
  expect([bench.disk.records.size, [...bench.disk.tables.keys()]]).toEqual([0, []]);
});

describe("retention", () => {
  test("a longer one keeps what would have expired, a shorter one expires what would have stayed", () => {
    const bench = new Bench({ data_retention_period: 1_000 });
    bench.publish(1);
    bench.publish(1, { expiresAtMs: 4_000 });
    bench.update({ data_retention_period: 10_000 });
    bench.tick(3_999);
    expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ waiting: 2, expired: 0 });
    bench.tick(1);
    expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ waiting: 1, expired: 1 });
    bench.update({ data_retention_period: 3_000 });
    expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ waiting: 0, expired: 2, difference: 0 });
  });

  test.each([
    ["longer", 1_000, 10_000, 1_500, { waiting: 1, expired: 0 }],
    ["shorter", 10_000, 1_000, 1_500, { waiting: 0, expired: 1 }],
    ["longer than a message's own interval", 1_000, 10_000, 5_000, { waiting: 0, expired: 1 }],
  ])("a %s one counts after a restart too, whenever it was changed", (_name, before, after, atMs, counts) => {
    const own = before === 1_000 && atMs === 5_000 ? { expiresAtMs: 4_000 } : {};
    for (const isChangedLive of [true, false]) {
      const bench = new Bench({ data_retention_period: before });
      bench.publish(1, own);
      if (isChangedLive) {
        bench.update({ data_retention_period: after });
        bench.publish(0);
        bench.log.flush();
        bench.log.succeed();
      }
      // Without it: the definition was on disk before the crash, and the queue's ledger did not know yet.
      const later = new Bench({ data_retention_period: after }, bench.disk);
      later.nowMs = atMs;
      expect(later.dispatcher.status(atMs)).toMatchObject({ ...counts, difference: 0 });
    }
  });

  test("what waits aside expires too: returned, held and parked; what is in flight does not", () => {
    const bench = new Bench({ data_retention_period: 1_000, local_max_inflight: 2, redispatch_interval: 60_000 });
    const small = bench.attach({ packetBytesMax: 200 });
    bench.publish(1, { payload: "x".repeat(500) }); // Parked.
    bench.publish(2);
    bench.pump();
    bench.settle(small, bench.handed[0]!.position, false); // Held.
    const other = bench.attach();
    bench.slots.table.setPaused(other.slot, SESSION_WINDOW_FULL);
    bench.publish(1);
    bench.pump();
    expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 2, in_flight: 2 });
    bench.tick(1_000);
    expect(bench.dispatcher.status(1_000)).toMatchObject({ waiting: 0, expired: 2, in_flight: 2 });
    bench.detach(small); // Returned, too late.
    bench.slots.table.setPaused(other.slot, NOT_PAUSED);
    bench.handed.length = 0;
    bench.pump();
    expect(bench.handed).toEqual([]);
    expect(bench.dispatcher.status(1_000)).toMatchObject({ expired: 4, in_flight: 0, waiting: 0, difference: 0 });
    bench.log.flush();
    bench.log.succeed();
    expect(bench.log.durableRecords).toBe(0);
  });

  test("many that expire at one moment go in bounded steps, and a consumer gets none of them", () => {
    const bench = new Bench({ data_retention_period: 1_000, local_max_inflight: 100 });
    bench.publish(60_000);
    bench.nowMs = 500;
    bench.publish(10);
    let ticks = 0;
    for (bench.tick(500); bench.queues.nextDeadlineMs() <= bench.nowMs; bench.tick(0)) ticks += 1;
    expect(ticks).toBeGreaterThan(1);
    expect(bench.dispatcher.status(1_000)).toMatchObject({ waiting: 10, expired: 60_000, difference: 0 });

    const other = new Bench({ data_retention_period: 1_000, local_max_inflight: 100 });
    other.publish(5_000);
    other.nowMs = 500;
    other.publish(10);
    other.nowMs = 1_000;
    other.attach();
    other.ready.beginRound();
    const dispatcher = other.ready.next();
    expect(dispatcher!.pump(other.nowMs, other.random, other, 1_000), "others get their turn first").toBe(0);
    expect(other.ready.count).toBe(1);
    other.pump();
    expect(other.handed.length).toBe(10);
    expect(other.dispatcher.status(1_000)).toMatchObject({ in_flight: 10, waiting: 0, expired: 5_000, difference: 0 });
  });

  test("a full queue takes as many as have expired in it", () => {
    const limits = { max_shard_message_count: 5_000, max_shard_message_bytes: "infinity" } as const;
    const bench = new Bench({ data_retention_period: 1_000, overflow: "reject", limits });
    bench.publish(4_000);
    bench.nowMs = 500;
    bench.publish(1_000);
    expect(bench.publish(1)).toEqual([REFUSED_LIMIT]);
    bench.nowMs = 1_000;
    expect(new Set(bench.publish(4_000))).toEqual(new Set([ACCEPTED]));
    expect(bench.publish(1)).toEqual([REFUSED_LIMIT]);
    expect(bench.dispatcher.status(1_000)).toMatchObject({ waiting: 5_000, expired: 4_000, refused: 2, difference: 0 });
  });

  test("the sweep needs no consumer and no status", () => {
    const bench = new Bench({ data_retention_period: 1_000 });
    bench.publish(3_000);
    bench.tick(1_000);
    bench.log.flush();
    bench.log.succeed();
    expect(bench.log.durableRecords).toBe(0);
  });
});

test("a message larger than the whole queue may be is refused and pushes nothing out", () => {
  const bench = new Bench({ limits: { max_shard_message_count: "infinity", max_shard_message_bytes: 200 } });
  expect(bench.publish(1)).toEqual([ACCEPTED]);
  expect(bench.publish(1, { payload: "x".repeat(300) })).toEqual([REFUSED_LIMIT]);
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 1, waiting: 1, refused: 1 });
});

test("what is in flight is never dropped for what comes", () => {
  const bench = new Bench({ limits: { max_shard_message_count: 2, max_shard_message_bytes: "infinity" } });
  bench.attach();
  bench.publish(2);
  bench.pump();
  expect(bench.publish(1)).toEqual([DROPPED_NEWEST]);
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 3, in_flight: 2, waiting: 0, dropped: 1, difference: 0 });
});

test("a look consumes nothing and pages by position", () => {
  const bench = new Bench({ is_lastvalue: true, key_expression: "message.topic", local_max_inflight: 2 });
  for (const topic of ["a", "b", "c", "d", "a"]) bench.publish(1, { topic });
  const consumer = bench.attach();
  bench.pump();
  bench.detach(consumer);
  const look = (after: number, limit: number) => {
    const { queue } = bench.dispatcher;
    return bench.waitingBehind(after, limit).map((position) => {
      const seen: LookedAt = { attempts: 0, key: undefined, region: Region.allocate(0), offset: 0 };
      expect(queue.lookAt(position, 0, seen)).toBe("found");
      return [seen.key, seen.attempts, position] as const;
    });
  };
  const all = look(0, 10);
  expect(all.map(([key, attempts]) => [key, attempts])).toEqual([
    ["b", 1],
    ["c", 1],
    ["d", 0],
    ["a", 0],
  ]);
  expect([...look(0, 3), ...look(all[2]![2], 3)]).toEqual(all);
  expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 4, superseded: 1, in_flight: 0 });
});

test("a look at many messages aside finds the oldest of them, page by page", () => {
  const bench = new Bench({ local_max_inflight: 500 });
  bench.publish(1_000);
  const consumer = bench.attach();
  bench.pump();
  bench.detach(consumer);
  while (bench.queues.workSome(1_000));
  const all = bench.waitingBehind(0, 2_000);
  expect(all.length).toBe(1_000);
  expect(all).toEqual([...all].sort((one, other) => one - other));
  const paged: number[] = [];
  for (let page = bench.waitingBehind(0, 7); page.length > 0; page = bench.waitingBehind(page.at(-1)!, 7)) {
    paged.push(...page);
  }
  expect(paged).toEqual(all);
});

test("a purge takes what waits when it begins: not what comes meanwhile, not what is in flight", () => {
  const bench = new Bench({ local_max_inflight: 10 });
  bench.publish(100);
  bench.attach();
  bench.pump();
  const purge = bench.dispatcher.queue.beginPurge();
  for (let step = 0; !purge.step(7); step += 1) if (step < 5) bench.publish(1);
  expect(purge.purged).toBe(90);
  expect(bench.dispatcher.status(0)).toMatchObject({ purged: 90, waiting: 5, in_flight: 10, difference: 0 });
});

test("an emptied queue has no deadline, and has one again with its next message, also of a batch that began with a refusal", () => {
  const bench = new Bench({ overflow: "reject", limits: { max_shard_message_count: 1, max_shard_message_bytes: 200 } });
  expect(bench.queues.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  bench.publish(1, { expiresAtMs: 500 });
  expect(bench.queues.nextDeadlineMs()).toBe(500);
  bench.tick(501);
  expect(bench.dispatcher.status(501)).toMatchObject({ expired: 1, waiting: 0 });
  expect(bench.queues.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  expect(bench.offer(1, { payload: "x".repeat(300) })).toEqual([REFUSED_LIMIT]);
  expect(bench.queues.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  expect(bench.offer(1, { expiresAtMs: 5_000 })).toEqual([ACCEPTED]);
  expect(bench.queues.nextDeadlineMs()).toBe(5_000);
});

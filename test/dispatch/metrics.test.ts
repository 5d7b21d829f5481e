/**
 * Goal: a queue's metrics say how long messages took and what became of them: each message once where that is promised, whatever
 * is redelivered, rejected, refused or lost on the way.
 * Method: the real queue and dispatcher over a log in memory, with the time in the test's hand.
 */
import { expect, test } from "vitest";
import { Bench } from "./bench.ts";

const latency = (bench: Bench, name: "publish_to_stored" | "publish_to_delivered" | "delivered_to_acknowledged") => {
  const { count, sum, max } = bench.dispatcher.metrics(bench.nowMs).latency_ms[name];
  return { count, sum, max };
};

test("from publish to disk, to the first hand-out, to the acknowledgement", () => {
  const bench = new Bench({});
  bench.nowMs = 1_000;
  bench.offer(2);
  bench.nowMs = 1_003;
  bench.offer(1);
  bench.log.flush();
  bench.nowMs = 1_010;
  bench.log.succeed();
  expect(latency(bench, "publish_to_stored")).toEqual({ count: 3, sum: 10 + 10 + 7, max: 10 });

  bench.nowMs = 1_100;
  const consumer = bench.attach();
  bench.pump();
  expect(latency(bench, "publish_to_delivered")).toEqual({ count: 3, sum: 100 + 100 + 97, max: 100 });
  bench.nowMs = 1_140;
  bench.settleSome(consumer, 3);
  expect(latency(bench, "delivered_to_acknowledged")).toEqual({ count: 3, sum: 120, max: 40 });
  expect(bench.dispatcher.metrics(bench.nowMs)).toMatchObject({
    name: "q",
    topic_filter: "t",
    counters: { published: 3, stored: 3, delivered: 3, redelivered: 0, acknowledged: 3, rejected: 0, refused: 0 },
    gauges: { waiting: 0, in_flight: 0, waiting_bytes: 0, consumers: 1 },
  });
});

test("a second hand-out is counted as one, and measured from itself to its acknowledgement", () => {
  const bench = new Bench({ redispatch_interval: 50 });
  const first = bench.attach();
  bench.publish(2);
  bench.pump();
  bench.settle(first, bench.handed[0]!.position, false);
  bench.tick(200);
  bench.detach(first);
  bench.nowMs = 300;
  bench.attach();
  bench.pump();
  bench.nowMs = 330;
  bench.settleAll();
  const { counters } = bench.dispatcher.metrics(bench.nowMs);
  expect(counters).toMatchObject({ delivered: 4, redelivered: 2, rejected: 1, acknowledged: 2 });
  expect(latency(bench, "publish_to_delivered")).toEqual({ count: 2, sum: 0, max: 0 });
  expect(latency(bench, "delivered_to_acknowledged")).toEqual({ count: 2, sum: 60, max: 30 });
});

test("a hand-out that a full socket refused never happened", () => {
  const bench = new Bench({});
  const consumer = bench.attach();
  bench.refusing.add(consumer);
  bench.publish(1);
  bench.pump();
  expect(bench.dispatcher.metrics(0).counters).toMatchObject({ delivered: 0, redelivered: 0 });
  bench.refusing.clear();
  bench.nowMs = 70;
  bench.ready.retryBlocked();
  bench.pump();
  expect(bench.dispatcher.metrics(70).counters).toMatchObject({ delivered: 1, redelivered: 0 });
  expect(latency(bench, "publish_to_delivered")).toEqual({ count: 1, sum: 70, max: 70 });
});

test("what never was stored is not measured; refusals and losses are counted", () => {
  const bench = new Bench({
    overflow: "reject",
    limits: { max_shard_message_count: 3, max_shard_message_bytes: "infinity" },
  });
  bench.offer(2);
  bench.log.flush();
  bench.log.fail();
  bench.nowMs = 5;
  bench.publish(4);
  expect(latency(bench, "publish_to_stored")).toEqual({ count: 3, sum: 0, max: 0 });
  expect(bench.dispatcher.metrics(5).counters).toMatchObject({ published: 4, stored: 3, refused: 1, dropped: 0 });
});

test("a wait over a restart counts: the message says when it was published", () => {
  const bench = new Bench({});
  bench.nowMs = 1_000;
  bench.publish(1);
  const later = new Bench({}, bench.disk);
  later.nowMs = 61_000;
  later.attach();
  later.pump();
  expect(latency(later, "publish_to_delivered")).toEqual({ count: 1, sum: 60_000, max: 60_000 });
  expect(later.dispatcher.metrics(61_000).counters).toMatchObject({ published: 1, stored: 1, delivered: 1 });
});

test("many moments in one batch are told apart", () => {
  const bench = new Bench({ local_max_inflight: 1 });
  for (let round = 0; round < 3; round += 1) {
    for (let count = 0; count < 3_000; count += 1) {
      bench.nowMs += 1;
      bench.offer(1);
      if (count === 1_000) bench.log.flush();
      if (count === 1_500) bench.log.succeed();
    }
    bench.log.flush();
    bench.log.succeed();
  }
  const { count, max } = bench.dispatcher.metrics(bench.nowMs).latency_ms.publish_to_stored;
  expect([count, max]).toEqual([9_000, 1_998]);
});

/**
 * Goal: each strategy chooses as it says, with two consumers and with a thousand, exactly also within a burst.
 * Method: the real dispatcher over a queue with a log in memory; hand-outs are recorded, settlements come as the test says.
 */
import { describe, expect, test } from "vitest";
import { HAND_OUTS_AT_ONCE_MAX } from "../../src/base/limits.ts";
import type { QueueDefinition } from "../../src/queue/definition.ts";
import { Bench } from "./bench.ts";

const kinds = ["random", "round_robin", "least_inflight"] as const;
const start = (
  kind: QueueDefinition["dispatch_strategy"],
  consumers: number,
  window: number,
  receiveMaximum = 65_535,
) => {
  const bench = new Bench({ dispatch_strategy: kind, local_max_inflight: window });
  for (let index = 0; index < consumers; index += 1) bench.attach({ receiveMaximum });
  return bench;
};

describe.each(kinds)("%s", (kind) => {
  test("no window is exceeded, none stays open, and what is left waits", () => {
    const bench = start(kind, 1_000, 3);
    bench.publish(3_500);
    bench.pump();
    expect(bench.consumers.map((consumer) => consumer.inFlight)).toEqual(Array(1_000).fill(3));
    expect(bench.dispatcher.status(0)).toMatchObject({ waiting: 500, in_flight: 3_000, difference: 0 });
  });

  test("a window is the smaller of local_max_inflight and Receive Maximum", () => {
    const bench = start(kind, 1, 10, 4);
    bench.publish(20);
    bench.pump();
    expect(bench.handed.length).toBe(4);
    bench.update({ local_max_inflight: 2 });
    bench.settleAll();
    bench.pump();
    expect(bench.handed.length).toBe(6);
  });

  test("messages go in stored order, one message to one consumer", () => {
    const bench = start(kind, 50, 10);
    for (let round = 0; round < 20; round += 1) {
      bench.publish(100);
      bench.pump();
      bench.settleAll();
    }
    const positions = bench.handed.map(({ position }) => position);
    expect(positions).toEqual([...positions].sort((one, other) => one - other));
    expect(new Set(positions).size).toBe(2_000);
  });

  test("the one who rejected a message does not get it back while another has room", () => {
    const bench = start(kind, 3, 1_000);
    for (let round = 0; round < 50; round += 1) {
      bench.publish(1);
      bench.pump();
      const { consumer, position } = bench.handed.at(-1)!;
      bench.settle(consumer, position, false);
      bench.pump();
      expect(bench.handed.at(-1)).toMatchObject({ position, isRedelivered: true });
      expect(bench.handed.at(-1)!.consumer).not.toBe(consumer);
    }
  });

  test("what all reject goes round at once for a while, then once an interval, and holds up nothing else", () => {
    const bench = start(kind, 2, 10);
    bench.publish(1);
    bench.pump();
    const rejectLast = (): void => {
      const { consumer, position } = bench.handed.at(-1)!;
      bench.settle(consumer, position, false);
      bench.pump();
    };
    for (let handOuts = 1; handOuts < HAND_OUTS_AT_ONCE_MAX; handOuts += 1) rejectLast();
    expect(bench.handed.length).toBe(HAND_OUTS_AT_ONCE_MAX);
    const poison = bench.handed[0]!.position;
    for (let interval = 0; interval < 3; interval += 1) {
      const before = bench.handed.length;
      rejectLast();
      bench.publish(1);
      bench.pump();
      expect(bench.handed.length).toBe(before + 1);
      bench.settle(bench.handed.at(-1)!.consumer, bench.handed.at(-1)!.position, true);
      bench.tick(99);
      bench.pump();
      expect(bench.handed.length).toBe(before + 1);
      bench.tick(1);
      bench.pump();
      expect(bench.handed.at(-1)).toMatchObject({ position: poison, isRedelivered: true });
    }
  });

  test("alone, the rejecter gets it again after the redispatch interval, not before", () => {
    const bench = start(kind, 1, 10);
    bench.publish(1);
    bench.pump();
    bench.settle(bench.handed[0]!.consumer, bench.handed[0]!.position, false);
    bench.pump();
    bench.tick(99);
    bench.pump();
    expect(bench.handed.length).toBe(1);
    expect(bench.queues.nextDeadlineMs()).toBe(100);
    bench.tick(1);
    bench.pump();
    expect(bench.handed.length).toBe(2);
  });

  test("one that leaves within a burst is chosen no more, and what it had goes first", () => {
    const bench = start(kind, 3, 2);
    bench.publish(10);
    bench.pump();
    const [gone] = bench.consumers;
    const its = bench.handed.filter(({ consumer }) => consumer === gone).map(({ position }) => position);
    bench.detach(gone!);
    bench.settleAll();
    bench.handed.length = 0;
    bench.pump();
    expect(bench.handed.slice(0, 2).map(({ position }) => position)).toEqual(its);
    expect(bench.handed.some(({ consumer }) => consumer === gone)).toBe(false);
  });
});

test("round_robin repeats its order, and 100 messages for two are 50 each", () => {
  const three = start("round_robin", 3, 10);
  three.publish(6);
  three.pump();
  const names = three.handed.map(({ consumer }) => consumer.clientId);
  expect(names).toEqual(["c0", "c1", "c2", "c0", "c1", "c2"]);

  const two = start("round_robin", 2, 10);
  two.publish(100);
  for (let round = 0; round < 20; round += 1) {
    two.pump();
    two.settleAll();
  }
  expect(two.consumers.map((consumer) => consumer.delivered)).toEqual([50, 50]);
});

test("random is about even", () => {
  const bench = start("random", 2, 10);
  bench.publish(4_000);
  for (let round = 0; round < 400; round += 1) {
    bench.pump();
    bench.settleAll();
  }
  const [one] = bench.consumers;
  expect(bench.handed.length).toBe(4_000);
  // Bursts of 20 fill both windows: with settled windows the share is even by construction.
  expect(one!.delivered).toBe(2_000);

  const single = start("random", 4, 1_000);
  for (let round = 0; round < 4_000; round += 1) {
    single.publish(1);
    single.pump();
    single.settleAll();
  }
  // 4,000 draws of 1 in 4: a standard deviation is 27.
  for (const consumer of single.consumers) expect(Math.abs(consumer.delivered - 1_000)).toBeLessThan(150);
});

describe("least_inflight", () => {
  test("within a burst every pick counts: 1,000 unequal consumers end level", () => {
    const bench = start("least_inflight", 1_000, 100);
    // Each consumer begins with its own number in flight, 0 to 9.
    bench.publish(10_000);
    bench.pump();
    expect(bench.consumers.map((consumer) => consumer.inFlight)).toEqual(Array(1_000).fill(10));
    for (const [index, consumer] of bench.consumers.entries()) bench.settleSome(consumer, 10 - (index % 10));
    expect(bench.consumers.map((consumer) => consumer.inFlight)).toEqual(bench.consumers.map((_, index) => index % 10));
    bench.handed.length = 0;
    bench.publish(5_500);
    let lowest = 0;
    bench.onDeliver = (consumer) => {
      // The count is one higher already; nobody had fewer.
      expect(consumer.inFlight - 1).toBeGreaterThanOrEqual(lowest);
      lowest = Math.max(lowest, consumer.inFlight - 1);
    };
    bench.pump();
    expect(bench.consumers.map((consumer) => consumer.inFlight)).toEqual(Array(1_000).fill(10));
  });

  test("a settlement counts before its frame has come", () => {
    const bench = start("least_inflight", 2, 10);
    bench.publish(8);
    bench.pump();
    const [, fast] = bench.consumers;
    bench.handed.length = 0;
    bench.slots.table.addSettled(fast!.slot, 4);
    bench.publish(4);
    bench.pump();
    expect(bench.handed.map(({ consumer }) => consumer)).toEqual([fast, fast, fast, fast]);
  });

  test("two idle consumers get one each; who acknowledged gets the third", () => {
    const bench = start("least_inflight", 2, 10);
    bench.publish(1);
    bench.pump();
    bench.publish(1);
    bench.pump();
    const [first, second] = bench.handed;
    expect(first!.consumer).not.toBe(second!.consumer);
    bench.settle(second!.consumer, second!.position, true);
    bench.publish(1);
    bench.pump();
    expect(bench.handed[2]!.consumer).toBe(second!.consumer);
  });

  test("counts far apart: the lowest is found again after it left", () => {
    const bench = start("least_inflight", 2, 5_000);
    bench.publish(4_000);
    bench.pump();
    const [low, high] = bench.consumers;
    bench.settleSome(low!, 2_000);
    bench.publish(1);
    bench.pump();
    expect(bench.handed.at(-1)!.consumer).toBe(low);
    bench.dispatcher.drain(low!);
    bench.publish(1);
    bench.pump();
    expect(bench.handed.at(-1)!.consumer).toBe(high);
    bench.settleSome(high!, 2_001);
    expect(high!.inFlight).toBe(0);
    bench.publish(1);
    bench.pump();
    expect(bench.handed.at(-1)!.consumer).toBe(high);
  });
});

test("a change of strategy counts for the next message", () => {
  const bench = start("round_robin", 2, 10);
  bench.publish(6);
  bench.pump();
  const [one] = bench.consumers;
  bench.settleSome(one!, 3);
  bench.update({ dispatch_strategy: "least_inflight" });
  bench.handed.length = 0;
  bench.publish(3);
  bench.pump();
  expect(bench.handed.map(({ consumer }) => consumer)).toEqual([one, one, one]);
});

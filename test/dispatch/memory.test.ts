/**
 * Goal: of a memory queue nobody waits for the disk: its messages are served at once, outlive failed commits within a bound, and
 * are counted when they are lost; a change of durability holds for what comes after it.
 * Method: examples on the real dispatcher and queue over a log in memory whose commits succeed or fail as the test says.
 */
import { expect, test } from "vitest";
import { KEPT_BYTES_MAX } from "../../src/base/limits.ts";
import { Bench } from "./bench.ts";

test("a memory queue serves before the commit, keeps what a failed commit held, and stores it with a later one", () => {
  const bench = new Bench({ durability: "memory", local_max_inflight: 1 });
  bench.attach();
  bench.offer(3);
  bench.pump();
  expect(bench.handed.length).toBe(1);
  expect(bench.dispatcher.queue.waitsForCommit).toBe(false);
  bench.log.flush();
  bench.log.fail();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 3, in_flight: 1, waiting: 2, dropped: 0, difference: 0 });
  bench.log.flush();
  bench.log.succeed();
  expect(bench.log.durableRecords).toBe(0);
  bench.tick(1_000);
  bench.log.flush();
  bench.log.succeed();
  expect(bench.log.durableRecords).toBe(3);
  for (let round = 0; round < 3; round += 1) {
    bench.settleAll();
    bench.pump();
  }
  expect(bench.dispatcher.status(0)).toMatchObject({ acknowledged: 3, waiting: 0, difference: 0 });
  expect(bench.handed.map(({ isRedelivered }) => isRedelivered)).toEqual([false, false, false]);
  const positions = bench.handed.map(({ position }) => position);
  expect(positions).toEqual([...positions].sort((one, other) => one - other));
  bench.log.flush();
  bench.log.succeed();
  expect(bench.log.durableRecords).toBe(0);
});

test("what it keeps is bounded: beyond that it is dropped, counted and told", () => {
  const bench = new Bench({ durability: "memory", local_max_inflight: 1 });
  const consumer = bench.attach();
  const payload = "x".repeat(KEPT_BYTES_MAX / 8);
  bench.offer(10, { payload });
  bench.pump();
  bench.log.flush();
  bench.log.fail();
  expect(bench.lost).toBe(3); // In flight is kept first, and seven of those that wait: each takes a little more than an eighth.
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 10, in_flight: 1, waiting: 6, dropped: 3, difference: 0 });

  // What only a consumer has is done with when it acknowledges, and lost when it comes back.
  bench.offer(2, { payload: "y" });
  bench.settleSome(consumer, 1);
  for (let left = 6; left > 0; left -= 1) {
    bench.pump();
    bench.settleSome(consumer, 1);
  }
  expect(bench.dispatcher.status(0)).toMatchObject({ acknowledged: 7, waiting: 2, difference: 0 });
});

test("a message that only its consumer has is dropped when it comes back", () => {
  const bench = new Bench({ durability: "memory", local_max_inflight: 8 });
  const consumer = bench.attach();
  bench.offer(8, { payload: "x".repeat(KEPT_BYTES_MAX / 7) });
  bench.pump();
  bench.log.flush();
  bench.log.fail();
  expect(bench.dispatcher.status(0)).toMatchObject({ in_flight: 8, dropped: 0 });
  bench.detach(consumer);
  bench.attach();
  bench.pump();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 8, in_flight: 6, dropped: 2, difference: 0 });
  expect(bench.handed.slice(8).every(({ isRedelivered }) => isRedelivered)).toBe(true);
});

test("the value that a newer one superseded stays superseded when their commit fails", () => {
  const bench = new Bench({ durability: "memory", is_lastvalue: true, key_expression: "message.topic" });
  bench.publish(1, { topic: "k", payload: "old" });
  bench.offer(1, { topic: "k", payload: "new" });
  bench.log.flush();
  bench.log.fail();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 2, waiting: 1, superseded: 1, difference: 0 });
  bench.tick(1_000);
  bench.log.flush();
  bench.log.succeed();
  expect(bench.log.durableRecords, "the new value alone").toBe(1);
  bench.attach();
  bench.pump();
  expect(bench.handed.map(({ payload }) => payload)).toEqual(["new"]);
});

test("changed to memory, what came before still waits for the disk, and goes first", () => {
  const bench = new Bench({ durability: "fsync" });
  bench.attach();
  bench.offer(1);
  bench.update({ durability: "memory" });
  bench.offer(1);
  bench.pump();
  expect(bench.handed.length).toBe(0);
  expect(bench.dispatcher.queue.waitsForCommit).toBe(false);
  bench.log.flush();
  bench.log.fail();
  bench.pump();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 1, in_flight: 0, waiting: 1, dropped: 0, difference: 0 });
  bench.publish(0);
  bench.tick(1_000);
  bench.log.flush();
  bench.log.succeed();
  bench.pump();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 1, in_flight: 1, waiting: 0, difference: 0 });
});

test("changed to fsync, what came before is served and kept as before, what comes after waits for the disk", () => {
  const bench = new Bench({ durability: "memory" });
  bench.attach();
  bench.offer(1);
  bench.update({ durability: "fsync" });
  bench.offer(1);
  bench.pump();
  expect(bench.handed.length).toBe(1);
  expect(bench.dispatcher.queue.waitsForCommit).toBe(true);
  bench.log.flush();
  bench.log.fail();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 1, in_flight: 1, waiting: 0, dropped: 0, difference: 0 });
});

/**
 * What a start after a kill serves of a last-value queue in memory whose key "k" had "old" on disk. `after` says how the newest
 * value went; the commits that end then are told to nobody: the kill comes first.
 */
function servedAfterKill(
  values: readonly string[],
  after: (bench: Bench) => void,
  commits: (bench: Bench) => void,
): string[] {
  const fields = { durability: "memory", is_lastvalue: true, key_expression: "message.topic" } as const;
  const bench = new Bench(fields);
  bench.publish(1, { topic: "k", payload: "old" });
  for (const payload of values) bench.offer(1, { topic: "k", payload });
  after(bench);
  commits(bench);
  const again = new Bench(fields, bench.disk);
  again.attach();
  again.pump();
  expect(again.dispatcher.status(0)).toMatchObject({ difference: 0 });
  return again.handed.map(({ payload }) => payload);
}

const consumed = (bench: Bench): void => {
  bench.attach();
  bench.pump();
  bench.settleAll();
};
const oneCommit = (bench: Bench): void => {
  bench.log.flush();
  bench.log.succeed(false);
};

test("a value that was consumed before its commit is not followed by an older one after a kill", () => {
  expect(servedAfterKill(["new"], consumed, oneCommit)).not.toContain("old");
  expect(servedAfterKill(["newer", "new"], consumed, oneCommit)).not.toContain("old");
  expect(servedAfterKill(["newer", "new"], consumed, oneCommit)).not.toContain("newer");
});

test("nor one that was consumed while its commit was under way", () => {
  const whileCommitting = (bench: Bench): void => {
    bench.log.flush();
    consumed(bench);
    bench.log.succeed();
  };
  for (const values of [["new"], ["newer", "new"]]) {
    const served = servedAfterKill(values, whileCommitting, oneCommit);
    expect(served).toEqual([]);
  }
});

test("nor when the batch behind is sealed before the commit is told", () => {
  for (const values of [["new"], ["newer", "new"]]) {
    const served = servedAfterKill(
      values,
      (bench) => {
        bench.log.flush();
        consumed(bench);
      },
      (bench) => {
        bench.log.succeedSealingNext();
        bench.log.succeed(false);
      },
    );
    expect(served).not.toContain("old");
    expect(served).not.toContain("newer");
  }
});

test("nor one that was purged before its commit", () => {
  const purged = (bench: Bench): void => {
    const purge = bench.dispatcher.queue.beginPurge();
    while (!purge.step(10));
  };
  expect(servedAfterKill(["new"], purged, oneCommit)).not.toContain("old");
});

test("what was consumed before a commit that failed is gone, and so is what it superseded", () => {
  const bench = new Bench({ durability: "memory", is_lastvalue: true, key_expression: "message.topic" });
  bench.publish(1, { topic: "k", payload: "old" });
  bench.offer(1, { topic: "k", payload: "new" });
  consumed(bench);
  bench.log.flush();
  bench.log.fail();
  bench.pump();
  expect(bench.dispatcher.status(0)).toMatchObject({ stored: 2, acknowledged: 1, superseded: 1, difference: 0 });
  bench.log.flush();
  bench.log.succeed();
  expect(bench.log.durableRecords).toBe(0);
});

/**
 * Goal: a message whose life ends before its commit does is never handed out; stored, it counts as expired; not stored, it never existed, as its
 * publisher is told; and what it was to supersede goes or stays accordingly.
 * Method: examples on the real dispatcher and queue over a log in memory whose commits succeed or fail as the test says, also with a restart.
 */
import { expect, test } from "vitest";
import { Bench } from "./bench.ts";

const SHORT = { payload: "short", expiresAtMs: 50 };
const LONG_MS = 5_000;

const handedBy = (bench: Bench): string[] => {
  bench.attach();
  bench.pump();
  return bench.handed.map(({ payload }) => payload);
};

test.each([
  ["while it gathers", true],
  ["while its commit is under way", false],
])("stored, it counts as expired: %s", (_when, isBeforeSeal) => {
  const bench = new Bench({});
  bench.offer(2, SHORT);
  bench.offer(1, { payload: "long" });
  if (isBeforeSeal) bench.tick(LONG_MS);
  bench.log.flush();
  if (!isBeforeSeal) bench.tick(LONG_MS);
  expect(handedBy(bench)).toEqual([]);
  bench.log.succeed();
  const counts = { stored: 3, expired: 2, difference: 0 };
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ ...counts, waiting: 1 });
  const again = new Bench({}, bench.disk); // As the crash leaves it: the expiry may not be on disk yet.
  again.tick(2 * LONG_MS);
  expect(again.dispatcher.status(again.nowMs)).toMatchObject({ ...counts, waiting: 1 });
  expect(handedBy(again)).toEqual(["long"]);
  bench.pump();
  bench.settleAll();
  for (let round = 0; round < 2; round += 1) {
    bench.log.flush();
    bench.log.succeed();
  }
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ ...counts, acknowledged: 1, waiting: 0 });
  expect(bench.log.durableRecords).toBe(0);
});

test("not stored, it never existed: neither what expired before the seal nor after it", () => {
  const bench = new Bench({});
  bench.publish(1, { payload: "earlier", expiresAtMs: 20 });
  bench.offer(2, SHORT);
  bench.tick(LONG_MS);
  bench.offer(3, { payload: "later", expiresAtMs: LONG_MS + 50 });
  bench.log.flush();
  bench.offer(1, { payload: "next", expiresAtMs: LONG_MS + 50 });
  bench.tick(LONG_MS);
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ stored: 7, expired: 7, difference: 0 });
  bench.log.fail();
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ stored: 2, expired: 2, waiting: 0, difference: 0 });
  bench.log.flush();
  bench.log.succeed();
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ stored: 2, expired: 2, waiting: 0, difference: 0 });
  const again = new Bench({}, bench.disk);
  expect(again.dispatcher.status(bench.nowMs)).toMatchObject({ stored: 2, expired: 2, waiting: 0, difference: 0 });
  expect(handedBy(again)).toEqual([]);
});

test.each([true, false])("what it superseded: stored %s", (isStored) => {
  const bench = new Bench({ is_lastvalue: true, key_expression: "message.topic" });
  bench.publish(1, { payload: "old" });
  bench.offer(1, SHORT);
  bench.log.flush();
  bench.tick(LONG_MS);
  if (isStored) bench.log.succeed();
  else bench.log.fail();
  expect(handedBy(bench)).toEqual(isStored ? [] : ["old"]);
  const counts = isStored ? { stored: 2, superseded: 1, expired: 1 } : { stored: 1, superseded: 0, expired: 0 };
  expect(bench.dispatcher.status(bench.nowMs)).toMatchObject({ ...counts, difference: 0 });
});

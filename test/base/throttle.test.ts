/**
 * Goal: however often something happens, it is told once in a period, at once the first time, and no occurrence is left out of the counts.
 * Method: a clock of the test's own.
 */
import { expect, test } from "vitest";
import { Throttle } from "../../src/base/throttle.ts";

test("tells the first at once, then once in a period how many there were", () => {
  const told: [number, number][] = [];
  const throttle = new Throttle(100);
  const note = (count: number, nowMs: number): void => throttle.note(count, nowMs, (all) => told.push([nowMs, all]));
  note(0, 0);
  for (let nowMs = 5; nowMs < 350; nowMs += 10) note(1, nowMs);
  for (let nowMs = 350; nowMs < 700; nowMs += 10) note(0, nowMs);
  expect(told).toEqual([
    [5, 1],
    [105, 10],
    [205, 10],
    [305, 10],
    [410, 4],
  ]);
});

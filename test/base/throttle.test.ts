/**
 * Goal: however often something happens, it is told once in a period, at once the first time, and no occurrence is left out of the counts.
 * Method: a clock of the test's own.
 */
import { expect, test } from "vitest";
import { Throttle } from "../../src/base/throttle.ts";

test("tells the first at once, then once in a period how many there were", () => {
  let nowMs = 5;
  const told: [number, number][] = [];
  const throttle = new Throttle(100, () => nowMs);
  for (; nowMs < 350; nowMs += 10) throttle.note((count) => told.push([nowMs, count]));
  expect(told).toEqual([
    [5, 1],
    [105, 10],
    [205, 10],
    [305, 10],
  ]);
});

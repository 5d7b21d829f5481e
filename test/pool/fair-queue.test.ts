/** Goal: the queue is bounded, loses only what it says, and nobody waits for another's flood. Method: a flood, and random pushes and shifts. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { FairQueue } from "../../src/pool/fair-queue.ts";
import { testSeed } from "../random.ts";

it("lets a late group through a flood, at once, and sends the flood's newest away", () => {
  const queue = new FairQueue<string>(4);
  for (const item of ["f1", "f2", "f3", "f4"]) expect(queue.push("flood", item)).toBeUndefined();
  expect(queue.push("flood", "f5")).toBe("f5");
  expect(queue.push("late", "l1")).toBe("f4");
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([
    "f1",
    "l1",
    "f2",
    "f3",
    undefined,
  ]);
});

it("holds at most its bound, keeps each group's order, and accounts for every item", () => {
  const step = fc.oneof(fc.constantFrom("a", "b", "c"), fc.constant(undefined));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, max) => {
      const queue = new FairQueue<string>(max);
      const seen: string[] = [];
      let shifted: string[] = [];
      let pushed = 0;
      for (const group of steps) {
        const gone =
          group === undefined ? queue.shift() : queue.push(group, `${group}${(pushed++).toString().padStart(3, "0")}`);
        if (gone !== undefined) seen.push(gone);
        if (group === undefined && gone !== undefined) shifted.push(gone);
        expect(queue.length).toBe(pushed - seen.length);
        expect(queue.length).toBeLessThanOrEqual(max);
      }
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) shifted.push(item);
      for (const group of ["a", "b", "c"]) {
        const own = shifted.filter((item) => item.startsWith(group));
        expect(own).toEqual([...own].sort());
      }
      shifted = [...seen, ...shifted];
      expect(new Set(shifted).size).toBe(pushed);
    }),
    { seed: testSeed, numRuns: 300 },
  );
});

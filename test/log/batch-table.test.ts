/**
 * Goal: the table of waiting batches agrees with a plain map, through merges of its chunks and bitmaps of every size.
 * Method: random appends, settlements and removals beside a Map of Sets; fast-check prints the seed.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { BatchTable } from "../../src/log/batch-table.ts";
import { isFull } from "./messages.ts";

it("agrees with a model", () => {
  const operation = fc.record({
    kind: fc.constantFrom("append", "append", "settle", "settle", "settle", "drain", "drain"),
    step: fc.constantFrom(1, 1, 1, 2, 5_000_000_000),
    records: fc.constantFrom(1, 2, 31, 32, 33, 100, 1_000),
    pick: fc.nat(),
    count: fc.integer({ min: 1, max: 1_500 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const table = new BatchTable();
      const model = new Map<number, { records: number; live: Set<number> }>();
      let batch = 0;
      const settle = (number: number, index: number): void => {
        const expected = model.get(number)!;
        expect(table.find(number)).toBe(true);
        const wasLive = expected.live.delete(index);
        expect(table.settle(index)).toBe(wasLive ? expected.live.size : -1);
        if (expected.live.size > 0) return;
        table.remove(0);
        model.delete(number);
        expect(table.find(number)).toBe(false);
      };
      for (const { kind, step, records, pick, count } of operations) {
        const numbers = [...model.keys()];
        const picked = numbers[pick % Math.max(1, numbers.length)];
        if (kind === "append") {
          for (let round = 0; round < count; round += 1) {
            batch += step;
            table.append(batch, records, records, records, undefined, 1_000);
            model.set(batch, { records, live: new Set(Array.from({ length: records }, (_, index) => index)) });
            if (records * count > 3_000) break;
          }
        } else if (picked !== undefined && kind === "settle") settle(picked, pick % model.get(picked)!.records);
        else if (picked !== undefined) {
          const start = numbers.indexOf(picked);
          for (const number of numbers.slice(start, start + count)) {
            const { records: all } = model.get(number)!;
            if (number % 7 === pick % 7) continue;
            for (let index = 0; index < all && model.has(number); index += 1) settle(number, index);
          }
        }
      }
      let live = 0;
      for (const [number, expected] of model) {
        expect(table.find(number)).toBe(true);
        expect(table.batch).toBe(number);
        expect(table.live).toBe(expected.live.size);
        expect(table.records).toBe(expected.records);
        for (let index = 0; index < expected.records; index += 1) {
          if (table.isLive(index) !== expected.live.has(index)) expect.unreachable(`record ${index} of ${number}`);
        }
        expect(table.isLive(expected.records)).toBe(false);
        live += expected.live.size;
      }
      expect(table.batches).toBe(model.size);
      expect(table.liveRecords).toBe(live);
      expect(table.valueBytes).toBe(model.size * 1_000);
      const dead = [...model.values()].reduce(
        (sum, { records, live: { size } }) => sum + 1_000 * (1 - size / records),
        0,
      );
      expect(table.deadBytes).toBeCloseTo(dead, 3);
    }),
    { numRuns: isFull ? 600 : 60 },
  );
}, 300_000);

it("takes at most 20 bytes for a waiting batch of one record, also when one in fifty is left", () => {
  const table = new BatchTable();
  for (let batch = 1; batch <= 200_000; batch += 1) table.append(batch, 1, 1, 1, undefined, 300);
  expect(table.memoryBytes).toBeLessThanOrEqual(200_000 * 20);
  for (let batch = 1; batch <= 200_000; batch += 1) {
    if (batch % 50 === 0) continue;
    if (!table.find(batch)) expect.unreachable(`batch ${batch}`);
    table.settle(0);
    table.remove(0);
  }
  expect(table.batches).toBe(4_000);
  expect(table.memoryBytes).toBeLessThanOrEqual(4_000 * 19 * 8);
  for (let batch = 50; batch <= 200_000; batch += 50) expect(table.find(batch)).toBe(true);
});

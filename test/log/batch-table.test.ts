/**
 * Goal: the table of waiting batches agrees with a plain map, through joined chunks, merged batches and bitmaps of every size.
 * Method: random appends, settlements, removals and merges beside a Map of Sets; fast-check prints the seed.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { BatchTable } from "../../src/log/batch-table.ts";
import { isFull } from "./messages.ts";

interface Value {
  readonly batches: Map<number, { readonly records: number; readonly live: Set<number> }>;
  readonly records: number;
  readonly width: number;
  readonly stored: number;
}

const liveIn = ({ batches }: Value): number => [...batches.values()].reduce((sum, { live }) => sum + live.size, 0);

it("agrees with a model", () => {
  const operation = fc.record({
    kind: fc.constantFrom("append", "append", "settle", "settle", "settle", "drain", "drain", "merge", "merge"),
    step: fc.constantFrom(1, 1, 1, 2, 5_000_000_000),
    records: fc.constantFrom(1, 2, 31, 32, 33, 100, 1_000),
    pick: fc.nat(),
    count: fc.integer({ min: 1, max: 1_500 }),
  });
  let merged = 0;
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const table = new BatchTable();
      const model = new Map<number, Value>();
      let batch = 0;
      const settle = (value: Value, number: number, index: number): void => {
        const wasLive = value.batches.get(number)?.live.delete(index) === true;
        const left = liveIn(value);
        expect(table.find(number)).toBe(wasLive || left > 0);
        if (!wasLive && left === 0) return;
        expect(table.settle(index)).toBe(wasLive ? left : -1);
        if (left > 0) return;
        table.remove(0);
        for (const each of value.batches.keys()) model.delete(each);
        expect(table.find(number)).toBe(false);
      };
      const merge = (start: number, count: number): void => {
        if (!table.seek(start)) return;
        const first = table.batch;
        const rows = [first];
        let width = table.width;
        let last = table.lastBatch;
        while (rows.length < count && table.next()) {
          const wider = Math.max(width, table.width);
          if ((table.lastBatch - first + 1) * wider > 65_536) break;
          rows.push(table.batch);
          width = wider;
          last = table.lastBatch;
        }
        if (rows.length === 1) return;
        const values = new Set(rows.map((row) => model.get(row)!));
        const batches: Value["batches"] = new Map();
        for (const value of values) for (const [number, each] of value.batches) batches.set(number, each);
        const value = { batches, records: (last - first + 1) * width, width, stored: 0 };
        const joined = { ...value, stored: liveIn(value) };
        for (const number of [first, ...batches.keys()]) model.set(number, joined);
        const { records, stored } = joined;
        expect(table.merge(rows, { records, width, entries: stored, valueBytes: 1_000 })).toBe(stored);
        expect([table.batch, table.lastBatch, table.live]).toEqual([first, last, stored]);
        merged += 1;
      };
      for (const { kind, step, records, pick, count } of operations) {
        const numbers = [...model.keys()];
        const picked = numbers[pick % Math.max(1, numbers.length)];
        if (kind === "append") {
          for (let round = 0; round < count; round += 1) {
            batch += step;
            table.append(batch, records, records, records, undefined, 1_000);
            const live = new Set(Array.from({ length: records }, (_, index) => index));
            model.set(batch, {
              batches: new Map([[batch, { records, live }]]),
              records,
              width: records,
              stored: records,
            });
            if (records * count > 3_000) break;
          }
        } else if (picked === undefined) continue;
        else if (kind === "settle") settle(model.get(picked)!, picked, pick % 1_001);
        else if (kind === "merge") merge(picked, count);
        else {
          const start = numbers.indexOf(picked);
          for (const number of numbers.slice(start, start + count)) {
            const value = model.get(number);
            if (value === undefined || number % 7 === pick % 7) continue;
            for (const index of [...(value.batches.get(number)?.live ?? [])]) settle(value, number, index);
          }
        }
      }
      let live = 0;
      for (const [number, value] of model) {
        expect(table.find(number)).toBe(true);
        expect([table.live, table.records, table.width]).toEqual([liveIn(value), value.records, value.width]);
        const own = value.batches.get(number)?.live ?? new Set();
        for (let index = 0; index < 1_001; index += 1) {
          if (table.isLive(index) !== own.has(index)) expect.unreachable(`record ${index} of ${number}`);
        }
        live += own.size;
      }
      const values = new Set(model.values());
      expect(table.batches).toBe(values.size);
      expect(table.liveRecords).toBe(live);
      expect(table.valueBytes).toBe(values.size * 1_000);
      const deadOf = (each: Value): number => 1_000 * (1 - liveIn(each) / each.stored);
      const dead = (of: Value[]): number => of.reduce((sum, each) => sum + deadOf(each), 0);
      expect(table.deadBytes).toBeCloseTo(dead([...values]), 3);
      expect(table.mergedDeadBytes).toBeCloseTo(dead([...values].filter((each) => each.width < each.records)), 3);
    }),
    { numRuns: isFull ? 600 : 60 },
  );
  expect(merged).toBeGreaterThan(0);
}, 300_000);

it("takes at most 22 bytes for a waiting batch of one record, also when one in fifty is left", () => {
  const table = new BatchTable();
  for (let batch = 1; batch <= 200_000; batch += 1) table.append(batch, 1, 1, 1, undefined, 300);
  expect(table.memoryBytes).toBeLessThanOrEqual(200_000 * 22);
  for (let batch = 1; batch <= 200_000; batch += 1) {
    if (batch % 50 === 0) continue;
    if (!table.find(batch)) expect.unreachable(`batch ${batch}`);
    table.settle(0);
    table.remove(0);
  }
  expect(table.batches).toBe(4_000);
  expect(table.memoryBytes).toBeLessThanOrEqual(4_000 * 21 * 8);
  for (let batch = 50; batch <= 200_000; batch += 50) expect(table.find(batch)).toBe(true);
});

/**
 * Goal: a histogram counts every value once, in a bucket that holds it, and its quantiles are never too low and at most a quarter
 * too high.
 * Method: properties against the sorted values themselves; the edges by hand.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BUCKET_BOUNDS_MS, Histogram } from "../../src/base/histogram.ts";

const anyValue = fc.oneof(fc.nat(20), fc.nat(5_000), fc.nat(0x7fff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }));

test("every value is counted below each bound above it, and nowhere else", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyValue, fc.integer({ min: 1, max: 1_000 })), { maxLength: 50 }), (records) => {
      const histogram = new Histogram();
      const values = records.flatMap(([value, times]) => {
        histogram.record(value, times);
        return Array.from({ length: times }, () => value);
      });
      values.sort((one, other) => one - other);
      const { buckets, ...summary } = histogram.summary();
      expect(summary).toMatchObject({
        count: values.length,
        sum: values.reduce((sum, value) => sum + value, 0),
        max: values.at(-1) ?? 0,
      });
      const below = (bound: number): number => values.filter((value) => value < bound).length;
      expect(buckets).toEqual([
        ...BUCKET_BOUNDS_MS.map((le) => ({ le, count: below(le) })),
        { le: "+Inf", count: values.length },
      ]);
      for (const [quantile, share] of [
        [summary.p50, 0.5],
        [summary.p90, 0.9],
        [summary.p99, 0.99],
      ] as const) {
        const exact = values[Math.ceil(share * values.length) - 1] ?? 0;
        expect(quantile).toBeGreaterThanOrEqual(exact);
        expect(quantile).toBeLessThanOrEqual(exact < 8 ? exact : exact * 1.25);
      }
    }),
    { numRuns: 60 },
  );
});

test("the edges: nothing, a clock set back, and what no bucket would hold", () => {
  const histogram = new Histogram();
  expect(histogram.summary()).toMatchObject({ count: 0, sum: 0, max: 0, p50: 0, p99: 0 });
  histogram.record(-5);
  expect(histogram.summary()).toMatchObject({ count: 1, sum: 0, max: 0, p50: 0 });
  histogram.record(2 ** 40);
  expect(histogram.summary()).toMatchObject({ count: 2, max: 0xffff_ffff, p99: 0xffff_ffff });
});

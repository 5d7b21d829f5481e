/**
 * Goal: durations are read exactly as EMQX writes them, and everything else is refused in words.
 * Method: a table of texts; properties over sums of pieces and over formatting and reading back.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, parseDuration, parseDurationOrInfinity } from "../../src/base/duration.ts";

const HOUR = 3_600_000;

test.each([
  ["0", 0],
  ["15", 15],
  [250, 250],
  ["250ms", 250],
  ["1s", 1_000],
  ["1.5s", 1_500],
  ["1h30m", 1.5 * HOUR],
  ["1H30M", 1.5 * HOUR],
  ["10MS", 10],
  ["1m1ms", 60_001],
  ["2d", 48 * HOUR],
  ["1w", 7 * 24 * HOUR],
  ["1f", 14 * 24 * HOUR],
  ["0.0004s", 0],
  ["0.0006s", 1],
  ["1m1m", 120_000],
  ["0.5f", 7 * 24 * HOUR],
  ["1.5D12H", 48 * HOUR],
  ["0.25w0.5h", 42.5 * HOUR],
  ["0.1s0.2s", 300],
])("%s is %d ms", (written, ms) => {
  expect(parseDuration(written)).toEqual({ value: ms });
});

test.each([
  "",
  " 1s",
  "1s ",
  "1 s",
  "-1s",
  "+1s",
  "-1",
  "1.5",
  ".5s",
  "1.s",
  "1y",
  "s",
  "1hm",
  "1e3",
  "infinity",
  "١s",
])("%j is refused, and the fault shows it", (written) => {
  expect(parseDuration(written).problem).toContain(JSON.stringify(written));
});

test.each([1.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, null, true, {}, ["1s"], undefined])(
  "%j of another type is refused",
  (written) => {
    expect(parseDuration(written).problem).toMatch(/^expected a duration/);
  },
);

test("a time beyond exact numbers is refused", () => {
  expect(parseDuration("99999999999f").problem).toContain("too long");
  expect(parseDuration("9".repeat(400)).problem).toContain("too long");
});

test("a long fault is shortened", () => {
  expect(parseDuration("x".repeat(10_000)).problem!.length).toBeLessThan(200);
});

test("infinity only where a setting allows it", () => {
  expect(parseDurationOrInfinity("infinity")).toEqual({ value: "infinity" });
  expect(parseDurationOrInfinity("2s")).toEqual({ value: 2_000 });
  expect(parseDurationOrInfinity("never").problem).toMatch(/^expected "infinity" or a duration/);
});

test("a row of pieces is the sum of its pieces, in any case", () => {
  const unit = fc.constantFrom(
    ["f", 14 * 24 * HOUR],
    ["w", 168 * HOUR],
    ["d", 24 * HOUR],
    ["h", HOUR],
    ["m", 60_000],
    ["s", 1_000],
    ["ms", 1],
  );
  const piece = fc.tuple(fc.nat(10_000), unit, fc.boolean());
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
      const text = pieces.map(([count, [name], isUpper]) => `${count}${isUpper ? String(name).toUpperCase() : name}`);
      const sum = pieces.reduce((total, [count, [, ms]]) => total + count * Number(ms), 0);
      expect(parseDuration(text.join(""))).toEqual({ value: sum });
    }),
  );
});

test("what is formatted reads back as the same time", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (ms) => {
      expect(parseDuration(formatDuration(ms))).toEqual({ value: ms });
    }),
  );
  expect(formatDuration(1.5 * HOUR)).toBe("1h30m");
  expect(formatDuration(0)).toBe("0s");
});

test("any text gives a value or a fault, never an exception", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.anything()), (written) => {
      const { value, problem } = parseDuration(written);
      expect(value === undefined).toBe(problem !== undefined);
    }),
  );
});

/**
 * Goal: sizes are read exactly as EMQX writes them, and everything else is refused in words.
 * Method: a table of texts; properties over every unit and over formatting and reading back.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatBytesize, parseBytesize, parseBytesizeOrInfinity } from "../../src/base/bytesize.ts";

test.each([
  ["0", 0],
  ["100", 100],
  [100, 100],
  ["7B", 7],
  ["7b", 7],
  ["1KB", 1024],
  ["1kb", 1024],
  ["100MB", 104_857_600],
  ["2gb", 2_147_483_648],
])("%s is %d bytes", (written, bytes) => {
  expect(parseBytesize(written)).toEqual({ value: bytes });
});

test.each(["", "1Kb", "1kB", "1K", "1M", "1MiB", "1.5MB", "1 MB", " 1MB", "-1", "MB", "1TB", "infinity", "0x10"])(
  "%j is refused, and the fault shows it",
  (written) => {
    expect(parseBytesize(written).problem).toContain(JSON.stringify(written));
  },
);

test.each([1.5, -1, Number.NaN, 2 ** 53, null, false, {}, undefined])("%j of another type is refused", (written) => {
  expect(parseBytesize(written).problem).toMatch(/^expected a size/);
});

test("a size beyond exact numbers is refused", () => {
  expect(parseBytesize("9007199254740992").problem).toContain("too large");
  expect(parseBytesize("99999999999GB").problem).toContain("too large");
});

test("infinity only where a setting allows it", () => {
  expect(parseBytesizeOrInfinity("infinity")).toEqual({ value: "infinity" });
  expect(parseBytesizeOrInfinity("1KB")).toEqual({ value: 1024 });
  expect(parseBytesizeOrInfinity("lots").problem).toMatch(/^expected "infinity" or a size/);
});

test("every unit multiplies by 1024, and what is formatted reads back", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.nat(3), fc.boolean(), (count, power, isUpper) => {
      const unit = ["B", "KB", "MB", "GB"][power]!;
      expect(parseBytesize(`${count}${isUpper ? unit : unit.toLowerCase()}`)).toEqual({ value: count * 1024 ** power });
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.maxSafeNat(),
        fc.nat(1_000).map((count) => count * 1024 ** 2),
      ),
      (bytes) => {
        expect(parseBytesize(formatBytesize(bytes))).toEqual({ value: bytes });
      },
    ),
  );
  expect(formatBytesize(256 * 1024 ** 2)).toBe("256MB");
});

test("any text gives a value or a fault, never an exception", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.anything()), (written) => {
      const { value, problem } = parseBytesize(written);
      expect(value === undefined).toBe(problem !== undefined);
    }),
  );
});

/**
 * Goal: the border between workers is what its table says: every kind has its own number, and every frame with a body of bytes has
 * its fields where the drawing says. Method: each frame against its bytes; the table of the file against its constants.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import * as kinds from "../../src/frame/kinds.ts";

const source = readFileSync(new URL("../../src/frame/kinds.ts", import.meta.url), "utf8");
const listed = [...source.matchAll(/^ \* \| ([A-Z]+) \|/gm)].map(([, name]) => name!);
const numbersByName = new Map<string, unknown>(Object.entries(kinds));

describe("frames", () => {
  it("are all in the table, each with a number of its own that is not padding's", () => {
    const numbers = listed.map((name) => numbersByName.get(name));
    expect(listed.length).toBeGreaterThan(10);
    expect(new Set(numbers).size).toBe(listed.length);
    for (const number of numbers) expect(number).toBeGreaterThan(0);
    const declared = [...source.matchAll(/^export const ([A-Z]+) = \d+;$/gm)].map(([, name]) => name!);
    expect(declared.filter((name) => !listed.includes(name))).toEqual([]);
  });

  it("flags of PUBLISH are bits of their own", () => {
    const { ANSWER_WANTED, EXACTLY_ONCE, MAY_BE_KNOWN, ROUTED_BEFORE } = kinds;
    expect(ANSWER_WANTED | EXACTLY_ONCE | MAY_BE_KNOWN | ROUTED_BEFORE).toBe(0b1111);
  });

  const written = (byteLength: number, write: (region: Region) => void): string => {
    const region = Region.allocate(byteLength + 8);
    region.bytes.fill(0xee);
    write(region);
    expect(region.bytes.subarray(0, 4).toString("hex")).toBe("eeeeeeee");
    expect(region.bytes.subarray(-4).toString("hex")).toBe("eeeeeeee");
    return region.bytes.subarray(4, -4).toString("hex");
  };

  it("PUBLISH: origin, sequence, flags, packet identifier", () => {
    const bytes = written(kinds.PUBLISH_HEADER_BYTES, (region) =>
      kinds.writePublishHeader(region, 4, 0xfedc_ba98, 0xffff_ffff, 7, 65_535),
    );
    expect(bytes).toBe("98badcfeffffffff07000000ffff0000");
  });

  it("STORED: origin, sequence, reason", () => {
    const bytes = written(kinds.STORED_BYTES, (region) => kinds.writeStored(region, 4, 1, 0xffff_ffff, 0x97));
    expect(bytes).toBe("01000000ffffffff97000000");
  });

  it("DELIVER: slot, generation, position, redelivered", () => {
    const bytes = written(kinds.DELIVER_HEADER_BYTES, (region) =>
      kinds.writeDeliverHeader(region, 4, 4_095, 65_535, 2 ** 52 + 1, true),
    );
    expect(bytes).toBe(`ff0f0000ffff0000010000000000304301000000${"00000000"}`);
    expect(written(kinds.DELIVER_HEADER_BYTES, (region) => kinds.writeDeliverHeader(region, 4, 0, 0, 0, false))).toBe(
      "00".repeat(24),
    );
  });

  it("SETTLE: slot, generation, position, accepted", () => {
    const bytes = written(kinds.SETTLE_BYTES, (region) => kinds.writeSettle(region, 4, 1, 2, 1.5, true));
    expect(bytes).toBe("0100000002000000000000000000f83f01000000");
  });
});

/**
 * Goal: exactly MQTT's UTF-8 is accepted. Method: Node's fatal TextDecoder is the oracle, over random bytes near the borders of
 * the encoding, and over all sequences of two bytes.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isUtf8 } from "../../src/mqtt/utf8.ts";
import { ROUNDS } from "./size.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isUtf8ByOracle(bytes: Buffer): boolean {
  try {
    return !decoder.decode(bytes).includes("\0");
  } catch {
    return false;
  }
}

const BORDER_BYTES = [
  0x00, 0x01, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
  0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
];

test("all pairs of bytes, and all triples and quadruples of border bytes behind a lead", () => {
  for (let first = 0; first < 256; first += 1) {
    for (let second = 0; second < 256; second += 1) {
      const pair = Buffer.from([first, second]);
      if (isUtf8(pair, 0, 2) !== isUtf8ByOracle(pair)) expect.fail(pair.toString("hex"));
    }
  }
  for (const lead of BORDER_BYTES.filter((byte) => byte >= 0xe0)) {
    for (const second of BORDER_BYTES) {
      for (const third of BORDER_BYTES) {
        const triple = Buffer.from([lead, second, third]);
        if (isUtf8(triple, 0, 3) !== isUtf8ByOracle(triple)) expect.fail(triple.toString("hex"));
        const quadruple = Buffer.from([lead, second, third, 0xbf]);
        if (isUtf8(quadruple, 0, 4) !== isUtf8ByOracle(quadruple)) expect.fail(quadruple.toString("hex"));
      }
    }
  }
});

test("random strings and random border bytes, at an offset and with more behind", () => {
  const bytes = fc.oneof(
    fc.array(fc.constantFrom(...BORDER_BYTES), { maxLength: 12 }).map((list) => Buffer.from(list)),
    fc.string({ unit: "binary" }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, (middle) => {
      const framed = Buffer.concat([Buffer.from([0xff]), middle, Buffer.from([0x80])]);
      expect(isUtf8(framed, 1, 1 + middle.length)).toBe(isUtf8ByOracle(middle));
    }),
    { numRuns: ROUNDS },
  );
});

/**
 * Goal: the hash is HalfSipHash-2-4-64, whatever the length and wherever the bytes lie.
 * Method: the reference implementation's test vectors (key 00..07, input 00, 01, …), at an odd offset.
 */
import { expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import { hashBytes, newKeyHash } from "../../src/queue/key-hash.ts";

const VECTORS = [
  "218d1f59b9b83cc8",
  "be552412f8387315",
  "064f39ef7c50eb57",
  "ce0f1a45f7060679",
  "d5e78a175be52ea1",
  "cb9d7c3f2f3db580",
  "ce3e91358aa2bc25",
  "ff202728b07bc684",
  "edfee820bce4858c",
];

test("the reference vectors", () => {
  const out = newKeyHash();
  const seed = { low: 0x03020100, high: 0x07060504 };
  for (const [byteLength, expected] of VECTORS.entries()) {
    const region = Region.allocate(32);
    for (let index = 0; index < byteLength; index += 1) region.bytes[3 + index] = index;
    hashBytes(region, 3, byteLength, seed, out);
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(out[1]!, 0);
    bytes.writeUInt32LE(out[0]!, 4);
    expect(bytes.toString("hex")).toBe(expected);
  }
});

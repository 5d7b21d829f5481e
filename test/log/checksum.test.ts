/** Goal: the checksum is CRC-32, the same with and without Node's native one. Method: known values and random bytes. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { checksumOf, tableChecksumOf } from "../../src/log/checksum.ts";

it("is CRC-32", () => {
  expect(checksumOf(Buffer.from("123456789"))).toBe(0xcbf43926);
  expect(tableChecksumOf(Buffer.from("123456789"))).toBe(0xcbf43926);
});

it("goes on from the checksum of what stands before", () => {
  for (const checksum of [checksumOf, tableChecksumOf]) {
    expect(checksum(Buffer.from("6789"), checksum(Buffer.from("12345")))).toBe(0xcbf43926);
  }
});

it("is the same in JavaScript", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => checksumOf(bytes) === tableChecksumOf(bytes)));
});

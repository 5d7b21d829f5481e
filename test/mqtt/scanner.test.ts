/**
 * Goal: packets are found whole, at every possible split of the bytes, and bad lengths are known before their bytes arrive.
 * Method: every named packet cut at every byte; lengths at their borders.
 */
import { describe, expect, test } from "vitest";
import { bodyOffset, LENGTH_MALFORMED, NEED_MORE, PACKET_TOO_LARGE, packetBytes } from "../../src/mqtt/scanner.ts";
import {
  readVariableByteInteger,
  VARIABLE_BYTE_INTEGER_MAX,
  variableByteIntegerBytes,
  writeVariableByteInteger,
} from "../../src/mqtt/variable-byte-integer.ts";
import { ACKS, bytesOf, PUBLISHES } from "./packets.ts";
import { RARE } from "./rare-packets.ts";

const PACKETS = [...PUBLISHES, ...ACKS, ...RARE].map((entry) => bytesOf(entry.hex));
const BORDERS = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, VARIABLE_BYTE_INTEGER_MAX];

describe("packetBytes", () => {
  test("finds every packet of a stream, wherever the bytes are cut", () => {
    const stream = Buffer.concat(PACKETS);
    let start = 0;
    for (const packet of PACKETS) {
      const end = start + packet.length;
      for (let cut = start; cut < end; cut += 1) expect(packetBytes(stream, start, cut, 1000)).toBe(NEED_MORE);
      expect(packetBytes(stream, start, end, 1000)).toBe(packet.length);
      expect(packetBytes(stream, start, stream.length, 1000)).toBe(packet.length);
      start = end;
    }
  });

  test("knows an oversized packet from its length alone, and takes one of exactly the maximum", () => {
    for (const remaining of BORDERS) {
      const head = Buffer.alloc(5);
      head[0] = 0x30;
      const headBytes = writeVariableByteInteger(head, 1, remaining);
      const total = headBytes + remaining;
      expect(packetBytes(head, 0, headBytes, total - 1)).toBe(PACKET_TOO_LARGE);
      expect(packetBytes(head, 0, headBytes, total)).toBe(remaining === 0 ? 2 : NEED_MORE);
      if (headBytes > 2) expect(packetBytes(head, 0, headBytes - 1, 1)).toBe(NEED_MORE);
    }
  });

  test("refuses a fifth length byte once the fourth says that it comes", () => {
    const head = bytesOf("30 ffffffff 7f");
    for (let cut = 0; cut < 5; cut += 1) expect(packetBytes(head, 0, cut, 1000)).toBe(NEED_MORE);
    expect(packetBytes(head, 0, 5, 1000)).toBe(LENGTH_MALFORMED);
    expect(packetBytes(head, 0, 6, 1000)).toBe(LENGTH_MALFORMED);
  });

  test("takes a length with needless bytes, and finds the body behind it", () => {
    const padded = bytesOf("40 82808000 000a");
    expect(packetBytes(padded, 0, padded.length, 1000)).toBe(7);
    expect(bodyOffset(padded, 0, padded.length)).toBe(5);
  });
});

describe("variable byte integer", () => {
  test("round trips at the borders of its lengths", () => {
    for (const value of BORDERS) {
      const bytes = Buffer.alloc(6, 0xff);
      const end = writeVariableByteInteger(bytes, 1, value);
      expect(end - 1).toBe(variableByteIntegerBytes(value));
      expect(readVariableByteInteger(bytes, 1, end)).toBe(value);
      expect(readVariableByteInteger(bytes, 1, end - 1)).toBe(-1);
    }
  });

  test("refuses needless bytes and a fifth one", () => {
    for (const hex of ["8000", "808000", "ffffff00", "8080808001", ""]) {
      expect(readVariableByteInteger(bytesOf(hex), 0, bytesOf(hex).length)).toBe(-1);
    }
  });
});

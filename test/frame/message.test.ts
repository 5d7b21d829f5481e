/**
 * Goal: the one layout of a message: what is written is read back, at any offset; and its bytes stay where they are, because they
 * outlive the process. Method: random parts written and read; one message compared byte by byte with the drawing.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import {
  clientIdOf,
  clientIdOffset,
  expiresAtMsOf,
  isRetain,
  MESSAGE_HEADER_BYTES,
  MESSAGE_LAYOUT_VERSION,
  messageBytesOf,
  payloadBytesOf,
  payloadOffset,
  peerBytesOf,
  peerOffset,
  propertiesBytesOf,
  propertiesOffset,
  protocolLevelOf,
  publishedAtMsOf,
  qosOf,
  topicBytesOf,
  topicOf,
  topicOffset,
  totalBytes,
  usernameBytesOf,
  usernameOffset,
  writeMessageHeader,
} from "../../src/frame/message.ts";

const part = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));

describe("a message", () => {
  it("reads as it was written", () => {
    const arbitrary = fc.record({
      offset: fc.nat(9),
      topic: fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" }),
      clientId: fc.string({ maxLength: 30, unit: "grapheme" }),
      properties: part(40),
      payload: part(80),
      username: part(20),
      peer: part(20),
      qos: fc.nat(2),
      retain: fc.boolean(),
      level: fc.constantFrom(0, 3, 4, 5),
      publishedAtMs: fc.nat(2 ** 45),
      expiresAtMs: fc.nat(2 ** 45),
    });
    fc.assert(
      fc.property(arbitrary, (given) => {
        const { offset } = given;
        const pieces = [
          Buffer.from(given.topic),
          given.properties,
          given.payload,
          Buffer.from(given.clientId),
          given.username,
          given.peer,
        ] as const;
        const [topicBytes, propertiesBytes, payloadBytes, clientIdBytes, usernameBytes, peerBytes] = pieces.map(
          ({ length }) => length,
        ) as [number, number, number, number, number, number];
        const parts = { topicBytes, propertiesBytes, payloadBytes, clientIdBytes, usernameBytes, peerBytes };
        const region = Region.allocate(offset + messageBytesOf(parts) + 5);
        region.bytes.fill(0xee);
        const { qos, retain, level, publishedAtMs, expiresAtMs } = given;
        writeMessageHeader(region, offset, parts, qos, retain, level, publishedAtMs, expiresAtMs);
        Buffer.concat(pieces).copy(region.bytes, topicOffset(offset));

        expect(totalBytes(region, offset)).toBe(messageBytesOf(parts));
        expect(qosOf(region, offset)).toBe(qos);
        expect(isRetain(region, offset)).toBe(retain);
        expect(protocolLevelOf(region, offset)).toBe(level);
        expect(publishedAtMsOf(region, offset)).toBe(publishedAtMs);
        expect(expiresAtMsOf(region, offset)).toBe(expiresAtMs);
        expect(topicOf(region, offset)).toBe(given.topic);
        expect(clientIdOf(region, offset)).toBe(given.clientId);
        const places = [
          [topicOffset(offset), topicBytesOf(region, offset)],
          [propertiesOffset(region, offset), propertiesBytesOf(region, offset)],
          [payloadOffset(region, offset), payloadBytesOf(region, offset)],
          [clientIdOffset(region, offset), clientIdBytes],
          [usernameOffset(region, offset), usernameBytesOf(region, offset)],
          [peerOffset(region, offset), peerBytesOf(region, offset)],
        ] as const;
        for (const [index, [at, length]] of places.entries()) {
          expect(region.bytes.subarray(at, at + length).equals(pieces[index]!)).toBe(true);
        }
        expect(peerOffset(region, offset) + peerBytes).toBe(offset + totalBytes(region, offset));
        expect(region.bytes.subarray(0, offset).every((byte) => byte === 0xee)).toBe(true);
        expect(region.bytes.subarray(-5).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });

  it("of layout 1 is these bytes; another layout needs another version and a reader for this one", () => {
    expect(MESSAGE_LAYOUT_VERSION).toBe(1);
    const parts = {
      topicBytes: 1,
      propertiesBytes: 2,
      payloadBytes: 3,
      clientIdBytes: 4,
      usernameBytes: 5,
      peerBytes: 6,
    };
    const region = Region.allocate(MESSAGE_HEADER_BYTES);
    writeMessageHeader(region, 0, parts, 2, true, 5, 1.5, 2.5);
    expect(region.bytes.toString("hex")).toBe(
      [
        "3d000000 06 05 0100", // total 61, QoS 2 and RETAIN, level, topic
        "000000000000f83f", // published at
        "0000000000000440", // expires at
        "0400 0500 0600 0000", // client ID, user name, peer
        "02000000 03000000", // properties, payload
      ]
        .join("")
        .replaceAll(" ", ""),
    );
  });
});

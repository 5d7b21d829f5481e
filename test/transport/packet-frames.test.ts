/**
 * Goal: a WebSocket client gets one message for each packet, in one frame while that may be, however the packets come; what is held is
 * bounded, and counted.
 * Method: property test: packets of drawn sizes, cut anywhere, under limits that change; the frames are read by the rules of RFC 6455 and compared
 * with the packets themselves.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PacketFrames } from "../../src/transport/packet-frames.ts";
import { testSeed } from "../random.ts";
import { numberedPacket, size } from "./fixture.ts";

/** Payloads of whole messages, each with the number of frames it came in. */
function messagesOf(frames: Buffer): { payload: Buffer; frames: number }[] {
  const messages: { payload: Buffer; frames: number }[] = [];
  let parts: Buffer[] = [];
  for (let at = 0; at < frames.length; ) {
    const first = frames[at]!;
    expect(first & 0x7f).toBe(parts.length === 0 ? 2 : 0); // Binary, then continuations.
    let length = frames[at + 1]!; // No mask bit: below 128.
    at += 2;
    if (length === 126) {
      length = frames.readUInt16BE(at);
      expect(length).toBeGreaterThan(125);
      at += 2;
    } else if (length === 127) {
      length = Number(frames.readBigUInt64BE(at));
      expect(length).toBeGreaterThan(65_535);
      at += 8;
    }
    parts.push(frames.subarray(at, at + length));
    at += length;
    if (first < 0x80) continue;
    messages.push({ payload: Buffer.concat(parts), frames: parts.length });
    parts = [];
  }
  expect(parts).toEqual([]);
  return messages;
}

const sizes = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 4, max: 140 }) },
    { weight: 2, arbitrary: fc.integer({ min: 65_500, max: 65_600 }) },
    { weight: 1, arbitrary: fc.integer({ min: 5_000, max: 150_000 }) },
  ),
  { minLength: 1, maxLength: 20 },
);
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 65_536 })), {
  minLength: 1,
  maxLength: 50,
});
const limits = fc.array(fc.constantFrom(1_000, 65_536, 200_000), { minLength: 1, maxLength: 5 });

test("every packet is one message, in one frame unless it is too large for that", () => {
  fc.assert(
    fc.property(sizes, cuts, limits, (packetSizes, lengths, wholeBytesMaxes) => {
      const packets = packetSizes.map((bytes, number) => numberedPacket(number, bytes));
      const stream = Buffer.concat(packets);
      const frames = new PacketFrames();
      const written: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const end = Math.min(stream.length, at + lengths[turn % lengths.length]!);
        const wholeBytesMax = wholeBytesMaxes[turn % wholeBytesMaxes.length]!;
        written.push(frames.next(stream.subarray(at, end), wholeBytesMax));
        expect(frames.heldBytes).toBeLessThanOrEqual(wholeBytesMax);
        at = end;
      }
      expect(frames.heldBytes).toBe(0);
      const messages = messagesOf(Buffer.concat(written));
      expect(messages.map(({ payload }) => payload.equals(packets.shift()!))).toEqual(packetSizes.map(() => true));
      const small = Math.min(...wholeBytesMaxes);
      for (const message of messages) if (message.payload.length <= small) expect(message.frames).toBe(1);
    }),
    { numRuns: 30 * size, seed: testSeed },
  );
});

test("what is held can be let go", () => {
  const frames = new PacketFrames();
  const packet = numberedPacket(1, 1_000);
  expect(frames.next(packet.subarray(0, 400), 65_536)).toHaveLength(0);
  expect(frames.drop()).toBe(400);
  expect([frames.heldBytes, frames.drop()]).toEqual([0, 0]);
});

/**
 * Goal: no bytes whatever make the codec throw, loop, or read beyond the packet. Method: random bytes, and named packets with
 * bytes changed, cut out, put in and doubled, through every reader at every level; the same packet between other neighbours must
 * read the same.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import { AckView } from "../../src/mqtt/acks.ts";
import { scanConnectHead } from "../../src/mqtt/connect-head.ts";
import type { ProtocolLevel } from "../../src/mqtt/packets.ts";
import { PublishView } from "../../src/mqtt/publish.ts";
import { decodeRare } from "../../src/mqtt/rare.ts";
import { packetBytes } from "../../src/mqtt/scanner.ts";
import { writeVariableByteInteger } from "../../src/mqtt/variable-byte-integer.ts";
import { ACKS, bytesOf, FAULTY_ACKS, FAULTY_PUBLISHES, PUBLISHES } from "./packets.ts";
import { FAULTY_RARE, RARE } from "./rare-packets.ts";
import { ROUNDS } from "./size.ts";

const LEVELS: readonly ProtocolLevel[] = [3, 4, 5];
const SEEDS = [...PUBLISHES, ...ACKS, ...RARE, ...FAULTY_PUBLISHES, ...FAULTY_ACKS, ...FAULTY_RARE].map((entry) =>
  bytesOf(entry.hex),
);

/** The packet with the remaining length that its body has: so that mutations reach beyond the scanner. */
function whole(first: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = first;
  return Buffer.concat([head.subarray(0, writeVariableByteInteger(head, 1, body.length)), body]);
}

/** Everything that every reader says of the packet, with offsets counted from its beginning. */
function readings(before: number, packet: Buffer, behind: number): unknown[] {
  const region = Region.allocate(packet.length + 32);
  region.bytes.fill(before, 0, 16).fill(behind, 16 + packet.length);
  packet.copy(region.bytes, 16);
  const end = 16 + packet.length;
  const results: unknown[] = [];
  const publish = new PublishView();
  const ack = new AckView();
  for (const level of LEVELS) {
    const publishFault = publish.parse(region, 16, end, level);
    results.push(publishFault);
    if (publishFault === 0) {
      expect(publish.topicOffset + publish.topicBytes).toBeLessThanOrEqual(end);
      expect(publish.payloadOffset + publish.payloadBytes).toBe(end);
      const kept = Region.allocate(publish.passThroughBytes);
      publish.copyPassThrough(kept, 0);
      results.push(
        publish.topicOffset,
        publish.topicBytes,
        publish.payloadBytes,
        publish.packetId,
        kept.bytes.toString("hex"),
      );
    }
    const ackFault = ack.parse(region, 16, end, level);
    results.push(ackFault);
    if (ackFault === 0) results.push(ack.packetType, ack.packetId, ack.reasonCode);
    results.push(decodeRare(region.bytes, 16, end, level));
  }
  results.push(scanConnectHead(region.bytes, 16, end));
  return results;
}

function expectCalm(packet: Buffer): void {
  expect(readings(0x00, packet, 0xff)).toEqual(readings(0xff, packet, 0x00));
  for (let cut = 0; cut <= packet.length; cut += 1) packetBytes(packet, 0, cut, 1 << 20);
}

test("random bytes behind every first byte", () => {
  const bodies = fc.tuple(fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(bodies, ([first, body]) => expectCalm(whole(first, Buffer.from(body)))),
    { numRuns: ROUNDS },
  );
});

test("named packets, mutated", () => {
  const mutations = fc.array(
    fc.record({
      how: fc.constantFrom("change", "cut", "put", "double"),
      where: fc.nat(),
      byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0x26, 0x7f, 0x80, 0xff)),
    }),
    { minLength: 1, maxLength: 4 },
  );
  const cases = fc.tuple(fc.constantFrom(...SEEDS), mutations);
  fc.assert(
    fc.property(cases, ([seed, steps]) => {
      let body = seed.subarray(2);
      for (const { how, where, byte } of steps) {
        const at = body.length === 0 ? 0 : where % body.length;
        const parts = { change: [byte], cut: [], put: [byte, body[at] ?? 0], double: [body[at] ?? 0, body[at] ?? 0] };
        body = Buffer.concat([body.subarray(0, at), Buffer.from(parts[how]), body.subarray(at + 1)]);
      }
      expectCalm(whole(seed[0]!, body));
    }),
    { numRuns: ROUNDS * 2 },
  );
});

test("named packets, cut at every byte", () => {
  for (const seed of SEEDS) {
    for (let cut = 2; cut <= seed.length; cut += 1) expectCalm(whole(seed[0]!, seed.subarray(2, cut)));
  }
});

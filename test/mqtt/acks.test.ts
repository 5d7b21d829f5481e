/**
 * Goal: acknowledgements are read and written exactly. Method: the named packets both ways, and mqtt-packet as the oracle both
 * ways over all types, levels, identifiers and reason codes.
 */
import fc from "fast-check";
import { generate, type IPubackPacket, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import {
  AckView,
  ackBytesOf,
  writePingresp,
  writePuback,
  writePubcomp,
  writePubrec,
  writePubrel,
} from "../../src/mqtt/acks.ts";
import { isPingreq, LEVEL_5, PacketType } from "../../src/mqtt/packet-type.ts";
import { isReasonCodeOf, REASON_CODES } from "../../src/mqtt/reason-codes.ts";
import { userPropertiesArbitrary } from "./arbitraries.ts";
import { ACKS, bytesOf, FAULTY_ACKS } from "./packets.ts";
import { ROUNDS } from "./size.ts";

const WRITERS = { puback: writePuback, pubrec: writePubrec, pubrel: writePubrel, pubcomp: writePubcomp };
const TYPES = ["puback", "pubrec", "pubrel", "pubcomp"] as const;
const view = new AckView();

const parse = (packet: Buffer, level: number): number => view.parse(Region.over(packet), 0, packet.length, level);

describe("named packets", () => {
  test.each(ACKS)("$name", (entry) => {
    const packet = bytesOf(entry.hex);
    expect(parse(packet, entry.level)).toBe(0);
    expect(view.packetType).toBe(PacketType[entry.type]);
    expect(view.packetId).toBe(entry.packetId);
    expect(view.reasonCode).toBe(entry.reasonCode);

    if (!entry.isCanonical) return;
    const target = Region.allocate(ackBytesOf(entry.level, entry.reasonCode) + 1);
    const written = WRITERS[entry.type](target, 1, entry.packetId, entry.level, entry.reasonCode);
    expect(target.bytes.subarray(1, 1 + written)).toEqual(packet);
  });

  test.each(FAULTY_ACKS)("faulty: $name", (entry) => {
    expect(parse(bytesOf(entry.hex), entry.level)).toBe(entry.fault);
  });
});

const acks = fc
  .record({
    type: fc.constantFrom(...TYPES),
    level: fc.constantFrom(3, 4, 5),
    packetId: fc.integer({ min: 1, max: 65_535 }),
    code: fc.constantFrom(...REASON_CODES.map((row) => row.code)),
    userProperties: fc.option(userPropertiesArbitrary, { nil: undefined }),
    reasonString: fc.option(fc.string(), { nil: undefined }),
  })
  .filter(({ type, code }) => isReasonCodeOf(PacketType[type], code));

test("what mqtt-packet writes is what is read", () => {
  fc.assert(
    fc.property(acks, ({ type, level, packetId, code, userProperties, reasonString }) => {
      const properties = {
        ...(userProperties ? { userProperties } : {}),
        ...(reasonString === undefined ? {} : { reasonString }),
      };
      const packet = { cmd: type, messageId: packetId, reasonCode: code, properties } as IPubackPacket;
      expect(parse(generate(packet, { protocolVersion: level }), level)).toBe(0);
      expect(view.packetType).toBe(PacketType[type]);
      expect(view.packetId).toBe(packetId);
      expect(view.reasonCode).toBe(level === LEVEL_5 ? code : 0);
    }),
    { numRuns: ROUNDS },
  );
});

test("what is written is what mqtt-packet reads", () => {
  fc.assert(
    fc.property(acks, ({ type, level, packetId, code }) => {
      const target = Region.allocate(ackBytesOf(level, code));
      expect(WRITERS[type](target, 0, packetId, level, code)).toBe(target.bytes.length);
      const read: unknown[] = [];
      const reader = parser({ protocolVersion: level });
      reader.on("packet", (packet) => read.push(packet));
      reader.parse(target.bytes);
      expect(read).toHaveLength(1);
      expect(read[0]).toMatchObject({ cmd: type, messageId: packetId });
      if (level === LEVEL_5) expect(read[0]).toMatchObject({ reasonCode: code });
    }),
    { numRuns: ROUNDS },
  );
});

test("a write that does not fit is a bug, not a cut packet", () => {
  expect(() => writePuback(Region.allocate(4), 1, 1, 4, 0)).toThrow("fits");
  expect(() => writePingresp(Region.allocate(1), 0)).toThrow("fits");
});

test("PINGREQ and PINGRESP", () => {
  const target = Region.allocate(2);
  expect(writePingresp(target, 0)).toBe(2);
  expect(target.bytes).toEqual(bytesOf("d000"));
  expect(isPingreq(bytesOf("c000"), 0, 2)).toBe(true);
  expect(isPingreq(bytesOf("c100"), 0, 2)).toBe(false);
  expect(isPingreq(bytesOf("c00100"), 0, 3)).toBe(false);
});

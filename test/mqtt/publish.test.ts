/**
 * Goal: PUBLISH is read exactly, what is wrong is named by its reason code, and the properties that are kept are kept byte for byte.
 * Method: the named packets; then packets made by mqtt-packet from random values, which must read as those values.
 */
import fc from "fast-check";
import { generate, type IPublishPacket } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { TOPIC_LEVELS_MAX, USER_PROPERTIES_MAX } from "../../src/base/limits.ts";
import { Region } from "../../src/base/region.ts";
import { PublishView } from "../../src/mqtt/publish.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";
import { topicArbitrary, userPropertiesArbitrary } from "./arbitraries.ts";
import { bytesOf, FAULTY_PUBLISHES, PUBLISHES } from "./packets.ts";
import { ROUNDS } from "./size.ts";

const view = new PublishView();

/** Lays the packet between other bytes, so that reading beyond it shows. */
function framed(packet: Buffer): { region: Region; start: number; end: number } {
  const region = Region.allocate(packet.length + 16);
  region.bytes.fill(0x2b);
  packet.copy(region.bytes, 8);
  return { region, start: 8, end: 8 + packet.length };
}

function parse(packet: Buffer, level: number): { fault: number; region: Region } {
  const { region, start, end } = framed(packet);
  return { fault: view.parse(region, start, end, level), region };
}

function passThrough(): Buffer {
  const target = Region.allocate(view.passThroughBytes + 2);
  target.bytes.fill(0xee);
  view.copyPassThrough(target, 1);
  expect(target.bytes[0]).toBe(0xee);
  expect(target.bytes.at(-1)).toBe(0xee);
  return target.bytes.subarray(1, -1);
}

const run = (region: Region, offset: number, length: number): string =>
  region.bytes.toString("utf8", offset, offset + length);

describe("named packets", () => {
  test.each(PUBLISHES)("$name", (entry) => {
    const { fault, region } = parse(bytesOf(entry.hex), entry.level);
    expect(fault).toBe(0);
    expect(view.qos).toBe(entry.qos);
    expect(view.isDup).toBe(entry.isDup);
    expect(view.isRetain).toBe(entry.isRetain);
    expect(view.packetId).toBe(entry.packetId);
    expect(run(region, view.topicOffset, view.topicBytes)).toBe(entry.topic);
    expect(run(region, view.payloadOffset, view.payloadBytes)).toBe(entry.payload);
    expect(view.messageExpiryIntervalS).toBe(entry.expiryS);
    expect(view.topicAlias).toBe(entry.alias);
    expect(passThrough()).toEqual(bytesOf(entry.passThrough));
  });

  test.each(FAULTY_PUBLISHES)("faulty: $name", (entry) => {
    expect(parse(bytesOf(entry.hex), entry.level).fault).toBe(entry.fault);
  });

  test("a view keeps nothing of the packet before", () => {
    expect(parse(bytesOf("32 11 0001 61 0007 0a 02 0000003c 0100 23 0005 78"), 5).fault).toBe(0);
    expect(parse(bytesOf("30 05 0001 61 00 78"), 5).fault).toBe(0);
    expect([view.messageExpiryIntervalS, view.topicAlias, view.packetId, view.passThroughBytes]).toEqual([-1, 0, 0, 0]);
    expect(passThrough()).toHaveLength(0);
    expect(parse(bytesOf("30 04 0001 61 78"), 4).fault).toBe(0);
    expect(view.passThroughBytes).toBe(0);
  });
});

describe("bounds", () => {
  const v5 = (topic: string, properties: IPublishPacket["properties"]): Buffer =>
    generate(
      { cmd: "publish", topic, payload: "", qos: 0, dup: false, retain: false, ...(properties ? { properties } : {}) },
      {
        protocolVersion: 5,
      },
    );

  test("as many user properties as allowed, and one more", () => {
    const values = (count: number): string[] => Array.from({ length: count }, () => "v");
    expect(parse(v5("a", { userProperties: { k: values(USER_PROPERTIES_MAX) } }), 5).fault).toBe(0);
    const tooMany = v5("a", { userProperties: { k: values(USER_PROPERTIES_MAX + 1) } });
    expect(parse(tooMany, 5).fault).toBe(ReasonCode.quotaExceeded);
  });

  test("as many levels as allowed, and one more", () => {
    const levels = (count: number): string => Array.from({ length: count }, () => "l").join("/");
    expect(parse(v5(levels(TOPIC_LEVELS_MAX), undefined), 5).fault).toBe(0);
    expect(parse(v5(levels(TOPIC_LEVELS_MAX + 1), undefined), 5).fault).toBe(ReasonCode.topicNameInvalid);
  });
});

test("what mqtt-packet writes is what is read; kept properties decode to what was sent, less what belongs to the hop", () => {
  const packets = fc.record({
    level: fc.constantFrom(3, 4, 5),
    topic: topicArbitrary,
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0, 1, 2),
    dup: fc.boolean(),
    retain: fc.boolean(),
    messageId: fc.integer({ min: 1, max: 65_535 }),
    // Requiring no key lets fast-check also vary which properties there are, and their order.
    properties: fc.record(
      {
        contentType: fc.string(),
        messageExpiryInterval: fc.integer({ min: 0, max: 0xffff_ffff }),
        userProperties: userPropertiesArbitrary,
        topicAlias: fc.integer({ min: 1, max: 65_535 }),
        correlationData: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
        payloadFormatIndicator: fc.boolean(),
        responseTopic: topicArbitrary,
      },
      { requiredKeys: [] },
    ),
    shuffle: fc.integer(),
  });
  fc.assert(
    fc.property(packets, ({ level, qos, dup, messageId, properties, shuffle, ...rest }) => {
      const isDup = dup && qos > 0;
      const shuffled = rotate(properties, shuffle);
      const packet: IPublishPacket = { cmd: "publish", ...rest, qos: qos as 0 | 1 | 2, dup: isDup, messageId };
      const bytes = generate(level === 5 ? { ...packet, properties: shuffled } : packet, { protocolVersion: level });
      const { fault, region } = parse(bytes, level);
      expect(fault).toBe(0);
      expect([view.qos, view.isDup, view.isRetain]).toEqual([qos, isDup, rest.retain]);
      expect(view.packetId).toBe(qos === 0 ? 0 : messageId);
      expect(run(region, view.topicOffset, view.topicBytes)).toBe(rest.topic);
      const payload = region.bytes.subarray(view.payloadOffset, view.payloadOffset + view.payloadBytes);
      expect(payload.equals(rest.payload)).toBe(true);
      if (level !== 5) return;
      const { messageExpiryInterval, topicAlias, ...kept } = shuffled;
      expect(view.messageExpiryIntervalS).toBe(messageExpiryInterval ?? -1);
      expect(view.topicAlias).toBe(topicAlias ?? 0);
      const bare = { ...packet, topic: "t", payload: "", qos: 0 as const, dup: false, properties: kept };
      const keptPacket = generate(bare, { protocolVersion: 5 });
      expect(passThrough().equals(keptPacket.subarray(keptPacket.length - view.passThroughBytes))).toBe(true);
    }),
    { numRuns: ROUNDS },
  );
});

/** The same entries in another order: mqtt-packet writes properties in the order of the keys. */
function rotate<T extends object>(values: T, by: number): T {
  const entries = Object.entries(values);
  const cut = entries.length === 0 ? 0 : Math.abs(by) % entries.length;
  return Object.fromEntries([...entries.slice(cut), ...entries.slice(0, cut)]) as T;
}

/**
 * Goal: a stored message becomes exactly the PUBLISH that it should, of exactly the size foretold. Method: mqtt-packet reads
 * what is written; and our own reader finds the same properties again (round trip).
 */
import fc from "fast-check";
import { generate, type IPublishPacket, type Packet, parser } from "mqtt-packet";
import { expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import { publishBytesOf, writePublish } from "../../src/mqtt/encoder.ts";
import { PublishView } from "../../src/mqtt/publish.ts";
import { topicArbitrary, userPropertiesArbitrary } from "./arbitraries.ts";
import { bytesOf, PUBLISHES } from "./packets.ts";
import { ROUNDS } from "./size.ts";
import { storedMessage } from "./stored-message.ts";

function read(bytes: Buffer, level: number): Packet {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion: level });
  reader.on("packet", (packet) => packets.push(packet));
  expect(reader.parse(bytes)).toBe(0);
  expect(packets).toHaveLength(1);
  return packets[0]!;
}

const deliveries = fc.record({
  level: fc.constantFrom(3, 4, 5),
  topic: topicArbitrary,
  // Around the lengths where the remaining length and the way of copying change.
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom(100, 128, 300, 16_370, 16_400, 70_000).map((length) => new Uint8Array(length).fill(7)),
  ),
  qos: fc.constantFrom(0, 1, 2),
  isRetain: fc.boolean(),
  isDup: fc.boolean(),
  packetId: fc.integer({ min: 1, max: 65_535 }),
  expiryS: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 0xffff_ffff })),
  identifiers: fc.option(fc.array(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 40 }), { nil: undefined }),
  kept: fc.record({ contentType: fc.string(), userProperties: userPropertiesArbitrary }, { requiredKeys: [] }),
  offset: fc.nat({ max: 9 }),
  alias: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 })),
  isKnown: fc.boolean(),
});

test("mqtt-packet reads what is written, and the size is the one foretold", () => {
  fc.assert(
    fc.property(
      deliveries,
      ({ level, topic, payload, qos, isRetain, isDup, packetId, expiryS, identifiers, kept, offset, ...aliased }) => {
        const alias = level === 5 ? aliased.alias : 0;
        const isKnown = alias !== 0 && aliased.isKnown;
        const bare = generate(
          { cmd: "publish", topic: "t", payload: "", qos: 0, dup: false, retain: false, properties: kept },
          {
            protocolVersion: 5,
          },
        );
        const list = new PublishView();
        expect(list.parse(Region.over(bare), 0, bare.length, 5)).toBe(0);
        const stored = bare.subarray(bare.length - list.passThroughBytes);
        const message = storedMessage(topic, stored, Buffer.from(payload), offset);

        const size = publishBytesOf(message, offset, level, qos, expiryS, identifiers, alias, isKnown);
        const target = Region.allocate(size + 2);
        target.bytes.fill(0xee);
        const written = writePublish(
          target,
          1,
          message,
          offset,
          level,
          qos,
          isRetain,
          isDup,
          packetId,
          expiryS,
          identifiers,
          alias,
          isKnown,
        );
        expect(written).toBe(size);
        expect([target.bytes[0], target.bytes.at(-1)]).toEqual([0xee, 0xee]);

        const packet = read(target.bytes.subarray(1, 1 + size), level) as IPublishPacket;
        expect(packet).toMatchObject({
          cmd: "publish",
          topic: isKnown ? "" : topic,
          qos,
          retain: isRetain,
          dup: isDup,
        });
        expect(packet.messageId).toBe(qos === 0 ? undefined : packetId);
        expect((packet.payload as Buffer).equals(payload)).toBe(true);
        if (level !== 5) return;
        const properties = { ...packet.properties };
        expect(properties.messageExpiryInterval ?? -1).toBe(expiryS);
        expect(properties.topicAlias ?? 0).toBe(alias);
        expect([properties.subscriptionIdentifier ?? []].flat()).toEqual(identifiers ?? []);
        expect(properties.contentType).toBe(kept.contentType);
        expect({ ...properties.userProperties }).toEqual(kept.userProperties ?? {});
      },
    ),
    { numRuns: ROUNDS },
  );
});

test.each(PUBLISHES.filter((entry) => entry.topic !== ""))(
  "kept properties survive store and delivery: $name",
  (entry) => {
    const view = new PublishView();
    const received = Region.over(bytesOf(entry.hex));
    expect(view.parse(received, 0, received.bytes.length, entry.level)).toBe(0);
    const kept = Region.allocate(view.passThroughBytes);
    view.copyPassThrough(kept, 0);
    const message = storedMessage(entry.topic, kept.bytes, Buffer.from(entry.payload));

    const target = Region.allocate(publishBytesOf(message, 0, 5, 1, 9, undefined));
    writePublish(target, 0, message, 0, 5, 1, false, false, 1, 9, undefined);
    expect(view.parse(target, 0, target.bytes.length, 5)).toBe(0);
    expect(view.messageExpiryIntervalS).toBe(9);
    const again = Region.allocate(view.passThroughBytes);
    view.copyPassThrough(again, 0);
    expect(again.bytes).toEqual(kept.bytes);
  },
);

test("a write that does not fit is a bug, not a cut packet", () => {
  const message = storedMessage("t", Buffer.alloc(0), Buffer.from("payload"));
  const size = publishBytesOf(message, 0, 4, 0, -1, undefined);
  const write = () => writePublish(Region.allocate(size - 1), 0, message, 0, 4, 0, false, false, 0, -1, undefined);
  expect(write).toThrow("fits");
});

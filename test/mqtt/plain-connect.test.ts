/**
 * Goal: the fast reader of CONNECT takes what nearly all clients send, and whatever it takes means to it what it means to the strict check
 * with the library behind it.
 * Method: the named packets, packets drawn from their fields, and both of them bent byte by byte.
 */
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { expect, test } from "vitest";
import { tryReadPlainConnect } from "../../src/mqtt/plain-connect.ts";
import { decodeRare } from "../../src/mqtt/rare.ts";
import { packetBytes } from "../../src/mqtt/scanner.ts";
import { connectBytes, properties, sized, u16, u32 } from "../harness/raw-bytes.ts";
import { bytesOf } from "./packets.ts";
import { FAULTY_RARE, RARE } from "./rare-packets.ts";
import { ROUNDS } from "./size.ts";

/** Undefined, or exactly what the other reader says. */
function expectAgreement(packet: Buffer): boolean {
  const framed = Buffer.concat([Buffer.of(0xff), packet, Buffer.of(0x00, 0xff)]);
  const plain = tryReadPlainConnect(framed, 1, 1 + packet.length);
  if (plain === undefined) return false;
  expect(decodeRare(packet, 0, packet.length, 4)).toEqual({ packet: plain });
  return true;
}

const clientIds = fc.oneof(fc.string({ minLength: 1, maxLength: 30 }), fc.constantFrom("é", "\u0000", "x".repeat(300)));
const connects = fc.record({
  level: fc.constantFrom(3 as const, 4 as const, 5 as const),
  isBridge: fc.boolean(),
  clean: fc.boolean(),
  keepAliveS: fc.constantFrom(0, 1, 60, 65_535),
  clientId: clientIds,
  user: fc.option(fc.string({ maxLength: 20 })),
  password: fc.option(fc.uint8Array({ maxLength: 20 })),
  numbers: fc.subarray(
    [
      [0x11, u32(7)],
      [0x21, u16(5)],
      [0x27, u32(1_000)],
      [0x22, u16(0)],
      [0x19, Buffer.of(1)],
      [0x17, Buffer.of(0)],
    ] as const,
    { minLength: 0 },
  ),
});

const packets = connects.map(({ level, isBridge, clean, keepAliveS, clientId, user, password, numbers }) => {
  const flags = (clean ? 2 : 0) | (user === null ? 0 : 0x80) | (password === null ? 0 : 0x40);
  const rest = [
    ...(user === null ? [] : [sized(Buffer.from(user))]),
    ...(password === null ? [] : [sized(Buffer.from(password))]),
  ];
  const name = level === 3 ? "MQIsdp" : "MQTT";
  return connectBytes({
    name,
    level: level | (isBridge ? 0x80 : 0),
    flags,
    keepAliveS,
    clientId,
    rest,
    properties: properties(...numbers.flat()),
  });
});

test("takes what common clients send", () => {
  const common = [
    { cmd: "connect", clientId: "paho", keepalive: 60, protocolVersion: 4, protocolId: "MQTT", clean: true },
    { cmd: "connect", clientId: "old", keepalive: 60, protocolVersion: 3, protocolId: "MQIsdp", clean: false },
    {
      cmd: "connect",
      clientId: "five",
      keepalive: 60,
      protocolVersion: 5,
      protocolId: "MQTT",
      clean: true,
      username: "user",
      password: Buffer.from("secret"),
      properties: { sessionExpiryInterval: 3_600, receiveMaximum: 20, topicAliasMaximum: 10, maximumPacketSize: 9_999 },
    },
  ] as const;
  for (const packet of common)
    expect([packet.clientId, expectAgreement(generate(packet))]).toEqual([packet.clientId, true]);
});

test("agrees on named packets, and takes none that is faulty", () => {
  expect(RARE.filter(({ hex }) => expectAgreement(bytesOf(hex))).length).toBeGreaterThan(2);
  for (const { hex } of FAULTY_RARE) expectAgreement(bytesOf(hex));
});

test("agrees on packets of all fields", () => {
  let taken = 0;
  fc.assert(
    fc.property(packets, (packet) => {
      if (expectAgreement(packet)) taken += 1;
    }),
    { numRuns: ROUNDS },
  );
  expect(taken).toBeGreaterThan(ROUNDS / 3);
});

test("agrees on bent packets", () => {
  const bends = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.constantFrom("set", "cut", "put")), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(packets, bends, (good, steps) => {
      let packet = good;
      for (const [where, byte, how] of steps) {
        const at = where % packet.length;
        const middle = how === "cut" ? Buffer.alloc(0) : Buffer.of(byte);
        packet = Buffer.concat([packet.subarray(0, at), middle, packet.subarray(how === "put" ? at : at + 1)]);
        if (packet.length < 3) return;
      }
      if (packet.length < 128) packet[1] = packet.length - 2;
      // Both are given whole packets.
      if (packetBytes(packet, 0, packet.length, 1 << 20) === packet.length) expectAgreement(packet);
    }),
    { numRuns: ROUNDS * 2 },
  );
});

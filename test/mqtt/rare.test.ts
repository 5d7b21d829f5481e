/**
 * Goal: the rare packets are decoded and encoded exactly, and every laxness of the library is covered by a fault of ours.
 * Method: the named packets; then random packets written by mqtt-packet, which must decode to the values they were made of, and
 * answers of ours, which mqtt-packet must read as they were meant.
 */
import fc from "fast-check";
import { generate, type IConnectPacket, type Packet, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { SUBSCRIBE_FILTERS_MAX, USER_PROPERTIES_MAX } from "../../src/base/limits.ts";
import { scanConnectHead } from "../../src/mqtt/connect-head.ts";
import type { ProtocolLevel, ServerPacket } from "../../src/mqtt/packets.ts";
import { type Decoded, decodeRare, encodeRare } from "../../src/mqtt/rare.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";
import { filterArbitrary, textArbitrary, topicArbitrary, userPropertiesArbitrary } from "./arbitraries.ts";
import { bytesOf } from "./packets.ts";
import { ANSWERS, FAULTY_RARE, RARE } from "./rare-packets.ts";
import { ROUNDS } from "./size.ts";

/** Decodes between other bytes, so that reading beyond the packet shows. */
function decode(packet: Buffer, level: ProtocolLevel): Decoded {
  const framed = Buffer.concat([bytesOf("c000"), packet, bytesOf("c000 00")]);
  return decodeRare(framed, 2, 2 + packet.length, level);
}

function packetOf(bytes: Buffer, level: ProtocolLevel) {
  const decoded = decode(bytes, level);
  if (decoded.fault !== undefined) expect.fail(`${decoded.detail}: ${bytes.toString("hex")}`);
  return decoded.packet;
}

describe("named packets", () => {
  test.each(RARE)("$name", (entry) => {
    expect(packetOf(bytesOf(entry.hex), entry.level)).toEqual(entry.packet);
  });

  test.each(FAULTY_RARE)("faulty: $name", (entry) => {
    const decoded = decode(bytesOf(entry.hex), entry.level);
    expect(decoded).toMatchObject({ fault: entry.fault, answerLevel: entry.answerLevel });
  });

  test.each(ANSWERS)("answer: $name", (entry) => {
    expect(encodeRare(entry.packet, entry.level).toString("hex")).toBe(bytesOf(entry.hex).toString("hex"));
  });

  test("what was decoded does not change with the bytes", () => {
    for (const entry of RARE) {
      const bytes = bytesOf(entry.hex);
      const decoded = decodeRare(bytes, 0, bytes.length, entry.level);
      bytes.fill(0xaa);
      expect(decoded).toEqual({ packet: entry.packet });
    }
  });
});

describe("connect head", () => {
  test.each(RARE.filter((entry) => entry.packet.kind === "connect"))("$name", (entry) => {
    const bytes = Buffer.concat([bytesOf("00"), bytesOf(entry.hex)]);
    const head = scanConnectHead(bytes, 1, bytes.length);
    if (head.fault !== undefined) expect.fail(head.detail);
    expect(head.protocolLevel).toBe(entry.level);
    const clientId = bytes.toString("utf8", head.clientIdStart, head.clientIdEnd);
    expect(entry.packet).toMatchObject({ clientId });
  });

  test("a fault of the head is the fault of the packet", () => {
    for (const entry of FAULTY_RARE) {
      const bytes = bytesOf(entry.hex);
      const head = scanConnectHead(bytes, 0, bytes.length);
      if (bytes[0]! >> 4 !== 1) expect(head).toMatchObject({ fault: ReasonCode.protocolError, answerLevel: 0 });
      else if (head.fault !== undefined) {
        expect(decode(bytes, entry.level)).toMatchObject({ fault: head.fault, answerLevel: head.answerLevel });
      }
    }
  });
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const blob = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const optional = <T>(values: Record<string, fc.Arbitrary<T>>) => fc.record(values, { requiredKeys: [] });

const connects = fc.record({
  level: fc.constantFrom(3, 4, 5) as fc.Arbitrary<ProtocolLevel>,
  clientId: textArbitrary.map((text) => `c${text}`),
  clean: fc.boolean(),
  keepalive: fc.nat({ max: 65_535 }),
  username: fc.option(textArbitrary, { nil: undefined }),
  password: blob,
  properties: optional<unknown>({
    sessionExpiryInterval: u32,
    receiveMaximum: fc.integer({ min: 1, max: 65_535 }),
    maximumPacketSize: fc.integer({ min: 1, max: 0xffff_ffff }),
    topicAliasMaximum: fc.nat({ max: 65_535 }),
    requestResponseInformation: fc.boolean(),
    requestProblemInformation: fc.boolean(),
    userProperties: userPropertiesArbitrary,
    authenticationMethod: textArbitrary,
  }),
  will: fc.option(
    fc.record({
      topic: topicArbitrary,
      payload: blob,
      qos: fc.constantFrom(0, 1, 2),
      retain: fc.boolean(),
      properties: optional<unknown>({
        willDelayInterval: u32,
        messageExpiryInterval: u32,
        payloadFormatIndicator: fc.boolean(),
        contentType: textArbitrary,
        responseTopic: topicArbitrary,
        userProperties: userPropertiesArbitrary,
      }),
    }),
    { nil: undefined },
  ),
});

const pairsOf = (record: Record<string, string[]> | undefined) =>
  Object.entries(record ?? {}).flatMap(([name, values]) => values.map((value) => [name, value]));

test("CONNECT as mqtt-packet writes it", () => {
  fc.assert(
    fc.property(connects, ({ level, clientId, username, password, will, properties, ...rest }) => {
      const isV5 = level === 5;
      const bareWill = { topic: will?.topic, payload: will?.payload, qos: will?.qos, retain: will?.retain };
      const willProperties: Record<string, unknown> = will?.properties ?? {};
      const packet = {
        cmd: "connect",
        protocolId: level === 3 ? "MQIsdp" : "MQTT",
        protocolVersion: level,
        clientId,
        ...rest,
        ...(username === undefined ? {} : { username, password }),
        ...(will ? { will: { ...bareWill, ...(isV5 ? { properties: willProperties } : {}) } } : {}),
        ...(isV5 ? { properties } : {}),
      } as IConnectPacket;
      const decoded = packetOf(generate(packet, { protocolVersion: level }), level);

      const said = (isV5 ? properties : {}) as NonNullable<IConnectPacket["properties"]>;
      expect(decoded).toMatchObject({
        kind: "connect",
        protocolLevel: level,
        clientId,
        isCleanStart: rest.clean,
        keepAliveS: rest.keepalive,
        sessionExpiryIntervalS: said.sessionExpiryInterval ?? (isV5 || rest.clean ? 0 : 0xffff_ffff),
        receiveMaximum: said.receiveMaximum ?? 65_535,
        maximumPacketBytes: said.maximumPacketSize ?? 268_435_460,
        topicAliasMaximum: said.topicAliasMaximum ?? 0,
        isResponseInformationRequested: said.requestResponseInformation ?? false,
        isProblemInformationRequested: said.requestProblemInformation ?? true,
        username,
        password: username === undefined ? undefined : password,
        authenticationMethod: said.authenticationMethod,
        userProperties: pairsOf(said.userProperties as Record<string, string[]> | undefined),
      });
      if (decoded.kind !== "connect" || will === undefined) return;
      expect(decoded.will).toMatchObject({
        topic: will.topic,
        payload: will.payload,
        qos: will.qos,
        isRetain: will.retain,
        delayS: isV5 ? (willProperties.willDelayInterval ?? 0) : 0,
        messageExpiryIntervalS: isV5 ? (willProperties.messageExpiryInterval ?? -1) : -1,
      });
      if (!isV5) return;
      const { willDelayInterval, messageExpiryInterval, ...kept } = willProperties;
      const publish = { cmd: "publish", topic: "t", payload: "", qos: 0, dup: false, retain: false, properties: kept };
      const bytes = generate(publish as Packet, { protocolVersion: 5 });
      const keptBytes = decoded.will!.properties;
      expect(keptBytes.equals(bytes.subarray(bytes.length - keptBytes.length))).toBe(true);
      expect(bytes.length - keptBytes.length).toBeLessThanOrEqual(5 + 3); // Nothing but headers, lengths and the topic.
    }),
    { numRuns: ROUNDS },
  );
});

test("SUBSCRIBE and UNSUBSCRIBE as mqtt-packet writes them", () => {
  const requests = fc.array(
    fc.record({
      topic: filterArbitrary,
      qos: fc.constantFrom(0, 1, 2),
      nl: fc.boolean(),
      rap: fc.boolean(),
      rh: fc.constantFrom(0, 1, 2),
    }),
    { minLength: 1, maxLength: 5 },
  );
  const cases = fc.record({
    level: fc.constantFrom(3, 4, 5) as fc.Arbitrary<ProtocolLevel>,
    messageId: fc.integer({ min: 1, max: 65_535 }),
    requests,
    identifier: fc.option(fc.integer({ min: 1, max: 268_435_455 }), { nil: undefined }),
    userProperties: fc.option(userPropertiesArbitrary, { nil: undefined }),
  });
  fc.assert(
    fc.property(cases, ({ level, messageId, requests, identifier, userProperties }) => {
      const isV5 = level === 5;
      const user = userProperties ? { userProperties } : {};
      const properties = { ...(identifier ? { subscriptionIdentifier: identifier } : {}), ...user };
      const subscribe = { cmd: "subscribe", messageId, subscriptions: requests, properties } as Packet;
      expect(packetOf(generate(subscribe, { protocolVersion: level }), level)).toEqual({
        kind: "subscribe",
        packetId: messageId,
        subscriptionIdentifier: isV5 ? (identifier ?? 0) : 0,
        filters: requests.map(({ topic, qos, nl, rap, rh }) => ({
          filter: topic,
          qos,
          isNoLocal: isV5 && nl,
          isRetainAsPublished: isV5 && rap,
          retainHandling: isV5 ? rh : 0,
        })),
        userProperties: isV5 ? pairsOf(userProperties) : [],
      });

      const filters = requests.map((request) => request.topic);
      const unsubscribe = { cmd: "unsubscribe", messageId, unsubscriptions: filters, properties: user } as Packet;
      expect(packetOf(generate(unsubscribe, { protocolVersion: level }), level)).toEqual({
        kind: "unsubscribe",
        packetId: messageId,
        filters,
        userProperties: isV5 ? pairsOf(userProperties) : [],
      });
    }),
    { numRuns: ROUNDS },
  );
});

test("DISCONNECT and AUTH as mqtt-packet writes them", () => {
  const cases = fc.record({
    reasonCode: fc.constantFrom(0, 4, 0x80, 0x81, 0x82, 0x83, 0x93, 0x97),
    authCode: fc.constantFrom(0, 0x18, 0x19),
    disconnect: optional<unknown>({
      sessionExpiryInterval: u32,
      reasonString: textArbitrary,
      userProperties: userPropertiesArbitrary,
    }),
    auth: optional<unknown>({
      authenticationMethod: textArbitrary,
      authenticationData: blob,
      reasonString: textArbitrary,
    }),
  });
  fc.assert(
    fc.property(cases, ({ reasonCode, authCode, disconnect, auth }) => {
      const bytes = generate({ cmd: "disconnect", reasonCode, properties: disconnect } as Packet, {
        protocolVersion: 5,
      });
      expect(packetOf(bytes, 5)).toEqual({
        kind: "disconnect",
        reasonCode,
        sessionExpiryIntervalS: disconnect.sessionExpiryInterval,
        reasonString: disconnect.reasonString,
        userProperties: pairsOf(disconnect.userProperties as Record<string, string[]> | undefined),
      });
      const authBytes = generate({ cmd: "auth", reasonCode: authCode, properties: auth } as Packet, {
        protocolVersion: 5,
      });
      expect(packetOf(authBytes, 5)).toEqual({
        kind: "auth",
        reasonCode: authCode,
        authenticationMethod: auth.authenticationMethod,
        authenticationData: auth.authenticationData,
      });
    }),
    { numRuns: ROUNDS },
  );
});

describe("answers", () => {
  const read = (bytes: Buffer, level: number): Packet => {
    const packets: Packet[] = [];
    const reader = parser({ protocolVersion: level });
    reader.on("packet", (packet) => packets.push(packet));
    expect(reader.parse(bytes)).toBe(0);
    expect(packets).toHaveLength(1);
    return packets[0]!;
  };

  test("mqtt-packet reads CONNACK as it was meant, every property", () => {
    const packet: ServerPacket = {
      kind: "connack",
      isSessionPresent: true,
      reasonCode: 0,
      sessionExpiryIntervalS: 7,
      receiveMaximum: 1000,
      maximumQos: 1,
      isRetainAvailable: true,
      maximumPacketBytes: 1_048_576,
      assignedClientId: "id",
      topicAliasMaximum: 3,
      isWildcardSubscriptionAvailable: true,
      isSubscriptionIdentifierAvailable: false,
      isSharedSubscriptionAvailable: true,
      serverKeepAliveS: 30,
      responseInformation: "info",
      serverReference: "other",
      authenticationMethod: "m",
      reasonString: "because",
      userProperties: [
        ["a", "1"],
        ["__proto__", "2"],
        ["a", "3"],
      ],
    };
    const answer = read(encodeRare(packet, 5), 5);
    expect(answer).toMatchObject({ cmd: "connack", sessionPresent: true, reasonCode: 0 });
    if (answer.cmd !== "connack") return;
    const { userProperties, ...properties } = answer.properties!;
    expect(properties).toEqual({
      sessionExpiryInterval: 7,
      receiveMaximum: 1000,
      maximumQoS: 1,
      retainAvailable: true,
      maximumPacketSize: 1_048_576,
      assignedClientIdentifier: "id",
      topicAliasMaximum: 3,
      wildcardSubscriptionAvailable: true,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: true,
      serverKeepAlive: 30,
      responseInformation: "info",
      serverReference: "other",
      authenticationMethod: "m",
      reasonString: "because",
    });
    expect(Object.entries(userProperties!)).toEqual([
      ["a", ["1", "3"]],
      ["__proto__", "2"],
    ]);
  });

  test("an explanation that makes the packet too large is left out; a packet too large without it is not sent", () => {
    const packet: ServerPacket = {
      kind: "suback",
      packetId: 1,
      reasonCodes: [0x8f, 1],
      reasonString: "x".repeat(100),
      userProperties: [["k", "v"]],
    };
    const bare = bytesOf("90 05 0001 00 8f 01");
    const full = encodeRare(packet, 5);
    expect(full.length).toBeGreaterThan(100);
    expect(encodeRare(packet, 5, full.length)).toEqual(full);
    expect(encodeRare(packet, 5, full.length - 1)).toEqual(bare);
    expect(encodeRare(packet, 5, bare.length)).toEqual(bare);
    expect(encodeRare(packet, 5, bare.length - 1)).toHaveLength(0);
  });
});

describe("bounds", () => {
  test("as many filters as allowed, and one more", () => {
    const subscribe = (count: number): Buffer =>
      generate({
        cmd: "subscribe",
        messageId: 1,
        subscriptions: Array.from({ length: count }, (_, index) => ({ topic: `t${index}`, qos: 1 as const })),
      });
    expect(packetOf(subscribe(SUBSCRIBE_FILTERS_MAX), 4)).toMatchObject({ kind: "subscribe" });
    expect(decode(subscribe(SUBSCRIBE_FILTERS_MAX + 1), 4)).toMatchObject({ fault: ReasonCode.quotaExceeded });
  });

  test("as many user properties as allowed, and one more", () => {
    const unsubscribe = (count: number): Buffer => {
      const userProperties = { k: Array.from({ length: count }, () => "v") };
      const packet: Packet = {
        cmd: "unsubscribe",
        messageId: 1,
        unsubscriptions: ["a"],
        properties: { userProperties },
      };
      return generate(packet, { protocolVersion: 5 });
    };
    expect(packetOf(unsubscribe(USER_PROPERTIES_MAX), 5)).toMatchObject({ kind: "unsubscribe" });
    expect(decode(unsubscribe(USER_PROPERTIES_MAX + 1), 5)).toMatchObject({ fault: ReasonCode.quotaExceeded });
  });

  test("user properties keep their order and names that JavaScript would lose", () => {
    const packet = packetOf(
      bytesOf("a2 1f 0002 19 26 0001 39 0000 26 0001 31 0001 61 26 0001 39 0001 62 26 0000 0000 0001 61"),
      5,
    );
    expect(packet).toMatchObject({
      userProperties: [
        ["9", ""],
        ["1", "a"],
        ["9", "b"],
        ["", ""],
      ],
    });
  });
});

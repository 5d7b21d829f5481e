/**
 * Goal: every CONNECT that the specifications rule out is refused as they say, in the words of its own version, and every unusual one
 * that they allow is taken.
 * Method: a table of packets made byte by byte, a row per clause, on bare sockets, in the full size also inside of TLS and WebSocket. After each row
 * the broker still serves others.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import {
  bytesOf,
  type ConnectFields,
  connectBytes,
  type Part,
  packet,
  properties,
  sized,
  u16,
  u32,
} from "../harness/raw-bytes.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeTransports } from "../harness/servers.ts";
import type { Transport } from "../harness/wrapping.ts";

const WILL = 0b100;
const USERNAME = 0x80;
const PASSWORD = 0x40;
const CLEAN = 2;
const v3 = (fields: ConnectFields): Buffer => connectBytes({ level: 4, ...fields });
const v5 = (fields: ConnectFields): Buffer => connectBytes(fields);
const withProperties = (...parts: readonly Part[]): Buffer => v5({ properties: properties(...parts) });
const v5Will = (list: Buffer, topic: string | Buffer = "will"): Buffer =>
  v5({ flags: CLEAN | WILL, rest: [list, typeof topic === "string" ? topic : sized(topic), ""] });
const longest = "x".repeat(65_535);

/** The reason or return code of the CONNACK; "closed": the connection is closed without one. */
type Answer = number | "closed";
type Row = readonly [clause: string, what: string, bytes: Buffer, answer: Answer];

const ofVersion3: readonly Row[] = [
  ["MQTT-3.1.2-2", "level 6 of MQTT", v3({ level: 4 + 2 + 0x80 }), 0x84],
  ["MQTT-3.1.2-2", "level 3 of MQTT", v3({ level: 3 }), 1],
  ["MQTT-3.1.2-2", "level 0", v3({ level: 0 }), 1],
  ["MQTT-3.1.2-2", "level 4 of MQIsdp", v3({ name: "MQIsdp" }), 1],
  ["MQTT-3.1.2-1", "another protocol name", v3({ name: "MQTt" }), "closed"],
  ["MQTT-3.1.2-1", "no protocol name", v3({ name: "" }), "closed"],
  ["MQTT-3.1.2-3", "the reserved flag", v3({ flags: CLEAN | 1 }), "closed"],
  ["MQTT-3.1.2-11", "will QoS 1 without a will", v3({ flags: CLEAN | (1 << 3) }), "closed"],
  ["MQTT-3.1.2-15", "will retain without a will", v3({ flags: CLEAN | (1 << 5) }), "closed"],
  ["MQTT-3.1.2-14", "will QoS 3", v3({ flags: CLEAN | WILL | (3 << 3), rest: ["w", ""] }), "closed"],
  ["MQTT-3.1.2-22", "a password without a user name", v3({ flags: CLEAN | PASSWORD, rest: ["p"] }), "closed"],
  ["MQTT-3.1.3-8", "an empty client ID, clean session 0", v3({ flags: 0, clientId: "" }), 2],
  ["MQTT-3.1.3-7", "an empty client ID, clean session 1", v3({ clientId: "" }), 0],
  ["MQTT-3.1.3-4", "a client ID that is not UTF-8", v3({ clientId: Buffer.of(0xc3, 0x28) }), "closed"],
  ["MQTT-1.5.3-2", "U+0000 in the client ID", v3({ clientId: Buffer.of(0x61, 0) }), "closed"],
  ["MQTT-1.5.3-1", "a surrogate in the client ID", v3({ clientId: Buffer.of(0xed, 0xa0, 0x80) }), "closed"],
  [
    "MQTT-3.1.3-10",
    "a will topic that is not UTF-8",
    v3({ flags: CLEAN | WILL, rest: [sized(Buffer.of(0xff)), ""] }),
    "closed",
  ],
  [
    "MQTT-3.1.3-11",
    "a user name that is not UTF-8",
    v3({ flags: CLEAN | USERNAME, rest: [sized(Buffer.of(0xff))] }),
    "closed",
  ],
  [
    "MQTT-3.1.3-10",
    "a will topic that is not UTF-8",
    v3({ flags: CLEAN | WILL, rest: [sized(Buffer.of(0xff)), ""] }),
    "closed",
  ],
  ["MQTT-4.7.1-1", "a wildcard in the will topic", v3({ flags: CLEAN | WILL, rest: ["w/#", ""] }), "closed"],
  ["MQTT-4.7.3-1", "an empty will topic", v3({ flags: CLEAN | WILL, rest: ["", ""] }), "closed"],
  ["MQTT-2.2.2-2", "flags in the fixed header", v3({ first: 0x12 }), "closed"],
  ["MQTT-3.1.4-1", "bytes behind the last field", v3({ rest: [0] }), "closed"],
  ["MQTT-3.1.4-1", "a will that is not there", v3({ flags: CLEAN | WILL }), "closed"],
  ["MQTT-3.1.0-1", "a PUBLISH before CONNECT", packet(0x30, "topic"), "closed"],
  ["MQTT-3.1.0-1", "packet type 0", packet(0x00), "closed"],
  ["2.2.3", "a remaining length of five bytes", Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff, 0x01), "closed"],
  ["MQTT-3.1.3-5", "a client ID of 65,000 characters", v3({ clientId: "é".repeat(30_000) }), 0],
  [
    "3.1.3.5",
    "a password that is not UTF-8",
    v3({ flags: CLEAN | USERNAME | PASSWORD, rest: ["u", sized(Buffer.of(0xff, 0))] }),
    0,
  ],
  ["3.1.2.8", "a user name without a password", v3({ flags: CLEAN | USERNAME, rest: ["u"] }), 0],
  ["3.1.3.3", "the longest will message", v3({ flags: CLEAN | WILL, rest: ["will", longest] }), 0],
  [
    "3.1.3",
    "the longest of every field",
    v3({ flags: CLEAN | WILL | USERNAME | PASSWORD, rest: [longest, longest, longest, longest] }),
    0,
  ],
  ["MQTT 3.1", "MQIsdp level 3", v3({ name: "MQIsdp", level: 3 }), 0],
  ["MQTT 3.1", "MQIsdp level 3 without a client ID", v3({ name: "MQIsdp", level: 3, clientId: "" }), 2],
];

const ofVersion5: readonly Row[] = [
  ["MQTT-3.1.2-2", "level 6", v5({ level: 6 }), 0x84],
  ["MQTT-3.1.2-3", "the reserved flag", v5({ flags: CLEAN | 1 }), 0x81],
  ["MQTT-3.1.2-11", "will QoS without a will", v5({ flags: CLEAN | (2 << 3) }), 0x81],
  ["MQTT-3.1.2-13", "will retain without a will", v5({ flags: CLEAN | (1 << 5) }), 0x81],
  ["MQTT-3.1.2-12", "will QoS 3", v5({ flags: CLEAN | WILL | (3 << 3), rest: [0, "w", ""] }), 0x81],
  ["MQTT-3.1.3-6", "an empty client ID, clean start 0", v5({ flags: 0, clientId: "" }), 0],
  ["3.1.2.9", "a password without a user name", v5({ flags: CLEAN | PASSWORD, rest: ["p"] }), 0],
  ["MQTT-3.1.3-4", "a client ID that is not UTF-8", v5({ clientId: Buffer.of(0xff) }), 0x81],
  ["2.2.2.2", "a Session Expiry Interval twice", withProperties(0x11, u32(1), 0x11, u32(1)), 0x82],
  ["3.1.2.11.3", "Receive Maximum 0", withProperties(0x21, u16(0)), 0x82],
  ["3.1.2.11.3", "Receive Maximum twice", withProperties(0x21, u16(1), 0x21, u16(1)), 0x82],
  ["3.1.2.11.4", "Maximum Packet Size 0", withProperties(0x27, u32(0)), 0x82],
  ["3.1.2.11.6", "Request Response Information 2", withProperties(0x19, 2), 0x82],
  ["3.1.2.11.7", "Request Problem Information 2", withProperties(0x17, 2), 0x82],
  ["3.1.2.11.10", "authentication data without a method", withProperties(0x16, "data"), 0x82],
  ["MQTT-4.12.0-1", "an authentication method", withProperties(0x15, "GS2-KRB5"), 0x8c],
  ["2.2.2.2", "a property of PUBLISH", withProperties(0x23, u16(1)), 0x81],
  ["2.2.2.2", "a property of CONNACK", withProperties(0x12, "assigned"), 0x81],
  ["2.2.2.2", "an unknown property", withProperties(0x7f, 0), 0x81],
  ["2.2.2.1", "properties longer than the packet", v5({ properties: Buffer.of(0x7f) }), 0x81],
  ["MQTT-1.5.7-1", "a user property that is not UTF-8", withProperties(0x26, "name", sized(Buffer.of(0xff))), 0x81],
  ["MQTT-3.1.3-11", "a will topic that is not UTF-8", v5Will(properties(), Buffer.of(0xff)), 0x81],
  [
    "MQTT-3.1.3-12",
    "a user name that is not UTF-8",
    v5({ flags: CLEAN | USERNAME, rest: [sized(Buffer.of(0xff))] }),
    0x81,
  ],
  ["MQTT-4.7.1-1", "a wildcard in the will topic", v5Will(properties(), "a/+"), 0x90],
  ["MQTT-4.7.3-1", "an empty will topic", v5Will(properties(), ""), 0x90],
  ["3.1.3.2", "a topic alias on the will", v5Will(properties(0x23, u16(1))), 0x81],
  ["3.1.3.2.2", "a will delay twice", v5Will(properties(0x18, u32(1), 0x18, u32(1))), 0x82],
  ["3.1.3.2.4", "will payload format 2", v5Will(properties(0x01, 2)), 0x82],
  ["3.1.3.2.6", "a wildcard in the will's response topic", v5Will(properties(0x08, "a/#")), 0x82],
  ["MQTT-3.1.4-1", "bytes behind the last field", v5({ rest: [0] }), 0x81],
  ["MQTT-3.1.0-1", "an AUTH before CONNECT", packet(0xf0, 0x18, properties(0x15, "m")), "closed"],
  [
    "3.1.2.11",
    "every property of CONNECT",
    withProperties(
      0x11,
      u32(0),
      0x21,
      u16(9),
      0x27,
      u32(999),
      0x22,
      u16(9),
      0x19,
      1,
      0x17,
      0,
      0x26,
      "a",
      "b",
      0x26,
      "a",
      "c",
    ),
    0,
  ],
  [
    "3.1.3.2",
    "every property of a will",
    v5Will(properties(0x18, u32(1), 0x01, 1, 0x02, u32(9), 0x03, "type", 0x08, "answer", 0x09, "data", 0x26, "a", "b")),
    0,
  ],
  ["3.1.3.3", "the longest will message", v5({ flags: CLEAN | WILL, rest: [properties(), "will", longest] }), 0],
  [
    "MQTT-3.2.2-15",
    "more than the largest CONNECT",
    v5({ properties: Buffer.concat([Buffer.of(0xff, 0xff, 0x7f), Buffer.alloc(600_000)]) }),
    0x95,
  ],
];

const suite = (workers: number, transport: Transport): void => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, transport });
  });
  afterAll(async () => {
    await broker.remove();
  });

  const rows = [...ofVersion3.map((row) => [4, ...row] as const), ...ofVersion5.map((row) => [5, ...row] as const)];
  it.each(rows)("version byte %i [%s] %s", async (version, _clause, _what, bytes, answer) => {
    const speaks5 = version === 5 || answer === 0x84;
    const client = await RawClient.open(broker.mqttPort, speaks5 ? 5 : 4);
    client.sendBytes(bytes);
    if (answer === "closed") {
      await client.expectClose(); // [MQTT-3.1.4-1]
      expect(client.waiting).toEqual([]);
    } else {
      const connack = await client.take("connack");
      expect(speaks5 ? connack.reasonCode : connack.returnCode).toBe(answer);
      expect(connack.sessionPresent).toBe(false); // [MQTT-3.2.2-6]
      if (answer === 0) {
        await client.ping();
        await client.end();
      } else {
        await client.expectClose(); // [MQTT-3.2.2-7]
      }
    }
    const witness = await RawClient.connected(broker.mqttPort, "witness");
    await witness.end();
  });

  it("takes a CONNECT and what follows it byte by byte", async () => {
    const client = await RawClient.open(broker.mqttPort, 5);
    const all = bytesOf(
      connectBytes({ clientId: "drops" }),
      packet(0x82, u16(7), properties(), "drops", 1),
      packet(0xc0),
    );
    for (const byte of all) client.sendBytes(Buffer.of(byte));
    await client.take("connack");
    expect((await client.take("suback")).granted).toEqual([1]);
    await client.take("pingresp");
    await client.end();
  });

  it("says what it grants and what it does not", async () => {
    const client = await RawClient.connected(broker.mqttPort, "");
    const { assignedClientIdentifier, ...told } = client.connack.properties ?? {};
    expect(assignedClientIdentifier).toMatch(/^restante-[-\w]{16}$/);
    expect(told).toEqual({
      receiveMaximum: 1_000,
      maximumPacketSize: 1024 * 1024,
      serverKeepAlive: 65_535,
      topicAliasMaximum: 32,
      sharedSubscriptionAvailable: true,
    });
    await client.end();
  });
};

describeTransports("CONNECT, clause by clause", suite, ["tls", "ws", "wss"]);

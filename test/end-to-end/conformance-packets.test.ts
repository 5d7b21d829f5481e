/**
 * Goal: every packet that a connected client may not send ends its connection as the specifications say, its will is published, and what
 * is merely unusual is taken.
 * Method: a table of packets made byte by byte, a row per clause, on bare sockets in both versions, in the full size also inside of TLS and
 * WebSocket; a witness hears the wills.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { connectBytes, type Part, packet, properties, sized, u16, u32 } from "../harness/raw-bytes.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeTransports } from "../harness/servers.ts";
import type { Transport } from "../harness/wrapping.ts";

const none = properties();
const nameless = "";
const PUBLISH = 0x30;
const QOS_1 = 2;
const QOS_2 = 4;
const QOS_3 = 6;
const DUP = 8;
const publish5 = (...parts: readonly Part[]): Buffer => packet(PUBLISH, "topic", properties(...parts));
const badText = sized(Buffer.of(0xc0, 0x80));

/** `code`: of the DISCONNECT that an MQTT 5 client gets; MQTT 3.1.1 has none. */
type Row = readonly [clause: string, what: string, bytes: Buffer, code: number];

const inVersion5: readonly Row[] = [
  ["MQTT-3.1.0-2", "a second CONNECT", connectBytes(), 0x82],
  ["2.1.2", "packet type 0", packet(0), 0x82],
  ["2.1.2", "a CONNACK", packet(0x20, 0, 0, none), 0x82],
  ["2.1.2", "a SUBACK", packet(0x90, u16(1), none, 0), 0x82],
  ["2.1.2", "an UNSUBACK", packet(0xb0, u16(1), none, 0), 0x82],
  ["2.1.2", "a PINGRESP", packet(0xd0), 0x82],
  ["MQTT-4.12.0-6", "an AUTH, none was begun", packet(0xf0, 0x18, properties(0x15, "m")), 0x82],
  ["MQTT-3.15.1-1", "flags on AUTH", packet(0xf1, 0x18, properties(0x15, "m")), 0x81],
  ["2.1.3", "flags on PINGREQ", packet(0xc1), 0x81],
  ["3.12", "a PINGREQ with a body", packet(0xc0, 0), 0x81],
  ["MQTT-3.3.1-4", "PUBLISH QoS 3", packet(PUBLISH | QOS_3, "t", u16(1), none), 0x81],
  ["MQTT-3.3.1-2", "PUBLISH QoS 0 with DUP", packet(PUBLISH | DUP, "t", none), 0x81],
  ["MQTT-2.2.1-2", "PUBLISH packet identifier 0", packet(PUBLISH | QOS_1, "t", u16(0), none), 0x81],
  ["MQTT-3.3.2-2", "PUBLISH to +", packet(PUBLISH, "a/+", none), 0x90],
  ["MQTT-3.3.2-2", "PUBLISH to #", packet(PUBLISH, "#", none), 0x90],
  ["MQTT-3.3.2-1", "PUBLISH, the topic is not UTF-8", packet(PUBLISH, badText, none), 0x81],
  ["MQTT-1.5.4-2", "PUBLISH, U+0000 in the topic", packet(PUBLISH, "a\0b", none), 0x81],
  ["3.3.2.1", "PUBLISH, neither topic nor alias", packet(PUBLISH, nameless, none), 0x82],
  ["3.3.2.1", "PUBLISH of 129 levels", packet(PUBLISH, "/".repeat(128), none), 0x90],
  ["MQTT-3.3.2-8", "topic alias 0", publish5(0x23, u16(0)), 0x94],
  ["MQTT-3.3.2-9", "topic alias beyond the maximum", publish5(0x23, u16(33)), 0x94],
  ["3.3.2.3.4", "topic alias twice", publish5(0x23, u16(1), 0x23, u16(1)), 0x82],
  ["3.3.2.3.4", "a topic alias that stands for nothing", packet(PUBLISH, nameless, properties(0x23, u16(9))), 0x82],
  ["3.3.2.3.2", "payload format 2", publish5(0x01, 2), 0x82],
  ["3.3.2.3.3", "message expiry twice", publish5(0x02, u32(1), 0x02, u32(1)), 0x82],
  ["3.3.2.3.3", "message expiry cut short", publish5(0x02, 0, 0), 0x81],
  ["MQTT-3.3.2-14", "a wildcard in the response topic", publish5(0x08, "a/#"), 0x82],
  ["MQTT-3.3.2-13", "the response topic is not UTF-8", publish5(0x08, badText), 0x81],
  ["MQTT-3.3.2-19", "the content type is not UTF-8", publish5(0x03, badText), 0x81],
  ["MQTT-3.3.4-6", "a subscription identifier from a client", publish5(0x0b, 1), 0x82],
  ["2.2.2.2", "a property of CONNECT on PUBLISH", publish5(0x11, u32(1)), 0x81],
  ["2.2.2.2", "a reason string on PUBLISH", publish5(0x1f, "why"), 0x81],
  ["2.2.2.1", "properties longer than the packet", packet(PUBLISH, "t", 0x7f), 0x81],
  ["1.5.5", "a property length of five bytes", packet(PUBLISH, "t", Buffer.of(0x80, 0x80, 0x80, 0x80, 1)), 0x81],
  ["MQTT-3.2.2-15", "more than the largest packet", Buffer.of(PUBLISH, 0xff, 0xff, 0xff, 0x7f), 0x95],
  ["MQTT-2.2.1-2", "PUBACK packet identifier 0", packet(0x40, u16(0)), 0x81],
  ["MQTT-3.4.2-1", "PUBACK with a code it does not have", packet(0x40, u16(1), 0x01), 0x82],
  ["3.4.2.2", "PUBACK with a property of PUBLISH", packet(0x40, u16(1), 0, properties(0x01, 1)), 0x81],
  ["2.1.3", "flags on PUBACK", packet(0x42, u16(1)), 0x81],
  ["2.1.3", "flags on PUBREC", packet(0x51, u16(1)), 0x81],
  ["MQTT-3.6.1-1", "PUBREL without its flags", packet(0x60, u16(1)), 0x81],
  ["3.6.2.1", "PUBREL with a code of PUBACK", packet(0x62, u16(1), 0x10), 0x82],
  ["2.1.3", "flags on PUBCOMP", packet(0x72, u16(1)), 0x81],
  ["3.4.2", "a PUBACK of one byte", packet(0x40, 0), 0x81],
  ["MQTT-3.8.1-1", "SUBSCRIBE without its flags", packet(0x80, u16(1), none, "t", 0), 0x81],
  ["MQTT-2.2.1-3", "SUBSCRIBE packet identifier 0", packet(0x82, u16(0), none, "t", 0), 0x81],
  ["MQTT-3.8.3-2", "SUBSCRIBE without a filter", packet(0x82, u16(1), none), 0x82],
  ["3.8.3.1", "SUBSCRIBE QoS 3", packet(0x82, u16(1), none, "t", 3), 0x82],
  ["3.8.3.1", "Retain Handling 3", packet(0x82, u16(1), none, "t", 0x30), 0x82],
  ["MQTT-3.8.3-5", "reserved option bits", packet(0x82, u16(1), none, "t", 0x40), 0x81],
  ["MQTT-3.8.3-4", "No Local on a shared subscription", packet(0x82, u16(1), none, "$share/g/t", 0x04), 0x82],
  ["3.8.2.1.2", "subscription identifier 0", packet(0x82, u16(1), properties(0x0b, 0), "t", 0), 0x82],
  ["3.8.2.1.2", "subscription identifier twice", packet(0x82, u16(1), properties(0x0b, 1, 0x0b, 2), "t", 0), 0x82],
  ["MQTT-3.8.3-1", "a filter that is not UTF-8", packet(0x82, u16(1), none, badText, 0), 0x81],
  ["3.8.3", "a filter without its options", packet(0x82, u16(1), none, "t"), 0x81],
  ["MQTT-3.10.1-1", "UNSUBSCRIBE without its flags", packet(0xa0, u16(1), none, "t"), 0x81],
  ["MQTT-3.10.3-2", "UNSUBSCRIBE without a filter", packet(0xa2, u16(1), none), 0x82],
  ["MQTT-3.10.3-1", "an UNSUBSCRIBE filter that is not UTF-8", packet(0xa2, u16(1), none, badText), 0x81],
  ["MQTT-2.2.1-3", "UNSUBSCRIBE packet identifier 0", packet(0xa2, u16(0), none, "t"), 0x81],
  ["MQTT-3.14.1-1", "flags on DISCONNECT", packet(0xe1), 0x81],
  ["3.14.2.1", "DISCONNECT with a code of the server", packet(0xe0, 0x8e), 0x82],
  ["MQTT-3.14.2-2", "DISCONNECT that makes a session of none", packet(0xe0, 0, properties(0x11, u32(9))), 0x82],
  ["3.14.2.2", "DISCONNECT with a property of PUBLISH", packet(0xe0, 0, properties(0x01, 1)), 0x81],
];

const inVersion3: readonly Row[] = [
  ["MQTT-3.1.0-2", "a second CONNECT", connectBytes({ level: 4 }), 0],
  ["2.2.1", "packet type 15", packet(0xf0), 0],
  ["2.2.1", "a CONNACK", packet(0x20, 0, 0), 0],
  ["MQTT-3.3.1-4", "PUBLISH QoS 3", packet(PUBLISH | QOS_3, "t", u16(1)), 0],
  ["MQTT-2.3.1-1", "PUBLISH packet identifier 0", packet(PUBLISH | QOS_2, "t", u16(0)), 0],
  ["MQTT-3.3.2-2", "PUBLISH to a wildcard", packet(PUBLISH, "a/#"), 0],
  ["MQTT-4.7.3-1", "PUBLISH to an empty topic", packet(PUBLISH, nameless), 0],
  ["MQTT-1.5.3-1", "PUBLISH, the topic is not UTF-8", packet(PUBLISH, badText), 0],
  ["MQTT-3.6.1-1", "PUBREL without its flags", packet(0x60, u16(1)), 0],
  ["3.4.2", "PUBACK with a reason code", packet(0x40, u16(1), 0), 0],
  ["MQTT-3-8.3-4", "SUBSCRIBE with reserved option bits", packet(0x82, u16(1), "t", 0x04), 0],
  ["MQTT-3-8.3-4", "SUBSCRIBE QoS 3", packet(0x82, u16(1), "t", 3), 0],
  ["MQTT-3.8.3-3", "SUBSCRIBE without a filter", packet(0x82, u16(1)), 0],
  ["MQTT-3.10.3-2", "UNSUBSCRIBE without a filter", packet(0xa2, u16(1)), 0],
  ["MQTT-3.14.1-1", "flags on DISCONNECT", packet(0xe2), 0],
  ["3.14", "DISCONNECT with a body", packet(0xe0, 0), 0],
];

/** What is unusual and allowed: a PINGREQ behind it is answered, after these packets. */
const taken: readonly (readonly [
  clause: string,
  what: string,
  version: Version,
  bytes: Buffer,
  answers: readonly string[],
])[] = [
  ["2.2.3", "a length with needless bytes", 4, Buffer.of(PUBLISH, 0x84, 0x80, 0x00, 0, 1, 0x74, 0x78), []],
  ["4.3.2", "a PUBACK for nothing", 5, packet(0x40, u16(7)), []],
  ["4.3.2", "a PUBACK for nothing", 4, packet(0x40, u16(7)), []],
  [
    "3.4.2.1",
    "a PUBACK with code, reason and user property",
    5,
    packet(0x40, u16(7), 0x83, properties(0x1f, "why", 0x26, "a", "b")),
    [],
  ],
  ["4.3.3", "a PUBREC for nothing", 5, packet(0x50, u16(7)), ["pubrel 92"]],
  ["4.3.3", "a PUBREC for nothing", 4, packet(0x50, u16(7)), ["pubrel 0"]],
  ["4.3.3", "a refusing PUBREC for nothing", 5, packet(0x50, u16(7), 0x80), []],
  ["4.3.3", "a PUBREL for nothing", 5, packet(0x62, u16(7)), ["pubcomp 92"]],
  ["MQTT-4.3.3-2", "a PUBREL for nothing", 4, packet(0x62, u16(7)), ["pubcomp 0"]],
  ["4.3.3", "a PUBCOMP for nothing", 5, packet(0x70, u16(7), 0x92), []],
  [
    "3.3.2.3.2",
    "text that is not UTF-8 although it says so",
    5,
    Buffer.concat([packet(PUBLISH | QOS_1, "t", u16(1), properties(0x01, 1), Buffer.of(0xff))]),
    ["puback 10"],
  ],
  ["3.3.2.1", "a topic of 65,535 bytes", 5, packet(PUBLISH | QOS_1, "t".repeat(65_535), u16(1), none), ["puback 10"]],
  ["4.7.3", "a topic of 128 levels", 5, packet(PUBLISH | QOS_1, "/".repeat(127), u16(1), none), ["puback 10"]],
  [
    "4.7.3",
    "a topic with spaces, a BOM and a non-character",
    5,
    packet(PUBLISH | QOS_1, "\ufeff a/ \uffff", u16(1), none),
    ["puback 10"],
  ],
  [
    "3.8.3",
    "filters that are none, between good ones",
    5,
    packet(0x82, u16(3), none, "a", 1, "a#", 0, "a/#/b", 0, "+a", 0, "", 0, "b/+/#", 2),
    ["suback 1 8f 8f 8f 8f 2"],
  ],
  [
    "MQTT-3.9.3-2",
    "filters that are none, between good ones",
    4,
    packet(0x82, u16(3), "a", 1, "a#", 0, "b", 2),
    ["suback 1 80 2"],
  ],
  ["3.8.3", "one filter twice", 5, packet(0x82, u16(3), none, "a", 1, "a", 2), ["suback 1 2"]],
  ["3.8.3", "a filter of 65,535 bytes", 5, packet(0x82, u16(3), none, "f".repeat(65_535), 1), ["suback 1"]],
  ["3.8.3", "a filter of 129 levels", 5, packet(0x82, u16(3), none, `${"+/".repeat(128)}+`, 1), ["suback 8f"]],
  ["MQTT-3.10.4-5", "UNSUBSCRIBE from nothing", 5, packet(0xa2, u16(3), none, "never", "a#"), ["unsuback 11 11"]],
  ["MQTT-3.10.4-5", "UNSUBSCRIBE from nothing", 4, packet(0xa2, u16(3), "never", "a"), ["unsuback"]],
];

/** "pubcomp 92": the kind and its codes in hex. */
function shapeOf(arrived: RawClient["waiting"][number]): string {
  const { cmd } = arrived;
  if (cmd === "suback" || cmd === "unsuback") {
    return [cmd, ...(arrived.granted ?? []).map((code) => Number(code).toString(16))].join(" ");
  }
  return cmd === "pingresp" ? cmd : `${cmd} ${((arrived as { reasonCode?: number }).reasonCode ?? 0).toString(16)}`;
}

const suite = (workers: number, transport: Transport): void => {
  let broker: Broker;
  let witness: RawClient;
  beforeAll(async () => {
    broker = await Broker.start({ workers, transport });
    witness = await RawClient.connected(broker.mqttPort, "witness");
    await witness.subscribe("wills", { qos: 1 });
  });
  afterAll(async () => {
    await witness.end();
    await broker.remove();
  });

  const rows = [...inVersion3.map((row) => [4, ...row] as const), ...inVersion5.map((row) => [5, ...row] as const)];
  it.each(rows)("version byte %i [%s] %s ends the connection", async (version, clause, what, bytes, code) => {
    const will = {
      topic: "wills",
      payload: Buffer.from(`${version} ${clause} ${what}`),
      qos: 1 as const,
      retain: false,
    };
    const client = await RawClient.connected(broker.mqttPort, "client", { version, will });
    client.sendBytes(bytes);
    if (version === 5) expect((await client.take("disconnect")).reasonCode).toBe(code); // [MQTT-4.13.1-1]
    await client.expectClose(); // [MQTT-4.8.0-1] of 3.1.1
    expect(client.waiting).toEqual([]);
    expect(await witness.receiveTexts(1)).toEqual([will.payload.toString()]); // [MQTT-3.1.2-8]
  });

  it.each(taken)("[%s] %s, version byte %i, is taken", async (_clause, _what, version, bytes, answers) => {
    const client = await RawClient.connected(broker.mqttPort, "client", { version });
    client.sendBytes(bytes);
    client.send({ cmd: "pingreq" });
    await client.take("pingresp");
    while (client.waiting.length < answers.length) await client.ping();
    expect(client.waiting.map(shapeOf)).toEqual(answers);
    await client.end();
  });
};

describeTransports("packets of a connected client, clause by clause", suite, ["tls", "ws", "wss"]);

/**
 * Named packets: raw bytes beside what they mean, and bytes beside what is wrong with them. Used by every test of the codec,
 * so that a bug found once stays found in all of them. Here PUBLISH and its acknowledgements; rare-packets.ts has the rest.
 *
 * Bytes are hexadecimal; spaces separate fields as they stand on the wire.
 */
import type { ProtocolLevel } from "../../src/mqtt/packets.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";

export const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

export interface Named {
  readonly name: string;
  readonly level: ProtocolLevel;
  readonly hex: string;
}

export interface PublishCase extends Named {
  readonly qos: number;
  readonly isDup: boolean;
  readonly isRetain: boolean;
  readonly packetId: number;
  readonly topic: string;
  readonly payload: string;
  /** Seconds; -1 = none. */
  readonly expiryS: number;
  readonly alias: number;
  /** What passes through, in hexadecimal. */
  readonly passThrough: string;
}

const plain = { qos: 0, isDup: false, isRetain: false, packetId: 0, expiryS: -1, alias: 0, passThrough: "" };

export const PUBLISHES: readonly PublishCase[] = [
  { ...plain, name: "v3 QoS 0", level: 4, hex: "30 06 0003 612f62 78", topic: "a/b", payload: "x" },
  { ...plain, name: "v3 empty payload", level: 4, hex: "30 03 0001 61", topic: "a", payload: "" },
  {
    ...plain,
    name: "v3.1 QoS 1",
    level: 3,
    hex: "32 06 0001 61 000a 78",
    qos: 1,
    packetId: 10,
    topic: "a",
    payload: "x",
  },
  {
    ...plain,
    name: "v3 QoS 2 DUP RETAIN",
    level: 4,
    hex: "3d 06 0001 61 ffff 78",
    qos: 2,
    isDup: true,
    isRetain: true,
    packetId: 65_535,
    topic: "a",
    payload: "x",
  },
  {
    ...plain,
    name: "v3 wide characters",
    level: 4,
    hex: "30 0c 000a c3a92fe282acf09f9880",
    topic: "é/€😀",
    payload: "",
  },
  { ...plain, name: "v5 no properties", level: 5, hex: "30 05 0001 61 00 78", topic: "a", payload: "x" },
  {
    ...plain,
    name: "v5 passes everything through",
    level: 5,
    hex: "32 29 0001 61 0007 22 0101 03 0001 74 08 0001 72 09 0002 00ff 26 0001 6b 0001 76 26 0001 6b 0001 77 26 0000 0000 78",
    qos: 1,
    packetId: 7,
    topic: "a",
    payload: "x",
    passThrough: "0101 03000174 08000172 09000200ff 260001 6b0001 76 260001 6b0001 77 2600000000",
  },
  {
    ...plain,
    name: "v5 expiry alone",
    level: 5,
    hex: "30 0a 0001 61 05 02 ffffffff 78",
    topic: "a",
    payload: "x",
    expiryS: 0xffff_ffff,
  },
  {
    ...plain,
    name: "v5 alias without topic",
    level: 5,
    hex: "30 07 0000 03 23 0005 78",
    topic: "",
    payload: "x",
    alias: 5,
  },
  {
    ...plain,
    name: "v5 expiry, kept, alias",
    level: 5,
    hex: "30 0f 0001 61 0a 02 0000003c 0100 23 0005 78",
    topic: "a",
    payload: "x",
    expiryS: 60,
    alias: 5,
    passThrough: "0100",
  },
  {
    ...plain,
    name: "v5 kept, alias, kept, expiry, kept",
    level: 5,
    hex: "30 17 0001 61 12 0101 23 0102 03 0001 74 02 00000001 09 0001 00 78",
    topic: "a",
    payload: "x",
    expiryS: 1,
    alias: 258,
    passThrough: "0101 03000174 09000100",
  },
];

export interface AckCase extends Named {
  readonly type: "puback" | "pubrec" | "pubrel" | "pubcomp";
  readonly packetId: number;
  readonly reasonCode: number;
  /** Whether our own writer makes these very bytes. */
  readonly isCanonical: boolean;
}

export const ACKS: readonly AckCase[] = [
  { name: "v3 PUBACK", level: 4, hex: "40 02 000a", type: "puback", packetId: 10, reasonCode: 0, isCanonical: true },
  {
    name: "v3 PUBREC",
    level: 4,
    hex: "50 02 ffff",
    type: "pubrec",
    packetId: 65_535,
    reasonCode: 0,
    isCanonical: true,
  },
  { name: "v3 PUBREL", level: 3, hex: "62 02 0100", type: "pubrel", packetId: 256, reasonCode: 0, isCanonical: true },
  { name: "v3 PUBCOMP", level: 4, hex: "70 02 0001", type: "pubcomp", packetId: 1, reasonCode: 0, isCanonical: true },
  { name: "v5 PUBACK", level: 5, hex: "40 02 000a", type: "puback", packetId: 10, reasonCode: 0, isCanonical: true },
  {
    name: "v5 PUBACK refused",
    level: 5,
    hex: "40 03 000a 97",
    type: "puback",
    packetId: 10,
    reasonCode: 0x97,
    isCanonical: true,
  },
  {
    name: "v5 PUBREC refused",
    level: 5,
    hex: "50 03 000a 83",
    type: "pubrec",
    packetId: 10,
    reasonCode: 0x83,
    isCanonical: true,
  },
  {
    name: "v5 PUBREL unknown",
    level: 5,
    hex: "62 03 000a 92",
    type: "pubrel",
    packetId: 10,
    reasonCode: 0x92,
    isCanonical: true,
  },
  {
    name: "v5 PUBCOMP unknown",
    level: 5,
    hex: "70 03 000a 92",
    type: "pubcomp",
    packetId: 10,
    reasonCode: 0x92,
    isCanonical: true,
  },
  {
    name: "v5 PUBACK, success said",
    level: 5,
    hex: "40 03 000a 00",
    type: "puback",
    packetId: 10,
    reasonCode: 0,
    isCanonical: false,
  },
  {
    name: "v5 PUBACK, empty list",
    level: 5,
    hex: "40 04 000a 10 00",
    type: "puback",
    packetId: 10,
    reasonCode: 0x10,
    isCanonical: false,
  },
  {
    name: "v5 PUBACK explained",
    level: 5,
    hex: "40 11 000a 80 0d 1f 0002 6e6f 26 0001 6b 0002 7676",
    type: "puback",
    packetId: 10,
    reasonCode: 0x80,
    isCanonical: false,
  },
];

export interface FaultCase extends Named {
  readonly fault: number;
  /** In whose form to answer. */
  readonly answerLevel: ProtocolLevel | 0;
}

export const faulty = (
  name: string,
  level: ProtocolLevel,
  hex: string,
  fault: number,
  answerLevel: ProtocolLevel | 0 = level,
): FaultCase => ({ name, level, hex, fault, answerLevel });

const { malformedPacket, protocolError, topicNameInvalid, topicAliasInvalid } = ReasonCode;

export const FAULTY_PUBLISHES: readonly FaultCase[] = [
  faulty("QoS 3", 4, "36 06 0001 61 000a 78", malformedPacket),
  faulty("DUP with QoS 0", 4, "38 04 0001 61 78", malformedPacket),
  faulty("no body", 4, "30 00", malformedPacket),
  faulty("half a topic length", 4, "30 01 00", malformedPacket),
  faulty("a topic beyond the packet", 4, "30 03 0002 61", malformedPacket),
  faulty("no packet identifier", 4, "32 03 0001 61", malformedPacket),
  faulty("half a packet identifier", 4, "32 04 0001 61 00", malformedPacket),
  faulty("packet identifier 0", 4, "32 05 0001 61 0000", malformedPacket),
  faulty("v3 empty topic", 4, "30 02 0000", protocolError),
  faulty("v5 empty topic without alias", 5, "30 03 0000 00", protocolError),
  faulty("wildcard +", 4, "30 05 0003 612f2b", topicNameInvalid),
  faulty("wildcard #", 4, "30 03 0001 23", topicNameInvalid),
  faulty("U+0000 in the topic", 4, "30 04 0002 6100", malformedPacket),
  faulty("a surrogate in the topic", 4, "30 05 0003 eda080", malformedPacket),
  faulty("an overlong slash in the topic", 4, "30 04 0002 c0af", malformedPacket),
  faulty("half a character in the topic", 4, "30 04 0002 61c3", malformedPacket),
  faulty("no properties", 5, "30 03 0001 61", malformedPacket),
  faulty("properties beyond the packet", 5, "30 05 0001 61 02 01", malformedPacket),
  faulty("a length of five bytes", 5, "30 08 0001 61 8080808000", malformedPacket),
  faulty("a needlessly long length", 5, "30 05 0001 61 8000", malformedPacket),
  faulty("an unknown property", 5, "30 06 0001 61 02 7f00", malformedPacket),
  faulty("a property of CONNECT", 5, "30 07 0001 61 03 210001", malformedPacket),
  faulty("expiry twice", 5, "30 0e 0001 61 0a 0200000001 0200000001", protocolError),
  faulty("alias twice", 5, "30 0a 0001 61 06 230001 230001", protocolError),
  faulty("alias 0", 5, "30 07 0001 61 03 230000", topicAliasInvalid),
  faulty("payload format 2", 5, "30 06 0001 61 02 0102", protocolError),
  faulty("a subscription identifier", 5, "30 06 0001 61 02 0b01", protocolError),
  faulty("a wildcard in the response topic", 5, "30 08 0001 61 04 08000123", protocolError),
  faulty("an empty response topic", 5, "30 07 0001 61 03 080000", protocolError),
  faulty("bad UTF-8 in the content type", 5, "30 08 0001 61 04 030001ff", malformedPacket),
  faulty("bad UTF-8 in a user property", 5, "30 0a 0001 61 06 260000 0001 00", malformedPacket),
  faulty("a user property without value", 5, "30 08 0001 61 04 26000161", malformedPacket),
  faulty("a string beyond the properties", 5, "30 08 0001 61 03 030001 61", malformedPacket),
  faulty("half an expiry", 5, "30 08 0001 61 03 020000 78", malformedPacket),
];

export const FAULTY_ACKS: readonly FaultCase[] = [
  faulty("flags on PUBACK", 4, "41 02 0001", malformedPacket),
  faulty("PUBREL without its flag", 4, "60 02 0001", malformedPacket),
  faulty("packet identifier 0", 4, "40 02 0000", malformedPacket),
  faulty("no body", 4, "40 00", malformedPacket),
  faulty("half an identifier", 4, "40 01 01", malformedPacket),
  faulty("half an identifier behind a long length", 4, "40 8100 01", malformedPacket),
  faulty("a reason code in v3", 4, "40 03 0001 00", malformedPacket),
  faulty("a reason code of another packet", 5, "40 03 0001 92", protocolError),
  faulty("PUBREL with a code of PUBACK", 5, "62 03 0001 10", protocolError),
  faulty("bytes behind the properties", 5, "40 05 0001 00 00 00", malformedPacket),
  faulty("properties beyond the packet", 5, "40 04 0001 00 01", malformedPacket),
  faulty("a property it cannot have", 5, "40 06 0001 00 02 0100", malformedPacket),
  faulty("two reason strings", 5, "40 0a 0001 00 06 1f0000 1f0000", protocolError),
];

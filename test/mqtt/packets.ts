/**
 * Named packets: raw bytes beside what they mean, and bytes beside what is wrong with them. Used by every test of the codec,
 * so that a bug found once stays found in all of them.
 *
 * Bytes are hexadecimal; spaces separate fields as they stand on the wire.
 */
import type { ClientPacket, ProtocolLevel, ServerPacket, Will } from "../../src/mqtt/packets.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";

export const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

interface Named {
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

export interface RareCase extends Named {
  readonly packet: ClientPacket;
}

const connect = {
  kind: "connect",
  protocolLevel: 4,
  clientId: "c",
  isCleanStart: true,
  keepAliveS: 60,
  sessionExpiryIntervalS: 0,
  receiveMaximum: 65_535,
  maximumPacketBytes: 268_435_460,
  topicAliasMaximum: 0,
  isResponseInformationRequested: false,
  isProblemInformationRequested: true,
  will: undefined,
  username: undefined,
  password: undefined,
  userProperties: [],
  authenticationMethod: undefined,
  authenticationData: undefined,
} as const;

const will: Will = {
  topic: "w",
  payload: Buffer.from("gone"),
  qos: 1,
  isRetain: true,
  delayS: 0,
  messageExpiryIntervalS: -1,
  properties: Buffer.alloc(0),
};

export const RARE: readonly RareCase[] = [
  {
    name: "v3.1 CONNECT",
    level: 3,
    hex: "10 0f 0006 4d5149736470 03 02 003c 0001 63",
    packet: { ...connect, protocolLevel: 3 },
  },
  { name: "v3.1.1 CONNECT", level: 4, hex: "10 0d 0004 4d515454 04 02 003c 0001 63", packet: connect },
  {
    name: "v3.1.1 CONNECT, clean, no client ID",
    level: 4,
    hex: "10 0c 0004 4d515454 04 02 0000 0000",
    packet: { ...connect, clientId: "", keepAliveS: 0 },
  },
  {
    name: "v3.1.1 CONNECT, kept session, will, user name, password",
    level: 4,
    hex: "10 1d 0004 4d515454 04 ec 003c 0001 63 0001 77 0004 676f6e65 0001 75 0002 00ff",
    packet: {
      ...connect,
      isCleanStart: false,
      sessionExpiryIntervalS: 0xffff_ffff,
      will,
      username: "u",
      password: Buffer.from([0, 255]),
    },
  },
  {
    name: "v5 CONNECT",
    level: 5,
    hex: "10 0e 0004 4d515454 05 02 003c 00 0001 63",
    packet: { ...connect, protocolLevel: 5 },
  },
  {
    name: "v5 CONNECT with all it can have",
    level: 5,
    hex:
      "10 67 0004 4d515454 05 ee 003c " +
      "2a 11 0000000a 21 0014 27 00001000 22 0005 19 01 17 00 26 0001 32 0001 61 26 0001 31 0000 15 0001 6d 16 0002 0001 " +
      "0001 63 " +
      "1f 18 00000002 01 01 02 00000003 03 0001 74 26 0001 6b 0001 76 08 0001 72 09 0001 63 " +
      "0001 77 0004 676f6e65 0001 75 0001 70",
    packet: {
      ...connect,
      protocolLevel: 5,
      sessionExpiryIntervalS: 10,
      receiveMaximum: 20,
      maximumPacketBytes: 4096,
      topicAliasMaximum: 5,
      isResponseInformationRequested: true,
      isProblemInformationRequested: false,
      userProperties: [
        ["2", "a"],
        ["1", ""],
      ],
      authenticationMethod: "m",
      authenticationData: Buffer.from([0, 1]),
      will: {
        ...will,
        delayS: 2,
        messageExpiryIntervalS: 3,
        properties: bytesOf("0101 03000174 2600016b000176 08000172 09000163"),
      },
      username: "u",
      password: Buffer.from("p"),
    },
  },
  {
    name: "v5 CONNECT, a password alone",
    level: 5,
    hex: "10 11 0004 4d515454 05 42 003c 00 0001 63 0001 70",
    packet: { ...connect, protocolLevel: 5, password: Buffer.from("p") },
  },
  {
    name: "v3 SUBSCRIBE",
    level: 4,
    hex: "82 0c 0001 0001 61 01 0003 622f23 02",
    packet: {
      kind: "subscribe",
      packetId: 1,
      subscriptionIdentifier: 0,
      filters: [
        { filter: "a", qos: 1, isNoLocal: false, isRetainAsPublished: false, retainHandling: 0 },
        { filter: "b/#", qos: 2, isNoLocal: false, isRetainAsPublished: false, retainHandling: 0 },
      ],
      userProperties: [],
    },
  },
  {
    name: "v5 SUBSCRIBE with all it can have",
    level: 5,
    hex: "82 17 ffff 0c 0b ffffff7f 26 0001 6b 0001 76 0001 2b 2e 0001 23 10",
    packet: {
      kind: "subscribe",
      packetId: 65_535,
      subscriptionIdentifier: 268_435_455,
      filters: [
        { filter: "+", qos: 2, isNoLocal: true, isRetainAsPublished: true, retainHandling: 2 },
        { filter: "#", qos: 0, isNoLocal: false, isRetainAsPublished: false, retainHandling: 1 },
      ],
      userProperties: [["k", "v"]],
    },
  },
  {
    name: "v3 UNSUBSCRIBE",
    level: 4,
    hex: "a2 08 0002 0001 61 0001 62",
    packet: { kind: "unsubscribe", packetId: 2, filters: ["a", "b"], userProperties: [] },
  },
  {
    name: "v5 UNSUBSCRIBE",
    level: 5,
    hex: "a2 0d 0002 07 26 0001 6b 0001 76 0001 61",
    packet: { kind: "unsubscribe", packetId: 2, filters: ["a"], userProperties: [["k", "v"]] },
  },
  {
    name: "v3 DISCONNECT",
    level: 4,
    hex: "e0 00",
    packet: {
      kind: "disconnect",
      reasonCode: 0,
      sessionExpiryIntervalS: undefined,
      reasonString: undefined,
      userProperties: [],
    },
  },
  {
    name: "v5 DISCONNECT, empty",
    level: 5,
    hex: "e0 00",
    packet: {
      kind: "disconnect",
      reasonCode: 0,
      sessionExpiryIntervalS: undefined,
      reasonString: undefined,
      userProperties: [],
    },
  },
  {
    name: "v5 DISCONNECT, code alone",
    level: 5,
    hex: "e0 01 04",
    packet: {
      kind: "disconnect",
      reasonCode: 4,
      sessionExpiryIntervalS: undefined,
      reasonString: undefined,
      userProperties: [],
    },
  },
  {
    name: "v5 DISCONNECT with all it can have",
    level: 5,
    hex: "e0 12 00 10 11 00000000 1f 0001 72 26 0001 6b 0001 76",
    packet: {
      kind: "disconnect",
      reasonCode: 0,
      sessionExpiryIntervalS: 0,
      reasonString: "r",
      userProperties: [["k", "v"]],
    },
  },
  {
    name: "v5 AUTH, empty",
    level: 5,
    hex: "f0 00",
    packet: { kind: "auth", reasonCode: 0, authenticationMethod: undefined, authenticationData: undefined },
  },
  {
    name: "v5 AUTH",
    level: 5,
    hex: "f0 0a 18 08 15 0001 6d 16 0001 64",
    packet: { kind: "auth", reasonCode: 0x18, authenticationMethod: "m", authenticationData: Buffer.from("d") },
  },
];

export interface AnswerCase extends Named {
  readonly packet: ServerPacket;
}

/** What `encodeRare` makes; empty where the protocol has no such packet. */
export const ANSWERS: readonly AnswerCase[] = [
  {
    name: "v3 CONNACK",
    level: 4,
    hex: "20 02 01 00",
    packet: { kind: "connack", isSessionPresent: true, reasonCode: 0 },
  },
  {
    name: "v3.1 CONNACK",
    level: 3,
    hex: "20 02 00 00",
    packet: { kind: "connack", isSessionPresent: true, reasonCode: 0 },
  },
  {
    name: "v3 CONNACK, bad level",
    level: 4,
    hex: "20 02 00 01",
    packet: { kind: "connack", isSessionPresent: false, reasonCode: ReasonCode.unsupportedProtocolVersion },
  },
  {
    name: "v3 CONNACK without a return code",
    level: 4,
    hex: "",
    packet: { kind: "connack", isSessionPresent: false, reasonCode: ReasonCode.malformedPacket },
  },
  {
    name: "v5 CONNACK",
    level: 5,
    hex: "20 03 00 00 00",
    packet: { kind: "connack", isSessionPresent: false, reasonCode: 0 },
  },
  {
    name: "v5 CONNACK with what Restante says",
    level: 5,
    hex: "20 16 00 00 13 21 03e8 24 01 25 00 27 00100000 12 0001 69 13 0005",
    packet: {
      kind: "connack",
      isSessionPresent: false,
      reasonCode: 0,
      receiveMaximum: 1000,
      maximumQos: 1,
      isRetainAvailable: false,
      maximumPacketBytes: 1_048_576,
      assignedClientId: "i",
      serverKeepAliveS: 5,
    },
  },
  {
    name: "v5 CONNACK refused and explained",
    level: 5,
    hex: "20 13 00 87 10 1c 0001 73 1f 0002 6e6f 26 0001 6b 0001 76",
    packet: {
      kind: "connack",
      isSessionPresent: false,
      reasonCode: ReasonCode.notAuthorized,
      serverReference: "s",
      reasonString: "no",
      userProperties: [["k", "v"]],
    },
  },
  {
    name: "v3 SUBACK",
    level: 4,
    hex: "90 05 0001 00 02 80",
    packet: { kind: "suback", packetId: 1, reasonCodes: [0, 2, ReasonCode.topicFilterInvalid] },
  },
  {
    name: "v5 SUBACK",
    level: 5,
    hex: "90 06 0001 00 00 02 8f",
    packet: { kind: "suback", packetId: 1, reasonCodes: [0, 2, ReasonCode.topicFilterInvalid] },
  },
  {
    name: "v3 UNSUBACK",
    level: 4,
    hex: "b0 02 0001",
    packet: { kind: "unsuback", packetId: 1, reasonCodes: [0, 0x11] },
  },
  {
    name: "v5 UNSUBACK",
    level: 5,
    hex: "b0 05 0001 00 00 11",
    packet: { kind: "unsuback", packetId: 1, reasonCodes: [0, 0x11] },
  },
  { name: "v3 DISCONNECT", level: 4, hex: "", packet: { kind: "disconnect", reasonCode: 0x8b } },
  { name: "v5 DISCONNECT", level: 5, hex: "e0 02 8b 00", packet: { kind: "disconnect", reasonCode: 0x8b } },
  {
    name: "v5 DISCONNECT explained",
    level: 5,
    hex: "e0 06 8e 04 1f 0001 72",
    packet: { kind: "disconnect", reasonCode: 0x8e, reasonString: "r" },
  },
];

export interface FaultCase extends Named {
  readonly fault: number;
}

const { malformedPacket, protocolError, topicNameInvalid, topicAliasInvalid } = ReasonCode;

export const FAULTY_PUBLISHES: readonly FaultCase[] = [
  { name: "QoS 3", level: 4, hex: "36 06 0001 61 000a 78", fault: malformedPacket },
  { name: "DUP with QoS 0", level: 4, hex: "38 04 0001 61 78", fault: malformedPacket },
  { name: "no body", level: 4, hex: "30 00", fault: malformedPacket },
  { name: "half a topic length", level: 4, hex: "30 01 00", fault: malformedPacket },
  { name: "a topic beyond the packet", level: 4, hex: "30 03 0002 61", fault: malformedPacket },
  { name: "no packet identifier", level: 4, hex: "32 03 0001 61", fault: malformedPacket },
  { name: "half a packet identifier", level: 4, hex: "32 04 0001 61 00", fault: malformedPacket },
  { name: "packet identifier 0", level: 4, hex: "32 05 0001 61 0000", fault: malformedPacket },
  { name: "v3 empty topic", level: 4, hex: "30 02 0000", fault: protocolError },
  { name: "v5 empty topic without alias", level: 5, hex: "30 03 0000 00", fault: protocolError },
  { name: "wildcard +", level: 4, hex: "30 05 0003 612f2b", fault: topicNameInvalid },
  { name: "wildcard #", level: 4, hex: "30 03 0001 23", fault: topicNameInvalid },
  { name: "U+0000 in the topic", level: 4, hex: "30 04 0002 6100", fault: malformedPacket },
  { name: "a surrogate in the topic", level: 4, hex: "30 05 0003 eda080", fault: malformedPacket },
  { name: "an overlong slash in the topic", level: 4, hex: "30 04 0002 c0af", fault: malformedPacket },
  { name: "half a character in the topic", level: 4, hex: "30 04 0002 61c3", fault: malformedPacket },
  { name: "no properties", level: 5, hex: "30 03 0001 61", fault: malformedPacket },
  { name: "properties beyond the packet", level: 5, hex: "30 05 0001 61 02 01", fault: malformedPacket },
  { name: "a length of five bytes", level: 5, hex: "30 08 0001 61 8080808000", fault: malformedPacket },
  { name: "a needlessly long length", level: 5, hex: "30 05 0001 61 8000", fault: malformedPacket },
  { name: "an unknown property", level: 5, hex: "30 06 0001 61 02 7f00", fault: malformedPacket },
  { name: "a property of CONNECT", level: 5, hex: "30 07 0001 61 03 210001", fault: malformedPacket },
  { name: "expiry twice", level: 5, hex: "30 0e 0001 61 0a 0200000001 0200000001", fault: protocolError },
  { name: "alias twice", level: 5, hex: "30 0a 0001 61 06 230001 230001", fault: protocolError },
  { name: "alias 0", level: 5, hex: "30 07 0001 61 03 230000", fault: topicAliasInvalid },
  { name: "payload format 2", level: 5, hex: "30 06 0001 61 02 0102", fault: protocolError },
  { name: "a subscription identifier", level: 5, hex: "30 06 0001 61 02 0b01", fault: protocolError },
  { name: "a wildcard in the response topic", level: 5, hex: "30 08 0001 61 04 08000123", fault: protocolError },
  { name: "an empty response topic", level: 5, hex: "30 07 0001 61 03 080000", fault: protocolError },
  { name: "bad UTF-8 in the content type", level: 5, hex: "30 08 0001 61 04 030001ff", fault: malformedPacket },
  { name: "bad UTF-8 in a user property", level: 5, hex: "30 0a 0001 61 06 260000 0001 00", fault: malformedPacket },
  { name: "a user property without value", level: 5, hex: "30 08 0001 61 04 26000161", fault: malformedPacket },
  { name: "a string beyond the properties", level: 5, hex: "30 08 0001 61 03 030001 61", fault: malformedPacket },
  { name: "half an expiry", level: 5, hex: "30 08 0001 61 03 020000 78", fault: malformedPacket },
];

export const FAULTY_ACKS: readonly FaultCase[] = [
  { name: "flags on PUBACK", level: 4, hex: "41 02 0001", fault: malformedPacket },
  { name: "PUBREL without its flag", level: 4, hex: "60 02 0001", fault: malformedPacket },
  { name: "packet identifier 0", level: 4, hex: "40 02 0000", fault: malformedPacket },
  { name: "no body", level: 4, hex: "40 00", fault: malformedPacket },
  { name: "half an identifier", level: 4, hex: "40 01 01", fault: malformedPacket },
  { name: "half an identifier behind a long length", level: 4, hex: "40 8100 01", fault: malformedPacket },
  { name: "a reason code in v3", level: 4, hex: "40 03 0001 00", fault: malformedPacket },
  { name: "a reason code of another packet", level: 5, hex: "40 03 0001 92", fault: protocolError },
  { name: "PUBREL with a code of PUBACK", level: 5, hex: "62 03 0001 10", fault: protocolError },
  { name: "bytes behind the properties", level: 5, hex: "40 05 0001 00 00 00", fault: malformedPacket },
  { name: "properties beyond the packet", level: 5, hex: "40 04 0001 00 01", fault: malformedPacket },
  { name: "a property it cannot have", level: 5, hex: "40 06 0001 00 02 0100", fault: malformedPacket },
  { name: "two reason strings", level: 5, hex: "40 0a 0001 00 06 1f0000 1f0000", fault: protocolError },
];

export interface FaultyRareCase extends FaultCase {
  /** In whose form to answer; the level of the case unless said. */
  readonly answerLevel?: ProtocolLevel | 0;
}

const { clientIdentifierNotValid, unsupportedProtocolVersion } = ReasonCode;

export const FAULTY_RARE: readonly FaultyRareCase[] = [
  // CONNECT
  {
    name: "CONNECT with flags",
    level: 4,
    hex: "11 0d 0004 4d515454 04 02 003c 0001 63",
    fault: malformedPacket,
    answerLevel: 0,
  },
  {
    name: "unknown protocol",
    level: 4,
    hex: "10 0d 0004 4d515455 04 02 003c 0001 63",
    fault: unsupportedProtocolVersion,
    answerLevel: 0,
  },
  {
    name: "a protocol name beyond the packet",
    level: 4,
    hex: "10 10 474554202f20485454502f312e310d0a",
    fault: malformedPacket,
    answerLevel: 0,
  },
  { name: "level 6", level: 5, hex: "10 0e 0004 4d515454 06 02 003c 00 0001 63", fault: unsupportedProtocolVersion },
  {
    name: "MQTT of level 3",
    level: 4,
    hex: "10 0d 0004 4d515454 03 02 003c 0001 63",
    fault: unsupportedProtocolVersion,
  },
  {
    name: "MQIsdp of level 4",
    level: 4,
    hex: "10 0f 0006 4d5149736470 04 02 003c 0001 63",
    fault: unsupportedProtocolVersion,
  },
  {
    name: "a bridge's level",
    level: 4,
    hex: "10 0d 0004 4d515454 84 02 003c 0001 63",
    fault: unsupportedProtocolVersion,
  },
  { name: "no CONNECT flags", level: 4, hex: "10 07 0004 4d515454 04", fault: malformedPacket },
  { name: "no level", level: 4, hex: "10 06 0004 4d515454", fault: malformedPacket, answerLevel: 0 },
  { name: "empty CONNECT", level: 4, hex: "10 00", fault: malformedPacket, answerLevel: 0 },
  { name: "reserved connect flag", level: 4, hex: "10 0d 0004 4d515454 04 03 003c 0001 63", fault: malformedPacket },
  { name: "will QoS 3", level: 4, hex: "10 12 0004 4d515454 04 1e 003c 0001 63 0001 77 0000", fault: malformedPacket },
  { name: "will QoS without will", level: 4, hex: "10 0d 0004 4d515454 04 0a 003c 0001 63", fault: malformedPacket },
  { name: "will RETAIN without will", level: 4, hex: "10 0d 0004 4d515454 04 22 003c 0001 63", fault: malformedPacket },
  {
    name: "v3 password alone",
    level: 4,
    hex: "10 10 0004 4d515454 04 42 003c 0001 63 0001 70",
    fault: malformedPacket,
  },
  { name: "no client ID", level: 4, hex: "10 0a 0004 4d515454 04 02 003c", fault: malformedPacket },
  {
    name: "a client ID beyond the packet",
    level: 4,
    hex: "10 0d 0004 4d515454 04 02 003c 0002 63",
    fault: malformedPacket,
  },
  { name: "U+0000 in the client ID", level: 4, hex: "10 0d 0004 4d515454 04 02 003c 0001 00", fault: malformedPacket },
  {
    name: "v3.1.1 kept session, no client ID",
    level: 4,
    hex: "10 0c 0004 4d515454 04 00 003c 0000",
    fault: clientIdentifierNotValid,
  },
  {
    name: "v3.1 no client ID",
    level: 3,
    hex: "10 0e 0006 4d5149736470 03 02 003c 0000",
    fault: clientIdentifierNotValid,
  },
  {
    name: "will topic with wildcard",
    level: 4,
    hex: "10 12 0004 4d515454 04 06 003c 0001 63 0001 23 0000",
    fault: topicNameInvalid,
  },
  {
    name: "empty will topic",
    level: 4,
    hex: "10 11 0004 4d515454 04 06 003c 0001 63 0000 0000",
    fault: topicNameInvalid,
  },
  { name: "no will payload", level: 4, hex: "10 10 0004 4d515454 04 06 003c 0001 63 0001 77", fault: malformedPacket },
  {
    name: "a surrogate in the user name",
    level: 4,
    hex: "10 12 0004 4d515454 04 82 003c 0001 63 0003 eda080",
    fault: malformedPacket,
  },
  { name: "bytes behind CONNECT", level: 4, hex: "10 0e 0004 4d515454 04 02 003c 0001 63 00", fault: malformedPacket },
  {
    name: "Receive Maximum 0",
    level: 5,
    hex: "10 11 0004 4d515454 05 02 003c 03 210000 0001 63",
    fault: protocolError,
  },
  {
    name: "Maximum Packet Size 0",
    level: 5,
    hex: "10 13 0004 4d515454 05 02 003c 05 2700000000 0001 63",
    fault: protocolError,
  },
  {
    name: "Receive Maximum twice",
    level: 5,
    hex: "10 14 0004 4d515454 05 02 003c 06 210001 210001 0001 63",
    fault: protocolError,
  },
  {
    name: "Request Problem Information 2",
    level: 5,
    hex: "10 10 0004 4d515454 05 02 003c 02 1702 0001 63",
    fault: protocolError,
  },
  {
    name: "authentication data alone",
    level: 5,
    hex: "10 11 0004 4d515454 05 02 003c 03 160000 0001 63",
    fault: protocolError,
  },
  {
    name: "a property of PUBLISH in CONNECT",
    level: 5,
    hex: "10 11 0004 4d515454 05 02 003c 03 230001 0001 63",
    fault: malformedPacket,
  },
  {
    name: "CONNECT properties beyond the packet",
    level: 5,
    hex: "10 0e 0004 4d515454 05 02 003c 7f 0001 63",
    fault: malformedPacket,
  },
  {
    name: "a property of CONNECT in the will",
    level: 5,
    hex: "10 17 0004 4d515454 05 06 003c 00 0001 63 03 210001 0001 77 0000",
    fault: malformedPacket,
  },
  {
    name: "a wildcard in the will's response topic",
    level: 5,
    hex: "10 18 0004 4d515454 05 06 003c 00 0001 63 04 0800012b 0001 77 0000",
    fault: protocolError,
  },
  // SUBSCRIBE and UNSUBSCRIBE
  { name: "SUBSCRIBE without its flag", level: 4, hex: "80 06 0001 0001 61 00", fault: malformedPacket },
  { name: "SUBSCRIBE without identifier", level: 4, hex: "82 00", fault: malformedPacket },
  { name: "SUBSCRIBE of identifier 0", level: 4, hex: "82 06 0000 0001 61 00", fault: malformedPacket },
  { name: "SUBSCRIBE without filter", level: 4, hex: "82 02 0001", fault: protocolError },
  { name: "v5 SUBSCRIBE without filter", level: 5, hex: "82 03 0001 00", fault: protocolError },
  { name: "a filter without options", level: 4, hex: "82 05 0001 0001 61", fault: malformedPacket },
  { name: "a filter beyond the packet", level: 4, hex: "82 06 0001 0003 61 00", fault: malformedPacket },
  { name: "a filter of bad UTF-8", level: 4, hex: "82 06 0001 0001 ff 00", fault: malformedPacket },
  { name: "SUBSCRIBE with QoS 3", level: 4, hex: "82 06 0001 0001 61 03", fault: protocolError },
  { name: "v3 option bits", level: 4, hex: "82 06 0001 0001 61 04", fault: malformedPacket },
  { name: "v5 option bits", level: 5, hex: "82 07 0001 00 0001 61 40", fault: malformedPacket },
  { name: "Retain Handling 3", level: 5, hex: "82 07 0001 00 0001 61 30", fault: protocolError },
  { name: "Subscription Identifier 0", level: 5, hex: "82 09 0001 02 0b00 0001 61 00", fault: protocolError },
  { name: "two Subscription Identifiers", level: 5, hex: "82 0b 0001 04 0b01 0b02 0001 61 00", fault: protocolError },
  { name: "No Local on a share", level: 5, hex: "82 10 0001 00 000a 2473686172652f672f61 04", fault: protocolError },
  { name: "UNSUBSCRIBE without its flag", level: 4, hex: "a0 05 0001 0001 61", fault: malformedPacket },
  { name: "UNSUBSCRIBE without filter", level: 4, hex: "a2 02 0001", fault: protocolError },
  { name: "UNSUBSCRIBE of identifier 0", level: 4, hex: "a2 05 0000 0001 61", fault: malformedPacket },
  {
    name: "a Subscription Identifier in UNSUBSCRIBE",
    level: 5,
    hex: "a2 08 0001 02 0b01 0001 61",
    fault: malformedPacket,
  },
  // DISCONNECT and AUTH
  { name: "DISCONNECT with flags", level: 4, hex: "e1 00", fault: malformedPacket },
  { name: "v3 DISCONNECT with a body", level: 4, hex: "e0 01 00", fault: malformedPacket },
  { name: "DISCONNECT with a code of the server", level: 5, hex: "e0 01 8e", fault: protocolError },
  { name: "bytes behind DISCONNECT", level: 5, hex: "e0 03 00 00 00", fault: malformedPacket },
  { name: "a Server Reference from a client", level: 5, hex: "e0 05 00 03 1c0000", fault: malformedPacket },
  { name: "AUTH before v5", level: 4, hex: "f0 00", fault: protocolError },
  { name: "AUTH with an unknown code", level: 5, hex: "f0 01 01", fault: protocolError },
  // What no client sends
  { name: "CONNACK from a client", level: 5, hex: "20 03 00 00 00", fault: protocolError },
  { name: "SUBACK from a client", level: 4, hex: "90 03 0001 00", fault: protocolError },
  { name: "packet type 0", level: 4, hex: "00 00", fault: protocolError },
];

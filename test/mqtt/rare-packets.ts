/**
 * Named packets, as in packets.ts: the rare ones that clients send, what is wrong with bad ones, and the server's answers.
 */
import type { ClientPacket, ServerPacket, Will } from "../../src/mqtt/packets.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";
import { bytesOf, type FaultCase, faulty, type Named } from "./packets.ts";

export interface RareCase extends Named {
  readonly packet: ClientPacket;
}

const connect = {
  kind: "connect",
  protocolLevel: 4,
  isBridge: false,
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

const disconnect = {
  kind: "disconnect",
  reasonCode: 0,
  sessionExpiryIntervalS: undefined,
  reasonString: undefined,
  userProperties: [],
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
  {
    name: "v3.1 CONNECT of a bridge",
    level: 3,
    hex: "10 0f 0006 4d5149736470 83 02 003c 0001 63",
    packet: { ...connect, protocolLevel: 3, isBridge: true },
  },
  {
    name: "v3.1.1 CONNECT of a bridge",
    level: 4,
    hex: "10 0d 0004 4d515454 84 02 003c 0001 63",
    packet: { ...connect, isBridge: true },
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
    packet: disconnect,
  },
  {
    name: "v5 DISCONNECT, empty",
    level: 5,
    hex: "e0 00",
    packet: disconnect,
  },
  {
    name: "v5 DISCONNECT, code alone",
    level: 5,
    hex: "e0 01 04",
    packet: { ...disconnect, reasonCode: 4 },
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

const { clientIdentifierNotValid, malformedPacket, protocolError, topicNameInvalid, unsupportedProtocolVersion } =
  ReasonCode;

export const FAULTY_RARE: readonly FaultCase[] = [
  // CONNECT
  faulty("CONNECT with flags", 4, "11 0d 0004 4d515454 04 02 003c 0001 63", malformedPacket, 0),
  faulty("unknown protocol", 4, "10 0d 0004 4d515455 04 02 003c 0001 63", unsupportedProtocolVersion, 0),
  faulty("a protocol name beyond the packet", 4, "10 10 474554202f20485454502f312e310d0a", malformedPacket, 0),
  faulty("level 6", 5, "10 0e 0004 4d515454 06 02 003c 00 0001 63", unsupportedProtocolVersion),
  faulty("MQTT of level 3", 4, "10 0d 0004 4d515454 03 02 003c 0001 63", unsupportedProtocolVersion),
  faulty("MQIsdp of level 4", 4, "10 0f 0006 4d5149736470 04 02 003c 0001 63", unsupportedProtocolVersion),
  faulty("level 5 of a bridge", 5, "10 0e 0004 4d515454 85 02 003c 00 0001 63", unsupportedProtocolVersion),
  faulty("MQIsdp of a bridge's level 4", 4, "10 0f 0006 4d5149736470 84 02 003c 0001 63", unsupportedProtocolVersion),
  faulty("no CONNECT flags", 4, "10 07 0004 4d515454 04", malformedPacket),
  faulty("no level", 4, "10 06 0004 4d515454", malformedPacket, 0),
  faulty("empty CONNECT", 4, "10 00", malformedPacket, 0),
  faulty("reserved connect flag", 4, "10 0d 0004 4d515454 04 03 003c 0001 63", malformedPacket),
  faulty("will QoS 3", 4, "10 12 0004 4d515454 04 1e 003c 0001 63 0001 77 0000", malformedPacket),
  faulty("will QoS without will", 4, "10 0d 0004 4d515454 04 0a 003c 0001 63", malformedPacket),
  faulty("will RETAIN without will", 4, "10 0d 0004 4d515454 04 22 003c 0001 63", malformedPacket),
  faulty("v3 password alone", 4, "10 10 0004 4d515454 04 42 003c 0001 63 0001 70", malformedPacket),
  faulty("no client ID", 4, "10 0a 0004 4d515454 04 02 003c", malformedPacket),
  faulty("a client ID beyond the packet", 4, "10 0d 0004 4d515454 04 02 003c 0002 63", malformedPacket),
  faulty("U+0000 in the client ID", 4, "10 0d 0004 4d515454 04 02 003c 0001 00", malformedPacket),
  faulty("v3.1.1 kept session, no client ID", 4, "10 0c 0004 4d515454 04 00 003c 0000", clientIdentifierNotValid),
  faulty("v3.1 no client ID", 3, "10 0e 0006 4d5149736470 03 02 003c 0000", clientIdentifierNotValid),
  faulty("will topic with wildcard", 4, "10 12 0004 4d515454 04 06 003c 0001 63 0001 23 0000", topicNameInvalid),
  faulty("empty will topic", 4, "10 11 0004 4d515454 04 06 003c 0001 63 0000 0000", topicNameInvalid),
  faulty("no will payload", 4, "10 10 0004 4d515454 04 06 003c 0001 63 0001 77", malformedPacket),
  faulty("a surrogate in the user name", 4, "10 12 0004 4d515454 04 82 003c 0001 63 0003 eda080", malformedPacket),
  faulty("bytes behind CONNECT", 4, "10 0e 0004 4d515454 04 02 003c 0001 63 00", malformedPacket),
  faulty("Receive Maximum 0", 5, "10 11 0004 4d515454 05 02 003c 03 210000 0001 63", protocolError),
  faulty("Maximum Packet Size 0", 5, "10 13 0004 4d515454 05 02 003c 05 2700000000 0001 63", protocolError),
  faulty("Receive Maximum twice", 5, "10 14 0004 4d515454 05 02 003c 06 210001 210001 0001 63", protocolError),
  faulty("Request Problem Information 2", 5, "10 10 0004 4d515454 05 02 003c 02 1702 0001 63", protocolError),
  faulty("authentication data alone", 5, "10 11 0004 4d515454 05 02 003c 03 160000 0001 63", protocolError),
  faulty("a property of PUBLISH in CONNECT", 5, "10 11 0004 4d515454 05 02 003c 03 230001 0001 63", malformedPacket),
  faulty("CONNECT properties beyond the packet", 5, "10 0e 0004 4d515454 05 02 003c 7f 0001 63", malformedPacket),
  faulty(
    "a property of CONNECT in the will",
    5,
    "10 17 0004 4d515454 05 06 003c 00 0001 63 03 210001 0001 77 0000",
    malformedPacket,
  ),
  faulty(
    "a wildcard in the will's response topic",
    5,
    "10 18 0004 4d515454 05 06 003c 00 0001 63 04 0800012b 0001 77 0000",
    protocolError,
  ),
  // SUBSCRIBE and UNSUBSCRIBE
  faulty("SUBSCRIBE without its flag", 4, "80 06 0001 0001 61 00", malformedPacket),
  faulty("SUBSCRIBE without identifier", 4, "82 00", malformedPacket),
  faulty("SUBSCRIBE of identifier 0", 4, "82 06 0000 0001 61 00", malformedPacket),
  faulty("SUBSCRIBE without filter", 4, "82 02 0001", protocolError),
  faulty("v5 SUBSCRIBE without filter", 5, "82 03 0001 00", protocolError),
  faulty("a filter without options", 4, "82 05 0001 0001 61", malformedPacket),
  faulty("a filter beyond the packet", 4, "82 06 0001 0003 61 00", malformedPacket),
  faulty("a filter of bad UTF-8", 4, "82 06 0001 0001 ff 00", malformedPacket),
  faulty("SUBSCRIBE with QoS 3", 4, "82 06 0001 0001 61 03", protocolError),
  faulty("v3 option bits", 4, "82 06 0001 0001 61 04", malformedPacket),
  faulty("v5 option bits", 5, "82 07 0001 00 0001 61 40", malformedPacket),
  faulty("Retain Handling 3", 5, "82 07 0001 00 0001 61 30", protocolError),
  faulty("Subscription Identifier 0", 5, "82 09 0001 02 0b00 0001 61 00", protocolError),
  faulty("two Subscription Identifiers", 5, "82 0b 0001 04 0b01 0b02 0001 61 00", protocolError),
  faulty("No Local on a share", 5, "82 10 0001 00 000a 2473686172652f672f61 04", protocolError),
  faulty("UNSUBSCRIBE without its flag", 4, "a0 05 0001 0001 61", malformedPacket),
  faulty("UNSUBSCRIBE without filter", 4, "a2 02 0001", protocolError),
  faulty("UNSUBSCRIBE of identifier 0", 4, "a2 05 0000 0001 61", malformedPacket),
  faulty("a Subscription Identifier in UNSUBSCRIBE", 5, "a2 08 0001 02 0b01 0001 61", malformedPacket),
  // DISCONNECT and AUTH
  faulty("DISCONNECT with flags", 4, "e1 00", malformedPacket),
  faulty("v3 DISCONNECT with a body", 4, "e0 01 00", malformedPacket),
  faulty("DISCONNECT with a code of the server", 5, "e0 01 8e", protocolError),
  faulty("bytes behind DISCONNECT", 5, "e0 03 00 00 00", malformedPacket),
  faulty("a Server Reference from a client", 5, "e0 05 00 03 1c0000", malformedPacket),
  faulty("AUTH before v5", 4, "f0 00", protocolError),
  faulty("AUTH with an unknown code", 5, "f0 01 01", protocolError),
  // What no client sends
  faulty("CONNACK from a client", 5, "20 03 00 00 00", protocolError),
  faulty("SUBACK from a client", 4, "90 03 0001 00", protocolError),
  faulty("packet type 0", 4, "00 00", protocolError),
];

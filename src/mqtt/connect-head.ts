/**
 * The head of a CONNECT packet: what protocol the client speaks and who it is, read in place. The thread that accepts
 * connections needs no more to choose a worker, and never runs a full decoder over a stranger's bytes.
 *
 * ```
 *   0x10 │ remaining length │ name length u16 │ "MQTT" or "MQIsdp" │ level │ flags │ keep alive u16 │
 *   MQTT 5: properties length │ properties │ client ID length u16 │ client ID │ …
 * ```
 */
import { LEVEL_3_1, LEVEL_3_1_1, LEVEL_5, PacketType, packetTypeOf } from "./packet-type.ts";
import type { Fault, ProtocolLevel } from "./packets.ts";
import { ReasonCode } from "./reason-codes.ts";
import { bodyOffset } from "./scanner.ts";
import { readVariableByteInteger, variableByteIntegerBytes } from "./variable-byte-integer.ts";

/** Where the client ID stands, without its length; the two are equal when it is empty. */
export interface ConnectHead {
  readonly protocolLevel: ProtocolLevel;
  readonly clientIdStart: number;
  readonly clientIdEnd: number;
  readonly fault?: undefined;
}

/** The protocol, and the offset of the connect flags behind it. */
export interface ConnectProtocol {
  readonly protocolLevel: ProtocolLevel;
  /** The client is a broker that passes on what others publish. */
  readonly isBridge: boolean;
  readonly flagsOffset: number;
  readonly fault?: undefined;
}

/** Bit 7 of the level is how the bridges of other brokers mark themselves before MQTT 5, which has subscription options instead. */
const BRIDGE_BIT = 0x80;

const faultOf = (fault: number, detail: string, answerLevel: ProtocolLevel | 0): Fault => ({
  fault,
  detail,
  answerLevel,
});

/** Reads the head of the whole packet `[start, end)`; what stands behind the client ID is not looked at. */
export function scanConnectHead(bytes: Buffer, start: number, end: number): ConnectHead | Fault {
  const protocol = readConnectProtocol(bytes, start, end);
  if (protocol.fault !== undefined) return protocol;

  const { protocolLevel } = protocol;
  const truncated = faultOf(ReasonCode.malformedPacket, "CONNECT is too short", protocolLevel);
  let at = protocol.flagsOffset + 3;
  if (protocolLevel === LEVEL_5) {
    const propertiesBytes = readVariableByteInteger(bytes, at, end);
    if (propertiesBytes < 0) return truncated;
    at += variableByteIntegerBytes(propertiesBytes) + propertiesBytes;
  }
  if (end - at < 2) return truncated;
  const clientIdStart = at + 2;
  const clientIdEnd = clientIdStart + ((bytes[at]! << 8) | bytes[at + 1]!);
  if (clientIdEnd > end) return truncated;
  return { protocolLevel, clientIdStart, clientIdEnd };
}

/** Reads the protocol of the whole packet `[start, end)`. */
export function readConnectProtocol(bytes: Buffer, start: number, end: number): ConnectProtocol | Fault {
  if (start >= end || packetTypeOf(bytes, start) !== PacketType.connect) {
    return faultOf(ReasonCode.protocolError, "the first packet is not CONNECT", 0); // [MQTT-3.1.0-1]
  }
  if ((bytes[start]! & 0x0f) !== 0) return faultOf(ReasonCode.malformedPacket, "flags of CONNECT are not 0", 0); // [MQTT-2.1.3-1]

  const at = bodyOffset(bytes, start, end);
  const nameBytes = at + 2 <= end ? (bytes[at]! << 8) | bytes[at + 1]! : -1;
  const levelOffset = at + 2 + nameBytes;
  if (nameBytes < 0 || levelOffset >= end) return faultOf(ReasonCode.malformedPacket, "CONNECT is too short", 0);
  if (nameBytes > 6) return faultOf(ReasonCode.unsupportedProtocolVersion, "unknown protocol name", 0); // [MQTT-3.1.2-1]

  const name = bytes.toString("latin1", at + 2, levelOffset);
  const said = bytes[levelOffset]!;
  const level = said & ~BRIDGE_BIT;
  const isBridge = said !== level;
  const flagsOffset = levelOffset + 1;
  if (name === "MQIsdp") {
    return level === LEVEL_3_1
      ? { protocolLevel: level, isBridge, flagsOffset }
      : faultOf(ReasonCode.unsupportedProtocolVersion, "unknown level of MQIsdp", LEVEL_3_1_1); // [MQTT-3.1.2-2]
  }
  if (name !== "MQTT") return faultOf(ReasonCode.unsupportedProtocolVersion, "unknown protocol name", 0); // [MQTT-3.1.2-1]
  if (level === LEVEL_3_1_1 || (level === LEVEL_5 && !isBridge)) return { protocolLevel: level, isBridge, flagsOffset };
  const answerLevel = level >= LEVEL_5 ? LEVEL_5 : LEVEL_3_1_1;
  return faultOf(ReasonCode.unsupportedProtocolVersion, "unknown protocol level", answerLevel); // [MQTT-3.1.2-2]
}

/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP: read in place, and written. Nearly all of them are four bytes.
 *
 * ```
 *   0x40 0x50 0x62 0x70 │ remaining length │ packet id u16 │ MQTT 5, may end here: reason code │ properties length │ properties
 * ```
 */
import { assert } from "../base/assert.ts";
import type { Region } from "../base/region.ts";
import { LEVEL_5, PacketType } from "./packet-type.ts";
import { PROPERTIES_END, PropertyCursor, PropertyId, propertySet } from "./properties.ts";
import { isReasonCodeOf, ReasonCode } from "./reason-codes.ts";
import { bodyOffset } from "./scanner.ts";

const ACK_PROPERTIES = propertySet(PropertyId.reasonString, PropertyId.userProperty);

const PUBACK_FIRST_BYTE = PacketType.puback << 4;
const PUBREC_FIRST_BYTE = PacketType.pubrec << 4;
const PUBREL_FIRST_BYTE = (PacketType.pubrel << 4) | 0b0010; // [MQTT-3.6.1-1]
const PUBCOMP_FIRST_BYTE = PacketType.pubcomp << 4;

const isAckFirstByte = (first: number): boolean =>
  first === PUBACK_FIRST_BYTE ||
  first === PUBREC_FIRST_BYTE ||
  first === PUBREL_FIRST_BYTE ||
  first === PUBCOMP_FIRST_BYTE;

/** A flyweight: made once per thread and laid over one packet after the other. */
export class AckView {
  /** One of `PacketType`. */
  packetType = 0;
  packetId = 0;
  /** 0 for MQTT 3. */
  reasonCode = 0;

  readonly #properties = new PropertyCursor();

  /** Reads the whole packet `[start, end)`, of whichever of the four types it is. Returns 0 or a reason code. */
  parse(region: Region, start: number, end: number, protocolLevel: number): number {
    const { bytes } = region;
    const first = bytes[start]!;
    if (!isAckFirstByte(first)) return ReasonCode.malformedPacket;
    this.packetType = first >> 4;
    this.reasonCode = ReasonCode.success;

    const at = bytes[start + 1] === 2 ? start + 2 : bodyOffset(bytes, start, end);
    const left = end - at;
    if (left < 2) return ReasonCode.malformedPacket;
    this.packetId = (bytes[at]! << 8) | bytes[at + 1]!;
    if (this.packetId === 0) return ReasonCode.malformedPacket; // [MQTT-2.2.1-3]
    if (left === 2) return ReasonCode.success;
    if (protocolLevel !== LEVEL_5) return ReasonCode.malformedPacket;

    this.reasonCode = bytes[at + 2]!;
    if (!isReasonCodeOf(this.packetType, this.reasonCode)) return ReasonCode.protocolError; // [MQTT-3.4.2-1]
    return left === 3 ? ReasonCode.success : this.#checkProperties(bytes, at + 3, end);
  }

  #checkProperties(bytes: Buffer, at: number, end: number): number {
    const properties = this.#properties;
    const fault = properties.open(bytes, at, end, ACK_PROPERTIES);
    if (fault !== ReasonCode.success) return fault;
    if (properties.end !== end) return ReasonCode.malformedPacket;
    let found = properties.next();
    while (found > PROPERTIES_END) found = properties.next();
    return found === PROPERTIES_END ? ReasonCode.success : -found;
  }
}

/** Bytes of an acknowledgement: 4, or 5 for MQTT 5 with a reason code other than success. */
export const ackBytesOf = (protocolLevel: number, reasonCode: number): number =>
  protocolLevel === LEVEL_5 && reasonCode !== ReasonCode.success ? 5 : 4;

/**
 * Each writes one acknowledgement at `(target, offset)` and returns its bytes. MQTT 3 has no reason code: the caller decides
 * beforehand what a refusal is there.
 */
export const writePuback = (
  target: Region,
  offset: number,
  packetId: number,
  protocolLevel: number,
  reasonCode: number,
): number => writeAck(target, offset, PUBACK_FIRST_BYTE, packetId, protocolLevel, reasonCode);

export const writePubrec = (
  target: Region,
  offset: number,
  packetId: number,
  protocolLevel: number,
  reasonCode: number,
): number => writeAck(target, offset, PUBREC_FIRST_BYTE, packetId, protocolLevel, reasonCode);

export const writePubrel = (
  target: Region,
  offset: number,
  packetId: number,
  protocolLevel: number,
  reasonCode: number,
): number => writeAck(target, offset, PUBREL_FIRST_BYTE, packetId, protocolLevel, reasonCode);

export const writePubcomp = (
  target: Region,
  offset: number,
  packetId: number,
  protocolLevel: number,
  reasonCode: number,
): number => writeAck(target, offset, PUBCOMP_FIRST_BYTE, packetId, protocolLevel, reasonCode);

function writeAck(
  target: Region,
  offset: number,
  firstByte: number,
  packetId: number,
  protocolLevel: number,
  reasonCode: number,
): number {
  const { bytes } = target;
  const ackBytes = ackBytesOf(protocolLevel, reasonCode);
  assert(offset + ackBytes <= bytes.length, "an acknowledgement fits where it is written");
  bytes[offset] = firstByte;
  bytes[offset + 1] = ackBytes - 2;
  bytes[offset + 2] = packetId >> 8;
  bytes[offset + 3] = packetId;
  if (ackBytes === 5) bytes[offset + 4] = reasonCode;
  return ackBytes;
}

export const PINGRESP_BYTES = 2;

/** Writes PINGRESP and returns its bytes. */
export function writePingresp(target: Region, offset: number): number {
  const { bytes } = target;
  assert(offset + PINGRESP_BYTES <= bytes.length, "a PINGRESP fits where it is written");
  bytes[offset] = PacketType.pingresp << 4;
  bytes[offset + 1] = 0;
  return PINGRESP_BYTES;
}

/**
 * The one layout of a message: the same bytes lie in a ring, in the log and under a delivery. Written once, where the
 * message enters the broker; copied after that. Little endian.
 *
 * ```
 *   0  u32  totalBytes        the whole message, this header included
 *   4  u8   flags             bits 0-1 QoS of the PUBLISH, bit 2 RETAIN
 *   5  u8   protocolLevel     of the publisher: 3, 4, 5; 0 when it was not a client (REST)
 *   6  u16  topicBytes
 *   8  f64  publishedAtMs     since the epoch
 *  16  f64  expiresAtMs       since the epoch; 0 = never (Message Expiry Interval)
 *  24  u16  clientIdBytes
 *  26  u16  usernameBytes     0 = none
 *  28  u16  peerBytes         "ip:port"; 0 = none
 *  30  u16  0
 *  32  u32  propertiesBytes   MQTT 5 PUBLISH properties as on the wire, without their length and without
 *                             Message Expiry Interval, Topic Alias and Subscription Identifier
 *  36  u32  payloadBytes
 *  40       topic · properties · payload · clientId · username · peer
 * ```
 *
 * These bytes outlive the process. To change them: 1. raise `MESSAGE_LAYOUT_VERSION`; 2. keep a reader for the old
 * layout in the log's recovery; 3. add a migration test with bytes written by the old version.
 */
import type { Region } from "../base/region.ts";

export const MESSAGE_LAYOUT_VERSION = 1;
export const MESSAGE_HEADER_BYTES = 40;

const RETAIN_BIT = 0b100;

/** The lengths that fix a message's size and where its parts lie. */
export interface MessageParts {
  readonly topicBytes: number;
  readonly propertiesBytes: number;
  readonly payloadBytes: number;
  readonly clientIdBytes: number;
  readonly usernameBytes: number;
  readonly peerBytes: number;
}

/** Bytes a message with these parts takes. */
export function messageBytesOf(parts: MessageParts): number {
  return (
    MESSAGE_HEADER_BYTES +
    parts.topicBytes +
    parts.propertiesBytes +
    parts.payloadBytes +
    parts.clientIdBytes +
    parts.usernameBytes +
    parts.peerBytes
  );
}

/** Writes the header; the caller then copies the parts to the offsets that the readers below give. */
export function writeMessageHeader(
  region: Region,
  offset: number,
  parts: MessageParts,
  qos: number,
  retain: boolean,
  protocolLevel: number,
  publishedAtMs: number,
  expiresAtMs: number,
): void {
  const { view } = region;
  view.setUint32(offset, messageBytesOf(parts), true);
  view.setUint8(offset + 4, qos | (retain ? RETAIN_BIT : 0));
  view.setUint8(offset + 5, protocolLevel);
  view.setUint16(offset + 6, parts.topicBytes, true);
  view.setFloat64(offset + 8, publishedAtMs, true);
  view.setFloat64(offset + 16, expiresAtMs, true);
  view.setUint16(offset + 24, parts.clientIdBytes, true);
  view.setUint16(offset + 26, parts.usernameBytes, true);
  view.setUint16(offset + 28, parts.peerBytes, true);
  view.setUint16(offset + 30, 0, true);
  view.setUint32(offset + 32, parts.propertiesBytes, true);
  view.setUint32(offset + 36, parts.payloadBytes, true);
}

/**
 * Readers of one field each, all of `(region, offset of the message)`. Functions, not an object: nothing is allocated
 * and the offsets stand in one place.
 */
export const totalBytes = (region: Region, offset: number): number => region.view.getUint32(offset, true);
export const qosOf = (region: Region, offset: number): number => region.bytes[offset + 4]! & 0b11;
export const isRetain = (region: Region, offset: number): boolean => (region.bytes[offset + 4]! & RETAIN_BIT) !== 0;
export const protocolLevelOf = (region: Region, offset: number): number => region.bytes[offset + 5]!;
export const topicBytesOf = (region: Region, offset: number): number => region.view.getUint16(offset + 6, true);
export const publishedAtMsOf = (region: Region, offset: number): number => region.view.getFloat64(offset + 8, true);
/** Milliseconds since the epoch after which the message must not be delivered; 0 = never. */
export const expiresAtMsOf = (region: Region, offset: number): number => region.view.getFloat64(offset + 16, true);
export const clientIdBytesOf = (region: Region, offset: number): number => region.view.getUint16(offset + 24, true);
export const usernameBytesOf = (region: Region, offset: number): number => region.view.getUint16(offset + 26, true);
export const peerBytesOf = (region: Region, offset: number): number => region.view.getUint16(offset + 28, true);
export const propertiesBytesOf = (region: Region, offset: number): number => region.view.getUint32(offset + 32, true);
export const payloadBytesOf = (region: Region, offset: number): number => region.view.getUint32(offset + 36, true);

export const topicOffset = (offset: number): number => offset + MESSAGE_HEADER_BYTES;
export const propertiesOffset = (region: Region, offset: number): number =>
  offset + MESSAGE_HEADER_BYTES + topicBytesOf(region, offset);
export const payloadOffset = (region: Region, offset: number): number =>
  propertiesOffset(region, offset) + propertiesBytesOf(region, offset);
export const clientIdOffset = (region: Region, offset: number): number =>
  payloadOffset(region, offset) + payloadBytesOf(region, offset);
export const usernameOffset = (region: Region, offset: number): number =>
  clientIdOffset(region, offset) + clientIdBytesOf(region, offset);
export const peerOffset = (region: Region, offset: number): number =>
  usernameOffset(region, offset) + usernameBytesOf(region, offset);

/** The topic as a string: for cold paths (REST, logs, key expressions). */
export const topicOf = (region: Region, offset: number): string =>
  region.bytes.toString("utf8", topicOffset(offset), topicOffset(offset) + topicBytesOf(region, offset));

/** The publisher's client ID as a string: for cold paths and the key `message.from`. */
export function clientIdOf(region: Region, offset: number): string {
  const start = clientIdOffset(region, offset);
  return region.bytes.toString("utf8", start, start + clientIdBytesOf(region, offset));
}

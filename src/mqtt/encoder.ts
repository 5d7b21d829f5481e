/**
 * Writes PUBLISH packets from stored messages (see frame/message.ts), for either protocol.
 *
 * ```
 *   fixed header │ topic │ packet id │ properties length │ expiry, alias, identifiers: of this delivery │ stored properties │ payload
 *                  copy                                                                                 └─── one copy ────┘
 * ```
 *
 * Stored properties and payload lie side by side in the message, so that what belongs to this delivery goes before them
 * and one copy takes both.
 */
import { assert } from "../base/assert.ts";
import { copyBytes, type Region } from "../base/region.ts";
import {
  payloadBytesOf,
  payloadOffset,
  propertiesBytesOf,
  propertiesOffset,
  topicBytesOf,
  topicOffset,
} from "../frame/message.ts";
import { LEVEL_5, PacketType } from "./packet-type.ts";
import { PropertyId } from "./properties.ts";
import { variableByteIntegerBytes, writeVariableByteInteger } from "./variable-byte-integer.ts";

const EXPIRY_BYTES = 5;
const ALIAS_BYTES = 3;
const NO_ALIAS = 0;
const NO_EXPIRY = -1;
const DUP_BIT = 0b1000;
const RETAIN_BIT = 1;

/**
 * Bytes of the PUBLISH packet that `writePublish` makes of a stored message; for MQTT 3 the properties are left out.
 * `remainingExpiryS` is what is left of the message's life in seconds, -1 = it does not expire. `topicAlias`: 0 = none; where the
 * client knows it, the topic is left out.
 */
export function publishBytesOf(
  message: Region,
  messageOffset: number,
  protocolLevel: number,
  qos: number,
  remainingExpiryS: number,
  subscriptionIdentifiers: readonly number[] | undefined,
  topicAlias = NO_ALIAS,
  isAliasKnown = false,
): number {
  let remaining = 2 + payloadBytesOf(message, messageOffset);
  if (!isAliasKnown) remaining += topicBytesOf(message, messageOffset);
  if (qos !== 0) remaining += 2;
  if (protocolLevel === LEVEL_5) {
    const propertiesBytes = listBytesOf(message, messageOffset, remainingExpiryS, subscriptionIdentifiers, topicAlias);
    remaining += variableByteIntegerBytes(propertiesBytes) + propertiesBytes;
  }
  return 1 + variableByteIntegerBytes(remaining) + remaining;
}

/**
 * Writes the packet at `(target, targetOffset)` and returns its bytes, exactly `publishBytesOf`. `packetId` is ignored for
 * QoS 0. Both regions may be the same if the ranges do not overlap.
 */
export function writePublish(
  target: Region,
  targetOffset: number,
  message: Region,
  messageOffset: number,
  protocolLevel: number,
  qos: number,
  isRetain: boolean,
  isDup: boolean,
  packetId: number,
  remainingExpiryS: number,
  subscriptionIdentifiers: readonly number[] | undefined,
  topicAlias = NO_ALIAS,
  isAliasKnown = false,
): number {
  const { bytes } = target;
  const topicBytes = isAliasKnown ? 0 : topicBytesOf(message, messageOffset);
  const payloadBytes = payloadBytesOf(message, messageOffset);
  let remaining = 2 + topicBytes + payloadBytes;
  if (qos !== 0) remaining += 2;
  let propertiesBytes = 0;
  if (protocolLevel === LEVEL_5) {
    propertiesBytes = listBytesOf(message, messageOffset, remainingExpiryS, subscriptionIdentifiers, topicAlias);
    remaining += variableByteIntegerBytes(propertiesBytes) + propertiesBytes;
  }
  const end = targetOffset + 1 + variableByteIntegerBytes(remaining) + remaining;
  assert(end <= bytes.length, "a PUBLISH fits where it is written");

  bytes[targetOffset] = (PacketType.publish << 4) | (isDup ? DUP_BIT : 0) | (qos << 1) | (isRetain ? RETAIN_BIT : 0);
  let at = writeVariableByteInteger(bytes, targetOffset + 1, remaining);
  bytes[at] = topicBytes >> 8;
  bytes[at + 1] = topicBytes;
  at += 2;
  copyBytes(target, at, message, topicOffset(messageOffset), topicBytes);
  at += topicBytes;
  if (qos !== 0) {
    bytes[at] = packetId >> 8;
    bytes[at + 1] = packetId;
    at += 2;
  }
  if (protocolLevel !== LEVEL_5) {
    copyBytes(target, at, message, payloadOffset(message, messageOffset), payloadBytes);
    return end - targetOffset;
  }

  at = writeVariableByteInteger(bytes, at, propertiesBytes);
  if (remainingExpiryS !== NO_EXPIRY) at = writeExpiry(bytes, at, remainingExpiryS); // [MQTT-3.3.2-6]
  if (topicAlias !== NO_ALIAS) {
    bytes[at] = PropertyId.topicAlias;
    bytes[at + 1] = topicAlias >> 8;
    bytes[at + 2] = topicAlias;
    at += ALIAS_BYTES;
  }
  if (subscriptionIdentifiers !== undefined) at = writeIdentifiers(bytes, at, subscriptionIdentifiers); // [MQTT-3.3.4-3]
  copyBytes(target, at, message, propertiesOffset(message, messageOffset), end - at);
  return end - targetOffset;
}

function listBytesOf(
  message: Region,
  messageOffset: number,
  remainingExpiryS: number,
  subscriptionIdentifiers: readonly number[] | undefined,
  topicAlias: number,
): number {
  let listBytes = propertiesBytesOf(message, messageOffset);
  if (topicAlias !== NO_ALIAS) listBytes += ALIAS_BYTES;
  if (remainingExpiryS !== NO_EXPIRY) listBytes += EXPIRY_BYTES;
  if (subscriptionIdentifiers !== undefined) {
    for (let index = 0; index < subscriptionIdentifiers.length; index += 1) {
      listBytes += 1 + variableByteIntegerBytes(subscriptionIdentifiers[index]!);
    }
  }
  return listBytes;
}

function writeExpiry(bytes: Buffer, at: number, remainingExpiryS: number): number {
  bytes[at] = PropertyId.messageExpiryInterval;
  bytes[at + 1] = remainingExpiryS >>> 24;
  bytes[at + 2] = remainingExpiryS >>> 16;
  bytes[at + 3] = remainingExpiryS >>> 8;
  bytes[at + 4] = remainingExpiryS;
  return at + EXPIRY_BYTES;
}

function writeIdentifiers(bytes: Buffer, offset: number, identifiers: readonly number[]): number {
  let at = offset;
  for (let index = 0; index < identifiers.length; index += 1) {
    bytes[at] = PropertyId.subscriptionIdentifier;
    at = writeVariableByteInteger(bytes, at + 1, identifiers[index]!);
  }
  return at;
}

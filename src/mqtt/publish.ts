/**
 * Reads a PUBLISH packet in place: a flyweight, made once per thread and laid over one packet after the other.
 *
 * ```
 *   0011 DUP QoS QoS RETAIN │ remaining length │ topic length u16 │ topic │ packet id u16, if QoS > 0 │
 *   MQTT 5: properties length │ properties │ payload to the end of the packet
 * ```
 *
 * The stored message keeps the properties without Message Expiry Interval and Topic Alias, which belong to this hop:
 * they are what may be cut out of the list, the rest passes through byte for byte.
 */
import { copyBytes, type Region } from "../base/region.ts";
import { LEVEL_5 } from "./packet-type.ts";
import { PROPERTIES_END, PropertyCursor, PropertyId, propertySet } from "./properties.ts";
import { ReasonCode } from "./reason-codes.ts";
import { bodyOffset } from "./scanner.ts";
import { topicFaultOf } from "./topics.ts";

const PUBLISH_PROPERTIES = propertySet(
  PropertyId.payloadFormatIndicator,
  PropertyId.messageExpiryInterval,
  PropertyId.contentType,
  PropertyId.responseTopic,
  PropertyId.correlationData,
  PropertyId.subscriptionIdentifier,
  PropertyId.topicAlias,
  PropertyId.userProperty,
);

const EXPIRY_BYTES = 5;
const ALIAS_BYTES = 3;
const ABSENT = -1;

/** Offsets count from the beginning of the region, and hold until its bytes change. */
export class PublishView {
  qos = 0;
  isDup = false;
  isRetain = false;
  /** 0 for QoS 0. */
  packetId = 0;
  topicOffset = 0;
  /** 0 only beside a topic alias. */
  topicBytes = 0;
  payloadOffset = 0;
  payloadBytes = 0;
  /** Seconds; -1 = none, the message does not expire. */
  messageExpiryIntervalS = ABSENT;
  /** 0 = none. Whether it is within the Topic Alias Maximum is the session's to check. */
  topicAlias = 0;
  /** Bytes of the properties that the stored message keeps. */
  passThroughBytes = 0;

  #region: Region | undefined = undefined;
  #propertiesOffset = 0;
  #propertiesEnd = 0;
  #expiryOffset = ABSENT;
  #aliasOffset = ABSENT;
  readonly #properties = new PropertyCursor();

  /**
   * Reads the whole packet `[start, end)`. Returns 0, or the reason code of what is wrong with it; `qos` and `packetId`
   * are then valid only for `topicNameInvalid`, so that an acknowledgement can carry it.
   */
  parse(region: Region, start: number, end: number, protocolLevel: number): number {
    const { bytes } = region;
    const first = bytes[start]!;
    this.#region = region;
    this.qos = (first >> 1) & 0b11;
    this.isDup = (first & 0b1000) !== 0;
    this.isRetain = (first & 1) !== 0;
    if (this.qos === 3) return ReasonCode.malformedPacket; // [MQTT-3.3.1-4]
    if (this.isDup && this.qos === 0) return ReasonCode.malformedPacket; // [MQTT-3.3.1-2]

    let at = bodyOffset(bytes, start, end);
    if (end - at < 2) return ReasonCode.malformedPacket;
    this.topicBytes = (bytes[at]! << 8) | bytes[at + 1]!;
    this.topicOffset = at + 2;
    if (this.topicBytes > end - this.topicOffset) return ReasonCode.malformedPacket;
    at = this.topicOffset + this.topicBytes;

    this.packetId = 0;
    if (this.qos !== 0) {
      if (end - at < 2) return ReasonCode.malformedPacket;
      this.packetId = (bytes[at]! << 8) | bytes[at + 1]!;
      if (this.packetId === 0) return ReasonCode.malformedPacket; // [MQTT-2.2.1-3]
      at += 2;
    }

    this.#forgetProperties(at);
    if (protocolLevel === LEVEL_5) {
      const fault = this.#parseProperties(bytes, at, end);
      if (fault !== ReasonCode.success) return fault;
      at = this.#propertiesEnd;
    }
    this.payloadOffset = at;
    this.payloadBytes = end - at;

    if (this.topicBytes === 0) return this.topicAlias !== 0 ? ReasonCode.success : ReasonCode.protocolError; // [MQTT-4.7.3-1]
    return topicFaultOf(bytes, this.topicOffset, this.topicOffset + this.topicBytes);
  }

  /** Writes the `passThroughBytes` that the stored message keeps, in their order. */
  copyPassThrough(target: Region, targetOffset: number): void {
    const source = this.#region;
    if (source === undefined) return;
    if (this.passThroughBytes === this.#propertiesEnd - this.#propertiesOffset) {
      copyBytes(target, targetOffset, source, this.#propertiesOffset, this.passThroughBytes);
      return;
    }
    const isExpiryFirst =
      this.#aliasOffset === ABSENT || (this.#expiryOffset !== ABSENT && this.#expiryOffset < this.#aliasOffset);
    const cut = isExpiryFirst ? this.#expiryOffset : this.#aliasOffset;
    const behindCut = cut + (isExpiryFirst ? EXPIRY_BYTES : ALIAS_BYTES);
    const nextCut = isExpiryFirst ? this.#aliasOffset : this.#expiryOffset;

    let at = targetOffset;
    copyBytes(target, at, source, this.#propertiesOffset, cut - this.#propertiesOffset);
    at += cut - this.#propertiesOffset;
    if (nextCut === ABSENT) {
      copyBytes(target, at, source, behindCut, this.#propertiesEnd - behindCut);
      return;
    }
    copyBytes(target, at, source, behindCut, nextCut - behindCut);
    at += nextCut - behindCut;
    const behindNext = nextCut + (isExpiryFirst ? ALIAS_BYTES : EXPIRY_BYTES);
    copyBytes(target, at, source, behindNext, this.#propertiesEnd - behindNext);
  }

  #forgetProperties(at: number): void {
    this.messageExpiryIntervalS = ABSENT;
    this.topicAlias = 0;
    this.passThroughBytes = 0;
    this.#propertiesOffset = at;
    this.#propertiesEnd = at;
    this.#expiryOffset = ABSENT;
    this.#aliasOffset = ABSENT;
  }

  #parseProperties(bytes: Buffer, at: number, end: number): number {
    if (at < end && bytes[at] === 0) {
      this.#propertiesOffset = at + 1;
      this.#propertiesEnd = at + 1;
      return ReasonCode.success;
    }
    const properties = this.#properties;
    const fault = properties.open(bytes, at, end, PUBLISH_PROPERTIES);
    if (fault !== ReasonCode.success) return fault;
    this.#propertiesOffset = properties.at;
    this.#propertiesEnd = properties.end;
    this.passThroughBytes = properties.end - properties.at;

    for (let found = properties.next(); found !== PROPERTIES_END; found = properties.next()) {
      if (found < 0) return -found;
      switch (properties.id) {
        case PropertyId.messageExpiryInterval:
          this.messageExpiryIntervalS = properties.number;
          this.#expiryOffset = properties.offset;
          this.passThroughBytes -= EXPIRY_BYTES;
          break;
        case PropertyId.topicAlias:
          if (properties.number === 0) return ReasonCode.topicAliasInvalid; // [MQTT-3.3.2-8]
          this.topicAlias = properties.number;
          this.#aliasOffset = properties.offset;
          this.passThroughBytes -= ALIAS_BYTES;
          break;
        case PropertyId.subscriptionIdentifier:
          return ReasonCode.protocolError; // [MQTT-3.3.4-6]
        case PropertyId.responseTopic: {
          const behind = properties.valueOffset + properties.valueBytes;
          if (topicFaultOf(bytes, properties.valueOffset, behind) !== 0) return ReasonCode.protocolError; // [MQTT-3.3.2-14]
          break;
        }
      }
    }
    return ReasonCode.success;
  }
}

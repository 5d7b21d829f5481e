/**
 * The strict check of the rare packets, over their bytes in place. The library that decodes them is lax: it reads beyond
 * lengths, takes any UTF-8, merges duplicate properties and loses the order of user properties. What passes here has exactly
 * one meaning.
 *
 * Beside the verdict it brings what the library cannot give: user properties in their order, and the will's properties as bytes.
 */
import { SUBSCRIBE_FILTERS_MAX } from "../base/limits.ts";
import { readConnectProtocol } from "./connect-head.ts";
import { FieldReader, type Shape } from "./field-reader.ts";
import { LEVEL_3_1, LEVEL_5, PacketType, packetTypeOf } from "./packet-type.ts";
import type { Fault, ProtocolLevel } from "./packets.ts";
import { PropertyId, propertySet } from "./properties.ts";
import { isClientDisconnectCode, isReasonCodeOf, ReasonCode } from "./reason-codes.ts";
import { bodyOffset } from "./scanner.ts";
import { topicFaultOf } from "./topics.ts";

const CONNECT_PROPERTIES = propertySet(
  PropertyId.sessionExpiryInterval,
  PropertyId.authenticationMethod,
  PropertyId.authenticationData,
  PropertyId.requestProblemInformation,
  PropertyId.requestResponseInformation,
  PropertyId.receiveMaximum,
  PropertyId.topicAliasMaximum,
  PropertyId.userProperty,
  PropertyId.maximumPacketSize,
);
const WILL_PROPERTIES = propertySet(
  PropertyId.payloadFormatIndicator,
  PropertyId.messageExpiryInterval,
  PropertyId.contentType,
  PropertyId.responseTopic,
  PropertyId.correlationData,
  PropertyId.willDelayInterval,
  PropertyId.userProperty,
);
const SUBSCRIBE_PROPERTIES = propertySet(PropertyId.subscriptionIdentifier, PropertyId.userProperty);
const UNSUBSCRIBE_PROPERTIES = propertySet(PropertyId.userProperty);
const DISCONNECT_PROPERTIES = propertySet(
  PropertyId.sessionExpiryInterval,
  PropertyId.reasonString,
  PropertyId.userProperty,
);
const AUTH_PROPERTIES = propertySet(
  PropertyId.authenticationMethod,
  PropertyId.authenticationData,
  PropertyId.reasonString,
  PropertyId.userProperty,
);

/** The flags of the fixed header that each type must have. */
const FLAGS_OF: ReadonlyMap<number, number> = new Map([
  [PacketType.subscribe, 0b0010], // [MQTT-3.8.1-1]
  [PacketType.unsubscribe, 0b0010], // [MQTT-3.10.1-1]
  [PacketType.disconnect, 0], // [MQTT-3.14.1-1]
  [PacketType.auth, 0], // [MQTT-3.15.1-1]
]);

const CHECKS: ReadonlyMap<number, (reader: FieldReader) => void> = new Map([
  [PacketType.subscribe, checkSubscribe],
  [PacketType.unsubscribe, checkUnsubscribe],
  [PacketType.disconnect, checkDisconnect],
  [PacketType.auth, checkAuth],
]);

const CONNECT_RESERVED_BIT = 1;
const CLEAN_BIT = 1 << 1;
const WILL_BIT = 1 << 2;
const WILL_QOS_SHIFT = 3;
const WILL_RETAIN_BIT = 1 << 5;
const PASSWORD_BIT = 1 << 6;
const USERNAME_BIT = 1 << 7;

/** Checks the whole packet `[start, end)`; `protocolLevel` is the connection's, and not read for CONNECT, which says its own. */
export function shapeOf(bytes: Buffer, start: number, end: number, protocolLevel: ProtocolLevel): Shape | Fault {
  const type = start < end ? packetTypeOf(bytes, start) : 0;
  if (type === PacketType.connect) {
    const protocol = readConnectProtocol(bytes, start, end);
    if (protocol.fault !== undefined) return protocol;
    const reader = new FieldReader(bytes, protocol.flagsOffset, end, protocol.protocolLevel);
    checkConnect(reader);
    return reader.end();
  }

  const reader = new FieldReader(bytes, bodyOffset(bytes, start, end), end, protocolLevel);
  const check = CHECKS.get(type);
  reader.demand(check !== undefined, ReasonCode.protocolError, "a packet type that no client sends");
  reader.demand((bytes[start]! & 0x0f) === FLAGS_OF.get(type), ReasonCode.malformedPacket, "bad flags"); // [MQTT-2.1.3-1]
  if (check !== undefined) check(reader);
  return reader.end();
}

function checkConnect(reader: FieldReader): void {
  const { protocolLevel } = reader;
  const flags = reader.u8();
  reader.u16(); // Keep alive: every value is good.
  const willQos = (flags >> WILL_QOS_SHIFT) & 0b11;
  const hasWill = (flags & WILL_BIT) !== 0;
  const hasWillFlags = willQos !== 0 || (flags & WILL_RETAIN_BIT) !== 0;
  const hasPassword = (flags & PASSWORD_BIT) !== 0;
  const hasUsername = (flags & USERNAME_BIT) !== 0;
  const malformed = ReasonCode.malformedPacket;
  reader.demand((flags & CONNECT_RESERVED_BIT) === 0, malformed, "reserved flag"); // [MQTT-3.1.2-3]
  reader.demand(willQos !== 3, malformed, "will QoS 3"); // [MQTT-3.1.2-12]
  reader.demand(hasWill || !hasWillFlags, malformed, "will flags without a will"); // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
  const mayHavePassword = hasUsername || protocolLevel === LEVEL_5;
  reader.demand(mayHavePassword || !hasPassword, malformed, "a password without a user name"); // MQTT 3.1.1: [MQTT-3.1.2-22]

  if (protocolLevel === LEVEL_5) checkConnectProperties(reader);
  const clientIdBytes = reader.text("client ID"); // [MQTT-3.1.3-4]
  const isClean = (flags & CLEAN_BIT) !== 0;
  const mayBeEmpty = protocolLevel === LEVEL_5 || (protocolLevel !== LEVEL_3_1 && isClean);
  reader.demand(clientIdBytes > 0 || mayBeEmpty, ReasonCode.clientIdentifierNotValid, "an empty client ID"); // [MQTT-3.1.3-8]
  if (hasWill) checkWill(reader);
  if (hasUsername) reader.text("user name"); // [MQTT-3.1.3-12]
  if (hasPassword) reader.binary("password");
}

function checkConnectProperties(reader: FieldReader): void {
  let hasMethod = false;
  let hasData = false;
  reader.properties(CONNECT_PROPERTIES, (property) => {
    if (property.id === PropertyId.userProperty) reader.keepUserProperty(property);
    if (property.id === PropertyId.authenticationMethod) hasMethod = true;
    if (property.id === PropertyId.authenticationData) hasData = true;
    const isNumberNeeded = property.id === PropertyId.receiveMaximum || property.id === PropertyId.maximumPacketSize;
    reader.demand(!isNumberNeeded || property.number > 0, ReasonCode.protocolError, `property ${property.id} is 0`);
  });
  reader.demand(hasMethod || !hasData, ReasonCode.protocolError, "authentication data without a method");
}

function checkWill(reader: FieldReader): void {
  if (reader.protocolLevel === LEVEL_5) {
    reader.properties(WILL_PROPERTIES, (property) => {
      const { id, offset, at, valueOffset, valueBytes } = property;
      if (id === PropertyId.willDelayInterval || id === PropertyId.messageExpiryInterval) return;
      reader.keepForWill(offset, at);
      if (id !== PropertyId.responseTopic) return;
      const fault = topicFaultOf(reader.bytes, valueOffset, valueOffset + valueBytes);
      reader.demand(fault === 0, ReasonCode.protocolError, "the will's response topic is no topic name"); // [MQTT-3.3.2-14]
    });
  }
  const topicBytes = reader.text("will topic"); // [MQTT-3.1.3-11]
  const fault = topicFaultOf(reader.bytes, reader.at - topicBytes, reader.at);
  reader.demand(fault === 0, fault, "the will topic is no topic name");
  reader.binary("will payload");
}

function checkSubscribe(reader: FieldReader): void {
  const isLevel5 = reader.protocolLevel === LEVEL_5;
  reader.packetId();
  if (isLevel5) {
    reader.properties(SUBSCRIBE_PROPERTIES, (property) => {
      if (property.id === PropertyId.userProperty) reader.keepUserProperty(property);
      else reader.demand(property.number > 0, ReasonCode.protocolError, "Subscription Identifier 0");
    });
  }
  const reservedBits = isLevel5 ? 0b1100_0000 : 0b1111_1100;
  checkFilters(reader, (start, end) => {
    const options = reader.u8();
    const isShared = reader.bytes.toString("latin1", start, end).startsWith("$share/");
    const isNoLocal = isLevel5 && (options & 0b100) !== 0;
    reader.demand((options & reservedBits) === 0, ReasonCode.malformedPacket, "reserved option bits"); // [MQTT-3.8.3-5]
    reader.demand((options & 0b11) !== 3, ReasonCode.protocolError, "QoS 3");
    reader.demand(options >> 4 !== 3, ReasonCode.protocolError, "Retain Handling 3");
    reader.demand(!isShared || !isNoLocal, ReasonCode.protocolError, "No Local on a shared subscription"); // [MQTT-3.8.3-4]
  });
}

function checkUnsubscribe(reader: FieldReader): void {
  reader.packetId();
  if (reader.protocolLevel === LEVEL_5) checkPlainProperties(reader, UNSUBSCRIBE_PROPERTIES);
  checkFilters(reader, () => {});
}

/** Reads filters to the end of the packet; `checkOptions` reads what stands behind each. */
function checkFilters(reader: FieldReader, checkOptions: (start: number, end: number) => void): void {
  let filters = 0;
  while (!reader.isFailed && reader.left > 0) {
    filters += 1;
    const filterBytes = reader.text("topic filter"); // [MQTT-3.8.3-1] [MQTT-3.10.3-1]
    checkOptions(reader.at - filterBytes, reader.at);
    reader.demand(filters <= SUBSCRIBE_FILTERS_MAX, ReasonCode.quotaExceeded, "too many filters");
  }
  reader.demand(filters > 0, ReasonCode.protocolError, "no topic filter"); // [MQTT-3.8.3-2] [MQTT-3.10.3-2]
}

function checkDisconnect(reader: FieldReader): void {
  if (reader.protocolLevel !== LEVEL_5 || reader.left === 0) return; // A body before MQTT 5 is left over, and found so.
  const isKnown = isClientDisconnectCode(reader.u8());
  reader.demand(isKnown, ReasonCode.protocolError, "a reason code that no client sends"); // [MQTT-3.14.2-1]
  if (reader.left > 0) checkPlainProperties(reader, DISCONNECT_PROPERTIES);
}

function checkAuth(reader: FieldReader): void {
  reader.demand(reader.protocolLevel === LEVEL_5, ReasonCode.protocolError, "AUTH before MQTT 5");
  if (reader.left === 0) return;
  const isKnown = isReasonCodeOf(PacketType.auth, reader.u8());
  reader.demand(isKnown, ReasonCode.protocolError, "a reason code that AUTH does not have"); // [MQTT-3.15.2-1]
  if (reader.left > 0) checkPlainProperties(reader, AUTH_PROPERTIES);
}

function checkPlainProperties(reader: FieldReader, allowed: number): void {
  reader.properties(allowed, (property) => {
    if (property.id === PropertyId.userProperty) reader.keepUserProperty(property);
  });
}

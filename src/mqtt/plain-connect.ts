/**
 * CONNECT as nearly every client sends it, read in place: no will, no properties but numbers. Thousands of clients come back in the same
 * second after a restart, and the library makes a stream for each packet it reads.
 *
 * ```
 *   0x10 │ length │ name │ level │ flags │ keep alive │ MQTT 5: numbers │ client ID │ user name │ password
 * ```
 *
 * What is not exactly this is not judged here: it goes to `decodeRare`, with which this agrees on everything that it takes.
 */
import { PACKET_BYTES_MAX } from "../base/limits.ts";
import { readConnectProtocol } from "./connect-head.ts";
import { LEVEL_5 } from "./packet-type.ts";
import { type ConnectPacket, SESSION_NEVER_EXPIRES_S, type UserProperties } from "./packets.ts";
import { PROPERTIES_END, PROPERTY_FOUND, PropertyCursor, PropertyId, propertySet } from "./properties.ts";
import { isUtf8 } from "./utf8.ts";

/** Those whose value is a number, or a flag. */
const NUMBERS = propertySet(
  PropertyId.sessionExpiryInterval,
  PropertyId.requestProblemInformation,
  PropertyId.requestResponseInformation,
  PropertyId.receiveMaximum,
  PropertyId.topicAliasMaximum,
  PropertyId.maximumPacketSize,
);
const CLEAN_BIT = 1 << 1;
const PASSWORD_BIT = 1 << 6;
const USERNAME_BIT = 1 << 7;
/** Will and its flags, and the reserved one. */
const UNUSUAL_BITS = 0b0011_1101;
const RECEIVE_MAXIMUM_UNLESS_SAID = 65_535;
const NO_USER_PROPERTIES: UserProperties = [];

const cursor = new PropertyCursor();

/** The whole packet `[start, end)`; undefined when it is not so plain, or not good. The result holds no reference to `bytes`. */
export function tryReadPlainConnect(bytes: Buffer, start: number, end: number): ConnectPacket | undefined {
  const protocol = readConnectProtocol(bytes, start, end);
  if (protocol.fault !== undefined) return undefined;
  const { protocolLevel, isBridge, flagsOffset } = protocol;
  if (end - flagsOffset < 3) return undefined;
  const flags = bytes[flagsOffset]!;
  if ((flags & UNUSUAL_BITS) !== 0) return undefined;
  const isCleanStart = (flags & CLEAN_BIT) !== 0;
  const hasUsername = (flags & USERNAME_BIT) !== 0;
  const hasPassword = (flags & PASSWORD_BIT) !== 0;
  if (hasPassword && !hasUsername) return undefined;
  const keepAliveS = (bytes[flagsOffset + 1]! << 8) | bytes[flagsOffset + 2]!;

  let sessionExpiryIntervalS = protocolLevel === LEVEL_5 || isCleanStart ? 0 : SESSION_NEVER_EXPIRES_S;
  let receiveMaximum = RECEIVE_MAXIMUM_UNLESS_SAID;
  let maximumPacketBytes = PACKET_BYTES_MAX;
  let topicAliasMaximum = 0;
  let isResponseInformationRequested = false;
  let isProblemInformationRequested = true;
  let at = flagsOffset + 3;
  if (protocolLevel === LEVEL_5) {
    if (cursor.open(bytes, at, end, NUMBERS) !== 0) return undefined;
    let found = cursor.next();
    for (; found === PROPERTY_FOUND; found = cursor.next()) {
      const { id, number } = cursor;
      if (id === PropertyId.sessionExpiryInterval) sessionExpiryIntervalS = number;
      else if (id === PropertyId.receiveMaximum) receiveMaximum = number;
      else if (id === PropertyId.maximumPacketSize) maximumPacketBytes = number;
      else if (id === PropertyId.topicAliasMaximum) topicAliasMaximum = number;
      else if (id === PropertyId.requestResponseInformation) isResponseInformationRequested = number === 1;
      else isProblemInformationRequested = number === 1;
    }
    if (found !== PROPERTIES_END || receiveMaximum === 0 || maximumPacketBytes === 0) return undefined;
    at = cursor.end;
  }

  const clientIdEnd = fieldEnd(bytes, at, end);
  if (clientIdEnd <= at + 2 || !isUtf8(bytes, at + 2, clientIdEnd)) return undefined; // Also an empty one.
  const usernameEnd = hasUsername ? fieldEnd(bytes, clientIdEnd, end) : clientIdEnd;
  if (usernameEnd < 0 || (hasUsername && !isUtf8(bytes, clientIdEnd + 2, usernameEnd))) return undefined;
  const passwordEnd = hasPassword ? fieldEnd(bytes, usernameEnd, end) : usernameEnd;
  if (passwordEnd !== end) return undefined;
  return {
    kind: "connect",
    protocolLevel,
    isBridge,
    clientId: bytes.toString("utf8", at + 2, clientIdEnd),
    isCleanStart,
    keepAliveS,
    sessionExpiryIntervalS,
    receiveMaximum,
    maximumPacketBytes,
    topicAliasMaximum,
    isResponseInformationRequested,
    isProblemInformationRequested,
    will: undefined,
    username: hasUsername ? bytes.toString("utf8", clientIdEnd + 2, usernameEnd) : undefined,
    password: hasPassword ? Buffer.from(bytes.subarray(usernameEnd + 2, passwordEnd)) : undefined,
    userProperties: NO_USER_PROPERTIES,
    authenticationMethod: undefined,
    authenticationData: undefined,
  };
}

/** The end of a field with its length before it; -1 when it is not all there. */
function fieldEnd(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) return -1;
  const fieldEndAt = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
  return fieldEndAt <= end ? fieldEndAt : -1;
}

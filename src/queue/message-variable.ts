/**
 * The variables of key expressions: where in a message's bytes `message.from`, `message.topic`, a user property … lie.
 * A variable is resolved once, when its expression is compiled, to a reader; the reader then finds its bytes in place. Functions
 * get them as a value.
 */
import { Region } from "../base/region.ts";
import {
  clientIdBytesOf,
  clientIdOffset,
  expiresAtMsOf,
  isRetain,
  payloadBytesOf,
  payloadOffset,
  peerBytesOf,
  peerOffset,
  propertiesBytesOf,
  propertiesOffset,
  protocolLevelOf,
  publishedAtMsOf,
  qosOf,
  topicBytesOf,
  topicOffset,
  usernameBytesOf,
  usernameOffset,
} from "../frame/message.ts";
import type { KeyFault, KeyResult } from "./key-value.ts";

/** Where a value's bytes lie; made once and filled by readers. */
export interface Span {
  region: Region;
  offset: number;
  byteLength: number;
}

/** Finds the variable in the message at `offset`. */
export type VariableReader = (region: Region, offset: number, into: Span) => "ok" | KeyFault;

const USER_PROPERTY = "message.headers.properties.User-Property";

/** What a dotted path stands for. */
export interface Variable {
  readonly reader: VariableReader;
  /** The variable as a value for functions; its bytes are those of the message, valid as long as these. */
  valueOf(region: Region, offset: number): KeyResult;
  /** Why it must not be used at all. */
  readonly problem?: string;
}

/** The variable of a dotted path; a path that nothing ever binds reads as `"unbound"`. */
export function variableOf(path: string): Variable {
  const reader = readerOf(path);
  const kind = KINDS.get(path);
  const variable: Variable = {
    reader,
    valueOf(region, offset) {
      const found = reader(region, offset, valueSpan);
      if (found !== "ok") return found;
      const { offset: start, byteLength } = valueSpan;
      if (kind === undefined) return valueSpan.region.bytes.subarray(start, start + byteLength);
      const text = valueSpan.region.bytes.toString("latin1", start, start + byteLength);
      return kind === "integer" ? BigInt(text) : text === "true";
    },
  };
  return path === "message.id" ? { ...variable, problem: NO_ID } : variable;
}

const NO_ID = "message.id is not there: a message has no identifier of its own";
const valueSpan: Span = { region: Region.allocate(0), offset: 0, byteLength: 0 };

/** All others are strings. */
const KINDS: ReadonlyMap<string, "integer" | "boolean"> = new Map([
  ["message.qos", "integer"],
  ["message.timestamp", "integer"],
  ["message.flags.retain", "boolean"],
  ["message.flags.dup", "boolean"],
  ["message.headers.proto_ver", "integer"],
  ["message.headers.properties.Payload-Format-Indicator", "integer"],
  ["message.headers.properties.Message-Expiry-Interval", "integer"],
]);

function readerOf(path: string): VariableReader {
  const reader = READERS.get(path);
  if (reader !== undefined) return reader;
  if (path.startsWith(`${USER_PROPERTY}.`)) return userProperty(path.slice(USER_PROPERTY.length + 1));
  return MAPS.has(path) ? () => "not_scalar" : () => "unbound";
}

/** Paths that lead to a map: no value of their own. */
const MAPS: ReadonlySet<string> = new Set([
  "message",
  "message.flags",
  "message.headers",
  "message.headers.properties",
  USER_PROPERTY,
]);

const scratch = Region.allocate(64);

/** Numbers and booleans as text: these are rare keys, a string each is fine. */
function text(value: string, into: Span): "ok" {
  into.region = scratch;
  into.offset = 0;
  into.byteLength = scratch.bytes.write(value, 0, "latin1");
  return "ok";
}

function span(region: Region, offset: number, byteLength: number, into: Span): "ok" {
  into.region = region;
  into.offset = offset;
  into.byteLength = byteLength;
  return "ok";
}

/** Only clients have a user name, an address and a protocol; a message from REST has none of them. */
const ofClient =
  (reader: VariableReader): VariableReader =>
  (region, offset, into) =>
    protocolLevelOf(region, offset) === 0 ? "unbound" : reader(region, offset, into);

/** `ip:port` or `[ip]:port` without the port and the brackets. */
function peerHost(region: Region, offset: number, into: Span): "ok" {
  const { bytes } = region;
  let start = peerOffset(region, offset);
  let end = start + peerBytesOf(region, offset);
  const colon = bytes.subarray(start, end).lastIndexOf(0x3a);
  if (colon >= 0) end = start + colon;
  if (end - start >= 2 && bytes[start] === 0x5b && bytes[end - 1] === 0x5d) {
    start += 1;
    end -= 1;
  }
  return span(region, start, end - start, into);
}

const READERS: ReadonlyMap<string, VariableReader> = new Map<string, VariableReader>([
  ["message.from", (r, at, into) => span(r, clientIdOffset(r, at), clientIdBytesOf(r, at), into)],
  ["message.topic", (r, at, into) => span(r, topicOffset(at), topicBytesOf(r, at), into)],
  ["message.payload", (r, at, into) => span(r, payloadOffset(r, at), payloadBytesOf(r, at), into)],
  ["message.qos", (r, at, into) => text(String(qosOf(r, at)), into)],
  ["message.timestamp", (r, at, into) => text(String(publishedAtMsOf(r, at)), into)],
  ["message.flags.retain", (r, at, into) => text(String(isRetain(r, at)), into)],
  ["message.flags.dup", (_r, _at, into) => text("false", into)],
  ["message.headers.username", ofClient((r, at, into) => span(r, usernameOffset(r, at), usernameBytesOf(r, at), into))],
  ["message.headers.peername", ofClient((r, at, into) => span(r, peerOffset(r, at), peerBytesOf(r, at), into))],
  ["message.headers.peerhost", ofClient(peerHost)],
  ["message.headers.proto_ver", ofClient((r, at, into) => text(String(protocolLevelOf(r, at)), into))],
  ["message.headers.protocol", ofClient((_r, _at, into) => text("mqtt", into))],
  ["message.headers.properties.Content-Type", (r, at, into) => property(0x03, undefined, r, at, into)],
  ["message.headers.properties.Response-Topic", (r, at, into) => property(0x08, undefined, r, at, into)],
  ["message.headers.properties.Correlation-Data", (r, at, into) => property(0x09, undefined, r, at, into)],
  [
    "message.headers.properties.Payload-Format-Indicator",
    (r, at, into) => {
      const found = property(0x01, undefined, r, at, into);
      return found === "ok" ? text(String(into.region.bytes[into.offset]), into) : found;
    },
  ],
  [
    "message.headers.properties.Message-Expiry-Interval",
    (r, at, into) => {
      const expiresAtMs = expiresAtMsOf(r, at);
      return expiresAtMs === 0
        ? "unbound"
        : text(String(Math.round((expiresAtMs - publishedAtMsOf(r, at)) / 1000)), into);
    },
  ],
]);

function userProperty(name: string): VariableReader {
  const nameBytes = Buffer.from(name, "utf8");
  return (region, offset, into) => property(0x26, nameBytes, region, offset, into);
}

/** The last property with this id (and, of user properties, this name). Steps over the list in place. */
function property(id: number, name: Buffer | undefined, region: Region, offset: number, into: Span): "ok" | KeyFault {
  const { bytes } = region;
  let at = propertiesOffset(region, offset);
  const end = at + propertiesBytesOf(region, offset);
  let found = false;
  while (at < end) {
    const isWanted = bytes[at] === id;
    const valueAt = at + 1;
    let valueBytes = 0;
    let valueOffset = valueAt;
    switch (bytes[at]) {
      case 0x01: // A byte.
        valueBytes = 1;
        break;
      case 0x03: // A run with two bytes of length.
      case 0x08:
      case 0x09:
        valueBytes = (bytes[valueAt]! << 8) | bytes[valueAt + 1]!;
        valueOffset = valueAt + 2;
        break;
      case 0x26: {
        const nameBytes = (bytes[valueAt]! << 8) | bytes[valueAt + 1]!;
        const second = valueAt + 2 + nameBytes;
        valueBytes = (bytes[second]! << 8) | bytes[second + 1]!;
        valueOffset = second + 2;
        if (isWanted && name !== undefined && !isRun(bytes, valueAt + 2, nameBytes, name)) {
          at = valueOffset + valueBytes;
          continue;
        }
        break;
      }
      default: // Not a property that a stored message has.
        return "unbound";
    }
    at = valueOffset + valueBytes;
    if (!isWanted) continue;
    span(region, valueOffset, valueBytes, into);
    found = true;
  }
  return found ? "ok" : "unbound";
}

function isRun(bytes: Buffer, offset: number, byteLength: number, wanted: Buffer): boolean {
  if (byteLength !== wanted.byteLength) return false;
  for (let index = 0; index < byteLength; index += 1) if (bytes[offset + index] !== wanted[index]) return false;
  return true;
}

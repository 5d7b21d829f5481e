/**
 * The properties of a PUBLISH in the form a stored message keeps them, as on the wire without their length and without Message
 * Expiry Interval: written for a message that did not come as a packet, read for who looks into a queue.
 */
import { PROPERTY_FOUND, PropertyCursor, PropertyId, propertySet } from "./properties.ts";

export interface PublishProperties {
  readonly payloadFormatIndicator?: 0 | 1;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly contentType?: string;
  /** In order, duplicates kept. */
  readonly userProperties?: readonly (readonly [string, string])[];
}

/** Strings and data at most 65,535 bytes each: the caller has checked. */
export function encodePublishProperties(properties: PublishProperties): Buffer {
  const parts: Uint8Array[] = [];
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties;
  if (payloadFormatIndicator !== undefined) {
    parts.push(Buffer.from([PropertyId.payloadFormatIndicator, payloadFormatIndicator]));
  }
  if (contentType !== undefined) parts.push(Buffer.from([PropertyId.contentType]), sized(Buffer.from(contentType)));
  if (responseTopic !== undefined)
    parts.push(Buffer.from([PropertyId.responseTopic]), sized(Buffer.from(responseTopic)));
  if (correlationData !== undefined) parts.push(Buffer.from([PropertyId.correlationData]), sized(correlationData));
  for (const [name, value] of userProperties ?? []) {
    parts.push(Buffer.from([PropertyId.userProperty]), sized(Buffer.from(name)), sized(Buffer.from(value)));
  }
  return Buffer.concat(parts);
}

const cursor = new PropertyCursor();
const STORED = propertySet(
  PropertyId.payloadFormatIndicator,
  PropertyId.contentType,
  PropertyId.responseTopic,
  PropertyId.correlationData,
  PropertyId.userProperty,
);

/** The reverse: the properties of a stored message, copied. */
export function decodePublishProperties(bytes: Buffer, offset: number, byteLength: number): PublishProperties {
  const found: { -readonly [K in keyof PublishProperties]: PublishProperties[K] } = {};
  const pairs: (readonly [string, string])[] = [];
  const text = (at: number, length: number): string => bytes.toString("utf8", at, at + length);
  cursor.openStored(bytes, offset, offset + byteLength, STORED);
  while (cursor.next() === PROPERTY_FOUND) {
    const { valueOffset, valueBytes, pairOffset, pairBytes } = cursor;
    if (cursor.id === PropertyId.payloadFormatIndicator) found.payloadFormatIndicator = cursor.number as 0 | 1;
    else if (cursor.id === PropertyId.contentType) found.contentType = text(valueOffset, valueBytes);
    else if (cursor.id === PropertyId.responseTopic) found.responseTopic = text(valueOffset, valueBytes);
    else if (cursor.id === PropertyId.userProperty)
      pairs.push([text(valueOffset, valueBytes), text(pairOffset, pairBytes)]);
    else found.correlationData = Uint8Array.from(bytes.subarray(valueOffset, valueOffset + valueBytes));
  }
  if (pairs.length > 0) found.userProperties = pairs;
  return found;
}

function sized(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

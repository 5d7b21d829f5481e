/**
 * The properties of a PUBLISH that did not come as a packet, in the form a stored message keeps them: as on the wire, without
 * their length and without Message Expiry Interval.
 */
import { PropertyId } from "./properties.ts";

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

function sized(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

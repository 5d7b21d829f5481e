/**
 * How large a PUBLISH packet a queued message becomes at a consumer.
 */
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, payloadBytesOf, propertiesBytesOf, topicBytesOf } from "../frame/message.ts";
import { variableByteIntegerBytes } from "../mqtt/variable-byte-integer.ts";

/** Message Expiry Interval: its identifier and four bytes. */
const EXPIRY_PROPERTY_BYTES = 5;

/** Bytes of the MQTT 5 PUBLISH packet; one in 3.1.1 is never larger, and its client has no limit. */
export function publishPacketBytes(
  region: Region,
  offset: number,
  qos: 0 | 1 | 2,
  subscriptionIdentifierBytes: number,
): number {
  const properties =
    propertiesBytesOf(region, offset) +
    (expiresAtMsOf(region, offset) === 0 ? 0 : EXPIRY_PROPERTY_BYTES) +
    subscriptionIdentifierBytes;
  const remaining =
    2 +
    topicBytesOf(region, offset) +
    (qos === 0 ? 0 : 2) +
    variableByteIntegerBytes(properties) +
    properties +
    payloadBytesOf(region, offset);
  return 1 + variableByteIntegerBytes(remaining) + remaining;
}

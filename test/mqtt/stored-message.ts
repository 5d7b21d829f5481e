/** Makes stored messages for tests, through the very functions that the broker stores them with. */
import { Region } from "../../src/base/region.ts";
import {
  messageBytesOf,
  payloadOffset,
  propertiesOffset,
  topicOffset,
  writeMessageHeader,
} from "../../src/frame/message.ts";

/** A message in a region of its own, at `offset`. */
export function storedMessage(topic: string, properties: Buffer, payload: Buffer, offset = 0): Region {
  const topicBytes = Buffer.from(topic);
  const parts = {
    topicBytes: topicBytes.length,
    propertiesBytes: properties.length,
    payloadBytes: payload.length,
    clientIdBytes: 0,
    usernameBytes: 0,
    peerBytes: 0,
  };
  const region = Region.allocate(offset + messageBytesOf(parts));
  writeMessageHeader(region, offset, parts, 0, false, 5, 0, 0);
  topicBytes.copy(region.bytes, topicOffset(offset));
  properties.copy(region.bytes, propertiesOffset(region, offset));
  payload.copy(region.bytes, payloadOffset(region, offset));
  return region;
}

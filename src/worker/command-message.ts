/** A message published by REST, in the one layout. */
import { Region } from "../base/region.ts";
import { messageBytesOf, topicOffset, writeMessageHeader } from "../frame/message.ts";
import { encodePublishProperties } from "../mqtt/publish-properties.ts";
import type { PublishCommand } from "./commands.ts";

/** Whom such messages come from, as EMQX says. */
const PUBLISHER = Buffer.from("http_api");

export function layOutCommand(command: PublishCommand, nowMs: number): Region {
  const topic = Buffer.from(command.topic);
  const properties = encodePublishProperties(command.properties);
  const parts = {
    topicBytes: topic.length,
    propertiesBytes: properties.length,
    payloadBytes: command.payload.length,
    clientIdBytes: PUBLISHER.length,
    usernameBytes: 0,
    peerBytes: 0,
  };
  const message = Region.allocate(messageBytesOf(parts));
  const { messageExpiryIntervalS: expiryS } = command.properties;
  const expiresAtMs = expiryS === undefined ? 0 : nowMs + expiryS * 1000;
  writeMessageHeader(message, 0, parts, command.qos, command.retain, 0, nowMs, expiresAtMs);
  let at = topicOffset(0);
  for (const part of [topic, properties, command.payload, PUBLISHER]) {
    message.bytes.set(part, at);
    at += part.length;
  }
  return message;
}

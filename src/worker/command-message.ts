/** Messages that come by command, in the one layout: what REST publishes, and what the broker says about itself. */
import { Region } from "../base/region.ts";
import { messageBytesOf, topicOffset, writeMessageHeader } from "../frame/message.ts";
import { encodePublishProperties } from "../mqtt/publish-properties.ts";
import type { PublishCommand, SystemValue } from "./commands.ts";

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

/** A value below `$SYS`: retained, QoS 0, from nobody. */
export function layOutSystemValue([name, text]: SystemValue, nowMs: number): Region {
  const topic = Buffer.from(name);
  const payload = Buffer.from(text);
  const parts = {
    topicBytes: topic.length,
    propertiesBytes: 0,
    payloadBytes: payload.length,
    clientIdBytes: 0,
    usernameBytes: 0,
    peerBytes: 0,
  };
  const message = Region.allocate(messageBytesOf(parts));
  writeMessageHeader(message, 0, parts, 0, true, 0, nowMs, 0);
  message.bytes.set(topic, topicOffset(0));
  message.bytes.set(payload, topicOffset(0) + topic.length);
  return message;
}

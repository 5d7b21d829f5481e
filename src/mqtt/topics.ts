/**
 * Topic names and topic filters: what is well formed, what matches, and what a publisher may name. Byte forms for the
 * hot path, string forms for the rest.
 *
 * Source: MQTT 5.0, section 4.7. Levels are what `/` separates; `+` and `#` fill a whole level, `#` the last one only.
 */
import { TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX } from "../base/limits.ts";
import { ReasonCode } from "./reason-codes.ts";
import { sequenceBytes } from "./utf8.ts";

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;

/**
 * 0 when `bytes[start, end)` is a topic name; `malformedPacket` when it is not MQTT's UTF-8; `topicNameInvalid` when it is
 * empty, has a wildcard or too many levels.
 */
export function topicFaultOf(bytes: Buffer, start: number, end: number): number {
  if (start === end) return ReasonCode.topicNameInvalid; // [MQTT-4.7.3-1]
  let levels = 1;
  let fault: number = ReasonCode.success;
  let at = start;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte < 0x30) {
      if (byte === SLASH) levels += 1;
      else if (byte === PLUS || byte === HASH)
        fault = ReasonCode.topicNameInvalid; // [MQTT-3.3.2-2]
      else if (byte === 0) return ReasonCode.malformedPacket; // [MQTT-4.7.3-2]
      at += 1;
    } else if (byte < 0x80) {
      at += 1;
    } else {
      const length = sequenceBytes(bytes, at, end);
      if (length === 0) return ReasonCode.malformedPacket;
      at += length;
    }
  }
  return levels > TOPIC_LEVELS_MAX ? ReasonCode.topicNameInvalid : fault;
}

/** 0 when `bytes[start, end)` is a topic filter; `malformedPacket` for bad UTF-8; else `topicFilterInvalid`. */
export function filterFaultOf(bytes: Buffer, start: number, end: number): number {
  if (start === end) return ReasonCode.topicFilterInvalid; // [MQTT-4.7.3-1]
  let levels = 1;
  let fault: number = ReasonCode.success;
  let at = start;
  while (at < end) {
    const length = sequenceBytes(bytes, at, end);
    if (length === 0) return ReasonCode.malformedPacket;
    const byte = bytes[at]!;
    if (byte === SLASH) levels += 1;
    else if (byte === PLUS || byte === HASH) {
      const beginsLevel = at === start || bytes[at - 1] === SLASH;
      const endsLevel = at + 1 === end || (byte === PLUS && bytes[at + 1] === SLASH);
      if (!beginsLevel || !endsLevel) fault = ReasonCode.topicFilterInvalid; // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    }
    at += length;
  }
  return levels > TOPIC_LEVELS_MAX ? ReasonCode.topicFilterInvalid : fault;
}

const UNPAIRED_OR_NUL = /[\0\p{Surrogate}]/u;

function isMqttString(value: string): boolean {
  return value.length > 0 && !UNPAIRED_OR_NUL.test(value) && Buffer.byteLength(value) <= TOPIC_BYTES_MAX; // [MQTT-4.7.3-3]
}

function levelCountOf(value: string): number {
  let levels = 1;
  for (let at = value.indexOf("/"); at >= 0; at = value.indexOf("/", at + 1)) levels += 1;
  return levels;
}

/** Whether the string is a topic name: the same judgement as `topicFaultOf`. */
export function isTopicName(topic: string): boolean {
  return isMqttString(topic) && !/[+#]/.test(topic) && levelCountOf(topic) <= TOPIC_LEVELS_MAX;
}

/** Whether the string is a topic filter: the same judgement as `filterFaultOf`. */
export function isTopicFilter(filter: string): boolean {
  if (!isMqttString(filter)) return false;
  const levels = filter.split("/", TOPIC_LEVELS_MAX + 1);
  if (levels.length > TOPIC_LEVELS_MAX) return false;
  return levels.every((level, index) => {
    if (level === "#") return index === levels.length - 1;
    return level === "+" || !/[+#]/.test(level);
  });
}

/** Whether a valid filter matches a valid topic. Allocates nothing. */
export function isMatch(filter: string, topic: string): boolean {
  const leading = filter.charCodeAt(0);
  if (topic.charCodeAt(0) === DOLLAR && (leading === PLUS || leading === HASH)) return false; // [MQTT-4.7.2-1]

  let inFilter = 0;
  let inTopic = 0;
  while (inFilter < filter.length) {
    const byte = filter.charCodeAt(inFilter);
    if (byte === HASH) return true;
    if (byte === PLUS) {
      while (inTopic < topic.length && topic.charCodeAt(inTopic) !== SLASH) inTopic += 1;
      inFilter += 1;
    } else if (inTopic < topic.length) {
      if (byte !== topic.charCodeAt(inTopic)) return false;
      inFilter += 1;
      inTopic += 1;
    } else {
      return filter.length === inFilter + 2 && filter.endsWith("/#"); // `a/#` matches `a`.
    }
  }
  return inTopic === topic.length;
}

/** What may be done with a topic that a client publishes to. */
export type PublishPolicy = "ordinary" | "refused";

/** The roots that only the broker speaks under. The root is the whole first level: `$queuex/y` is an ordinary topic. */
export const RESERVED_ROOTS: readonly string[] = ["$SYS", "$share", "$queue", "$q"];
const RESERVED_ROOT_BYTES = RESERVED_ROOTS.map((root) => Buffer.from(root));

/** Whether a filter names topics of the broker about itself, and hence no others: a leading wildcard matches none of them. */
export const isSystemFilter = (filter: string): boolean => filter === "$SYS" || filter.startsWith("$SYS/");

export function publishPolicy(topic: string): PublishPolicy {
  if (topic.charCodeAt(0) !== DOLLAR) return "ordinary";
  const slash = topic.indexOf("/");
  return RESERVED_ROOTS.includes(slash < 0 ? topic : topic.slice(0, slash)) ? "refused" : "ordinary";
}

/** `publishPolicy` for the hot path: of the topic in `bytes[start, end)`. */
export function publishPolicyOf(bytes: Buffer, start: number, end: number): PublishPolicy {
  if (bytes[start] !== DOLLAR || start === end) return "ordinary";
  for (let index = 0; index < RESERVED_ROOT_BYTES.length; index += 1) {
    if (isFirstLevel(RESERVED_ROOT_BYTES[index]!, bytes, start, end)) return "refused";
  }
  return "ordinary";
}

function isFirstLevel(root: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const behind = start + root.length;
  if (behind > end || (behind < end && bytes[behind] !== SLASH)) return false;
  for (let index = 1; index < root.length; index += 1) {
    if (bytes[start + index] !== root[index]) return false;
  }
  return true;
}

/**
 * Client to server: PUBLISH, and PUBREL which ends one of QoS 2.
 *
 * A PUBLISH is taken whole or not at all: when a log or a ring has no room for it, nothing of it has happened and the
 * connection gives the same bytes again later.
 *
 * ```
 *   QoS 1   PUBLISH ──► stored by all ──► PUBACK
 *   QoS 2   PUBLISH ──► stored by all, with its identifier ──► PUBREC … PUBREL ──► identifier forgotten ──► PUBCOMP
 * ```
 */

import { TOPIC_ALIAS_MAXIMUM } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";
import { EXACTLY_ONCE, MAY_BE_KNOWN, ROUTED_BEFORE } from "../frame/kinds.ts";
import { messageBytesOf, topicOffset, writeMessageHeader } from "../frame/message.ts";
import { writePubcomp } from "../mqtt/acks.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { PublishView } from "../mqtt/publish.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { publishPolicy, publishPolicyOf } from "../mqtt/topics.ts";
import { OWES_PUBACK, OWES_PUBREC } from "./acknowledgement-line.ts";
import { mayKeep, UNRELEASED_BYTES } from "./belongings.ts";
import { ORPHANED, PENDING, RESTORED, STORED, UNKNOWN } from "./inbound.ts";
import { NO_ROOM_NOW } from "./ports.ts";
import { mayPublishTo } from "./rights.ts";
import type { Attendance, Session, SessionWill } from "./session.ts";

/** What became of a packet: done, or to be given again later; else the reason code to disconnect with. */
export type Taken = "taken" | "later" | number;

const view = new PublishView();
/** Where a message is laid out before it is routed; grows to the largest seen. One per thread. */
let scratch = Region.lasting(64 * 1024);
/** A topic that came by its alias. */
const aliased = Region.allocate(64 * 1024);

const parts = { topicBytes: 0, propertiesBytes: 0, payloadBytes: 0, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 };

export function onPublish(session: Session, attendance: Attendance, region: Region, start: number, end: number): Taken {
  const { host } = session;
  const fault = view.parse(region, start, end, attendance.protocolLevel);
  if (fault !== 0) return fault;
  if (attendance.deferred === undefined) {
    host.counters.publishesReceived += 1;
    host.counters.publishBytesReceived += view.payloadBytes;
  }
  const { line } = attendance;
  if (view.qos !== 0 && line.isFull) return "later";

  let topicRegion = region;
  let topicAt = view.topicOffset;
  let topicBytes = view.topicBytes;
  if (view.topicAlias !== 0) {
    if (view.topicAlias > TOPIC_ALIAS_MAXIMUM) return ReasonCode.topicAliasInvalid; // [MQTT-3.3.2-9]
    if (topicBytes !== 0) {
      const more = topicBytes - (attendance.aliases[view.topicAlias]?.length ?? 0);
      if (more > 0 && !mayKeep(session.belongings.bytes, more, host.limits.belongingsBytesMax)) {
        return ReasonCode.quotaExceeded;
      }
      session.belongings.addAlias(more);
      attendance.aliases[view.topicAlias] = Buffer.from(region.bytes.subarray(topicAt, topicAt + topicBytes));
    } else {
      const topic = attendance.aliases[view.topicAlias];
      if (topic === undefined) return ReasonCode.protocolError;
      topic.copy(aliased.bytes);
      topicRegion = aliased;
      topicAt = 0;
      topicBytes = topic.length;
    }
  }

  const topicEnd = topicAt + topicBytes;
  if (publishPolicyOf(topicRegion.bytes, topicAt, topicEnd) === "refused") {
    if (attendance.protocolLevel !== LEVEL_5) host.counters.droppedReservedTopic += 1;
    return refusePublish(session, attendance, ReasonCode.topicNameInvalid);
  }
  if (session.rights !== undefined && !session.rights.mayPublish(topicRegion.bytes, topicAt, topicEnd)) {
    host.counters.deniedPublishes += 1;
    return refusePublish(session, attendance, ReasonCode.notAuthorized);
  }
  const before = view.qos === 2 ? session.inbound.stateOf(view.packetId) : UNKNOWN;
  if (before === PENDING) return "taken"; // Its PUBREC is on its way.
  if (before === STORED) {
    line.resolve(line.open(view.packetId, OWES_PUBREC), ReasonCode.success); // [MQTT-4.3.3-10]
    return "taken";
  }
  if (view.qos === 2 && before === UNKNOWN) {
    const fault = unreleasedFaultOf(session, attendance);
    if (fault !== 0) return fault;
  }

  layOut(session, attendance, region, topicRegion, topicAt, topicBytes);
  if (view.qos === 0) return host.publish(scratch, 0, session, -1, 0, 0) === NO_ROOM_NOW ? "later" : "taken";
  const sequence = line.open(view.packetId, view.qos === 1 ? OWES_PUBACK : OWES_PUBREC);
  const flags = view.qos === 2 && session.isDurable ? exactlyOnceFlags(before, view.isDup) : 0;
  const reasonCode = host.publish(scratch, 0, session, sequence, flags, view.packetId);
  if (reasonCode === NO_ROOM_NOW) {
    line.withdraw(sequence);
    return "later";
  }
  if (view.qos === 2) {
    session.inbound.take(view.packetId);
    countUnreleased(session);
  }
  line.resolve(sequence, reasonCode);
  return "taken";
}

/** To be called when identifiers were taken or released. */
export function countUnreleased({ belongings, inbound, host }: Session): void {
  belongings.countUnreleased(inbound.size - host.limits.receiveMaximum);
}

/**
 * Why the publisher may have no more QoS 2 messages without PUBCOMP; 0 when it may. One of MQTT 3, which cannot be told a maximum, and one
 * whose earlier connections have left some, may go beyond it while there is room. At QoS 1 the broker alone decides when PUBACK leaves: who
 * sends more meanwhile is read no further, for stock clients do not count.
 */
function unreleasedFaultOf({ inbound, belongings, host }: Session, attendance: Attendance): number {
  const { receiveMaximum, belongingsBytesMax } = host.limits;
  if (inbound.size < receiveMaximum) return 0;
  const isExceeded = inbound.size - attendance.unreleasedBefore >= receiveMaximum;
  if (attendance.protocolLevel === LEVEL_5 && isExceeded) return ReasonCode.receiveMaximumExceeded; // [MQTT-3.3.4-7]
  return mayKeep(belongings.bytes, UNRELEASED_BYTES, belongingsBytesMax) ? 0 : ReasonCode.quotaExceeded;
}

/** How a QoS 2 message of a session that outlives its connection is routed, by what is known of its identifier. */
function exactlyOnceFlags(before: number, isDup: boolean): number {
  if (before === ORPHANED) return EXACTLY_ONCE | MAY_BE_KNOWN | ROUTED_BEFORE;
  return before === RESTORED || isDup ? EXACTLY_ONCE | MAY_BE_KNOWN : EXACTLY_ONCE;
}

/** A publish to a reserved root, or without the right to: v5 is told, v3 cannot be. */
function refusePublish(session: Session, attendance: Attendance, reasonCode: number): Taken {
  const isLevel5 = attendance.protocolLevel === LEVEL_5;
  if (view.qos === 0) return "taken";
  if (view.qos === 2) {
    const fault = session.inbound.stateOf(view.packetId) === UNKNOWN ? unreleasedFaultOf(session, attendance) : 0;
    if (fault !== 0) return fault;
  }
  const { line } = attendance;
  const sequence = line.open(view.packetId, view.qos === 1 ? OWES_PUBACK : OWES_PUBREC);
  if (view.qos === 2) {
    session.inbound.take(view.packetId);
    countUnreleased(session);
  }
  line.resolve(sequence, isLevel5 ? reasonCode : ReasonCode.success);
  return "taken";
}

/** Writes the message of the PUBLISH in `view` into the scratch region, in the one layout. */
function layOut(
  session: Session,
  attendance: Attendance,
  region: Region,
  topicRegion: Region,
  topicAt: number,
  topicBytes: number,
): void {
  const nowMs = session.host.nowMs();
  parts.topicBytes = topicBytes;
  parts.propertiesBytes = view.passThroughBytes;
  parts.payloadBytes = view.payloadBytes;
  parts.clientIdBytes = session.clientIdBytes.length;
  parts.usernameBytes = attendance.usernameBytes.length;
  parts.peerBytes = attendance.peerBytes.length;
  const messageBytes = messageBytesOf(parts);
  if (messageBytes > scratch.bytes.length) scratch = Region.allocate(messageBytes * 2);

  const expiresAtMs = view.messageExpiryIntervalS < 0 ? 0 : nowMs + view.messageExpiryIntervalS * 1000;
  writeMessageHeader(scratch, 0, parts, view.qos, view.isRetain, attendance.protocolLevel, nowMs, expiresAtMs);
  let at = topicOffset(0);
  copyBytes(scratch, at, topicRegion, topicAt, topicBytes);
  at += topicBytes;
  if (view.passThroughBytes !== 0) view.copyPassThrough(scratch, at);
  at += view.passThroughBytes;
  copyBytes(scratch, at, region, view.payloadOffset, view.payloadBytes);
  at += view.payloadBytes;
  copyTail(at, session.clientIdBytes);
  copyTail(at + session.clientIdBytes.length, attendance.usernameBytes);
  copyTail(at + session.clientIdBytes.length + attendance.usernameBytes.length, attendance.peerBytes);
}

/** Client ID, user name and peer are short: a loop beats a call out of JavaScript. */
function copyTail(at: number, source: Uint8Array): void {
  const { bytes } = scratch;
  for (let index = 0; index < source.length; index += 1) bytes[at + index] = source[index]!;
}

/**
 * PUBREL: forgets the identifier, then PUBCOMP [MQTT-4.3.3-11]. Also one that the session does not know: a crash may have come
 * when some partitions had forgotten it.
 */
export function onPubrel(session: Session, attendance: Attendance, packetId: number): void {
  const isKnown = session.inbound.delete(packetId);
  countUnreleased(session);
  const reasonCode =
    isKnown || attendance.protocolLevel !== LEVEL_5 ? ReasonCode.success : ReasonCode.packetIdentifierNotFound;
  if (!session.isDurable) {
    sendPubcomp(attendance, packetId, reasonCode);
    return;
  }
  const release = (): void =>
    session.host.release(session, packetId, (outcome) => {
      if (session.attendance !== attendance || attendance.isClosing) return; // The client sends it again.
      if (outcome === "failed") release();
      else sendPubcomp(attendance, packetId, reasonCode);
    });
  release();
}

function sendPubcomp(attendance: Attendance, packetId: number, reasonCode: number): void {
  const { connection, protocolLevel } = attendance;
  const at = connection.reserve(reasonCode === 0 ? 4 : 5);
  writePubcomp(connection.output, at, packetId, protocolLevel, reasonCode);
}

/** Publishes a session's will, if it has one: nobody waits for an answer [MQTT-3.1.2-10]. */
export function publishWill(session: Session): void {
  const { will } = session;
  session.will = undefined;
  if (will !== undefined) publishOnce(session, will);
}

function publishOnce(session: Session, will: SessionWill): void {
  const { host } = session;
  if (publishPolicy(will.topic) === "refused") {
    host.counters.droppedReservedTopic += 1;
    return;
  }
  const { user, address } = will.sender ?? { user: null, address: "" };
  if (
    !mayPublishTo(host.access.rightsOf({ clientId: session.clientId, user: user ?? undefined, address }), will.topic)
  ) {
    host.counters.deniedPublishes += 1;
    return;
  }
  const nowMs = host.nowMs();
  const topic = Buffer.from(will.topic);
  parts.topicBytes = topic.length;
  parts.propertiesBytes = will.properties.length;
  parts.payloadBytes = will.payload.length;
  parts.clientIdBytes = session.clientIdBytes.length;
  parts.usernameBytes = 0;
  parts.peerBytes = 0;
  const messageBytes = messageBytesOf(parts);
  if (messageBytes > scratch.bytes.length) scratch = Region.allocate(messageBytes * 2);
  const expiresAtMs = will.messageExpiryIntervalS < 0 ? 0 : nowMs + will.messageExpiryIntervalS * 1000;
  writeMessageHeader(scratch, 0, parts, will.qos, will.isRetain, will.protocolLevel, nowMs, expiresAtMs);
  let at = topicOffset(0);
  for (const part of [topic, will.properties, will.payload, session.clientIdBytes]) {
    scratch.bytes.set(part, at);
    at += part.length;
  }
  const isTaken = host.publish(scratch, 0, session, -1, 0, 0) !== NO_ROOM_NOW;
  if (!isTaken) host.after(WILL_RETRY_MS, () => publishOnce(session, will)); // Whoever connects meanwhile.
}

/** A will that found no room is tried again after so long. */
const WILL_RETRY_MS = 50;

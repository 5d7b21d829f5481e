/**
 * Server to client: ordinary messages, straight or through the inbox, and queue messages, straight or held.
 *
 * QoS 0 goes to the connection or nowhere. QoS 1 and 2 share one window of packet identifiers with queue messages; when it opens,
 * the inbox and the attachments take turns.
 */
import type { Region } from "../base/region.ts";
import { clientIdOf, expiresAtMsOf, qosOf, topicOf, totalBytes } from "../frame/message.ts";
import { writePubrel } from "../mqtt/acks.ts";
import { publishBytesOf, writePublish } from "../mqtt/encoder.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { isMatch } from "../mqtt/topics.ts";
import type { Attachment } from "./attachment.ts";
import { DELIVERY_QOS_MASK, DELIVERY_RETAIN, IN_MEMORY } from "./inbox.ts";
import { RELEASED, SENT_QOS1, SENT_QOS2 } from "./outgoing.ts";
import type { StoredMessage } from "./ports.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";

const found: StoredMessage = { region: undefined as unknown as Region, offset: 0 };
const NO_EXPIRY = -1;

/** Whole seconds of life left, at least 1 [MQTT-3.3.2-6]; -1 = does not expire. */
function remainingExpiryS(message: Region, offset: number, nowMs: number): number {
  const expiresAtMs = expiresAtMsOf(message, offset);
  return expiresAtMs === 0 ? NO_EXPIRY : Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000));
}

const isExpired = (message: Region, offset: number, nowMs: number): boolean => {
  const expiresAtMs = expiresAtMsOf(message, offset);
  return expiresAtMs !== 0 && expiresAtMs <= nowMs; // [MQTT-3.3.2-5]
};

/** The identifiers of all subscriptions that match, for a delivery that did not come straight from the router. */
function identifiersOf(session: Session, message: Region, offset: number): readonly number[] | undefined {
  if (!session.hasIdentifiers) return undefined;
  const topic = topicOf(message, offset);
  const identifiers: number[] = [];
  for (const subscription of session.subscriptions.values()) {
    const { identifier } = subscription.options;
    if (identifier === 0 || subscription.attachment !== undefined) continue;
    if (isMatch(subscription.filter, topic)) identifiers.push(identifier);
  }
  return identifiers.length === 0 ? undefined : identifiers;
}

/** The QoS 1 and 2 deliveries that are on the wire of this connection. */
const inFlight = (session: Session, attendance: Attendance): number =>
  session.outgoing.count - attendance.resend.length;

/**
 * A message for an ordinary subscription with QoS 0, or with QoS 1 or 2 to a session that ends with its connection.
 * `identifiers` are of the matching subscriptions, when the caller knows them.
 */
export function deliver(
  session: Session,
  message: Region,
  offset: number,
  qos: number,
  isRetain: boolean,
  identifiers: readonly number[] | undefined,
): void {
  const { host, attendance } = session;
  if (attendance === undefined || attendance.isClosing) {
    host.counters.droppedOffline += 1;
    return;
  }
  if (isExpired(message, offset, host.nowMs())) {
    host.counters.droppedExpired += 1;
    return;
  }
  if (qos === 0) {
    if (attendance.connection.isWritable)
      send(session, attendance, message, offset, 0, isRetain, false, 0, identifiers);
    else host.counters.droppedNotWritable += 1;
    return;
  }
  const hasWindow = inFlight(session, attendance) < attendance.window && attendance.connection.isWritable;
  if (session.inbox.length === 0 && hasWindow) {
    if (!fits(attendance, message, offset, qos, identifiers, host.nowMs())) {
      host.counters.droppedTooLarge += 1; // [MQTT-3.1.2-25]
      return;
    }
    const packetId = session.outgoing.claim(qos === 1 ? SENT_QOS1 : SENT_QOS2, IN_MEMORY, FROM_INBOX);
    send(session, attendance, message, offset, qos, isRetain, false, packetId, identifiers);
    return;
  }
  session.inbox.pushCopy(message, offset, totalBytes(message, offset), qos | (isRetain ? DELIVERY_RETAIN : 0));
  trimInbox(session);
}

/** A message that is on disk for this session. */
export function deliverStored(session: Session, position: number, messageBytes: number, flags: number): void {
  session.inbox.push(position, messageBytes, flags);
  trimInbox(session);
}

/** Drops the oldest while the inbox is beyond its bounds. */
function trimInbox(session: Session): void {
  const { host, inbox } = session;
  while (inbox.isBeyond(host.limits.queuedMessagesMax, host.limits.queuedBytesMax)) {
    const position = inbox.headPosition;
    inbox.shift();
    if (position !== IN_MEMORY) session.store?.settle(position);
    host.counters.droppedInboxFull += 1;
  }
}

/** A message that a queue chose this consumer for. */
export function deliverFromQueue(
  session: Session,
  attachment: Attachment,
  position: number,
  redelivered: boolean,
  message: Region,
  offset: number,
): void {
  const { attendance } = session;
  if (attendance === undefined || attendance.isClosing) return; // The queue takes it back with the attachment.
  if (attachment.isDraining) {
    session.host.settle(attachment, position, false); // Assigned before the queue knew: others take it.
    return;
  }
  const reason = attachment.held.length > 0 ? attachment.pauseReason : pauseReasonOf(session, attendance, attachment);
  if (attachment.held.length > 0 || reason !== null) {
    attachment.hold(position, redelivered, message, offset, totalBytes(message, offset));
    setPause(session, attachment, reason);
    return;
  }
  sendFromQueue(session, attendance, attachment, position, redelivered, message, offset);
  setPause(session, attachment, pauseReasonOf(session, attendance, attachment));
}

function pauseReasonOf(
  session: Session,
  attendance: Attendance,
  attachment: Attachment,
): "session_window_full" | "socket_full" | null {
  if (!attendance.connection.isWritable) return "socket_full";
  return attachment.qos === 1 && inFlight(session, attendance) >= attendance.window ? "session_window_full" : null;
}

function setPause(
  session: Session,
  attachment: Attachment,
  reason: "session_window_full" | "socket_full" | null,
): void {
  if (attachment.pauseReason === reason) return;
  attachment.pauseReason = reason;
  session.host.pause(attachment, reason);
}

function sendFromQueue(
  session: Session,
  attendance: Attendance,
  attachment: Attachment,
  position: number,
  redelivered: boolean,
  message: Region,
  offset: number,
): void {
  const { options } = attachment.subscription;
  const isRetain = options.retainAsPublished && (message.bytes[offset + 4]! & 0b100) !== 0;
  const identifiers = attachment.identifiers;
  attachment.unsettled += 1;
  if (attachment.qos === 0) {
    send(session, attendance, message, offset, 0, isRetain, false, 0, identifiers);
    attachment.written.push({ position, mark: attendance.connection.bytesReserved });
    attendance.connection.watchWritten(attendance.connection.bytesReserved);
    return;
  }
  const packetId = session.outgoing.claim(SENT_QOS1, position, attachment);
  send(session, attendance, message, offset, 1, isRetain, redelivered, packetId, identifiers);
}

/** QoS 0 consumers: settles what the kernel has taken, and watches for the rest. */
export function settleWritten(session: Session, attendance: Attendance): void {
  const taken = attendance.connection.bytesWritten;
  for (const attachment of session.attachments) {
    let settled = 0;
    for (const { position, mark } of attachment.written) {
      if (mark > taken) break;
      session.host.settle(attachment, position, true);
      settled += 1;
    }
    attachment.written.splice(0, settled);
    const next = attachment.written[0];
    if (next !== undefined) attendance.connection.watchWritten(next.mark);
  }
}

/** Sends what waits as far as window and socket allow: repeats first, then inbox and attachments in turn. */
export function pump(session: Session): void {
  const { attendance } = session;
  if (attendance === undefined || attendance.isClosing) return;
  while (attendance.resend.length > 0 && canSend(session, attendance)) {
    repeat(session, attendance, attendance.resend.shift()!);
  }
  if (attendance.resend.length > 0) return;
  if (attendance.recalls.length > 0) sendRetained(session, attendance);
  let isBusy = true;
  while (isBusy && canSend(session, attendance)) {
    isBusy = session.inbox.length > 0 && sendNext(session, attendance);
    for (const attachment of session.attachments) {
      if (!canSend(session, attendance)) break;
      const held = attachment.held.shift();
      if (held === undefined) continue;
      sendFromQueue(session, attendance, attachment, held.position, held.redelivered, held.message, 0);
      isBusy = true;
    }
  }
  for (const attachment of session.attachments) {
    const isClear = attachment.held.length === 0;
    if (attachment.pauseReason !== null || !isClear) {
      const reason = pauseReasonOf(session, attendance, attachment);
      setPause(session, attachment, reason ?? (isClear ? null : attachment.pauseReason));
    }
  }
}

/** Retained messages of new subscriptions, as fast as the client reads [MQTT-3.3.1-8]. */
function sendRetained(session: Session, attendance: Attendance): void {
  const recalls = attendance.recalls.splice(0);
  for (const recall of recalls) {
    const { subscription } = recall;
    const { options } = subscription;
    const identifiers = options.identifier === 0 ? undefined : [options.identifier];
    while (canSend(session, attendance) && session.subscriptions.get(subscription.filter) === subscription) {
      const message = recall.next();
      if (message === undefined) break;
      if (options.noLocal && clientIdOf(message, 0) === session.clientId) continue; // [MQTT-3.8.3-3]
      deliver(session, message, 0, Math.min(options.qos, qosOf(message, 0)), true, identifiers);
    }
    if (session.subscriptions.get(subscription.filter) !== subscription) recall.close();
    else if (!recall.isDone) attendance.recalls.push(recall);
  }
}

const canSend = (session: Session, attendance: Attendance): boolean =>
  attendance.connection.isWritable && inFlight(session, attendance) < attendance.window;

/** Takes the oldest of the inbox; returns true: something left the inbox. */
function sendNext(session: Session, attendance: Attendance): boolean {
  const { host, inbox } = session;
  const position = inbox.headPosition;
  const flags = inbox.headFlags;
  const copy = inbox.headRegion;
  const copyOffset = inbox.headOffset;
  inbox.shift();
  if (copy !== undefined) {
    found.region = copy;
    found.offset = copyOffset;
  } else if (session.store?.read(position, found) !== "found") {
    host.counters.droppedDamaged += 1;
    session.store?.settle(position);
    return true;
  }

  const qos = flags & DELIVERY_QOS_MASK;
  const identifiers = identifiersOf(session, found.region, found.offset);
  const expired = isExpired(found.region, found.offset, host.nowMs());
  if (expired || !fits(attendance, found.region, found.offset, qos, identifiers, host.nowMs())) {
    if (expired) host.counters.droppedExpired += 1;
    else host.counters.droppedTooLarge += 1;
    if (position !== IN_MEMORY) session.store?.settle(position);
    return true;
  }
  const packetId = session.outgoing.claim(qos === 1 ? SENT_QOS1 : SENT_QOS2, position, FROM_INBOX);
  const isRetain = (flags & DELIVERY_RETAIN) !== 0;
  send(session, attendance, found.region, found.offset, qos, isRetain, false, packetId, identifiers);
  return true;
}

/** Sends a delivery of an earlier connection again, with its own identifier [MQTT-4.4.0-1]. */
function repeat(session: Session, attendance: Attendance, packetId: number): void {
  const { outgoing, host } = session;
  const state = outgoing.stateOf(packetId);
  if (state === RELEASED) {
    const { connection } = attendance;
    const at = connection.reserve(4);
    writePubrel(connection.output, at, packetId, attendance.protocolLevel, 0);
    return;
  }
  const position = outgoing.positionOf(packetId);
  if (position === IN_MEMORY || session.store?.read(position, found) !== "found") {
    host.counters.droppedDamaged += position === IN_MEMORY ? 0 : 1;
    outgoing.finish(packetId);
    return;
  }
  const qos = state === SENT_QOS2 ? 2 : 1;
  send(session, attendance, found.region, found.offset, qos, false, true, packetId, undefined);
}

/** [MQTT-3.1.2-24] Whether the packet is within the client's Maximum Packet Size. */
function fits(
  attendance: Attendance,
  message: Region,
  offset: number,
  qos: number,
  identifiers: readonly number[] | undefined,
  nowMs: number,
): boolean {
  if (attendance.packetBytesMax === Infinity) return true;
  const expiryS = remainingExpiryS(message, offset, nowMs);
  return (
    publishBytesOf(message, offset, attendance.protocolLevel, qos, expiryS, identifiers) <= attendance.packetBytesMax
  );
}

function send(
  session: Session,
  attendance: Attendance,
  message: Region,
  offset: number,
  qos: number,
  isRetain: boolean,
  isDup: boolean,
  packetId: number,
  identifiers: readonly number[] | undefined,
): void {
  const { connection, protocolLevel } = attendance;
  const expiryS = protocolLevel === LEVEL_5 ? remainingExpiryS(message, offset, session.host.nowMs()) : NO_EXPIRY;
  const packetBytes = publishBytesOf(message, offset, protocolLevel, qos, expiryS, identifiers);
  if (qos === 0 && packetBytes > attendance.packetBytesMax) {
    session.host.counters.droppedTooLarge += 1;
    return;
  }
  const at = connection.reserve(packetBytes);
  writePublish(
    connection.output,
    at,
    message,
    offset,
    protocolLevel,
    qos,
    isRetain,
    isDup,
    packetId,
    expiryS,
    identifiers,
  );
}

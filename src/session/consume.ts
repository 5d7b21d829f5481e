/**
 * Server to client: messages of queues and of shared subscriptions, straight to the connection or held until window and socket have room. The queue is told
 * when they have none, so that it chooses others.
 */
import { HELD_AHEAD_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { PASSED } from "../frame/kinds.ts";
import { isRetain, qosOf, totalBytes } from "../frame/message.ts";
import type { Attachment } from "./attachment.ts";
import { SENT_QOS1, SENT_QOS2 } from "./outgoing.ts";
import { hasRetained } from "./recall.ts";
import { hasWindow, isExpired, send } from "./send.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";

type PauseReason = "session_window_full" | "socket_full" | null;

/** A message that a queue chose this consumer for. */
export function deliverFromQueue(
  session: Session,
  attachment: Attachment,
  position: number,
  redelivered: boolean,
  message: Region,
  offset: number,
): void {
  const { audience } = session;
  if (position === PASSED) {
    sendPassed(session, attachment, message, offset);
    return;
  }
  if (audience === undefined) return; // The queue takes it back with the attachment.
  if (attachment.isDraining) {
    session.host.decline(attachment, position); // Assigned before the queue knew: others take it.
    return;
  }
  const isFree = attachment.held.length === 0 && canSendFrom(session, audience, attachment);
  if (!isFree || !trySendFromQueue(session, audience, attachment, position, redelivered, message, offset)) {
    attachment.hold(position, redelivered, message, offset, totalBytes(message, offset));
  }
  setPause(session, attachment, pauseReasonOf(session, audience, attachment));
}

/** QoS 0 of a shared subscription: to the connection or nowhere. */
function sendPassed(session: Session, attachment: Attachment, message: Region, offset: number): void {
  const { audience, host } = session;
  if (attachment.isDraining && attachment.subscription.current === undefined) return; // Unsubscribed [MQTT-3.10.4-2].
  if (audience === undefined) {
    host.counters.droppedOffline += 1;
  } else if (isExpired(message, offset, host.nowMs())) {
    host.counters.droppedExpired += 1;
  } else if (audience.connection.isWritable) {
    const withRetain = attachment.subscription.options.retainAsPublished && isRetain(message, offset);
    send(session, audience, message, offset, 0, withRetain, false, 0, attachment.identifiers);
  } else {
    host.counters.droppedNotWritable += 1;
  }
}

const canSendFrom = (session: Session, attendance: Attendance, attachment: Attachment): boolean =>
  attendance.connection.isWritable && (attachment.qos === 0 || hasFreeWindow(session, attendance));

/** What is repeated goes first. What was taken over and could not be sent would be of no use to the other members. */
const hasFreeWindow = (session: Session, attendance: Attendance): boolean =>
  attendance.resend.length === 0 && hasWindow(session, attendance, session.adopting);

/**
 * A consumer whose session has no window is not chosen. Only while ordinary messages wait for that window, too, it holds a few: so that
 * there is something of the queue when it is its turn.
 */
function pauseReasonOf(session: Session, attendance: Attendance, attachment: Attachment): PauseReason {
  const { held, pauseReason } = attachment;
  if (!attendance.connection.isWritable) return "socket_full";
  if (canSendFrom(session, attendance, attachment)) return held.length === 0 ? null : pauseReason;
  const isContended = session.inbox.length > 0 || hasRetained(attendance);
  return isContended && held.length < HELD_AHEAD_MAX ? null : "session_window_full";
}

function setPause(session: Session, attachment: Attachment, reason: PauseReason): void {
  if (attachment.pauseReason === reason) return;
  attachment.pauseReason = reason;
  session.host.pause(attachment, reason);
}

/** False when the disk has no room for what it must keep first, or the window for what it keeps just now: a turn later they may. */
function trySendFromQueue(
  session: Session,
  attendance: Attendance,
  attachment: Attachment,
  position: number,
  redelivered: boolean,
  message: Region,
  offset: number,
): boolean {
  const withRetain = attachment.subscription.options.retainAsPublished && isRetain(message, offset);
  const { identifiers, isShared } = attachment;
  const qos = isShared ? Math.min(attachment.qos, qosOf(message, offset)) : attachment.qos; // [MQTT-4.8.2-3]
  if (qos === 2 && session.isDurable) {
    if (!hasFreeWindow(session, attendance)) return false;
    return session.host.tryAdopt(attachment, position, message, offset, withRetain);
  }
  attachment.unsettled += 1;
  if (qos === 0) {
    send(session, attendance, message, offset, 0, withRetain, false, 0, identifiers);
    attachment.written.push({ position, mark: attendance.connection.bytesReserved });
    attendance.connection.watchWritten(attendance.connection.bytesReserved);
    return true;
  }
  const packetId = session.outgoing.claim(qos === 1 ? SENT_QOS1 : SENT_QOS2, position, attachment);
  // Another member's identifier, or another connection's: no retransmission of that packet [MQTT-3.3.1-3].
  const isDup = redelivered && !isShared;
  send(session, attendance, message, offset, qos, withRetain, isDup, packetId, identifiers);
  return true;
}

/** Sends the oldest that the next attachment holds; false when none holds anything. */
export function sendNextHeld(session: Session, attendance: Attendance): boolean {
  const { attachments } = session;
  for (const attachment of attachments) {
    const [held] = attachment.held;
    if (held === undefined) continue;
    const { position, redelivered, message } = held;
    if (!trySendFromQueue(session, attendance, attachment, position, redelivered, message, 0)) continue;
    attachment.held.shift();
    attachments.delete(attachment); // The last in turn from here on.
    attachments.add(attachment);
    return true;
  }
  return false;
}

/** On a new connection whose window is taken by what comes again: nothing is given to it that the others have room for. */
export function beginPauses(session: Session, attendance: Attendance): void {
  for (const attachment of session.attachments)
    setPause(session, attachment, pauseReasonOf(session, attendance, attachment));
}

/** After a pump: who was paused and need not be any more goes on. */
export function endPauses(session: Session, attendance: Attendance): void {
  for (const attachment of session.attachments) {
    if (attachment.pauseReason !== null) setPause(session, attachment, pauseReasonOf(session, attendance, attachment));
  }
}

/** QoS 0 consumers: settles what the kernel has taken, and watches for the rest. */
export function settleWritten(session: Session, attendance: Attendance): void {
  const taken = attendance.connection.bytesWritten;
  for (const attachment of session.attachments) {
    const { written } = attachment;
    let settled = 0;
    while (settled < written.length && written[settled]!.mark <= taken) settled += 1;
    for (const { position } of written.splice(0, settled)) session.host.settle(attachment, position, true);
    const [next] = written;
    if (next !== undefined) attendance.connection.watchWritten(next.mark);
  }
}

/** The connection is about to end: what its consumers have goes back at once, not when the socket is gone. */
export function stopConsuming(session: Session): void {
  endExactlyOnce(session);
  for (const attachment of [...session.attachments]) session.host.detach(attachment);
}

/**
 * What was sent with QoS 2 to a member of a shared subscription whose session ends with its connection, and maybe came: nobody else
 * is sent it [MQTT-4.8.2-5].
 */
function endExactlyOnce(session: Session): void {
  const { outgoing, attachments, host } = session;
  let isSharing = false;
  for (const { isShared, qos } of attachments) isSharing ||= isShared && qos === 2;
  if (!isSharing) return;
  for (const packetId of outgoing.inOrder()) {
    const owner = outgoing.ownerOf(packetId);
    if (owner === FROM_INBOX || outgoing.stateOf(packetId) !== SENT_QOS2) continue;
    host.settle(owner, outgoing.positionOf(packetId), true);
  }
}

/**
 * Server to client: messages of queues, straight to the connection or held until window and socket have room. The queue is told
 * when they have none, so that it chooses others.
 */
import { HELD_AHEAD_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { isRetain, totalBytes } from "../frame/message.ts";
import type { Attachment } from "./attachment.ts";
import { SENT_QOS1 } from "./outgoing.ts";
import { hasRetained } from "./recall.ts";
import { hasWindow, send } from "./send.ts";
import type { Attendance, Session } from "./session.ts";

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
  if (audience === undefined) return; // The queue takes it back with the attachment.
  if (attachment.isDraining) {
    session.host.decline(attachment, position); // Assigned before the queue knew: others take it.
    return;
  }
  if (attachment.held.length > 0 || !canSendFrom(session, audience, attachment)) {
    attachment.hold(position, redelivered, message, offset, totalBytes(message, offset));
  } else {
    sendFromQueue(session, audience, attachment, position, redelivered, message, offset);
  }
  setPause(session, attachment, pauseReasonOf(session, audience, attachment));
}

const canSendFrom = (session: Session, attendance: Attendance, attachment: Attachment): boolean =>
  attendance.connection.isWritable && (attachment.qos === 0 || hasFreeWindow(session, attendance));

/** What is repeated goes first. */
const hasFreeWindow = (session: Session, attendance: Attendance): boolean =>
  attendance.resend.length === 0 && hasWindow(session, attendance);

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

function sendFromQueue(
  session: Session,
  attendance: Attendance,
  attachment: Attachment,
  position: number,
  redelivered: boolean,
  message: Region,
  offset: number,
): void {
  const withRetain = attachment.subscription.options.retainAsPublished && isRetain(message, offset);
  const { identifiers } = attachment;
  attachment.unsettled += 1;
  if (attachment.qos === 0) {
    send(session, attendance, message, offset, 0, withRetain, false, 0, identifiers);
    attachment.written.push({ position, mark: attendance.connection.bytesReserved });
    attendance.connection.watchWritten(attendance.connection.bytesReserved);
    return;
  }
  const packetId = session.outgoing.claim(SENT_QOS1, position, attachment);
  send(session, attendance, message, offset, 1, withRetain, redelivered, packetId, identifiers);
}

/** Sends the oldest that the next attachment holds; false when none holds anything. */
export function sendNextHeld(session: Session, attendance: Attendance): boolean {
  const { attachments } = session;
  for (const attachment of attachments) {
    const held = attachment.held.shift();
    if (held === undefined) continue;
    attachments.delete(attachment); // The last in turn from here on.
    attachments.add(attachment);
    sendFromQueue(session, attendance, attachment, held.position, held.redelivered, held.message, 0);
    return true;
  }
  return false;
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
  for (const attachment of [...session.attachments]) session.host.detach(attachment);
}

/**
 * Server to client: messages of queues, straight to the connection or held until window and socket have room. The queue is told
 * when they have none, so that it chooses others.
 */
import type { Region } from "../base/region.ts";
import { isRetain, totalBytes } from "../frame/message.ts";
import type { Attachment } from "./attachment.ts";
import { SENT_QOS1 } from "./outgoing.ts";
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
  const isBehind = attachment.held.length > 0;
  const reason = isBehind ? attachment.pauseReason : pauseReasonOf(session, audience, attachment);
  if (isBehind || reason !== null) {
    attachment.hold(position, redelivered, message, offset, totalBytes(message, offset));
    setPause(session, attachment, reason);
    return;
  }
  sendFromQueue(session, audience, attachment, position, redelivered, message, offset);
  setPause(session, attachment, pauseReasonOf(session, audience, attachment));
}

function pauseReasonOf(session: Session, attendance: Attendance, attachment: Attachment): PauseReason {
  if (!attendance.connection.isWritable) return "socket_full";
  const isFull = attendance.resend.length > 0 || !hasWindow(session, attendance); // What is repeated goes first.
  return attachment.qos === 1 && isFull ? "session_window_full" : null;
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

/** Sends the oldest that an attachment holds; false when it holds none. */
export function sendHeld(session: Session, attendance: Attendance, attachment: Attachment): boolean {
  const held = attachment.held.shift();
  if (held === undefined) return false;
  sendFromQueue(session, attendance, attachment, held.position, held.redelivered, held.message, 0);
  return true;
}

/** After a pump: who was paused and need not be any more goes on. */
export function endPauses(session: Session, attendance: Attendance): void {
  for (const attachment of session.attachments) {
    const isClear = attachment.held.length === 0;
    if (attachment.pauseReason === null && isClear) continue;
    const reason = pauseReasonOf(session, attendance, attachment);
    setPause(session, attachment, reason ?? (isClear ? null : attachment.pauseReason));
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

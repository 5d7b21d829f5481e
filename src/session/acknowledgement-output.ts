/**
 * PUBACK and PUBREC to a publisher, when they are due. MQTT 3 cannot say that a publish failed: its connection is closed instead,
 * without an acknowledgement, so that the client sends it again.
 */
import { ackBytesOf, writePuback, writePubrec } from "../mqtt/acks.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { type AcknowledgementKind, OWES_PUBACK, OWES_PUBREC } from "./acknowledgement-line.ts";
import { stopConsuming } from "./consume.ts";
import type { Attendance, Session } from "./session.ts";

export function emitAcknowledgement(
  session: Session,
  attendance: Attendance,
  kind: AcknowledgementKind,
  packetId: number,
  reasonCode: number,
): void {
  const isError = reasonCode >= 0x80;
  if (kind === OWES_PUBREC && !isError) session.inbound.stored(packetId);
  if (attendance.isClosing) return;
  const { connection, protocolLevel } = attendance;
  if (isError && protocolLevel !== LEVEL_5) {
    stopConsuming(session);
    session.host.closeAfterPause(session, attendance);
    return;
  }
  const at = connection.reserve(ackBytesOf(protocolLevel, reasonCode));
  if (kind === OWES_PUBACK) writePuback(connection.output, at, packetId, protocolLevel, reasonCode);
  else writePubrec(connection.output, at, packetId, protocolLevel, reasonCode);
}

/**
 * The identifier is free again [MQTT-4.3.3-9], also where the message was stored: its next one may be another. Told also when a
 * disk could not forget it: an error does not wait for the disk that made it.
 */
export function forgetRefused(session: Session, packetId: number, done: () => void): void {
  const isKnown = session.inbound.delete(packetId);
  if (isKnown && session.isDurable) session.host.release(session, packetId, done);
  else done();
}

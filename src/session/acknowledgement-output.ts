/**
 * PUBACK and PUBREC to a publisher, when they are due. MQTT 3 cannot say that a publish failed: its connection is closed instead,
 * without an acknowledgement, so that the client sends it again.
 */
import { ackBytesOf, writePuback, writePubrec } from "../mqtt/acks.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { type AcknowledgementKind, OWES_PUBACK, OWES_PUBREC } from "./acknowledgement-line.ts";
import type { Attendance, Session } from "./session.ts";

export function emitAcknowledgement(
  session: Session,
  attendance: Attendance,
  kind: AcknowledgementKind,
  packetId: number,
  reasonCode: number,
): void {
  const isError = reasonCode >= 0x80;
  if (isError && kind === OWES_PUBREC) session.inboundIds.delete(packetId); // [MQTT-4.3.3-9]
  if (attendance.isClosing) return;
  const { connection, protocolLevel } = attendance;
  if (isError && protocolLevel !== LEVEL_5) {
    session.host.closeAfterPause(session, attendance);
    return;
  }
  const at = connection.reserve(ackBytesOf(protocolLevel, reasonCode));
  if (kind === OWES_PUBACK) writePuback(connection.output, at, packetId, protocolLevel, reasonCode);
  else writePubrec(connection.output, at, packetId, protocolLevel, reasonCode);
}

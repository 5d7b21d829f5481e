/**
 * The end of a connection, by either side, and what it leaves of the session.
 *
 * ```
 *   DISCONNECT 0x00 ──► no will ──┐
 *   anything else   ──► will    ──┴──► expiry 0: the session ends · else: it stays away, on disk
 * ```
 */
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import type { DisconnectPacket } from "../mqtt/packets.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { stopConsuming } from "./consume.ts";
import { expirySecondsOf } from "./expiry.ts";
import { closeRecalls } from "./recall.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";
import { sendRare } from "./subscribe.ts";

/** The server ends the connection: v5 clients are told why [MQTT-4.13.1-1]. The will is published: this is no clean end. */
export function disconnect(session: Session, attendance: Attendance, reasonCode: number): void {
  if (attendance.isClosing) return;
  if (attendance.protocolLevel === LEVEL_5 && attendance.isGreeted) {
    sendRare(attendance, { kind: "disconnect", reasonCode });
  }
  endConnection(session, attendance);
}

function endConnection(session: Session, attendance: Attendance): void {
  attendance.isClosing = true;
  stopConsuming(session);
  attendance.connection.end();
}

/** The client's DISCONNECT. */
export function onDisconnectPacket(session: Session, attendance: Attendance, packet: DisconnectPacket): void {
  if (packet.sessionExpiryIntervalS !== undefined) {
    if (session.expiryS === 0 && packet.sessionExpiryIntervalS !== 0) {
      disconnect(session, attendance, ReasonCode.protocolError); // [MQTT-3.14.2-2]
      return;
    }
    session.expiryS = expirySecondsOf(packet.sessionExpiryIntervalS);
  }
  if (packet.reasonCode === ReasonCode.normalDisconnection) session.will = undefined; // [MQTT-3.14.4-3]
  endConnection(session, attendance);
}

/** The connection is gone, whoever ended it. Queues take back what was in flight; the rest stays or ends with the session. */
export function onClosed(session: Session, attendance: Attendance): void {
  if (session.attendance !== attendance) return; // Taken over: the session has gone on.
  leave(session, attendance);
  const { host, will } = session;
  if (will !== undefined) host.scheduleWill(session, Math.min(will.delayS, session.expiryS));
  if (session.expiryS === 0) host.end(session);
  else host.save(session, undefined);
}

/** Parts session and connection: everything that belonged to the connection goes. */
export function leave(session: Session, attendance: Attendance): void {
  const { host, outgoing } = session;
  attendance.isClosing = true;
  host.closeOrigin(attendance.origin);
  session.inbound.onConnectionGone();
  session.belongings.onLeft();
  host.unwatchKeepAlive(attendance);
  closeRecalls(session, attendance);
  stopConsuming(session);
  for (const packetId of outgoing.inOrder()) {
    if (outgoing.ownerOf(packetId) !== FROM_INBOX || !session.isDurable) outgoing.finish(packetId);
  }
  session.awaySinceMs = host.nowMs();
  session.attendance = undefined;
}

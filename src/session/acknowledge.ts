/**
 * Client to server: PUBACK, PUBREC and PUBCOMP of what was delivered to it.
 *
 * An identifier that this connection was not sent is ignored and counted: clients acknowledge old jobs on new connections.
 */
import { writePubrel } from "../mqtt/acks.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { pump } from "./deliver.ts";
import { giveUp, releaseExactlyOnce, sendPubrel } from "./exactly-once.ts";
import { IN_MEMORY } from "./inbox.ts";
import { RELEASED, RELEASING, SENT_QOS1, SENT_QOS2 } from "./outgoing.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";

export function onPuback(session: Session, attendance: Attendance, packetId: number, reasonCode: number): void {
  const { outgoing, host } = session;
  if (outgoing.stateOf(packetId) !== SENT_QOS1 || isUnsent(attendance, packetId)) {
    host.counters.unknownAcknowledgements += 1;
    return;
  }
  const owner = outgoing.ownerOf(packetId);
  const position = outgoing.positionOf(packetId);
  outgoing.finish(packetId);
  if (owner !== FROM_INBOX)
    host.settle(owner, position, reasonCode < 0x80 || owner.isShared); // [MQTT-4.8.2-6]
  else if (position !== IN_MEMORY) session.store?.settle(position);
  pump(session);
}

export function onPubrec(session: Session, attendance: Attendance, packetId: number, reasonCode: number): void {
  const { outgoing, host } = session;
  const state = outgoing.stateOf(packetId);
  if (state === RELEASING) return; // PUBREL is on its way.
  const isKnown = state === SENT_QOS2 || state === RELEASED;
  if (!isKnown || isUnsent(attendance, packetId)) {
    host.counters.unknownAcknowledgements += 1;
    const isForeign = !isKnown && reasonCode < 0x80;
    if (isForeign) answerUnknown(attendance, packetId);
    return;
  }
  if (state === RELEASED) {
    if (reasonCode < 0x80) sendPubrel(session, attendance, packetId);
    return;
  }
  const owner = outgoing.ownerOf(packetId);
  const position = outgoing.positionOf(packetId);
  if (owner === FROM_INBOX && position !== IN_MEMORY) {
    const again = (): void => {
      const isSame = session.attendance === attendance && outgoing.stateOf(packetId) === SENT_QOS2;
      if (isSame && outgoing.positionOf(packetId) === position) onPubrec(session, attendance, packetId, reasonCode);
    };
    if (session.store?.whenForgotten(position, again) === true) return; // After a crash it must be known who has it.
  }
  if (owner !== FROM_INBOX)
    host.settle(owner, position, true); // [MQTT-4.8.2-6]: also when it refuses it.
  else if (position !== IN_MEMORY) session.store?.settle(position); // The client has it: from here on it is never sent again.
  if (reasonCode >= 0x80) {
    giveUp(session, packetId); // [MQTT-4.3.3-4]: refused, the identifier is free.
    pump(session);
  } else if (session.isDurable) {
    releaseExactlyOnce(session, packetId);
  } else {
    sendPubrel(session, attendance, packetId);
  }
}

export function onPubcomp(session: Session, attendance: Attendance, packetId: number): void {
  const { outgoing, host } = session;
  if (outgoing.stateOf(packetId) !== RELEASED || isUnsent(attendance, packetId)) {
    host.counters.unknownAcknowledgements += 1;
    return;
  }
  giveUp(session, packetId);
  pump(session);
}

/** In flight from an earlier connection and not yet repeated on this one. */
const isUnsent = (attendance: Attendance, packetId: number): boolean =>
  attendance.resend.length > 0 && attendance.resend.includes(packetId);

/** PUBREL for an identifier that stands for nothing here, so that the client frees it. */
function answerUnknown(attendance: Attendance, packetId: number): void {
  const { connection, protocolLevel } = attendance;
  const code = protocolLevel === LEVEL_5 ? ReasonCode.packetIdentifierNotFound : 0;
  const at = connection.reserve(code === 0 ? 4 : 5);
  writePubrel(connection.output, at, packetId, protocolLevel, code);
}

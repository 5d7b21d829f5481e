/**
 * PUBLISH to a client: whether it may be sent now, what it takes, and its bytes.
 */
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, payloadBytesOf } from "../frame/message.ts";
import { publishBytesOf, writePublish } from "../mqtt/encoder.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import type { Attendance, Session } from "./session.ts";

const NO_EXPIRY = -1;

/** Whole seconds of life left, at least 1 [MQTT-3.3.2-6]; -1 = does not expire. */
function remainingExpiryS(message: Region, offset: number, nowMs: number): number {
  const expiresAtMs = expiresAtMsOf(message, offset);
  return expiresAtMs === 0 ? NO_EXPIRY : Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000));
}

export const isExpired = (message: Region, offset: number, nowMs: number): boolean => {
  const expiresAtMs = expiresAtMsOf(message, offset);
  return expiresAtMs !== 0 && expiresAtMs <= nowMs; // [MQTT-3.3.2-5]
};

/** Whether the window of QoS 1 and 2 deliveries has room, beside so many to come; what waits to be repeated has not taken its place yet. */
export const hasWindow = (session: Session, attendance: Attendance, coming = 0): boolean =>
  session.outgoing.count - attendance.resend.length + coming < attendance.window; // [MQTT-3.3.4-9]

export const canSend = (session: Session, attendance: Attendance): boolean =>
  attendance.connection.isWritable && hasWindow(session, attendance, session.adopting);

/** [MQTT-3.1.2-24] Whether the packet is within the client's Maximum Packet Size. */
export function fits(
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

export function send(
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
  const { topicAliases } = attendance;
  let alias = 0;
  let isKnown = false;
  if (topicAliases !== undefined) {
    topicAliases.look(message, offset);
    ({ alias, isKnown } = topicAliases);
  }
  let packetBytes = publishBytesOf(message, offset, protocolLevel, qos, expiryS, identifiers, alias, isKnown);
  if (alias !== 0 && !isKnown && packetBytes > attendance.packetBytesMax) {
    alias = 0; // It fits without.
    packetBytes = publishBytesOf(message, offset, protocolLevel, qos, expiryS, identifiers);
  }
  if (qos === 0 && packetBytes > attendance.packetBytesMax) {
    session.host.counters.droppedTooLarge += 1;
    return;
  }
  if (alias !== 0 && !isKnown) topicAliases?.take(message, offset);
  const { counters } = session.host;
  counters.publishesSent += 1;
  counters.publishBytesSent += payloadBytesOf(message, offset);
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
    alias,
    isKnown,
  );
}

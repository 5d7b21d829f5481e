/**
 * The packets of a connected client, by type. What a client may not send, and a second CONNECT, ends the connection.
 */
import { Region } from "../base/region.ts";
import { AckView, PINGRESP_BYTES, writePingresp } from "../mqtt/acks.ts";
import { isPingreq, PacketType, packetTypeOf } from "../mqtt/packet-type.ts";
import type { DisconnectPacket } from "../mqtt/packets.ts";
import { decodeRare } from "../mqtt/rare.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { onPuback, onPubcomp, onPubrec } from "./acknowledge.ts";
import { disconnect, onDisconnectPacket } from "./disconnect.ts";
import { onPublish, onPubrel } from "./publish.ts";
import type { Attendance, Session } from "./session.ts";
import { hasSharedNoLocal, onSubscribe, onUnsubscribe } from "./subscribe.ts";

const acknowledgement = new AckView();

/** The first byte of a DISCONNECT; without a body it is how nearly every connection ends [MQTT-3.14.1-1]. */
const PLAIN_DISCONNECT = 0xe0;
const NORMAL_DISCONNECTION: DisconnectPacket = {
  kind: "disconnect",
  reasonCode: ReasonCode.normalDisconnection,
  sessionExpiryIntervalS: undefined,
  reasonString: undefined,
  userProperties: [],
};

/** Takes one whole packet. Called by the connection; the bytes are its own. */
export function onPacket(session: Session, attendance: Attendance, region: Region, start: number, end: number): void {
  if (attendance.isClosing) return;
  const { host } = session;
  host.counters.packetsReceived += 1;
  host.counters.bytesReceived += end - start;
  attendance.lastReceivedMs = host.nowMs();
  const type = packetTypeOf(region.bytes, start);
  if (type === PacketType.publish) {
    receivePublish(session, attendance, region, start, end);
    return;
  }
  if (type >= PacketType.puback && type <= PacketType.pubcomp) {
    receiveAcknowledgement(session, attendance, region, start, end, type);
    return;
  }
  if (type === PacketType.pingreq) {
    if (!isPingreq(region.bytes, start, end)) {
      disconnect(session, attendance, ReasonCode.malformedPacket);
      return;
    }
    const at = attendance.connection.reserve(PINGRESP_BYTES);
    writePingresp(attendance.connection.output, at); // [MQTT-3.12.4-1]
    return;
  }
  receiveRare(session, attendance, region, start, end);
}

function receivePublish(session: Session, attendance: Attendance, region: Region, start: number, end: number): void {
  const taken = onPublish(session, attendance, region, start, end);
  if (taken === "taken") return;
  if (taken !== "later") {
    disconnect(session, attendance, taken);
    return;
  }
  const deferred = Region.allocate(end - start);
  region.bytes.copy(deferred.bytes, 0, start, end);
  attendance.deferred = deferred;
  attendance.connection.pauseReading();
  session.host.park(session);
}

/** Tries a deferred PUBLISH again; true when reading goes on. */
export function retryDeferred(session: Session, attendance: Attendance): boolean {
  const { deferred } = attendance;
  if (deferred === undefined) return true;
  const taken = onPublish(session, attendance, deferred, 0, deferred.bytes.length);
  if (taken === "later") return false;
  attendance.deferred = undefined;
  if (taken !== "taken") disconnect(session, attendance, taken);
  else attendance.connection.resumeReading();
  return true;
}

function receiveAcknowledgement(
  session: Session,
  attendance: Attendance,
  region: Region,
  start: number,
  end: number,
  type: number,
): void {
  const fault = acknowledgement.parse(region, start, end, attendance.protocolLevel);
  if (fault !== 0) {
    disconnect(session, attendance, fault);
    return;
  }
  const { packetId, reasonCode } = acknowledgement;
  if (type === PacketType.puback) onPuback(session, attendance, packetId, reasonCode);
  else if (type === PacketType.pubrec) onPubrec(session, attendance, packetId, reasonCode);
  else if (type === PacketType.pubrel) onPubrel(session, attendance, packetId);
  else onPubcomp(session, attendance, packetId);
}

function receiveRare(session: Session, attendance: Attendance, region: Region, start: number, end: number): void {
  const type = packetTypeOf(region.bytes, start);
  const isKnown = type === PacketType.subscribe || type === PacketType.unsubscribe || type >= PacketType.disconnect;
  if (!isKnown) {
    disconnect(session, attendance, ReasonCode.protocolError); // [MQTT-3.1.0-2]
    return;
  }
  if (region.bytes[start] === PLAIN_DISCONNECT && end - start === 2) {
    onDisconnectPacket(session, attendance, NORMAL_DISCONNECTION);
    return;
  }
  const decoded = decodeRare(region.bytes, start, end, attendance.protocolLevel as 3 | 4 | 5);
  if (decoded.fault !== undefined) {
    disconnect(session, attendance, decoded.fault);
    return;
  }
  const { packet } = decoded;
  if (packet.kind === "subscribe" && hasSharedNoLocal(packet))
    disconnect(session, attendance, ReasonCode.protocolError);
  else if (packet.kind === "subscribe") onSubscribe(session, attendance, packet);
  else if (packet.kind === "unsubscribe") onUnsubscribe(session, attendance, packet);
  else if (packet.kind === "disconnect") onDisconnectPacket(session, attendance, packet);
  else disconnect(session, attendance, ReasonCode.protocolError); // No AUTH without a method [MQTT-4.12.0-7].
}

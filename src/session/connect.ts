/**
 * CONNECT: judges who it is, finds or makes the session, takes it over from an older connection, answers CONNACK.
 *
 * ```
 *   CONNECT ─► authenticated ─► old connection of this client ID: DISCONNECT 0x8E, its will ─► clean start: the old session ends
 *           ─► the session is on disk, if it outlives the connection ─► CONNACK ─► what waits
 * ```
 *
 * Nothing more is read from the client until CONNACK is written, so that CONNACK is the first packet it sees.
 */
import type { Identity } from "../access/authorization.ts";
import { KEEP_ALIVE_FACTOR, PACKET_BYTES_MAX } from "../base/limits.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import type { ConnectPacket } from "../mqtt/packets.ts";
import { encodeRare } from "../mqtt/rare.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { AcknowledgementLine } from "./acknowledgement-line.ts";
import { emitAcknowledgement, forgetRefused } from "./acknowledgement-output.ts";
import { mayKeep, willBytesOf } from "./belongings.ts";
import { beginPauses } from "./consume.ts";
import { pump } from "./deliver.ts";
import { disconnect, leave } from "./disconnect.ts";
import { expirySecondsOf } from "./expiry.ts";
import { greetingOf } from "./greeting.ts";
import type { ClientConnection, SessionHost } from "./ports.ts";
import { identify, mayPublishTo } from "./rights.ts";
import type { Attendance, Session } from "./session.ts";
import { TopicAliases } from "./topic-aliases.ts";

const NO_BYTES = Buffer.alloc(0);
const textBytes = (text: string | undefined): Buffer => (text === undefined ? NO_BYTES : Buffer.from(text));

/** Answers CONNACK with an error and closes [MQTT-3.1.4-6]. */
export function refuse(connection: ClientConnection, protocolLevel: number, reasonCode: number): void {
  const packet = { kind: "connack", isSessionPresent: false, reasonCode } as const; // [MQTT-3.2.2-6]
  const bytes = encodeRare(packet, protocolLevel as 3 | 4 | 5);
  const at = connection.reserve(bytes.length);
  connection.output.bytes.set(bytes, at);
  connection.end();
}

/** Judges a good CONNECT: refuses it, or calls `admitted` with the user that it was proven to be, if any; at once or later. */
export function admit(
  host: SessionHost,
  connection: ClientConnection,
  packet: ConnectPacket,
  assignedClientId: string,
  admitted: (user: string | undefined) => void,
): void {
  if (packet.authenticationMethod !== undefined) {
    refuse(connection, packet.protocolLevel, ReasonCode.badAuthenticationMethod); // [MQTT-4.12.0-1]
    return;
  }
  connection.pauseReading();
  const { username, password } = packet;
  const clientId = packet.clientId === "" ? assignedClientId : packet.clientId;
  const { address, listener, certificateCommonName } = connection.identity;
  const certificateUser = certificateCommonName ?? undefined;
  host.access.authenticator.authenticate(
    { clientId, username, password, certificateUser, address, listener },
    (verdict) => {
      const fault =
        verdict.kind === "refused"
          ? verdict.reasonCode
          : admissionFaultOf(host, packet, { clientId, user: verdict.user, address });
      if (verdict.kind === "accepted" && fault === undefined) {
        admitted(verdict.user);
        return;
      }
      host.counters.refusedConnections += 1;
      refuse(connection, packet.protocolLevel, fault!); // [MQTT-3.1.4-2]
    },
  );
}

/** Why a client that is known must not come in; undefined when it may. */
function admissionFaultOf(host: SessionHost, packet: ConnectPacket, identity: Identity): number | undefined {
  const { will } = packet;
  if (!mayKeep(0, willBytesOf(will) + nameBytesOf(identity, packet), host.limits.belongingsBytesMax)) {
    return ReasonCode.quotaExceeded;
  }
  const present = host.find(identity.clientId);
  const isThere = present !== undefined && (present.isConnected || present.expiryS > 0); // Else it is about to end.
  if (!isThere && host.sessionCount >= host.limits.sessionsMax && expiryOf(host, packet) > 0) {
    return ReasonCode.quotaExceeded;
  }
  if (isThere && present.owner !== undefined && present.owner !== identity.user) return ReasonCode.notAuthorized;
  if (will === undefined || mayPublishTo(host.access.rightsOf(identity), will.topic)) return undefined;
  host.counters.deniedPublishes += 1;
  return ReasonCode.notAuthorized;
}

/**
 * Takes a CONNECT that was admitted. `assignedClientId` is the one for a client that sent none. `attended` gets the session and its
 * attendance as soon as they exist, before CONNACK.
 */
export function onConnect(
  host: SessionHost,
  connection: ClientConnection,
  packet: ConnectPacket,
  assignedClientId: string,
  user: string | undefined,
  attended: (session: Session, attendance: Attendance) => void,
): void {
  const clientId = packet.clientId === "" ? assignedClientId : packet.clientId;
  const present = takeOver(host, clientId, packet.isCleanStart);
  const session = present ?? host.begin(clientId);
  host.cancelWill(session);
  identify(session, { clientId, user, address: connection.identity.address });
  session.expiryS = expiryOf(host, packet);
  session.will =
    packet.will === undefined
      ? undefined
      : {
          ...packet.will,
          protocolLevel: packet.protocolLevel,
          sender: { user: user ?? null, address: connection.identity.address },
        };
  session.awaySinceMs = 0;
  session.belongings.onAttended(nameBytesOf({ clientId, user }, packet));
  const attendance = attend(session, connection, packet, user);
  attended(session, attendance);

  const answer = (fault: "stored" | "failed"): void => {
    if (session.attendance !== attendance || attendance.isClosing) return;
    if (fault === "failed") {
      session.will = undefined;
      leave(session, attendance);
      if (present === undefined) host.end(session);
      else host.save(session, undefined);
      refuse(connection, packet.protocolLevel, ReasonCode.implementationSpecificError);
      return;
    }
    const assigned = packet.clientId === "" ? clientId : undefined;
    if (!trySendConnack(host, attendance, packet, present !== undefined, assigned)) {
      session.will = undefined;
      disconnect(session, attendance, ReasonCode.packetTooLarge);
      return;
    }
    attendance.isGreeted = true;
    if (present !== undefined) resume(session, attendance);
    connection.resumeReading();
  };
  const isLasting = session.expiryS > 0 || session.isDurable;
  let awaited = isLasting ? 2 : 1;
  const done = (outcome: "stored" | "failed"): void => {
    awaited -= 1;
    if (outcome === "failed" || awaited === 0) answer(outcome);
  };
  if (isLasting) host.save(session, done);
  host.whenForgotten(clientId, done); // Else a crash could bring back what the client believes gone [MQTT-3.1.2-4].
}

const nameBytesOf = ({ clientId, user }: Pick<Identity, "clientId" | "user">, { username }: ConnectPacket): number =>
  clientId.length + (user ?? username ?? "").length;

/** Ends an older connection of this client; gives its session if it is to go on. */
function takeOver(host: SessionHost, clientId: string, isCleanStart: boolean): Session | undefined {
  const session = host.find(clientId);
  if (session === undefined) return undefined;
  const { attendance, will } = session;
  if (attendance !== undefined) {
    disconnect(session, attendance, ReasonCode.sessionTakenOver); // [MQTT-3.1.4-3]
    leave(session, attendance);
    if (isCleanStart || will?.delayS === 0 || session.expiryS === 0) host.scheduleWill(session, 0);
    session.will = undefined;
  }
  if (!isCleanStart && session.expiryS > 0) return session;
  host.end(session); // [MQTT-3.1.2-4]
  return undefined;
}

function expiryOf(host: SessionHost, packet: ConnectPacket): number {
  if (packet.protocolLevel === LEVEL_5) return expirySecondsOf(packet.sessionExpiryIntervalS);
  return packet.isCleanStart ? 0 : host.limits.level3ExpiryS;
}

function keepAliveSecondsOf(host: SessionHost, packet: ConnectPacket): number {
  const { keepAliveMaxS } = host.limits;
  const isBeyond = keepAliveMaxS !== 0 && (packet.keepAliveS === 0 || packet.keepAliveS > keepAliveMaxS);
  return packet.protocolLevel === LEVEL_5 && isBeyond ? keepAliveMaxS : packet.keepAliveS;
}

function attend(
  session: Session,
  connection: ClientConnection,
  packet: ConnectPacket,
  user: string | undefined,
): Attendance {
  const { host } = session;
  const isLevel5 = packet.protocolLevel === LEVEL_5;
  const line = new AcknowledgementLine(
    host.limits.receiveMaximum,
    (kind, packetId, reasonCode) => emitAcknowledgement(session, attendance, kind, packetId, reasonCode),
    (packetId, done) => forgetRefused(session, packetId, done),
  );
  const attendance: Attendance = {
    connection,
    protocolLevel: packet.protocolLevel,
    isBridge: packet.isBridge,
    line,
    origin: host.openOrigin(line),
    window: isLevel5 ? Math.min(packet.receiveMaximum, host.limits.inFlightMax) : host.limits.inFlightMax,
    packetBytesMax:
      packet.maximumPacketBytes >= PACKET_BYTES_MAX ? Number.POSITIVE_INFINITY : packet.maximumPacketBytes,
    unreleasedBefore: session.inbound.size,
    keepAliveMs: keepAliveSecondsOf(host, packet) * 1000 * KEEP_ALIVE_FACTOR, // [MQTT-3.1.2-22]
    user,
    usernameBytes: textBytes(user ?? packet.username),
    peerBytes: Buffer.from(connection.peer),
    aliases: [],
    topicAliases: packet.topicAliasMaximum === 0 ? undefined : new TopicAliases(packet.topicAliasMaximum),
    lastReceivedMs: host.nowMs(),
    silentSinceBytes: -1,
    resend: [],
    toRecall: [],
    recalls: [],
    waitingRecalls: new Set(),
    keepAlive: undefined,
    deferred: undefined,
    turn: 0,
    isGreeted: false,
    isClosing: false,
  };
  session.attendance = attendance;
  host.watchKeepAlive(session, attendance);
  return attendance;
}

/** False when it is larger than the client takes: there is nothing that it can be told then [MQTT-3.1.2-24]. */
function trySendConnack(
  host: SessionHost,
  attendance: Attendance,
  packet: ConnectPacket,
  isSessionPresent: boolean,
  assignedClientId: string | undefined,
): boolean {
  const { connection } = attendance;
  const { limits } = host;
  const keepAliveS = keepAliveSecondsOf(host, packet);
  const bytes = greetingOf(limits, {
    protocolLevel: packet.protocolLevel,
    isSessionPresent,
    assignedClientId,
    serverKeepAliveS: keepAliveS === packet.keepAliveS ? undefined : keepAliveS,
  });
  if (bytes.length > attendance.packetBytesMax) return false;
  const at = connection.reserve(bytes.length);
  connection.output.bytes.set(bytes, at);
  return true;
}

/** What the client has not finished comes again; its queues are attached anew; then what waits. */
function resume(session: Session, attendance: Attendance): void {
  attendance.resend = session.outgoing.inOrder(); // [MQTT-4.4.0-1]
  for (const subscription of session.subscriptions.values()) {
    if (subscription.attachment !== undefined) session.host.attach(subscription.attachment);
  }
  beginPauses(session, attendance);
  pump(session);
}

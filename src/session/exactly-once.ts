/**
 * QoS 2 deliveries to a session that outlives its connection: the identifier is on disk before its PUBLISH is sent, and its release
 * before its PUBREL is, so that a crash of the broker never makes the client take one message for two.
 *
 * ```
 *   claim ─► CLAIMED ──on disk──► PUBLISH ─► SENT ──PUBREC──► RELEASING ──on disk──► PUBREL ─► RELEASED ──PUBCOMP──► free
 * ```
 */
import type { Region } from "../base/region.ts";
import { writePubrel } from "../mqtt/acks.ts";
import { identifiersOf } from "./identifiers.ts";
import { DELIVERY_RETAIN, IN_MEMORY } from "./inbox.ts";
import { CLAIMED, RELEASED, RELEASING, SENT_QOS2 } from "./outgoing.ts";
import type { StoredMessage } from "./ports.ts";
import { mayBeGiven } from "./rights.ts";
import { fits, send } from "./send.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";
import { endDelivery } from "./share-tag.ts";

const found: StoredMessage = { region: undefined as unknown as Region, offset: 0 };

/**
 * Takes an identifier and sends the message when that is on disk; `goOn` when all that were taken are sent. `message`: of one that is
 * not in the store; it is kept.
 */
export function claimExactlyOnce(
  session: Session,
  position: number,
  flags: number,
  message: Region | undefined,
  goOn: (session: Session) => void,
): void {
  const packetId = session.outgoing.claim(CLAIMED, position, FROM_INBOX, flags, message);
  keepClaim(session, packetId, goOn);
}

function keepClaim(session: Session, packetId: number, goOn: (session: Session) => void): void {
  const { outgoing, host } = session;
  const position = outgoing.positionOf(packetId);
  host.keepOutbound(session, packetId, SENT_QOS2, position, (outcome) => {
    if (!session.isDurable || outgoing.stateOf(packetId) !== CLAIMED) return; // It has ended, or went with those repeated.
    if (outcome === "failed") {
      keepClaim(session, packetId, goOn);
      return;
    }
    const { audience } = session;
    if (audience === undefined || audience.resend.includes(packetId)) return; // It goes with those repeated.
    sendClaimed(session, audience, packetId, false);
    if (outgoing.claimed === 0 && session.inbox.length > 0) goOn(session); // What must not overtake it has waited.
  });
}

/** Sends a delivery whose identifier is taken; `isDup`: again. Gives it up when the message is gone or too large by now. */
export function sendClaimed(session: Session, attendance: Attendance, packetId: number, isDup: boolean): void {
  const { outgoing, host } = session;
  const position = outgoing.positionOf(packetId);
  const kept = outgoing.messageOf(packetId);
  if (kept !== undefined) {
    found.region = kept;
    found.offset = 0;
  } else if (position === IN_MEMORY || session.store?.read(position, found) !== "found") {
    if (position !== IN_MEMORY) host.counters.droppedDamaged += 1;
    giveUp(session, packetId);
    return;
  }
  if (session.rights !== undefined && !mayBeGiven(session, found.region, found.offset)) {
    host.counters.deniedDeliveries += 1;
    drop(session, packetId, position);
    return;
  }
  const state = outgoing.stateOf(packetId);
  const qos = state === CLAIMED || state === SENT_QOS2 ? 2 : 1;
  const flags = outgoing.flagsOf(packetId);
  const identifiers = identifiersOf(session, found.region, found.offset, flags, position, Number.POSITIVE_INFINITY);
  if (!fits(attendance, found.region, found.offset, qos, identifiers, host.nowMs())) {
    host.counters.droppedTooLarge += 1;
    drop(session, packetId, position);
    return;
  }
  const withRetain = (flags & DELIVERY_RETAIN) !== 0;
  send(session, attendance, found.region, found.offset, qos, withRetain, isDup, packetId, identifiers);
  if (state === CLAIMED) outgoing.advance(packetId, SENT_QOS2);
}

/** A delivery that its client is not given, or not again: message and identifier go together. */
function drop(session: Session, packetId: number, position: number): void {
  const { outgoing, store } = session;
  const again = (): void => {
    const isSame = session.isDurable && outgoing.isExactlyOnce(packetId) && outgoing.positionOf(packetId) === position;
    if (isSame) drop(session, packetId, position);
  };
  if (position !== IN_MEMORY) {
    if (store?.whenForgotten(position, again) === true) return;
    store?.settle(position);
  }
  giveUp(session, packetId);
}

/** PUBREC came: the message is the client's. PUBREL is sent when that is on disk. */
export function releaseExactlyOnce(session: Session, packetId: number): void {
  const { outgoing, host } = session;
  const position = outgoing.positionOf(packetId);
  outgoing.advance(packetId, RELEASING);
  host.keepOutbound(session, packetId, RELEASED, position, (outcome) => {
    if (!session.isDurable || outgoing.stateOf(packetId) !== RELEASING) return;
    if (outcome === "failed") {
      releaseExactlyOnce(session, packetId);
      return;
    }
    const { audience } = session;
    if (audience === undefined || audience.resend.includes(packetId)) return;
    sendPubrel(session, audience, packetId);
  });
}

export function sendPubrel(session: Session, attendance: Attendance, packetId: number): void {
  const { connection, protocolLevel } = attendance;
  session.outgoing.advance(packetId, RELEASED);
  const at = connection.reserve(4);
  writePubrel(connection.output, at, packetId, protocolLevel, 0);
}

/** An identifier that stands for nothing any more. */
export function giveUp(session: Session, packetId: number): void {
  const { outgoing, host } = session;
  const isKept = session.isDurable && outgoing.isExactlyOnce(packetId);
  const flags = outgoing.flagsOf(packetId);
  outgoing.finish(packetId);
  endDelivery(session, flags);
  if (isKept) host.forgetOutbound(session, packetId);
}

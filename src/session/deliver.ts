/**
 * Server to client: ordinary messages, straight or through the inbox.
 *
 * QoS 0 goes to the connection or nowhere, unless it is kept for who is away. QoS 1 and 2 share one window of packet identifiers with queue messages; when it opens,
 * retained messages, the inbox and the attachments take turns.
 */
import { SESSION_SENDS_PER_PUMP } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { totalBytes } from "../frame/message.ts";
import { endPauses, sendNextHeld } from "./consume.ts";
import { claimExactlyOnce, sendClaimed, sendPubrel } from "./exactly-once.ts";
import { identifiersOf } from "./identifiers.ts";
import { DELIVERY_QOS_MASK, DELIVERY_RETAIN, IN_MEMORY } from "./inbox.ts";
import { CLAIMED, RELEASED, RELEASING, SENT_QOS1, SENT_QOS2 } from "./outgoing.ts";
import type { StoredMessage } from "./ports.ts";
import { hasRetained, sendNextRetained } from "./recall.ts";
import { mayBeGiven } from "./rights.ts";
import { canSend, fits, hasWindow, isExpired, send } from "./send.ts";
import { type Attendance, FROM_INBOX, type Session } from "./session.ts";
import { endDelivery } from "./share-tag.ts";

const found: StoredMessage = { region: undefined as unknown as Region, offset: 0 };

/**
 * A message for an ordinary subscription with QoS 0, or with QoS 1 or 2 to a session that ends with its connection.
 * `identifiers` are of the matching subscriptions, when the caller knows them. False: with QoS 0, and the connection has no room.
 */
export function deliver(
  session: Session,
  message: Region,
  offset: number,
  qos: number,
  isRetain: boolean,
  identifiers: readonly number[] | undefined,
): boolean {
  const { host, audience } = session;
  if (audience === undefined) {
    if (session.isDurable && host.limits.queuesQos0) keep(session, message, offset, qos, isRetain, true);
    else host.counters.droppedOffline += 1;
    return true;
  }
  if (isExpired(message, offset, host.nowMs())) {
    host.counters.droppedExpired += 1;
    return true;
  }
  if (qos === 0) {
    if (!audience.connection.isWritable) {
      host.counters.droppedNotWritable += 1;
      return false;
    }
    // What was kept while the client was away goes first [MQTT-4.6.0-6].
    if (session.inbox.hasQos0) keep(session, message, offset, qos, isRetain, false);
    else send(session, audience, message, offset, 0, isRetain, false, 0, identifiers);
    return true;
  }
  if (session.inbox.length === 0 && canSend(session, audience)) {
    if (!fits(audience, message, offset, qos, identifiers, host.nowMs())) {
      host.counters.droppedTooLarge += 1; // [MQTT-3.1.2-25]
      return true;
    }
    const packetId = session.outgoing.claim(qos === 1 ? SENT_QOS1 : SENT_QOS2, IN_MEMORY, FROM_INBOX);
    send(session, audience, message, offset, qos, isRetain, false, packetId, identifiers);
    return true;
  }
  keep(session, message, offset, qos, isRetain, false);
  return true;
}

/** A copy in memory until the client takes it. */
function keep(
  session: Session,
  message: Region,
  offset: number,
  qos: number,
  isRetain: boolean,
  isSparing: boolean,
): void {
  const flags = qos | (isRetain ? DELIVERY_RETAIN : 0);
  const messageBytes = totalBytes(message, offset);
  if (isRefused(session, messageBytes)) return;
  session.inbox.pushCopy(message, offset, messageBytes, flags, isSparing);
  trimInbox(session);
}

/** A message that is on disk for this session. */
export function deliverStored(session: Session, position: number, messageBytes: number, flags: number): void {
  if (isRefused(session, messageBytes)) {
    session.store?.settle(position);
    return;
  }
  session.inbox.push(position, messageBytes, flags);
  trimInbox(session);
}

/** Whether the inbox is full and keeps what it has: the message is dropped. */
function isRefused({ host, inbox }: Session, messageBytes: number): boolean {
  const { inboxOverflow, queuedMessagesMax, queuedBytesMax } = host.limits;
  if (inboxOverflow === "drop_oldest" || !inbox.isFullFor(messageBytes, queuedMessagesMax, queuedBytesMax))
    return false;
  host.counters.droppedInboxFull += 1;
  return true;
}

/** A message taken over from a shared subscription: its place in the window was kept, so that it goes before what waits. */
export function deliverAdopted(session: Session, position: number, messageBytes: number, flags: number): void {
  const { audience } = session;
  if (audience === undefined || audience.resend.length > 0 || !canSend(session, audience)) {
    deliverStored(session, position, messageBytes, flags);
    return;
  }
  session.inbox.pushFront(position, messageBytes, flags);
  sendNext(session, audience);
}

/** Drops the oldest copies in memory until half of them are gone: the process has too many. What is on disk stays. */
function shedInbox({ host, inbox }: Session): void {
  host.counters.droppedInboxFull += inbox.dropCopies(inbox.copiedBytes / 2);
}

/** Does so with the inbox that has most in memory; false when none has anything there. */
export function shedLargestInbox(sessions: Iterable<Session>): boolean {
  let largest: Session | undefined;
  for (const session of sessions) {
    if (session.inbox.copiedBytes > (largest?.inbox.copiedBytes ?? 0)) largest = session;
  }
  if (largest !== undefined) shedInbox(largest);
  return largest !== undefined;
}

/** Drops the oldest while the inbox is beyond its bounds, also if they were lowered. */
function trimInbox(session: Session): void {
  const { host, inbox } = session;
  while (inbox.isBeyond(host.limits.queuedMessagesMax, host.limits.queuedBytesMax)) dropOldest(session);
}

function dropOldest(session: Session): void {
  const { host, inbox } = session;
  const position = inbox.headPosition;
  const flags = inbox.headFlags;
  inbox.shift();
  forget(session, position, flags);
  host.counters.droppedInboxFull += 1;
}

/** What waited is not sent after all. */
function forget(session: Session, position: number, flags: number): void {
  if (position !== IN_MEMORY) session.store?.settle(position);
  endDelivery(session, flags);
}

/** Sends what waits as far as window and socket allow: repeats first, then all others in turn. */
export function pump(session: Session): void {
  const { audience } = session;
  if (audience === undefined) return;
  const { resend } = audience;
  while (resend.length > 0 && mayRepeat(session, audience, resend[0]!)) repeat(session, audience, resend.shift()!);
  if (resend.length > 0) return;

  // Each may end the window, or the connection's room.
  let left = SESSION_SENDS_PER_PUMP;
  while (left > 0 && canSend(session, audience) && sendInTurn(session, audience)) left -= 1;
  if (left === 0) session.host.pumpSoon(session);
  endPauses(session, audience);
}

const RETAINED_TURN = 0;
const INBOX_TURN = 1;
const QUEUES_TURN = 2;
const TURNS = 3;

/**
 * Sends one message from whoever is next of those that have one; false when none has. The turn outlives the pump: a window that opens for
 * one message at a time is shared, too.
 */
function sendInTurn(session: Session, attendance: Attendance): boolean {
  for (let tried = 0; tried < TURNS; tried += 1) {
    attendance.turn = (attendance.turn + 1) % TURNS;
    if (sendFrom(attendance.turn, session, attendance)) return true;
  }
  return false;
}

function sendFrom(turn: number, session: Session, attendance: Attendance): boolean {
  switch (turn) {
    case RETAINED_TURN:
      return hasRetained(attendance) && sendNextRetained(session, attendance, pump);
    case INBOX_TURN:
      if (session.inbox.length === 0 || waitsForClaim(session)) return false;
      sendNext(session, attendance);
      return true;
    case QUEUES_TURN:
      return sendNextHeld(session, attendance);
    default:
      return false;
  }
}

/** Whether the oldest of the inbox would overtake a QoS 2 delivery whose identifier is not on disk yet. */
const waitsForClaim = (session: Session): boolean =>
  session.outgoing.claimed > 0 && (session.inbox.headFlags & DELIVERY_QOS_MASK) !== 2;

/** Takes the oldest of the inbox. */
function sendNext(session: Session, attendance: Attendance): void {
  const { host, inbox } = session;
  const position = inbox.headPosition;
  const flags = inbox.headFlags;
  const copy = inbox.headRegion;
  const copyOffset = inbox.headOffset;
  const ordinal = inbox.headOrdinal;
  inbox.shift();
  if (copy !== undefined) {
    found.region = copy;
    found.offset = copyOffset;
  } else if (session.store?.read(position, found) !== "found") {
    host.counters.droppedDamaged += 1;
    forget(session, position, flags);
    return;
  }

  if (session.rights !== undefined && !mayBeGiven(session, found.region, found.offset)) {
    host.counters.deniedDeliveries += 1;
    forget(session, position, flags);
    return;
  }

  const qos = flags & DELIVERY_QOS_MASK;
  const identifiers = identifiersOf(session, found.region, found.offset, flags, position, ordinal);
  const expired = isExpired(found.region, found.offset, host.nowMs());
  if (expired || !fits(attendance, found.region, found.offset, qos, identifiers, host.nowMs())) {
    if (expired) host.counters.droppedExpired += 1;
    else host.counters.droppedTooLarge += 1;
    forget(session, position, flags);
    return;
  }
  if (qos === 2 && position !== IN_MEMORY) {
    claimExactlyOnce(session, position, flags, undefined, pump);
    return;
  }
  const state = qos === 1 ? SENT_QOS1 : SENT_QOS2;
  const packetId = qos === 0 ? 0 : session.outgoing.claim(state, position, FROM_INBOX, flags);
  const isRetain = (flags & DELIVERY_RETAIN) !== 0;
  send(session, attendance, found.region, found.offset, qos, isRetain, false, packetId, identifiers);
}

/** PUBREL takes no place in the window: its message has long come [MQTT-4.4.0-1]. */
const mayRepeat = (session: Session, attendance: Attendance, packetId: number): boolean =>
  attendance.connection.isWritable &&
  (hasWindow(session, attendance) || isReleased(session.outgoing.stateOf(packetId)));

const isReleased = (state: number): boolean => state === RELEASING || state === RELEASED;

/** Sends what an earlier connection left unfinished again, with its own identifier [MQTT-4.4.0-1]. */
function repeat(session: Session, attendance: Attendance, packetId: number): void {
  const state = session.outgoing.stateOf(packetId);
  if (isReleased(state)) sendPubrel(session, attendance, packetId);
  else sendClaimed(session, attendance, packetId, state !== CLAIMED);
}

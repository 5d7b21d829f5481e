/**
 * The retained messages of new subscriptions, as fast as the client takes them [MQTT-3.3.1-8]: behind what waited for it before, and
 * in turn with what has come since, so that neither holds up the other.
 *
 * ```
 *   SUBACK ─► recalls ──none now──► waiting ──more has come──► recalls … ─► done
 * ```
 */
import { EXACT_CROSSINGS_MAX, RECALLS_OPEN_MAX } from "../base/limits.ts";
import { clientIdOf, qosOf } from "../frame/message.ts";
import type { Crossing } from "./crossing.ts";
import { claimExactlyOnce } from "./exactly-once.ts";
import { DELIVERY_RETAIN, IN_MEMORY } from "./inbox.ts";
import { SENT_QOS1, SENT_QOS2 } from "./outgoing.ts";
import type { Recall } from "./ports.ts";
import { mayReceive } from "./rights.ts";
import { fits, send } from "./send.ts";
import { type Attendance, FROM_INBOX, type Session, type ToRecall } from "./session.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Begins to look for what new subscriptions are given. `opened`: everyone has looked, the first of what is found is here and SUBACK may
 * go; it follows. More than are open at a time begin later.
 */
export function openRecalls(
  session: Session,
  attendance: Attendance,
  subscriptions: readonly ToRecall[],
  opened: () => void,
  more: (session: Session) => void,
): void {
  const { recalls, waitingRecalls, toRecall } = attendance;
  if (subscriptions.length === 0) {
    opened();
    return;
  }
  const room = toRecall.length > 0 ? 0 : Math.max(0, RECALLS_OPEN_MAX - recalls.length - waitingRecalls.size);
  const opening: Recall[] = [];
  let isOpen = false;
  const look = (): void => {
    const isAsked = opening.length === Math.min(room, subscriptions.length);
    if (!isAsked || attendance.isClosing || !opening.every((recall) => recall.isOpen)) return;
    isOpen = true;
    opened();
    for (const { crossing } of subscriptions) crossing.behind = session.inbox.taken;
    for (const recall of opening) waitingRecalls.delete(recall);
    recalls.push(...opening);
    toRecall.push(...subscriptions.slice(room));
    more(session);
  };
  for (const { subscription, crossing } of subscriptions.slice(0, room)) {
    const recall: Recall = session.host.recall(subscription, crossing, () => {
      if (isOpen) goOn(session, attendance, recall, more);
      else look();
    });
    waitingRecalls.add(recall);
    opening.push(recall);
  }
  look();
}

/** Whether there may be something for `sendNextRetained`. */
export const hasRetained = (attendance: Attendance): boolean =>
  attendance.recalls.length > 0 ||
  (attendance.toRecall.length > 0 && attendance.waitingRecalls.size < RECALLS_OPEN_MAX);

/** Sends one retained message; false when there is none now. `more` is called when there is again. */
export function sendNextRetained(session: Session, attendance: Attendance, more: (session: Session) => void): boolean {
  const { recalls, waitingRecalls, toRecall } = attendance;
  for (;;) {
    while (toRecall.length > 0 && recalls.length + waitingRecalls.size < RECALLS_OPEN_MAX) {
      const next = toRecall.shift()!;
      if (currentOf(next) === undefined) endCrossing(next.subscription, next.crossing);
      else recalls.push(beginRecall(session, attendance, next, more));
    }
    const place = recalls.findIndex(({ crossing }) => !waitsBehind(session, crossing));
    const recall = recalls[place];
    if (recall === undefined) return false;
    const subscription = currentOf(recall);
    if (subscription !== undefined && sendOne(session, attendance, recall, subscription, more)) return true;
    recalls.splice(place, 1);
    if (subscription === undefined || recall.isDone) endRecall(recall);
    else waitingRecalls.add(recall);
  }
}

/** What stands in a subscription's place by now; undefined when it has gone. One that was made again is given all again [MQTT-3.8.4-4]. */
function currentOf({ subscription, crossing }: ToRecall): Subscription | undefined {
  const { current } = subscription;
  return current?.crossings?.includes(crossing) === true ? current : undefined;
}

/** Whether something waits for the client that came before the subscription: it may be an older one of a retained message's topic. */
const waitsBehind = ({ inbox }: Session, { behind }: Crossing): boolean =>
  inbox.length > 0 && inbox.headOrdinal < behind;

function endRecall(recall: Recall): void {
  recall.close();
  endCrossing(recall.subscription, recall.crossing);
}

/** A subscription is routed to from now on, and is to be given what is retained. Of one that is made again and again the first times end. */
export function beginCrossing(subscription: Subscription, { toRecall }: Attendance): Crossing {
  const crossing = subscription.session.host.newCrossing(toRecall.length >= EXACT_CROSSINGS_MAX);
  subscription.crossings ??= [];
  subscription.crossings.push(crossing);
  if (subscription.crossings.length > RECALLS_OPEN_MAX) subscription.crossings.shift();
  return crossing;
}

/** A subscription has been given all that is retained, or is no more. */
export function endCrossing(subscription: Subscription, crossing: Crossing): void {
  const { current } = subscription;
  const place = current?.crossings?.indexOf(crossing) ?? -1;
  if (current?.crossings === undefined || place < 0) return;
  current.crossings.splice(place, 1);
  if (current.crossings.length === 0) current.crossings = undefined;
}

function beginRecall(
  session: Session,
  attendance: Attendance,
  { subscription, crossing }: ToRecall,
  more: (session: Session) => void,
): Recall {
  if (!crossing.isExact) crossing.behind = session.inbox.taken;
  const recall: Recall = session.host.recall(subscription, crossing, () => goOn(session, attendance, recall, more));
  return recall;
}

/** There may be more for a recall. */
function goOn(session: Session, attendance: Attendance, recall: Recall, more: (session: Session) => void): void {
  if (!attendance.waitingRecalls.delete(recall)) return; // It is looked at anyway.
  attendance.recalls.push(recall);
  more(session);
}

function sendOne(
  session: Session,
  attendance: Attendance,
  recall: Recall,
  subscription: Subscription,
  more: (session: Session) => void,
): boolean {
  const message = recall.next(subscription.options.qos);
  if (message === undefined) return false;
  const { options, identifiers } = subscription;
  if (subscription.standing !== "open" && !mayReceive(subscription, message, 0)) {
    session.host.counters.deniedDeliveries += 1;
    return true;
  }
  if (options.noLocal && clientIdOf(message, 0) === session.clientId) return true; // [MQTT-3.8.3-3]
  const qos = Math.min(options.qos, qosOf(message, 0));
  if (!fits(attendance, message, 0, qos, identifiers, session.host.nowMs())) {
    session.host.counters.droppedTooLarge += 1; // [MQTT-3.1.2-25]
    return true;
  }
  const flags = qos | DELIVERY_RETAIN;
  if (qos === 2 && session.isDurable) {
    claimExactlyOnce(session, IN_MEMORY, flags, message, more);
    return true;
  }
  const { outgoing } = session;
  const kept = session.isDurable ? message : undefined; // To be repeated on the next connection.
  const state = qos === 1 ? SENT_QOS1 : SENT_QOS2;
  const packetId = qos === 0 ? 0 : outgoing.claim(state, IN_MEMORY, FROM_INBOX, flags, kept);
  send(session, attendance, message, 0, qos, true, false, packetId, identifiers);
  return true;
}

/** The connection is gone. */
export function closeRecalls(session: Session, attendance: Attendance): void {
  if (attendance.toRecall.length + attendance.recalls.length + attendance.waitingRecalls.size === 0) return;
  for (const subscription of session.subscriptions.values()) subscription.crossings = undefined;
  attendance.toRecall.length = 0;
  for (const recall of attendance.recalls.splice(0)) recall.close();
  for (const recall of attendance.waitingRecalls) recall.close();
  attendance.waitingRecalls.clear();
}

/**
 * SUBSCRIBE and UNSUBSCRIBE.
 *
 * ```
 *   SUBSCRIBE ─► router and queues here ─► every other worker has applied it, the session is on disk ─► recalls open ─► SUBACK ─► retained
 *                     └─► a queue that is not there: created, if subscribing may create it ─────────┘
 * ```
 */
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import type { SubscribePacket, SubscriptionRequest, UnsubscribePacket } from "../mqtt/packets.ts";
import { encodeRare } from "../mqtt/rare.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { parseSubscription } from "../mqtt/subscription-filter.ts";
import { Attachment } from "./attachment.ts";
import { filterBytesOf, mayKeep } from "./belongings.ts";
import { pump } from "./deliver.ts";
import { noteChange, noteIdentifiers } from "./identifiers.ts";
import { beginCrossing, endCrossing, openRecalls } from "./recall.ts";
import { maySubscribe } from "./rights.ts";
import type { Attendance, Session, ToRecall } from "./session.ts";
import { Subscription, type SubscriptionOptions } from "./subscription.ts";

export function onSubscribe(session: Session, attendance: Attendance, packet: SubscribePacket): void {
  const reasonCodes: number[] = [];
  const recalls: ToRecall[] = [];
  let pending = 2; // One mark of our own, one for the disk; one more for every subscription that others must hear of.
  let failed = false;
  const done = (): void => {
    pending -= 1;
    if (pending > 0) return;
    if (session.attendance !== attendance || attendance.isClosing) {
      for (const { subscription, crossing } of recalls) endCrossing(subscription, crossing);
      return;
    }
    const refused = attendance.protocolLevel === LEVEL_5 ? ReasonCode.implementationSpecificError : 0x80;
    const answer = failed ? reasonCodes.map(() => refused) : reasonCodes;
    const suback = { kind: "suback", packetId: packet.packetId, reasonCodes: answer } as const;
    openRecalls(session, attendance, recalls, () => sendRare(attendance, suback), pump);
  };

  for (const request of packet.filters) {
    const options = optionsOf(request, packet.subscriptionIdentifier, attendance.isBridge);
    const outcome = subscribe(session, attendance, request.filter, options, () => done());
    reasonCodes.push(outcome.reasonCode);
    if (outcome.subscription === undefined) continue;
    pending += 1;
    const { isNew, subscription } = outcome;
    const wantsRetained = options.retainHandling === 0 || (options.retainHandling === 1 && isNew); // [MQTT-3.3.1-10]
    if (!wantsRetained || subscription.attachment !== undefined) continue;
    recalls.push({ subscription, crossing: beginCrossing(subscription, attendance) });
  }
  noteIdentifiers(session);
  if (session.isDurable) {
    session.host.save(session, (fault) => {
      failed = fault === "failed";
      done();
    });
  } else {
    done();
  }
  done();
}

/** Whether it asks for No Local on a shared subscription, a protocol error [MQTT-3.8.3-4]. */
export const hasSharedNoLocal = ({ filters }: SubscribePacket): boolean =>
  filters.some(({ filter, isNoLocal }) => isNoLocal && parseSubscription(filter).kind === "shared");

const optionsOf = (request: SubscriptionRequest, identifier: number, isBridge: boolean): SubscriptionOptions => ({
  qos: request.qos,
  noLocal: request.isNoLocal || isBridge,
  retainAsPublished: request.isRetainAsPublished || isBridge,
  retainHandling: request.retainHandling,
  identifier,
});

interface Outcome {
  readonly reasonCode: number;
  readonly subscription?: Subscription;
  readonly isNew?: boolean;
}

/** One filter: makes or changes the subscription, unless it is refused. `done` is called only when there is one. */
function subscribe(
  session: Session,
  attendance: Attendance,
  filter: string,
  options: SubscriptionOptions,
  done: () => void,
): Outcome {
  const parsed = parseSubscription(filter);
  const refuse = (code: number): Outcome => ({ reasonCode: attendance.protocolLevel === LEVEL_5 ? code : 0x80 });
  if (parsed.kind === "malformed") return refuse(parsed.reasonCode);
  if (!session.subscriptions.has(filter)) {
    const { subscriptionsMax, belongingsBytesMax } = session.host.limits;
    const hasRoom = mayKeep(session.belongings.bytes, filterBytesOf(filter), belongingsBytesMax);
    if (session.subscriptions.size >= subscriptionsMax || !hasRoom) return refuse(ReasonCode.quotaExceeded);
  }
  if (!maySubscribe(session, filter)) {
    session.host.counters.deniedSubscriptions += 1;
    return refuse(ReasonCode.notAuthorized);
  }

  const granted = parsed.kind === "legacyQueue" ? 1 : options.qos;
  const { subscription, isNew } = establish(session, filter, options, done);
  return { reasonCode: granted, subscription, isNew };
}

/** The QoS that a subscription to a queue is served with, a shared one at most; undefined for an ordinary filter. */
export function consumerQosOf(filter: string, options: SubscriptionOptions): 0 | 1 | 2 | undefined {
  const { kind } = parseSubscription(filter);
  if (kind === "legacyQueue") return 1;
  if (kind === "shared") return options.qos;
  return kind === "queue" ? (Math.min(options.qos, 1) as 0 | 1) : undefined;
}

/** Makes the subscription, or replaces the options of the one there is [MQTT-3.8.4-3]. */
function establish(
  session: Session,
  filter: string,
  options: SubscriptionOptions,
  done: () => void,
): { subscription: Subscription; isNew: boolean } {
  const previous = session.subscriptions.get(filter);
  const subscription = new Subscription(session, filter, options);
  const qos = consumerQosOf(filter, options);
  if (qos !== undefined) {
    if (previous?.attachment?.qos === qos) {
      previous.options = options;
      previous.attachment.refreshIdentifiers();
      session.host.wantQueue(previous, done);
      return { subscription: previous, isNew: false };
    }
    subscription.attachment = new Attachment(subscription, qos);
  }
  noteChange(session, previous, subscription);
  session.subscriptions.set(filter, subscription);
  if (previous === undefined) {
    session.belongings.addFilter(filterBytesOf(filter));
  } else {
    previous.successor = subscription;
    subscription.crossings = previous.crossings;
  }
  if (previous?.attachment !== undefined) session.host.unsubscribe(previous);
  session.hasIdentifiers ||= options.identifier !== 0; // Exact when the packet is through: this may have taken the last one away.
  session.host.subscribe(subscription, previous?.attachment === undefined ? previous : undefined, done);
  return { subscription, isNew: previous === undefined };
}

export function onUnsubscribe(session: Session, attendance: Attendance, packet: UnsubscribePacket): void {
  const reasonCodes = packet.filters.map((filter) => {
    const subscription = session.subscriptions.get(filter);
    if (subscription === undefined) return ReasonCode.noSubscriptionExisted;
    noteChange(session, subscription, undefined);
    session.subscriptions.delete(filter);
    session.belongings.addFilter(-filterBytesOf(filter));
    session.host.unsubscribe(subscription);
    return ReasonCode.success;
  });
  noteIdentifiers(session);
  const answer = (): void => {
    if (session.attendance !== attendance || attendance.isClosing) return;
    sendRare(attendance, { kind: "unsuback", packetId: packet.packetId, reasonCodes });
  };
  if (session.isDurable) session.host.save(session, answer);
  else answer();
}

/** Writes a packet that mqtt-packet encodes. */
export function sendRare(attendance: Attendance, packet: Parameters<typeof encodeRare>[0]): void {
  const bytes = encodeRare(packet, attendance.protocolLevel as 3 | 4 | 5, attendance.packetBytesMax);
  if (bytes.length === 0) return;
  const at = attendance.connection.reserve(bytes.length);
  attendance.connection.output.bytes.set(bytes, at);
}

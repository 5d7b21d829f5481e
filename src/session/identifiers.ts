/**
 * The Subscription Identifiers that a message goes out with when it has waited: those of the subscriptions that it matched when it
 * came [MQTT-3.3.4-3], also when one of them was made again or has gone since.
 *
 * Nothing of it lies with the message. What waits has a place in an order, and a subscription knows between which places it held:
 *
 * ```
 *   ended:    since ───── until                  filter, identifier
 *   in force:             since ─────────►       the session's subscriptions
 *   messages:    m1  m2     m3   m4              each asks who held at its place and matches its topic
 * ```
 */
import { ENDED_IDENTIFIERS_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { topicOf } from "../frame/message.ts";
import { sharedTopicFilterOf } from "../mqtt/subscription-filter.ts";
import { isMatch } from "../mqtt/topics.ts";
import { DELIVERY_SHARED, IN_MEMORY } from "./inbox.ts";
import type { Session } from "./session.ts";
import { cameBy, sharedFlagsOf } from "./share-tag.ts";
import type { Subscription } from "./subscription.ts";

/** A place in the orders of what waits for a session: what comes from now on is at it or behind it. */
export interface Place {
  /** Of what is stored. */
  readonly position: number;
  /** Of what is in memory: how many the inbox had taken. */
  readonly ordinal: number;
}

/** Before everything. */
export const FIRST_PLACE: Place = { position: 0, ordinal: 0 };

/** A subscription that has an identifier no more, or has gone. */
export interface EndedIdentifier {
  readonly filter: string;
  readonly isShared: boolean;
  readonly identifier: number;
  readonly since: Place;
  readonly until: Place;
}

/** `next` took the place of `previous`, came or, when it is undefined, `previous` has gone: before anything else is routed by it. */
export function noteChange(session: Session, previous: Subscription | undefined, next: Subscription | undefined): void {
  const before = previous?.options.identifier ?? 0;
  if (previous !== undefined && next !== undefined && before === next.options.identifier) {
    next.since = previous.since;
    return;
  }
  if (before === 0 && (next?.options.identifier ?? 0) === 0) return;
  const place: Place = {
    position: session.isDurable ? session.host.nextPosition(session) : 0,
    ordinal: session.inbox.taken,
  };
  if (next !== undefined) next.since = place;
  if (previous === undefined || before === 0) return;
  const { filter, attachment, since } = previous;
  const ended = { filter, isShared: attachment !== undefined, identifier: before, since, until: place };
  session.endedIdentifiers ??= [];
  session.endedIdentifiers.push(ended);
  if (session.endedIdentifiers.length > ENDED_IDENTIFIERS_MAX) session.endedIdentifiers.shift();
}

/** Sets `hasIdentifiers` right after changes. */
export function noteIdentifiers(session: Session): void {
  if (!session.hasIdentifiers) return;
  for (const { options } of session.subscriptions.values()) if (options.identifier !== 0) return;
  session.hasIdentifiers = session.endedIdentifiers !== undefined;
}

/**
 * The identifiers for a delivery that did not come straight from the router. `flags` say whether it is that of a shared
 * subscription, and which; `ordinal` is its number in the inbox when its position is IN_MEMORY.
 */
export function identifiersOf(
  session: Session,
  message: Region,
  offset: number,
  flags: number,
  position: number,
  ordinal: number,
): readonly number[] | undefined {
  if (!session.hasIdentifiers) return undefined;
  const topic = topicOf(message, offset);
  const identifiers: number[] = [];
  const isShared = (flags & DELIVERY_SHARED) !== 0;
  const isBehind = (place: Place): boolean =>
    position === IN_MEMORY ? ordinal >= place.ordinal : position >= place.position;
  for (const { options, filter, attachment, since } of session.subscriptions.values()) {
    const { identifier } = options;
    if (identifier === 0 || (attachment === undefined) === isShared || !isBehind(since)) continue;
    if (matches(filter, topic, isShared) && (attachment === undefined || cameBy(flags, attachment.sharedFlags)))
      identifiers.push(identifier);
  }
  for (const ended of session.endedIdentifiers ?? []) {
    if (ended.isShared !== isShared || !isBehind(ended.since) || isBehind(ended.until)) continue;
    if (matches(ended.filter, topic, isShared) && (!isShared || cameBy(flags, sharedFlagsOf(ended.filter))))
      identifiers.push(ended.identifier);
  }
  return identifiers.length === 0 ? undefined : identifiers;
}

function matches(filter: string, topic: string, isShared: boolean): boolean {
  const plain = isShared ? sharedTopicFilterOf(filter) : filter;
  return plain !== undefined && isMatch(plain, topic);
}

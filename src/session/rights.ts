/**
 * A session's rights, where they are asked: at CONNECT, PUBLISH and SUBSCRIBE, and again whenever something is given to the client that was
 * published or subscribed to before.
 */
import type { Identity, Rights, Standing } from "../access/authorization.ts";
import type { Region } from "../base/region.ts";
import { topicBytesOf, topicOffset } from "../frame/message.ts";
import { parseSubscription } from "../mqtt/subscription-filter.ts";
import type { Session } from "./session.ts";
import type { Subscription } from "./subscription.ts";

/** The session belongs to this client from now on, under the rules in force: what was judged before is judged again. */
export function identify(session: Session, identity: Identity): void {
  session.identity = identity;
  session.owner = identity.user;
  session.rights = session.host.access.rightsOf(identity);
  const standing: Standing | undefined = session.rights === undefined ? "open" : undefined;
  for (const subscription of session.subscriptions.values()) subscription.standing = standing;
}

/** Whether it may be given a message by this subscription. */
export function mayReceive(subscription: Subscription, message: Region, offset: number): boolean {
  const { session, filter } = subscription;
  const { rights } = session;
  subscription.standing ??= rights === undefined ? "open" : rights.standingOf(filter);
  if (subscription.standing !== "guarded" || rights === undefined) return subscription.standing !== "closed";
  const start = topicOffset(offset);
  return rights.mayReceive(message.bytes, start, start + topicBytesOf(message, offset), filter);
}

/** Whether it may be given a message that has waited for it, by whichever subscription. */
export function mayBeGiven(session: Session, message: Region, offset: number): boolean {
  const { rights } = session;
  if (rights === undefined) return true;
  const start = topicOffset(offset);
  const end = start + topicBytesOf(message, offset);
  if (rights.mayReceive(message.bytes, start, end, undefined)) return true;
  for (const { filter } of session.subscriptions.values()) {
    if (rights.mayReceive(message.bytes, start, end, topicFilterOf(filter))) return true; // By an `eq` rule.
  }
  return false;
}

/** Whether SUBSCRIBE may have this filter. A queue that is not there yet is judged again when it is. */
export function maySubscribe(session: Session, filter: string): boolean {
  const { rights, host } = session;
  if (rights === undefined) return true;
  const parsed = parseSubscription(filter);
  if (parsed.kind === "plain") return rights.standingOf(filter) !== "closed";
  const queueFilter = parsed.kind === "queue" ? (parsed.filter ?? host.access.queueFilterOf(filter)) : undefined;
  return mayConsume(rights, filter, queueFilter);
}

/**
 * Whether a subscription may consume a queue with this topic filter: it needs the right to the queue and to all that may be in it, for a
 * queue chooses a consumer before it looks at a message. So does a shared subscription, of the filter in it.
 */
export function mayConsume(rights: Rights | undefined, filter: string, queueFilter: string | undefined): boolean {
  if (rights === undefined) return true;
  const parsed = parseSubscription(filter);
  switch (parsed.kind) {
    case "queue":
      return isOpen(rights, `$queue/${parsed.name}`) && isOpen(rights, parsed.filter) && isOpen(rights, queueFilter);
    case "legacyQueue":
      return isOpen(rights, filter) && isOpen(rights, parsed.filter);
    case "shared":
      return isOpen(rights, parsed.filter);
    default:
      return true;
  }
}

const isOpen = (rights: Rights, filter: string | undefined): boolean =>
  filter === undefined || rights.standingOf(filter) === "open";

/** Whether rights allow a publish to a topic: for wills, which come rarely. */
export function mayPublishTo(rights: Rights | undefined, topic: string): boolean {
  if (rights === undefined) return true;
  const bytes = Buffer.from(topic);
  return rights.mayPublish(bytes, 0, bytes.length);
}

/** The filter that topics are matched with: of a shared subscription, the one in it. */
function topicFilterOf(filter: string): string {
  if (!filter.startsWith("$share/")) return filter;
  const parsed = parseSubscription(filter);
  return parsed.kind === "shared" ? parsed.filter : filter;
}

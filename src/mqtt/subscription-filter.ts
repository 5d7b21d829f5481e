/**
 * What a filter in SUBSCRIBE asks for: an ordinary subscription, a share of one, or a queue.
 *
 * ```
 *   a/+/b                    plain
 *   $share/<group>/<filter>  shared
 *   $queue/<name>            queue, whatever its filter
 *   $queue/<name>/<filter>   queue, if it has exactly this filter
 *   $q/<filter>              legacyQueue: the queue over this filter
 * ```
 */
import { ReasonCode } from "./reason-codes.ts";
import { isTopicFilter, RESERVED_ROOTS } from "./topics.ts";

export type SubscriptionFilter =
  | { readonly kind: "plain"; readonly filter: string }
  | { readonly kind: "shared"; readonly group: string; readonly filter: string }
  | { readonly kind: "queue"; readonly name: string; readonly filter: string | undefined }
  | { readonly kind: "legacyQueue"; readonly filter: string }
  /** Answered with `reasonCode` in SUBACK, 0x80 for MQTT 3; `detail` is for logs. */
  | { readonly kind: "malformed"; readonly reasonCode: number; readonly detail: string };

const QUEUE_NAME = /^[0-9a-zA-Z][-.0-9a-zA-Z_]*$/;
/** Names that are paths of the REST API. */
const RESERVED_QUEUE_NAMES: readonly string[] = ["config"];

/** Whether a queue may have this name. */
export const isQueueName = (name: string): boolean => QUEUE_NAME.test(name) && !RESERVED_QUEUE_NAMES.includes(name);

/** Whether a good filter is that of a shared subscription. */
export const isSharedFilter = (filter: string): boolean => filter.startsWith("$share/");

/** The topic filter of a shared subscription; undefined for any other. */
export function sharedTopicFilterOf(filter: string): string | undefined {
  const parsed = parseSubscription(filter);
  return parsed.kind === "shared" ? parsed.filter : undefined;
}

const malformed = (detail: string): SubscriptionFilter => ({
  kind: "malformed",
  reasonCode: ReasonCode.topicFilterInvalid,
  detail,
});

export function parseSubscription(filter: string): SubscriptionFilter {
  if (!isTopicFilter(filter)) return malformed("not a topic filter");
  const { first, rest } = splitFirst(filter);
  switch (first) {
    case "$share":
      return parseShared(rest);
    case "$queue":
      return parseQueue(rest);
    case "$q":
      return isPlainFilter(rest) ? { kind: "legacyQueue", filter: rest } : malformed("$q/ needs an ordinary filter");
    default:
      return { kind: "plain", filter };
  }
}

function parseShared(shared: string | undefined): SubscriptionFilter {
  if (shared === undefined) return malformed("$share/ needs a group");
  const { first: group, rest } = splitFirst(shared);
  if (group === "" || /[+#]/.test(group)) return malformed("bad share group"); // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
  if (!isPlainFilter(rest)) return malformed("$share/<group>/ needs an ordinary filter"); // [MQTT-4.8.2-2]
  return { kind: "shared", group, filter: rest };
}

function parseQueue(queue: string | undefined): SubscriptionFilter {
  if (queue === undefined) return malformed("$queue/ needs a name");
  const { first: name, rest } = splitFirst(queue);
  if (!isQueueName(name)) return malformed("bad queue name");
  if (rest !== undefined && !isPlainFilter(rest)) return malformed("$queue/<name>/ needs an ordinary filter");
  return { kind: "queue", name, filter: rest };
}

/** Splits at the first slash; without one there is no rest, which is not the same as an empty one. */
function splitFirst(path: string): { first: string; rest: string | undefined } {
  const slash = path.indexOf("/");
  return slash < 0 ? { first: path, rest: undefined } : { first: path.slice(0, slash), rest: path.slice(slash + 1) };
}

/** Whether what stands behind a root is a filter of its own, and not one of another root: roots do not nest. */
function isPlainFilter(rest: string | undefined): rest is string {
  if (rest === undefined || !isTopicFilter(rest)) return false;
  const { first } = splitFirst(rest);
  return first === "$SYS" || !RESERVED_ROOTS.includes(first);
}

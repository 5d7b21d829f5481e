/**
 * What a subscription to a queue names: `$queue/<name>`, `$queue/<name>/<filter>` or `$q/<filter>`.
 */
import { parseSubscription } from "../mqtt/subscription-filter.ts";

export type QueueAddress =
  | { readonly kind: "named"; readonly name: string; readonly topicFilter: string | undefined }
  | { readonly kind: "filter"; readonly topicFilter: string };

/** The address in a subscription filter; undefined when it speaks of no queue, or is malformed. */
export function queueAddressOf(filter: string): QueueAddress | undefined {
  const parsed = parseSubscription(filter);
  if (parsed.kind === "queue") return { kind: "named", name: parsed.name, topicFilter: parsed.filter };
  return parsed.kind === "legacyQueue" ? { kind: "filter", topicFilter: parsed.filter } : undefined;
}

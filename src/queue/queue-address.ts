/**
 * What a subscription to a queue names: `$queue/<name>`, `$queue/<name>/<filter>` or `$q/<filter>`.
 */
export type QueueAddress =
  | { readonly kind: "named"; readonly name: string; readonly topicFilter: string | undefined }
  | { readonly kind: "filter"; readonly topicFilter: string };

const NAMED_PREFIX = "$queue/";
const FILTER_PREFIX = "$q/";
const NAME = /^[0-9a-zA-Z][-.0-9a-zA-Z_]*$/;

/** Names the REST paths need for themselves. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(["config"]);

/** Whether a queue may be created under this name. */
export const isQueueName = (name: string): boolean => NAME.test(name) && !RESERVED_NAMES.has(name);

/**
 * Reads a subscription filter. `undefined`: an ordinary filter; `"malformed"`: SUBACK 0x8F (v5) or 0x80 (v3). The
 * topic filter inside is taken as it is: one that no queue can have never attaches.
 */
export function parseQueueAddress(filter: string): QueueAddress | "malformed" | undefined {
  if (filter.startsWith(FILTER_PREFIX)) {
    const topicFilter = filter.slice(FILTER_PREFIX.length);
    return topicFilter === "" ? "malformed" : { kind: "filter", topicFilter };
  }
  if (!filter.startsWith(NAMED_PREFIX)) return undefined;

  const rest = filter.slice(NAMED_PREFIX.length);
  const slash = rest.indexOf("/");
  const name = slash === -1 ? rest : rest.slice(0, slash);
  if (!NAME.test(name)) return "malformed";
  if (slash === -1) return { kind: "named", name, topicFilter: undefined };
  const topicFilter = rest.slice(slash + 1);
  return topicFilter === "" ? "malformed" : { kind: "named", name, topicFilter };
}

/** What is wrong with a queue's topic filter, and where. The judge is src/mqtt/topics.ts; this puts its judgement into words. */
import { TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX } from "../base/limits.ts";
import { isTopicFilter } from "../mqtt/topics.ts";

/** The fault with its position in characters from 0, or undefined for a filter that a queue may have. */
export function topicFilterFault(filter: string): string | undefined {
  if (filter === "") return "a topic filter has at least one character";
  const root = /^\$(?:share|queue|q)(?=\/|$)/.exec(filter)?.[0];
  if (root !== undefined) return `${root} at position 0 begins a subscription, not the topic of a message`;
  if (isTopicFilter(filter)) return undefined;

  const bad = /[\0\p{Surrogate}]/u.exec(filter);
  if (bad !== null) return `a character that MQTT does not allow at position ${bad.index}`;
  if (Buffer.byteLength(filter) > TOPIC_BYTES_MAX) return `longer than ${TOPIC_BYTES_MAX} bytes`;
  let position = 0;
  for (const [index, level] of filter.split("/").entries()) {
    if (index === TOPIC_LEVELS_MAX) return `more than ${TOPIC_LEVELS_MAX} levels, at position ${position}`;
    const fault = levelFault(level, position, position + level.length === filter.length);
    if (fault !== undefined) return fault;
    position += level.length + 1;
  }
  return "not a topic filter";
}

function levelFault(level: string, position: number, isLast: boolean): string | undefined {
  const wildcard = /[+#]/.exec(level);
  if (wildcard === null) return undefined;
  if (level.length > 1) return `${wildcard[0]} at position ${position + wildcard.index} must fill its level alone`;
  return level === "#" && !isLast ? `# at position ${position} must be the last level` : undefined;
}

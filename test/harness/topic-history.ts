/** What one subscription may see of a topic with retained messages: a part of its history in order, to the end. */

/** The value of a topic that was cleared: an empty payload. */
export const CLEARED = "";

export interface Leniency {
  /** A value may come more than once: it was subscribed to again, or was lost at times. */
  readonly mayRepeat?: boolean;
  /** Some were lost, perhaps the last. */
  readonly mayMiss?: boolean;
}

/** What is wrong with the values that were seen of a topic; undefined: nothing. All values of a history differ, but the cleared. */
export function historyFault(
  values: readonly string[],
  history: readonly string[],
  { mayRepeat = false, mayMiss = false }: Leniency = {},
): string | undefined {
  let at = -1; // Each stands as early as it can, behind the one before.
  for (const value of values) {
    const from = value === CLEARED || !mayRepeat ? at + 1 : Math.max(at, 0);
    at = history.indexOf(value, from);
    if (at < 0) return `${value || "cleared"} is out of its place`;
  }
  const last = history.at(-1) ?? CLEARED;
  const isEnd = values.length === 0 ? last === CLEARED : values.at(-1) === last;
  return isEnd || mayMiss ? undefined : `ends with ${values.at(-1) ?? "nothing"} instead of ${last || "cleared"}`;
}

/** For a message. */
export const told = (values: readonly string[]): string => values.map((value) => value || "cleared").join(" ");

/** "Did you mean": the known key that is nearest to an unknown one. */
import { settingsLeaves } from "./schema.ts";
import { dotted } from "./source.ts";

/** The path of a known key or section near `unknown`; undefined when nothing is near. */
export function suggestionFor(unknown: readonly string[]): readonly string[] | undefined {
  const renamed = NAMES_ELSEWHERE.get(unknown[0]!);
  if (renamed !== undefined) return [renamed, ...unknown.slice(1)];

  const wanted = dotted(unknown);
  const wantedEnd = unknown.at(-1)!;
  let nearest: readonly string[] | undefined;
  let nearestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of knownPaths()) {
    // Misspelled where it stands, or spelled well (or nearly) in another place.
    const distance = Math.min(
      editDistance(wanted, dotted(candidate)),
      editDistance(wantedEnd, candidate.at(-1)!) + 0.5,
      editDistance(wanted, candidate.join("_")) + 0.5,
    );
    if (distance < nearestDistance) [nearest, nearestDistance] = [candidate, distance];
  }
  return nearestDistance <= 1 + wantedEnd.length / 4 ? nearest : undefined;
}

/** What other brokers call our sections. */
const NAMES_ELSEWHERE: ReadonlyMap<string, string> = new Map([["mq", "queues"]]);

function knownPaths(): readonly (readonly string[])[] {
  const paths = new Map<string, readonly string[]>();
  for (const { path } of settingsLeaves()) {
    for (let length = 1; length <= path.length; length += 1) {
      const part = path.slice(0, length);
      paths.set(dotted(part), part);
    }
  }
  return [...paths.values()];
}

/** Levenshtein's distance: insertions, deletions and replacements of single characters. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}

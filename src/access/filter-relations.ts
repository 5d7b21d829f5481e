/**
 * How two topic filters stand to each other, as the sets of topics that they match: whether one holds the other, and whether they share
 * any. Both are valid filters; MQTT 5.0, section 4.7, with its rule that no wildcard in front matches a topic that begins with `$`.
 */

/** Whether every topic that `inner` matches is matched by `outer`, too. */
export function covers(outer: string, inner: string): boolean {
  const held = levelsOf(outer);
  const wanted = levelsOf(inner);
  for (let index = 0; ; index += 1) {
    const level = held[index];
    if (level === "#") return true; // `a/#` matches `a` as well.
    if (index === held.length || index === wanted.length) return held.length === wanted.length;
    const other = wanted[index]!;
    if (other === "#") return false;
    if (level === "+" ? index === 0 && other.startsWith("$") : level !== other) return false;
  }
}

/** Whether some topic is matched by both. */
export function overlaps(one: string, other: string): boolean {
  const ours = levelsOf(one);
  const theirs = levelsOf(other);
  for (let index = 0; ; index += 1) {
    const [our, their] = [ours[index], theirs[index]];
    if (our === "#" || their === "#") return true;
    if (our === undefined || their === undefined) return our === their;
    if (our === their) continue;
    if (our !== "+" && their !== "+") return false;
    const literal = our === "+" ? their : our;
    if (index === 0 && literal.startsWith("$")) return false;
  }
}

/** `#` alone says the same as `+/#`: a topic has a first level. In that form what both mean is compared level by level. */
const levelsOf = (filter: string): readonly string[] => (filter === "#" ? EVERYTHING : filter.split("/"));
const EVERYTHING: readonly string[] = ["+", "#"];

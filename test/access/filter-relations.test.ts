/**
 * Goal: `covers` and `overlaps` say what is true of the sets of topics.
 * Method: filters and topics over a small alphabet, every pair of filters against every topic: brute force is the definition.
 */
import { describe, expect, it } from "vitest";
import { covers, overlaps } from "../../src/access/filter-relations.ts";
import { isMatch, isTopicFilter } from "../../src/mqtt/topics.ts";

/** All texts of up to `depth` levels over these. */
function texts(levels: readonly string[], depth: number): string[] {
  let last: string[] = [...levels];
  const all = [...last];
  for (let length = 2; length <= depth; length += 1) {
    last = last.flatMap((text) => levels.map((level) => `${text}/${level}`));
    all.push(...last);
  }
  return all;
}

// One level more and one word more than any filter: enough to tell any two filters of this size apart.
const FILTERS = texts(["a", "$b", "", "+", "#"], 3).filter(isTopicFilter);
// The topic without a character, which nobody may publish, counts as one: `/#` matches it, and that is the careful side.
const TOPICS = texts(["a", "$b", "", "other"], 4);

describe(`${FILTERS.length} filters, each with each, over ${TOPICS.length} topics`, () => {
  const matched = new Map(FILTERS.map((filter) => [filter, TOPICS.map((topic) => isMatch(filter, topic))]));

  it("cover and overlap as their topics do", () => {
    const wrong: string[] = [];
    for (const [outer, held] of matched) {
      for (const [inner, wanted] of matched) {
        const isCovered = wanted.every((isWanted, index) => !isWanted || held[index]);
        const isShared = wanted.some((isWanted, index) => isWanted && held[index]);
        if (covers(outer, inner) !== isCovered) wrong.push(`${outer} covers ${inner}: ${!isCovered}`);
        if (overlaps(outer, inner) !== isShared) wrong.push(`${outer} overlaps ${inner}: ${!isShared}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** Characters as people count them: grapheme clusters of Unicode, so that "é" is one however it is written. */
import type { Evaluation } from "../key-evaluation.ts";

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** In ASCII every character is a cluster of its own, but a line end of two. */
const isPlain = (text: string): boolean => !/\P{ASCII}|\r/u.test(text);

/** Finding the ends of clusters costs this many times the bytes. */
const SEGMENT_FACTOR = 32;

/** The clusters of a text; undefined when there is not enough left to pay for finding them. */
export function graphemesOf(text: string, evaluation: Evaluation): readonly string[] | undefined {
  if (!evaluation.tryPay(text.length * SEGMENT_FACTOR)) return undefined;
  return isPlain(text) ? text.split("") : clustersOf(text);
}

/**
 * In stretches: the segmenter of Node 20 takes time by the square of the length (1.3 s for 65,536 characters). A stretch's last
 * cluster may go on behind it, so the next begins there.
 */
function clustersOf(text: string): string[] {
  const clusters: string[] = [];
  let stretch = STRETCH_CHARACTERS;
  for (let at = 0; at < text.length; ) {
    const found = Array.from(segmenter.segment(text.slice(at, at + stretch)), ({ segment }) => segment);
    if (at + stretch < text.length) {
      if (found.length === 1) {
        stretch *= 2;
        continue;
      }
      found.pop();
    }
    for (const cluster of found) {
      clusters.push(cluster);
      at += cluster.length;
    }
    stretch = STRETCH_CHARACTERS;
  }
  return clusters;
}

const STRETCH_CHARACTERS = 256;

/** How many there are; undefined as above. */
export function graphemeCountOf(text: string, evaluation: Evaluation): number | undefined {
  return isPlain(text) ? text.length : graphemesOf(text, evaluation)?.length;
}

/** Those from `start` to `end`; undefined as above. */
export function graphemesBetween(text: string, start: number, end: number, evaluation: Evaluation): string | undefined {
  if (isPlain(text)) return text.slice(start, end);
  return graphemesOf(text, evaluation)?.slice(start, end).join("");
}

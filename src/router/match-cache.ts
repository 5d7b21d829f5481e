/**
 * What is remembered of topics: for the bytes of a topic, the match it had and a stamp that tells whether that may still
 * hold. Two generations of bounded size: a topic that is found in the old one is taken over into the young one; when the
 * young one is full it becomes the old one, and what nobody asked for meanwhile is forgotten.
 *
 * ```
 *   hash ──► head of a chain ──► entry ──► entry …        entry, 5 words of 4 bytes:
 *                                                        0 hash  1 topic offset  2 topic bytes  3 stamp  4 next in chain, -1 = none
 * ```
 */
import { MATCH_CACHE_ENTRIES_MAX, MATCH_CACHE_TOPIC_BYTES_MAX, MATCH_CACHE_TOPICS_MAX } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";

const HASH = 0;
const TOPIC_OFFSET = 1;
const TOPIC_BYTES = 2;
const STAMP = 3;
const NEXT = 4;
const ENTRY_WORDS = 5;

/** An answer of `find`. */
export const NOT_REMEMBERED = -1;

class Generation<M extends object> {
  /** By bucket: the newest entry + 1, 0 = none. Zeros are memory that is not there until it is touched. */
  readonly heads = new Int32Array(MATCH_CACHE_TOPICS_MAX);
  readonly words = new Int32Array(MATCH_CACHE_TOPICS_MAX * ENTRY_WORDS);
  readonly topics = Region.allocate(MATCH_CACHE_TOPIC_BYTES_MAX);
  matches: M[] = [];
  sizes: number[] = [];
  topicBytes = 0;
  size = 0;

  find(hash: number, region: Region, topicOffset: number, topicBytes: number): number {
    const { words } = this;
    let entry = this.heads[bucketOf(hash)]! - 1;
    while (entry !== NOT_REMEMBERED) {
      const at = entry * ENTRY_WORDS;
      if (
        words[at + HASH] === hash &&
        words[at + TOPIC_BYTES] === topicBytes &&
        isSame(this.topics, words[at + TOPIC_OFFSET]!, region, topicOffset, topicBytes)
      ) {
        return entry;
      }
      entry = words[at + NEXT]!;
    }
    return NOT_REMEMBERED;
  }

  hasRoom(topicBytes: number, size: number): boolean {
    return (
      this.matches.length < MATCH_CACHE_TOPICS_MAX &&
      this.topicBytes + topicBytes <= MATCH_CACHE_TOPIC_BYTES_MAX &&
      this.size + size <= MATCH_CACHE_ENTRIES_MAX
    );
  }

  add(
    hash: number,
    region: Region,
    topicOffset: number,
    topicBytes: number,
    stamp: number,
    match: M,
    size: number,
  ): number {
    const entry = this.matches.push(match) - 1;
    this.sizes.push(size);
    this.size += size;
    const at = entry * ENTRY_WORDS;
    const bucket = bucketOf(hash);
    this.words[at + HASH] = hash;
    this.words[at + TOPIC_OFFSET] = this.topicBytes;
    this.words[at + TOPIC_BYTES] = topicBytes;
    this.words[at + STAMP] = stamp;
    this.words[at + NEXT] = this.heads[bucket]! - 1;
    this.heads[bucket] = entry + 1;
    copyBytes(this.topics, this.topicBytes, region, topicOffset, topicBytes);
    this.topicBytes += topicBytes;
    return entry;
  }

  clear(): void {
    if (this.matches.length === 0) return;
    this.heads.fill(0);
    this.matches = [];
    this.sizes = [];
    this.topicBytes = 0;
    this.size = 0;
  }
}

const bucketOf = (hash: number): number => (hash ^ (hash >>> 15)) & (MATCH_CACHE_TOPICS_MAX - 1);

/** Compares four bytes at a time: half the time of one by one for a usual topic. */
function isSame(one: Region, oneOffset: number, other: Region, otherOffset: number, byteLength: number): boolean {
  const words = byteLength & -4;
  let index = 0;
  while (index < words) {
    if (one.view.getInt32(oneOffset + index) !== other.view.getInt32(otherOffset + index)) return false;
    index += 4;
  }
  while (index < byteLength) {
    if (one.bytes[oneOffset + index] !== other.bytes[otherOffset + index]) return false;
    index += 1;
  }
  return true;
}

export class MatchCache<M extends object> {
  #young = new Generation<M>();
  #old = new Generation<M>();

  /** Topics remembered. */
  get topics(): number {
    return this.#young.matches.length + this.#old.matches.length;
  }

  /** The entry of a topic, valid until the next call but `stampOf`, `matchOf` and `confirm`; or NOT_REMEMBERED. */
  find(hash: number, region: Region, topicOffset: number, topicBytes: number): number {
    const entry = this.#young.find(hash, region, topicOffset, topicBytes);
    if (entry !== NOT_REMEMBERED) return entry;
    const old = this.#old;
    const taken = old.find(hash, region, topicOffset, topicBytes);
    if (taken === NOT_REMEMBERED) return NOT_REMEMBERED;
    const stamp = old.words[taken * ENTRY_WORDS + STAMP]!;
    return this.remember(hash, region, topicOffset, topicBytes, stamp, old.matches[taken]!, old.sizes[taken]!);
  }

  stampOf(entry: number): number {
    return this.#young.words[entry * ENTRY_WORDS + STAMP]!;
  }

  matchOf(entry: number): M {
    return this.#young.matches[entry]!;
  }

  /** The match of an entry was found to hold still. */
  confirm(entry: number, stamp: number): void {
    this.#young.words[entry * ENTRY_WORDS + STAMP] = stamp;
  }

  /** Gives an entry another match. `size` as for `remember`. */
  replace(entry: number, stamp: number, match: M, size: number): void {
    const young = this.#young;
    young.words[entry * ENTRY_WORDS + STAMP] = stamp;
    young.matches[entry] = match;
    young.size += size - young.sizes[entry]!;
    young.sizes[entry] = size;
    if (young.size > MATCH_CACHE_ENTRIES_MAX) this.turnOver();
  }

  /**
   * Remembers a topic that is not remembered; NOT_REMEMBERED when it alone is more than the cache takes. `size`: what this entry
   * alone keeps alive, 1 when its match is another's too.
   */
  remember(
    hash: number,
    region: Region,
    topicOffset: number,
    topicBytes: number,
    stamp: number,
    match: M,
    size: number,
  ): number {
    if (topicBytes > MATCH_CACHE_TOPIC_BYTES_MAX || size > MATCH_CACHE_ENTRIES_MAX) return NOT_REMEMBERED;
    if (!this.#young.hasRoom(topicBytes, size)) this.turnOver();
    return this.#young.add(hash, region, topicOffset, topicBytes, stamp, match, size);
  }

  /** The young generation becomes the old one; the old one is forgotten. */
  turnOver(): void {
    const old = this.#old;
    this.#old = this.#young;
    this.#young = old;
    old.clear();
  }
}

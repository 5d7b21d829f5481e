/**
 * The walk from a topic to the filters that match it, through a trie of filters. Its cost depends on the topic's levels and
 * on the nodes that match, not on the filters beside them.
 *
 * ```
 *   topic a/b        at the root    take "#"; go to "+" and "a"
 *                    at "a", "+"    take "#"; go to "+" and "b"
 *                    at the end     take the node itself, and "#" below it: `a/b/#` matches `a/b`
 * ```
 */
import { assert } from "../base/assert.ts";
import { TOPIC_LEVELS_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { hashOfByte, type LevelTrie, ROOT } from "./level-trie.ts";

const SLASH = 0x2f;
const DOLLAR = 0x24;

export class TopicWalk<T extends object> {
  readonly #trie: LevelTrie<T>;
  /** What the last walk found; the first `count` places count. Always in the same order for the same filters. */
  readonly found: T[] = [];
  #count = 0;

  readonly #starts = new Int32Array(TOPIC_LEVELS_MAX);
  readonly #lengths = new Int32Array(TOPIC_LEVELS_MAX);
  readonly #hashes = new Int32Array(TOPIC_LEVELS_MAX);
  /** Nodes to visit with their levels: a visit takes one away and adds at most two. */
  readonly #stack = new Int32Array(2 * (TOPIC_LEVELS_MAX + 2));

  constructor(trie: LevelTrie<T>) {
    this.#trie = trie;
  }

  /** Finds the values of all filters that match a valid topic; returns how many. */
  walk(region: Region, topicOffset: number, topicBytes: number): number {
    const trie = this.#trie;
    const stack = this.#stack;
    const levels = this.#split(region, topicOffset, topicBytes);
    const isDollar = region.bytes[topicOffset] === DOLLAR && topicBytes > 0;
    this.#count = 0;
    stack[0] = ROOT;
    stack[1] = 0;
    let depth = 2;
    while (depth > 0) {
      depth -= 2;
      const node = stack[depth]!;
      const level = stack[depth + 1]!;
      const wildcards = level > 0 || !isDollar; // [MQTT-4.7.2-1]
      if (wildcards) this.#take(trie.hashChildOf(node));
      if (level === levels) {
        this.#take(node);
        continue;
      }
      const plus = wildcards ? trie.plusChildOf(node) : 0;
      if (plus !== 0) {
        stack[depth] = plus;
        stack[depth + 1] = level + 1;
        depth += 2;
      }
      const child = trie.childOf(node, this.#hashes[level]!, region, this.#starts[level]!, this.#lengths[level]!);
      if (child !== 0) {
        stack[depth] = child;
        stack[depth + 1] = level + 1;
        depth += 2;
      }
    }
    return this.#count;
  }

  #take(node: number): void {
    const value = this.#trie.valueOf(node); // The root, which also means "no such child", holds none.
    if (value === undefined) return;
    this.found[this.#count] = value;
    this.#count += 1;
  }

  #split(region: Region, topicOffset: number, topicBytes: number): number {
    const end = topicOffset + topicBytes;
    let levels = 0;
    let start = topicOffset;
    let hash = this.#trie.seed;
    for (let at = topicOffset; at <= end; at += 1) {
      const byte = at < end ? region.bytes[at]! : SLASH;
      if (byte !== SLASH) {
        hash = hashOfByte(hash, byte);
        continue;
      }
      assert(levels < TOPIC_LEVELS_MAX, "a topic's levels are within their bound");
      this.#starts[levels] = start;
      this.#lengths[levels] = at - start;
      this.#hashes[levels] = hash;
      levels += 1;
      start = at + 1;
      hash = this.#trie.seed;
    }
    return levels;
  }
}

/**
 * The retained messages of a partition, by topic: what is kept of each is the owner's, found again by topic or by filter.
 *
 * A scan by filter goes on over several turns while topics come and go: it holds only the next children to look at, and when one
 * of those is removed it moves on to the sibling behind it. A topic that is set during a scan may or may not be seen by it; one
 * that is there from beginning to end is seen once.
 *
 * ```
 *   filter a/+/#      stack of a scan:  │ next child of "a", level "+" │ next child of "a/x", level "#" │ …
 * ```
 */
import type { Region } from "../base/region.ts";
import { LevelTrie, NO_NODE } from "./level-trie.ts";
import { RetainedScan } from "./retained-scan.ts";

/** What is kept for a topic. */
export interface Retained<V> {
  value: V;
  bytes: number;
}

export class RetainedIndex<V> {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #trie: LevelTrie<Retained<V>>;
  readonly #scans = new Set<RetainedScan<V>>();
  #count = 0;
  #bytes = 0;

  /** `seed`: 32 random bits (see LevelTrie). */
  constructor(countMax: number, bytesMax: number, seed: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
    this.#trie = new LevelTrie(seed);
  }

  /** Topics with a retained message. */
  get count(): number {
    return this.#count;
  }

  /** The sum of what `set` was told. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Scans that are neither done nor closed. */
  get openScans(): number {
    return this.#scans.size;
  }

  #bytesOf(region: Region, topicOffset: number, topicBytes: number): number {
    const node = this.#trie.find(region, topicOffset, topicBytes);
    return node === NO_NODE ? 0 : (this.#trie.valueOf(node)?.bytes ?? 0);
  }

  get(region: Region, topicOffset: number, topicBytes: number): V | undefined {
    const node = this.#trie.find(region, topicOffset, topicBytes);
    return node === NO_NODE ? undefined : this.#trie.valueOf(node)?.value;
  }

  /** Keeps `value` for a valid topic, in place of the one before; `bytes` is what it counts for. False when full: nothing changed. */
  set(region: Region, topicOffset: number, topicBytes: number, value: V, bytes: number): boolean {
    const before = this.#bytesOf(region, topicOffset, topicBytes);
    if (bytes > before && this.#bytes - before + bytes > this.#bytesMax) return false;
    return this.restore(region, topicOffset, topicBytes, value, bytes);
  }

  /** The same, however many bytes there are. */
  restore(region: Region, topicOffset: number, topicBytes: number, value: V, bytes: number): boolean {
    let node = this.#trie.find(region, topicOffset, topicBytes);
    const before = node === NO_NODE ? undefined : this.#trie.valueOf(node);
    if (before === undefined) {
      if (this.#count === this.#countMax) return false;
      if (node === NO_NODE) node = this.#trie.tryEnsure(region, topicOffset, topicBytes);
      if (node === NO_NODE) return false;
      this.#trie.setValue(node, { value, bytes });
      this.#count += 1;
      this.#bytes += bytes;
      return true;
    }
    this.#bytes += bytes - before.bytes;
    before.value = value;
    before.bytes = bytes;
    return true;
  }

  /** Forgets a topic's message; returns what was kept. */
  clear(region: Region, topicOffset: number, topicBytes: number): V | undefined {
    const leaf = this.#trie.find(region, topicOffset, topicBytes);
    const before = leaf === NO_NODE ? undefined : this.#trie.valueOf(leaf);
    if (before === undefined) return undefined;
    this.#trie.setValue(leaf, undefined);
    this.#count -= 1;
    this.#bytes -= before.bytes;
    let node = leaf;
    while (this.#trie.isBare(node)) {
      for (const scan of this.#scans) scan.onRemove(node);
      node = this.#trie.remove(node);
    }
    return before.value;
  }

  /** Begins a scan of all topics that match a valid filter. It must be run to its end or closed. */
  scan(filter: string): RetainedScan<V> {
    const scan = new RetainedScan(this.#trie, filter, this.#scans);
    this.#scans.add(scan);
    return scan;
  }
}

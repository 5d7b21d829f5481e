/**
 * One scan of the retained messages by a filter, resumable: see retained.ts for the drawing and for what it sees of changes.
 */
import { Region } from "../base/region.ts";
import { hashOfByte, type LevelTrie, ROOT } from "./level-trie.ts";
import type { Retained } from "./retained.ts";

const DOLLAR = 0x24;

interface FilterLevel {
  readonly kind: "name" | "plus" | "hash";
  readonly hash: number;
  readonly start: number;
  readonly byteLength: number;
}

export class RetainedScan<V> {
  readonly #trie: LevelTrie<Retained<V>>;
  readonly #open: Set<RetainedScan<V>>;
  readonly #filter: Region;
  readonly #levels: readonly FilterLevel[];
  /** The next child to look at, 0 when there is none left, and the filter's level that it has to match. */
  readonly #children: number[] = [];
  readonly #depths: number[] = [];
  #hasBegun = false;
  #isDone = false;

  /** `open`: the scans that `onRemove` is called for; this one leaves it when it ends. */
  constructor(trie: LevelTrie<Retained<V>>, filter: string, open: Set<RetainedScan<V>>) {
    this.#trie = trie;
    this.#open = open;
    this.#filter = Region.over(Buffer.from(filter));
    this.#levels = levelsOf(filter, trie.seed);
  }

  /** Whether there is nothing more to find. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The next match, after at most `stepsMax` topic levels looked at; undefined when it is done or needs another call. */
  next(stepsMax: number): V | undefined {
    if (this.#isDone) return undefined;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      const exact = this.#enter(ROOT, 0);
      if (exact !== undefined) return exact;
    }
    for (let step = 0; step < stepsMax; step += 1) {
      const top = this.#children.length - 1;
      if (top < 0) {
        this.close();
        return undefined;
      }
      const child = this.#children[top]!;
      if (child === 0) {
        this.#children.pop();
        this.#depths.pop();
        continue;
      }
      const depth = this.#depths[top]!;
      this.#children[top] = this.#trie.nextSiblingOf(child);
      const isHidden = top === 0 && depth === 0 && this.#trie.firstByteOf(child) === DOLLAR; // [MQTT-4.7.2-1]
      if (isHidden) continue;
      const value = this.#enter(child, this.#levels[depth]!.kind === "hash" ? depth : depth + 1);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Ends the scan early. */
  close(): void {
    this.#isDone = true;
    this.#open.delete(this);
  }

  /** A node is about to leave the trie. It has no children, so only its parent's place can point to it. */
  onRemove(node: number): void {
    for (let place = 0; place < this.#children.length; place += 1) {
      if (this.#children[place] === node) this.#children[place] = this.#trie.nextSiblingOf(node);
    }
  }

  /** Goes to a node that matches the filter's levels before `depth`; returns what it holds if that matches the whole filter. */
  #enter(from: number, fromDepth: number): V | undefined {
    let node = from;
    let depth = fromDepth;
    for (;;) {
      const level = this.#levels[depth];
      if (level === undefined) return this.#trie.valueOf(node)?.value;
      if (level.kind !== "name") {
        this.#children.push(this.#trie.firstChildOf(node));
        this.#depths.push(depth);
        return level.kind === "hash" ? this.#trie.valueOf(node)?.value : undefined;
      }
      node = this.#trie.childOf(node, level.hash, this.#filter, level.start, level.byteLength);
      if (node === 0) return undefined;
      depth += 1;
    }
  }
}

function levelsOf(filter: string, seed: number): FilterLevel[] {
  let start = 0;
  return filter.split("/").map((name) => {
    const bytes = Buffer.from(name);
    const level: FilterLevel = {
      kind: name === "#" ? "hash" : name === "+" ? "plus" : "name",
      hash: bytes.reduce(hashOfByte, seed),
      start,
      byteLength: bytes.length,
    };
    start += bytes.length + 1;
    return level;
  });
}

/**
 * What waits for a thread of the pool, bounded, and fair between those it is for: each group has its turn, however much another has sent.
 *
 * ```
 *   groups, in turn:  10.0.0.7: ▪▪▪▪▪▪▪   10.0.0.9: ▪   …      full: the newest of the longest group makes room
 * ```
 */
export class FairQueue<T> {
  readonly #itemsMax: number;
  readonly #groups = new Map<string, T[]>();
  #length = 0;

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get length(): number {
    return this.#length;
  }

  /** Adds to the end of a group. Returns what finds no place: nothing, an item of a longer group, or the item itself. */
  push(group: string, item: T): T | undefined {
    let evicted: T | undefined;
    if (this.#length >= this.#itemsMax) {
      const longest = this.#longest();
      const length = this.#groups.get(group)?.length ?? 0;
      if (longest === undefined || this.#groups.get(longest)!.length <= length + 1) return item;
      evicted = this.#groups.get(longest)!.pop();
      this.#length -= 1;
    }
    const items = this.#groups.get(group);
    if (items === undefined) this.#groups.set(group, [item]);
    else items.push(item);
    this.#length += 1;
    return evicted;
  }

  /** The oldest of the group whose turn it is. */
  shift(): T | undefined {
    for (const [group, items] of this.#groups) {
      const item = items.shift();
      this.#groups.delete(group);
      if (items.length > 0) this.#groups.set(group, items); // The last in turn from here on.
      this.#length -= 1;
      return item;
    }
    return undefined;
  }

  #longest(): string | undefined {
    let longest: string | undefined;
    let length = 0;
    for (const [group, items] of this.#groups) {
      if (items.length <= length) continue;
      longest = group;
      length = items.length;
    }
    return longest;
  }
}

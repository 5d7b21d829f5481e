/**
 * least_inflight: the consumer with the fewest messages in flight; among equals the one that has waited longest.
 *
 * ```
 *   count     0        1         2        3
 *   bucket  [    ]  [a ─ b]   [    ]   [c]        lists, first in first out
 *   used      0        1         0        1        a bit each: the lowest is found a word at a time
 * ```
 *
 * Exact within a burst: each pick counts before the next one.
 */
import type { Consumer } from "./consumer.ts";
import type { Strategy } from "./strategy.ts";

export class LeastInflight implements Strategy {
  count = 0;
  #firsts: (Consumer | undefined)[] = [];
  #lasts: (Consumer | undefined)[] = [];
  #used = new Int32Array(1);
  /** No bucket below this word has anybody. */
  #lowestWord = 0;

  add(consumer: Consumer): void {
    const bucket = consumer.inFlight;
    while (this.#firsts.length <= bucket) {
      this.#firsts.push(undefined);
      this.#lasts.push(undefined);
    }
    const last = this.#lasts[bucket];
    consumer.room = bucket;
    consumer.previous = last;
    consumer.next = undefined;
    if (last === undefined) this.#firsts[bucket] = consumer;
    else last.next = consumer;
    this.#lasts[bucket] = consumer;
    this.#markUsed(bucket);
    this.count += 1;
  }

  remove(consumer: Consumer): void {
    const bucket = consumer.room;
    const { previous, next } = consumer;
    if (previous === undefined) this.#firsts[bucket] = next;
    else previous.next = next;
    if (next === undefined) this.#lasts[bucket] = previous;
    else next.previous = previous;
    if (this.#firsts[bucket] === undefined) this.#used[bucket >>> 5]! &= ~(1 << (bucket & 31));
    consumer.next = undefined;
    consumer.previous = undefined;
    consumer.room = -1;
    this.count -= 1;
  }

  moved(consumer: Consumer): void {
    if (consumer.room === consumer.inFlight) return;
    this.remove(consumer);
    this.add(consumer);
  }

  pick(_random: () => number, excluded: Consumer | undefined): Consumer | undefined {
    if (this.count === 0) return undefined;
    const used = this.#used;
    while (used[this.#lowestWord] === 0) this.#lowestWord += 1;
    const bucket = lowestBucket(used, this.#lowestWord, -1);
    const first = this.#firsts[bucket]!;
    if (first !== excluded) return first;
    if (first.next !== undefined) return first.next;
    const other = lowestBucket(used, this.#lowestWord, bucket);
    return other === -1 ? undefined : this.#firsts[other];
  }

  served(consumer: Consumer): void {
    this.moved(consumer);
  }

  #markUsed(bucket: number): void {
    const word = bucket >>> 5;
    if (word >= this.#used.length) {
      const used = new Int32Array(Math.max(word + 1, this.#used.length * 2));
      used.set(this.#used);
      this.#used = used;
    }
    this.#used[word]! |= 1 << (bucket & 31);
    if (word < this.#lowestWord) this.#lowestWord = word;
  }
}

/** The lowest used bucket above `above`, from `word` on; -1 when there is none. */
function lowestBucket(used: Int32Array, word: number, above: number): number {
  for (let at = Math.max(word, (above + 1) >>> 5); at < used.length; at += 1) {
    let bits = used[at]!;
    if (at === above >>> 5 && above >= 0) bits &= (above & 31) === 31 ? 0 : -1 << ((above & 31) + 1);
    if (bits !== 0) return at * 32 + 31 - Math.clz32(bits & -bits);
  }
  return -1;
}

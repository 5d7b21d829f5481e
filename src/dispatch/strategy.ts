/**
 * Strategies: which of the consumers with room gets the next message. All work in constant time, whatever the number of
 * consumers; one without room is not in the strategy at all.
 *
 * ```
 *   random         a dense array; the last one fills a gap
 *   round_robin    a list; who is picked goes to its end
 *   least_inflight a list per in-flight count; who is picked moves to the end of the next list
 * ```
 */
import type { DispatchStrategy } from "../queue/definition.ts";
import type { Consumer } from "./consumer.ts";
import { LeastInflight } from "./least-inflight.ts";

/** One queue's consumers with room. A consumer is in at most one strategy. */
export interface Strategy {
  /** Consumers with room. */
  readonly count: number;
  /** A consumer has room now. */
  add(consumer: Consumer): void;
  /** It has none any more. */
  remove(consumer: Consumer): void;
  /** Its in-flight count changed and it has room still. */
  moved(consumer: Consumer): void;
  /**
   * The consumer for the next message, never `excluded`; undefined when there is no other. It stays where it is until
   * `served`, so that a pick can be repeated.
   */
  pick(random: () => number, excluded: Consumer | undefined): Consumer | undefined;
  /** The consumer got the message; its count is one higher, and it has room still. */
  served(consumer: Consumer): void;
}

export function newStrategy(kind: DispatchStrategy): Strategy {
  switch (kind) {
    case "random":
      return new RandomStrategy();
    case "round_robin":
      return new RoundRobin();
    case "least_inflight":
      return new LeastInflight();
  }
}

class RandomStrategy implements Strategy {
  readonly #consumers: Consumer[] = [];

  get count(): number {
    return this.#consumers.length;
  }

  add(consumer: Consumer): void {
    consumer.room = this.#consumers.length;
    this.#consumers.push(consumer);
  }

  remove(consumer: Consumer): void {
    const last = this.#consumers.pop()!;
    if (last !== consumer) {
      this.#consumers[consumer.room] = last;
      last.room = consumer.room;
    }
    consumer.room = -1;
  }

  moved(): void {}

  pick(random: () => number, excluded: Consumer | undefined): Consumer | undefined {
    const consumers = this.#consumers;
    if (excluded === undefined || excluded.room === -1) return consumers[Math.floor(random() * consumers.length)];
    // One of the others: those from the excluded one's place on are counted from one place further.
    const index = Math.floor(random() * (consumers.length - 1));
    return consumers[index < excluded.room ? index : index + 1];
  }

  served(): void {}
}

class RoundRobin implements Strategy {
  count = 0;
  #first: Consumer | undefined;
  #last: Consumer | undefined;

  add(consumer: Consumer): void {
    consumer.room = 0;
    consumer.previous = this.#last;
    consumer.next = undefined;
    if (this.#last === undefined) this.#first = consumer;
    else this.#last.next = consumer;
    this.#last = consumer;
    this.count += 1;
  }

  remove(consumer: Consumer): void {
    const { previous, next } = consumer;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    consumer.next = undefined;
    consumer.previous = undefined;
    consumer.room = -1;
    this.count -= 1;
  }

  moved(): void {}

  pick(_random: () => number, excluded: Consumer | undefined): Consumer | undefined {
    const first = this.#first;
    return first !== undefined && first === excluded ? first.next : first;
  }

  served(consumer: Consumer): void {
    if (consumer === this.#last) return;
    this.remove(consumer);
    this.add(consumer);
  }
}

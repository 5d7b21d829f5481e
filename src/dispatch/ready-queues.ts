/**
 * The dispatchers that have something to do, in the order in which they got it: a turn visits these and no other, so
 * that a thousand idle queues cost nothing.
 *
 * ```
 *   add ──► ready ──beginRound──► round ──next──► pumped, and added again if there is more
 * ```
 */
import type { AnyDispatcher } from "./dispatcher.ts";

export class ReadyQueues {
  /** Ready since the round began; those of the round, and how many of them had their turn. */
  #ready: AnyDispatcher[] = [];
  #round: AnyDispatcher[] = [];
  #begun = 0;
  readonly #blocked = new Set<AnyDispatcher>();

  get count(): number {
    return this.#ready.length + this.#round.length - this.#begun;
  }

  /** Dispatchers with a consumer whose link refused a message. */
  get blockedCount(): number {
    return this.#blocked.size;
  }

  add(dispatcher: AnyDispatcher): void {
    if (dispatcher.isReady) return;
    dispatcher.isReady = true;
    this.#ready.push(dispatcher);
  }

  /** Begins a round of all that are ready now, unless one is under way: what a turn leaves of it comes first in the next. */
  beginRound(): void {
    if (this.#begun < this.#round.length) return;
    const round = this.#ready;
    this.#ready = this.#round;
    this.#ready.length = 0;
    this.#round = round;
    this.#begun = 0;
  }

  /** The next of the round; it is ready again only when something changes, or when its pump stopped at its bound. */
  next(): AnyDispatcher | undefined {
    const dispatcher = this.#round[this.#begun];
    if (dispatcher === undefined) return undefined;
    this.#begun += 1;
    dispatcher.isReady = false;
    return dispatcher;
  }

  /** A dispatcher's link refused; `retryBlocked` lets it try again. */
  block(dispatcher: AnyDispatcher): void {
    this.#blocked.add(dispatcher);
  }

  /** Rings or sockets may have room again: every refused consumer may be tried. Call it once a turn at most. */
  retryBlocked(): void {
    for (const dispatcher of this.#blocked) dispatcher.resumeBlocked();
    this.#blocked.clear();
  }

  forget(dispatcher: AnyDispatcher): void {
    this.#blocked.delete(dispatcher);
    const index = this.#ready.indexOf(dispatcher);
    if (index >= 0) this.#ready.splice(index, 1); // In a round that is under way it does nothing more.
  }
}

/**
 * The dispatchers that have something to do, in the order in which they got it: a turn visits these and no other, so
 * that a thousand idle queues cost nothing.
 */
import type { Dispatcher } from "./dispatcher.ts";

export class ReadyQueues {
  #ready: Dispatcher[] = [];
  #taken: Dispatcher[] = [];
  readonly #blocked = new Set<Dispatcher>();

  get count(): number {
    return this.#ready.length;
  }

  /** Dispatchers with a consumer whose link refused a message. */
  get blockedCount(): number {
    return this.#blocked.size;
  }

  add(dispatcher: Dispatcher): void {
    if (dispatcher.isReady) return;
    dispatcher.isReady = true;
    this.#ready.push(dispatcher);
  }

  /**
   * Takes all that are ready; each is ready again only when something changes, or when its pump stopped at its bound. The
   * array is valid until the next call.
   */
  take(): readonly Dispatcher[] {
    const taken = this.#ready;
    this.#ready = this.#taken;
    this.#ready.length = 0;
    this.#taken = taken;
    for (const dispatcher of taken) dispatcher.isReady = false;
    return taken;
  }

  /** A dispatcher's link refused; `retryBlocked` lets it try again. */
  block(dispatcher: Dispatcher): void {
    this.#blocked.add(dispatcher);
  }

  /** Rings or sockets may have room again: every refused consumer may be tried. Call it once a turn at most. */
  retryBlocked(): void {
    for (const dispatcher of this.#blocked) dispatcher.resumeBlocked();
    this.#blocked.clear();
  }

  forget(dispatcher: Dispatcher): void {
    this.#blocked.delete(dispatcher);
    const index = this.#ready.indexOf(dispatcher);
    if (index >= 0) this.#ready.splice(index, 1);
    dispatcher.isReady = true; // A removed dispatcher is never added again.
  }
}

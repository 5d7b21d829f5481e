/**
 * Queues that subscriptions here want and that are not there: control creates them, if it may, before SUBACK.
 *
 * ```
 *   SUBSCRIBE $queue/NAME/FILTER, no such queue ─► asked of control, once for all who want it ─┬─ answered ─► SUBACK
 *                                                                                             └─ deadline ─► SUBACK
 * ```
 *
 * Whatever comes of it, the subscription stays: bound to its queue, or waiting for one.
 */
import { WANTED_QUEUE_DEADLINE_MS, WANTED_QUEUES_MAX } from "../base/limits.ts";
import { queueAddressOf } from "../queue/queue-address.ts";
import type { QueueRegistry } from "../queue/registry.ts";
import type { WantedQueue } from "./commands.ts";

export interface WantedQueuesParts {
  readonly registry: QueueRegistry;
  /** Asks control. */
  readonly ask: (queue: WantedQueue) => void;
  /** Calls back once. */
  readonly after: (afterMs: number, callback: () => void) => void;
  readonly onFault: (fields: object, message: string) => void;
}

export class WantedQueues {
  /** Whether control would create any. */
  isAllowed = false;
  readonly #parts: WantedQueuesParts;
  /** Who waits for an answer, by the subscription's filter. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(parts: WantedQueuesParts) {
    this.#parts = parts;
  }

  /** A subscription with this filter is bound. `done` once its queue is there, or is not going to be for now. */
  want(filter: string, done: () => void): void {
    const queue = this.isAllowed ? this.#missing(filter) : undefined;
    if (queue === undefined) {
      done();
      return;
    }
    const waiting = this.#waiting.get(filter);
    if (waiting !== undefined) {
      waiting.push(done);
    } else if (this.#waiting.size === WANTED_QUEUES_MAX) {
      this.#parts.onFault({ filter }, "too many subscriptions ask for queues at a time; this one is not created");
      done();
    } else {
      const all = [done];
      this.#waiting.set(filter, all);
      this.#parts.ask(queue);
      this.#parts.after(WANTED_QUEUE_DEADLINE_MS, () => {
        if (this.#waiting.get(filter) === all) this.onAnswer(filter);
      });
    }
  }

  /** What was asked for is there, or will not be. */
  onAnswer(filter: string): void {
    const waiting = this.#waiting.get(filter);
    this.#waiting.delete(filter);
    for (const done of waiting ?? []) done();
  }

  /** The queue that this filter speaks of, if there is none of its name, and the filter says what it would hold. */
  #missing(filter: string): WantedQueue | undefined {
    const { registry } = this.#parts;
    const address = queueAddressOf(filter);
    if (address?.topicFilter === undefined) return undefined;
    const isNamed = address.kind === "named";
    const known = isNamed ? registry.get(address.name) : registry.resolve(address);
    if (known !== undefined) return undefined;
    return { wanted: filter, name: isNamed ? address.name : undefined, topicFilter: address.topicFilter };
  }
}

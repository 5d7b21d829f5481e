/**
 * Which queues there are, as this worker knows it, and the routes to its own.
 *
 * ```
 *   create ─► stored, empty ─► announce: known to consumers, routed to ─► retract: neither ─► remove
 * ```
 */
import { isSystemFilter } from "../mqtt/topics.ts";
import type { QueueRecord } from "../queue/definition.ts";
import type { QueueRegistry } from "../queue/registry.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import type { RoutedQueue } from "./publishing.ts";
import type { QueueOwner } from "./queue-owner.ts";
import type { RouteAnnouncer } from "./route-announcer.ts";

export interface QueueRoutesParts {
  readonly registry: QueueRegistry;
  readonly owner: QueueOwner;
  /** This worker's. */
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly wake: () => void;
}

export class QueueRoutes {
  readonly #parts: QueueRoutesParts;
  /** This worker's own, by name. */
  readonly #own = new Map<string, RoutedQueue>();

  constructor(parts: QueueRoutesParts) {
    this.#parts = parts;
  }

  /** A queue of this worker that was read back: its messages follow, then it is routed to. */
  restore(record: QueueRecord): void {
    this.#route(record, this.#open(record), () => {});
  }

  /** A new queue of this worker: empty, not yet routed to. */
  create(record: QueueRecord): void {
    this.#open(record).queue.recovered(undefined);
  }

  #open(record: QueueRecord): RoutedQueue {
    const { owner, partitions } = this.#parts;
    const routed = { queue: owner.open(record), partition: partitions.get(record.partition)!, group: undefined };
    this.#own.set(record.definition.name, routed);
    return routed;
  }

  #route(record: QueueRecord, routed: RoutedQueue, done: () => void): void {
    const { index, announcer } = this.#parts;
    const filter = record.definition.topic_filter;
    if (isSystemFilter(filter)) {
      done(); // What the broker says about itself is in no queue.
      return;
    }
    index.addQueue(filter, routed);
    announcer.tell(filter, index.stateOf(filter), done);
  }

  /** Consumers here know the queue from here on; its own worker routes to it. `done` when all have heard of that route. */
  announce(record: QueueRecord, done: () => void): void {
    const { registry, partitions, wake } = this.#parts;
    registry.set(record);
    const routed = partitions.has(record.partition) ? this.#own.get(record.definition.name) : undefined;
    if (routed === undefined) done();
    else this.#route(record, routed, done);
    wake();
  }

  retract(name: string): void {
    const { registry, wake } = this.#parts;
    const record = registry.get(name);
    if (record === undefined) return;
    this.#unroute(record);
    registry.remove(name);
    wake();
  }

  /** Ends a queue of this worker, with its messages. */
  remove(record: QueueRecord): void {
    this.#unroute(record);
    this.#own.delete(record.definition.name);
    this.#parts.owner.remove(record);
    this.#parts.wake();
  }

  #unroute(record: QueueRecord): void {
    const { index, announcer, partitions } = this.#parts;
    const { name, topic_filter: filter } = record.definition;
    const routed = partitions.has(record.partition) ? this.#own.get(name) : undefined;
    if (routed === undefined || !index.removeQueue(filter, routed)) return;
    announcer.tell(filter, index.stateOf(filter), () => {});
  }
}

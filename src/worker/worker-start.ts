/**
 * The start of a worker: it reads its partitions back, learns what the others found, and only then serves.
 *
 * ```
 *   recover ─► queues, routes, QoS 2 identifiers of this worker ─► all workers' ─► begin
 * ```
 */
import type { QueueRecord } from "../queue/definition.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import { Attachment } from "../session/attachment.ts";
import { consumerQosOf } from "../session/subscribe.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import type { RoutedQueue } from "./publishing.ts";
import type { QueueRoutes } from "./queue-routes.ts";
import { recoverPartition } from "./recovery.ts";
import type { RetainedMessages } from "./retained-messages.ts";
import type { RouteAnnouncer, RouteSummary } from "./route-announcer.ts";
import type { SessionDesk } from "./session-desk.ts";

/** What a worker found: its queues, its routes, and the keys of the QoS 2 identifiers it has. */
export interface Recovered {
  readonly queues: QueueRecord[];
  readonly routes: RouteSummary[];
  readonly inbound: string[];
}

export interface WorkerStartParts {
  readonly worker: number;
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly desk: SessionDesk;
  readonly queueRoutes: QueueRoutes;
  readonly retained: RetainedMessages;
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly random: () => number;
}

export class WorkerStart {
  readonly #parts: WorkerStartParts;

  constructor(parts: WorkerStartParts) {
    this.#parts = parts;
  }

  recover(nowMs: number): Recovered {
    const { partitions, desk, queueRoutes, retained, announcer, random } = this.#parts;
    const queues: QueueRecord[] = [];
    for (const partition of partitions.values()) {
      const found = recoverPartition(partition, {
        desk,
        openQueue: (record) => queueRoutes.restore(record),
        route: (subscription) => this.#restoreRoute(subscription),
        nowMs,
        random,
      });
      queues.push(...found);
      retained.recover(partition);
    }
    const inbound = [...partitions.values()].flatMap((partition) => [...partition.inbound.keys()]);
    return { queues, routes: announcer.start(), inbound };
  }

  #restoreRoute(subscription: Subscription): void {
    const { index, announcer } = this.#parts;
    const { filter, options } = subscription;
    const qos = consumerQosOf(filter, options);
    if (qos !== undefined) {
      subscription.attachment = new Attachment(subscription, qos); // Bound when the client is back.
      return;
    }
    index.addSubscriber(filter, subscription, true);
    announcer.tell(filter, index.stateOf(filter), () => {});
  }

  begin(routes: readonly (readonly RouteSummary[])[], inbound: readonly (readonly string[])[]): void {
    const { worker, index, desk } = this.#parts;
    for (const [other, summaries] of routes.entries()) {
      if (other === worker) continue;
      for (const { filter, state } of summaries) index.setRemote(filter, other, state);
    }
    for (const key of new Set(inbound.flat())) desk.restoreInbound(key);
  }
}

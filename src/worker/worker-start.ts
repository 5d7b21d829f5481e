/**
 * The start of a worker: it reads its partitions back, learns what the others found, and only then serves.
 *
 * ```
 *   recover ─► queues, routes, QoS 2 identifiers of this worker ─► all workers' ─► begin
 * ```
 */

import type { ShareMember } from "../frame/kinds.ts";
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
import type { ShareGroups } from "./share-groups.ts";
import { memberOf, type ShareMembers } from "./share-members.ts";

/** What a worker found: its queues, its routes, and the keys of the QoS 2 identifiers it has. */
export interface Recovered {
  readonly queues: QueueRecord[];
  readonly routes: RouteSummary[];
  readonly inbound: string[];
  readonly shares: FoundShares;
}

/** What one worker found of shared subscriptions: their members, where stored messages of some lie, and which of those it has. */
export interface FoundShares {
  readonly members: readonly ShareMember[];
  readonly homes: readonly (readonly [filter: string, partition: number])[];
  /** What its sessions have taken over: where it lay, or lies. */
  readonly adopted: readonly (readonly [partition: number, positions: readonly number[]])[];
}

export interface WorkerStartParts {
  readonly worker: number;
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly desk: SessionDesk;
  readonly queueRoutes: QueueRoutes;
  readonly retained: RetainedMessages;
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly groups: ShareGroups;
  readonly members: ShareMembers;
  readonly random: () => number;
}

export class WorkerStart {
  readonly #parts: WorkerStartParts;

  constructor(parts: WorkerStartParts) {
    this.#parts = parts;
  }

  recover(nowMs: number): Recovered {
    const { partitions, desk, queueRoutes, retained, announcer, groups, random } = this.#parts;
    const queues: QueueRecord[] = [];
    const members: ShareMember[] = [];
    const homes: (readonly [string, number])[] = [];
    for (const partition of partitions.values()) {
      const found = recoverPartition(partition, {
        desk,
        openQueue: (record) => queueRoutes.restore(record),
        openShare: (record) => {
          groups.restore(record);
          homes.push([record.definition.name, record.partition]);
        },
        route: (subscription) => this.#restoreRoute(subscription, members),
        adoption: this.#parts.members.adoption,
        nowMs,
        random,
      });
      queues.push(...found);
      retained.recover(partition);
    }
    const inbound = [...partitions.values()].flatMap((partition) => [...partition.inbound.keys()]);
    const adopted = this.#parts.members.adoption.found;
    return { queues, routes: announcer.start(), inbound, shares: { members, homes, adopted } };
  }

  #restoreRoute(subscription: Subscription, members: ShareMember[]): void {
    const { index, announcer } = this.#parts;
    const { filter, options } = subscription;
    const qos = consumerQosOf(filter, options);
    if (qos !== undefined) {
      subscription.attachment = new Attachment(subscription, qos); // Bound when the client is back.
      if (subscription.attachment.isShared) members.push(memberOf(subscription));
      return;
    }
    index.addSubscriber(filter, subscription, true);
    announcer.tell(filter, index.stateOf(filter), () => {});
  }

  begin(
    routes: readonly (readonly RouteSummary[])[],
    inbound: readonly (readonly string[])[],
    shares: readonly FoundShares[],
  ): void {
    const { worker, index, desk } = this.#parts;
    for (const [other, summaries] of routes.entries()) {
      if (other === worker) continue;
      for (const { filter, state } of summaries) index.setRemote(filter, other, state);
    }
    for (const key of new Set(inbound.flat())) desk.restoreInbound(key);
    this.#beginShares(shares);
  }

  /** The shared subscriptions that live here get their members, wherever those are. */
  #beginShares(shares: readonly FoundShares[]): void {
    const { partitions, groups, members } = this.#parts;
    for (const { homes } of shares) for (const [filter, partition] of homes) members.noteFound(filter, partition);
    for (const found of shares) {
      for (const member of found.members) {
        const partition = members.partitionOf(member.filter);
        if (partitions.has(partition)) groups.join(member, partition, () => {});
      }
    }
    for (const { adopted } of shares) for (const [partition, positions] of adopted) groups.forget(partition, positions);
    groups.endAbandoned();
  }
}

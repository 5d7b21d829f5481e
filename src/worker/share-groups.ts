/**
 * The shared subscriptions that live on this worker. Each has a partition, by the hash of its filter or where its stored messages were
 * found, and its members come from all workers.
 *
 * ```
 *   JOIN ─► member ─► routed to, by all workers ─► JOINED          LEAVE of the last ─► its messages go, nobody routes to it
 * ```
 */
import { EXPIRIES_PER_TICK, SHARED_RETENTION_MS, SHARED_RETRY_MS, WORK_COST_MESSAGES } from "../base/limits.ts";
import { encodeStructured } from "../base/structured.ts";
import type { AnyDispatcher } from "../dispatch/dispatcher.ts";
import type { LeaveBody, ShareMember } from "../frame/kinds.ts";
import { sharedTopicFilterOf } from "../mqtt/subscription-filter.ts";
import type { QueueDefinition, QueueRecord } from "../queue/definition.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import type { SessionCounters } from "../session/counters.ts";
import type { SessionLimits } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import type { RoutedQueue } from "./publishing.ts";
import type { QueueOwner } from "./queue-owner.ts";
import type { RouteAnnouncer } from "./route-announcer.ts";
import { ShareGroup } from "./share-group.ts";

export interface ShareGroupsParts {
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly owner: QueueOwner;
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly limits: SessionLimits;
  readonly counters: () => SessionCounters;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly wake: () => void;
}

export class ShareGroups {
  readonly #parts: ShareGroupsParts;
  readonly #groups = new Map<string, ShareGroup>();
  readonly #gathering: ShareGroup[] = [];
  readonly #working = new Set<ShareGroup>();

  constructor(parts: ShareGroupsParts) {
    this.#parts = parts;
  }

  /** Stored messages that a start has found; its members are told of later. */
  restore({ definition, partition, target, createdAtMs }: QueueRecord): void {
    const { name, topic_filter: topicFilter } = definition;
    const record = { definition: this.#definitionOf(name, topicFilter), partition, target, createdAtMs };
    const group = this.#newGroup(record);
    group.openStored();
    this.#route(group, true, () => {});
  }

  /** Every session has told of its subscriptions: who was found without a member ends. */
  endAbandoned(): void {
    for (const group of this.#groups.values()) if (group.isEmpty) this.#end(group);
  }

  /** A session is a member, or has other options now; `done` when every worker routes to the subscription. */
  join(member: ShareMember, partition: number, done: () => void): void {
    const { filter, clientId } = member;
    let group = this.#groups.get(filter);
    if (group === undefined) {
      const topicFilter = sharedTopicFilterOf(filter) ?? "";
      const target = this.#parts.partitions.get(partition)!.takeTarget();
      const definition = this.#definitionOf(filter, topicFilter);
      group = this.#newGroup({ definition, partition, target, createdAtMs: this.#parts.nowMs() });
    }
    group.join(clientId, member);
    this.#follow(group, done);
    this.#parts.wake();
  }

  leave({ filter, clientId }: LeaveBody): void {
    const group = this.#groups.get(filter);
    if (group === undefined) return;
    group.leave(clientId);
    if (group.isEmpty) this.#end(group);
    else this.#follow(group, () => {});
    this.#parts.wake();
  }

  /** Messages that sessions have taken over before the start: nobody else is given them. */
  forget(partition: number, positions: readonly number[]): void {
    const home = this.#parts.partitions.get(partition);
    if (home === undefined) return; // Another worker's.
    const groups = [...this.#groups.values()].filter((group) => group.partition === home && group.hasStored);
    for (const position of positions) {
      for (const { queue } of groups) if (!queue.isEmpty) queue.forget(position);
      home.log.settle(position); // Also when its queue was about to drop it.
    }
  }

  /** `done` when everything settled in a partition before this is on disk. */
  whenForgotten(partition: number, done: () => void): void {
    this.#parts.partitions.get(partition)!.whenStored(done);
    this.#parts.wake();
  }

  dispatcherOf(filter: string): AnyDispatcher | undefined {
    return this.#groups.get(filter)?.dispatcher;
  }

  /** Goes on with what was begun in memory, for up to `bound` messages of all; true when there is more. */
  workSome(bound: number): boolean {
    let left = bound;
    for (const group of this.#working) {
      if (left <= 0) break;
      this.#working.delete(group);
      left = group.work(left) - WORK_COST_MESSAGES;
      if (group.hasWork) this.#working.add(group);
    }
    return this.#working.size > 0;
  }

  endTurn(nowMs: number): void {
    for (const group of this.#gathering) group.endTurn(nowMs);
    this.#gathering.length = 0;
  }

  nextDeadlineMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const group of this.#groups.values()) nextMs = Math.min(nextMs, group.nextDeadlineMs);
    return nextMs;
  }

  onDeadline(nowMs: number): void {
    for (const group of this.#groups.values()) {
      if (group.nextDeadlineMs <= nowMs) group.onDeadline(nowMs, EXPIRIES_PER_TICK);
    }
  }

  #newGroup(record: QueueRecord): ShareGroup {
    const { partitions, owner, limits, counters, nowMs, random } = this.#parts;
    const group = new ShareGroup(record, {
      partition: partitions.get(record.partition)!,
      newDispatcher: (queue) => owner.newDispatcher(queue),
      link: owner.link,
      random,
      nowMs,
      counters,
      queuesQos0: limits.queuesQos0,
      onGathering: (gathering) => this.#gathering.push(gathering),
      onWorking: (working) => this.#working.add(working),
    });
    this.#groups.set(group.filter, group);
    return group;
  }

  /** What a change of members means: whether it stores, and what the other workers must know. */
  #follow(group: ShareGroup, done: () => void): void {
    if (group.isDurable && !group.hasStored) {
      group.openStored().recovered(undefined);
      group.partition.put("queues", group.filter, encodeStructured(group.record));
    }
    this.#route(group, group.isDurable, done);
  }

  #route(group: ShareGroup, isDurable: boolean, done: () => void): void {
    const { index, announcer } = this.#parts;
    const { topicFilter } = group;
    index.addQueue(topicFilter, group, isDurable);
    announcer.tell(topicFilter, index.stateOf(topicFilter), done);
  }

  #end(group: ShareGroup): void {
    const { index, announcer, owner } = this.#parts;
    const { filter, topicFilter, partition, record } = group;
    this.#groups.delete(filter);
    this.#working.delete(group);
    if (index.removeQueue(topicFilter, group)) announcer.tell(topicFilter, index.stateOf(topicFilter), () => {});
    owner.close(group.dispatcher);
    if (!group.hasStored) return;
    partition.put("queues", filter, undefined);
    partition.queues.remove(record.target);
  }

  /** A shared subscription as a queue: bounded like a session's inbox. */
  #definitionOf(name: string, topicFilter: string): QueueDefinition {
    const { limits } = this.#parts;
    return {
      name,
      topic_filter: topicFilter,
      is_lastvalue: false,
      data_retention_period: SHARED_RETENTION_MS,
      dispatch_strategy: limits.sharedStrategy,
      limits: { max_shard_message_count: limits.queuedMessagesMax, max_shard_message_bytes: limits.queuedBytesMax },
      overflow: "drop_oldest",
      durability: "fsync",
      local_max_inflight: limits.inFlightMax,
      redispatch_interval: SHARED_RETRY_MS,
      consumer_max_inactive: 0,
      ping_interval: 0,
      busy_session_retry_interval: 0,
      stream_max_buffer_size: 0,
      stream_max_unacked: 0,
      consumer_persistence_interval: 0,
    };
  }
}

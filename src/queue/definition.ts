/**
 * A queue's definition: what the REST API accepts, what the store keeps and what every worker knows of a queue.
 * Field names are EMQX's, so they stay in snake case. Durations in milliseconds, sizes in bytes.
 */
export type DispatchStrategy = "random" | "round_robin" | "least_inflight";
export type OverflowPolicy = "drop_oldest" | "drop_newest" | "reject";
export type Durability = "fsync" | "memory";

export interface QueueLimits {
  /** Messages the queue holds at most, waiting and in flight together; `"infinity"` = no limit. */
  readonly max_shard_message_count: number | "infinity";
  readonly max_shard_message_bytes: number | "infinity";
}

export interface QueueDefinition {
  readonly name: string;
  readonly topic_filter: string;
  readonly is_lastvalue: boolean;
  /** Present for last-value queues only. */
  readonly key_expression?: string;
  readonly data_retention_period: number;
  readonly dispatch_strategy: DispatchStrategy;
  readonly limits: QueueLimits;
  readonly overflow: OverflowPolicy;
  readonly durability: Durability;
  readonly local_max_inflight: number;
  readonly redispatch_interval: number;
  readonly consumer_max_inactive: number;
  readonly ping_interval: number;
  readonly busy_session_retry_interval: number;
  readonly stream_max_buffer_size: number;
  readonly stream_max_unacked: number;
  readonly consumer_persistence_interval: number;
}

/** A queue as every worker knows it: its definition and where it lives. */
export interface QueueRecord {
  readonly definition: QueueDefinition;
  /** The partition whose worker stores and dispatches it. */
  readonly partition: number;
  /** Its number in that partition: the `target` of its records in the log, from 1. */
  readonly target: number;
  /** Milliseconds since the epoch; the oldest of several queues over one filter serves `$q/<filter>`. */
  readonly createdAtMs: number;
}

/** The name of a queue that was created without one (EMQX 6.0 style). */
export const unnamedQueueName = (topicFilter: string): string => `/${topicFilter}`;

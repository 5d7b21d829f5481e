/** Queue records with defaults, for tests. */
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";

export function definition(fields: Partial<QueueDefinition> = {}): QueueDefinition {
  return {
    name: "q",
    topic_filter: "t",
    is_lastvalue: false,
    data_retention_period: 604_800_000,
    dispatch_strategy: "random",
    limits: { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" },
    overflow: "drop_oldest",
    durability: "fsync",
    local_max_inflight: 10,
    redispatch_interval: 100,
    consumer_max_inactive: 30_000,
    ping_interval: 10_000,
    busy_session_retry_interval: 100,
    stream_max_buffer_size: 2_000,
    stream_max_unacked: 1_000,
    consumer_persistence_interval: 10_000,
    ...fields,
  };
}

export const record = (fields: Partial<QueueDefinition> = {}, target = 1, createdAtMs = 0): QueueRecord => ({
  definition: definition(fields),
  partition: 0,
  target,
  createdAtMs,
});

/**
 * A queue in requests and responses. Requests: EMQX's fields, types and defaults, beside `overflow` and `durability`; what is
 * not known is refused. Responses: every field, durations in milliseconds, sizes in bytes.
 */
import { CodedError } from "../base/errors.ts";
import { CONSUMER_WINDOW_MAX, QUEUE_NAME_BYTES_MAX } from "../base/limits.ts";
import { isQueueName } from "../mqtt/subscription-filter.ts";
import { type QueueDefinition, unnamedQueueName } from "../queue/definition.ts";
import { compileKeyExpression } from "../queue/key-expression.ts";
import {
  bytesize,
  duration,
  fieldOf,
  flag,
  integer,
  objectOf,
  oneOf,
  orInfinity,
  parseFields,
  text,
  type ValueOf,
  wanted,
} from "./fields.ts";
import { topicFilterFault } from "./topic-filter.ts";

/** What setTimeout can wait. */
const TIMER_MS_MAX = 2_147_483_647;

const queueName = fieldOf((written) => {
  if (typeof written !== "string") return wanted("a string", written);
  if (written === "config") return { problem: '"config" is reserved' };
  if (written.length > QUEUE_NAME_BYTES_MAX) return { problem: `longer than ${QUEUE_NAME_BYTES_MAX} bytes` };
  return isQueueName(written)
    ? { value: written }
    : wanted("a letter or a digit, then letters, digits, hyphens, dots and underscores", written);
});

const topicFilter = fieldOf((written) => {
  if (typeof written !== "string") return wanted("a string", written);
  const problem = topicFilterFault(written);
  return problem === undefined ? { value: written } : { problem };
});

const keyExpression = fieldOf((written) => {
  if (typeof written !== "string") return wanted("a string", written);
  const compiled = compileKeyExpression(written);
  return compiled.ok ? { value: written } : { problem: `${compiled.message} at position ${compiled.position}` };
});

/** The fields that POST, PUT and auto-creation have in common. */
const settings = {
  key_expression: keyExpression.optional(),
  data_retention_period: duration(1).optional(),
  dispatch_strategy: oneOf("random", "least_inflight", "round_robin").optional(),
  limits: objectOf({
    max_shard_message_count: orInfinity(integer(1)).optional(),
    max_shard_message_bytes: orInfinity(bytesize(1)).optional(),
  }).optional(),
  overflow: oneOf("drop_oldest", "drop_newest", "reject").optional(),
  durability: oneOf("fsync", "memory").optional(),
  local_max_inflight: integer(1, CONSUMER_WINDOW_MAX).optional(),
  redispatch_interval: duration(1, TIMER_MS_MAX).optional(),
  consumer_max_inactive: duration(1, TIMER_MS_MAX).optional(),
  ping_interval: duration(1, TIMER_MS_MAX).optional(),
  busy_session_retry_interval: duration(1, TIMER_MS_MAX).optional(),
  stream_max_buffer_size: integer(1).optional(),
  stream_max_unacked: integer(1).optional(),
  consumer_persistence_interval: duration(1, TIMER_MS_MAX).optional(),
};

export const settingsFields = objectOf(settings);
export type QueueSettings = ValueOf<typeof settingsFields>;

const creationFields = objectOf({
  name: queueName.optional(),
  topic_filter: topicFilter,
  is_lastvalue: flag.optional(),
  ...settings,
});
/** Names here are only compared: those of old and unnamed queues do not follow the rule for new ones. */
const changeFields = objectOf({
  name: text.optional(),
  topic_filter: text.optional(),
  is_lastvalue: flag.optional(),
  ...settings,
});
export type QueueChange = ValueOf<typeof changeFields>;

export const KEY_EXPRESSION_DEFAULT = "message.from";
const NO_NAME =
  `topic_filter: longer than ${QUEUE_NAME_BYTES_MAX - 1} bytes, ` +
  "which is too long for a queue without a name of its own";
const NO_KEY = "key_expression: a regular queue has none; it belongs to last-value queues";

/** What a queue is unless its creator says otherwise. */
export const SETTINGS_DEFAULT = {
  data_retention_period: 7 * 86_400_000,
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
} as const satisfies Omit<QueueDefinition, "name" | "topic_filter" | "is_lastvalue" | "key_expression">;

/** The queue that a POST body describes. Throws 400. */
export function definitionOf(body: unknown): QueueDefinition {
  const fields = parseFields(creationFields, body);
  const isLastValue = fields.is_lastvalue ?? true;
  if (!isLastValue && fields.key_expression !== undefined) throw new CodedError("BAD_REQUEST", NO_KEY);
  const name = fields.name ?? unnamedQueueName(fields.topic_filter);
  if (Buffer.byteLength(name) > QUEUE_NAME_BYTES_MAX) throw new CodedError("BAD_REQUEST", NO_NAME);
  return merge(
    {
      name,
      topic_filter: fields.topic_filter,
      is_lastvalue: isLastValue,
      ...(isLastValue ? { key_expression: KEY_EXPRESSION_DEFAULT } : {}),
      ...SETTINGS_DEFAULT,
    },
    fields,
  );
}

/** What a PUT body asks to change. Throws 400. */
export const changeOf = (body: unknown): QueueChange => parseFields(changeFields, body);

/** The queue as changed: what is left out keeps its value. Throws 400 for a change of what cannot change. */
export function changed(current: QueueDefinition, change: QueueChange): QueueDefinition {
  for (const field of ["name", "topic_filter", "is_lastvalue"] as const) {
    if (change[field] !== undefined && change[field] !== current[field]) {
      throw new CodedError("BAD_REQUEST", `${field}: cannot be changed`);
    }
  }
  if (!current.is_lastvalue && change.key_expression !== undefined) throw new CodedError("BAD_REQUEST", NO_KEY);
  return merge(current, change);
}

function merge(base: QueueDefinition, settings: QueueSettings): QueueDefinition {
  const keyExpression = settings.key_expression ?? base.key_expression;
  return {
    name: base.name,
    topic_filter: base.topic_filter,
    is_lastvalue: base.is_lastvalue,
    ...(keyExpression === undefined ? {} : { key_expression: keyExpression }),
    data_retention_period: settings.data_retention_period ?? base.data_retention_period,
    dispatch_strategy: settings.dispatch_strategy ?? base.dispatch_strategy,
    limits: {
      max_shard_message_count: settings.limits?.max_shard_message_count ?? base.limits.max_shard_message_count,
      max_shard_message_bytes: settings.limits?.max_shard_message_bytes ?? base.limits.max_shard_message_bytes,
    },
    overflow: settings.overflow ?? base.overflow,
    durability: settings.durability ?? base.durability,
    local_max_inflight: settings.local_max_inflight ?? base.local_max_inflight,
    redispatch_interval: settings.redispatch_interval ?? base.redispatch_interval,
    consumer_max_inactive: settings.consumer_max_inactive ?? base.consumer_max_inactive,
    ping_interval: settings.ping_interval ?? base.ping_interval,
    busy_session_retry_interval: settings.busy_session_retry_interval ?? base.busy_session_retry_interval,
    stream_max_buffer_size: settings.stream_max_buffer_size ?? base.stream_max_buffer_size,
    stream_max_unacked: settings.stream_max_unacked ?? base.stream_max_unacked,
    consumer_persistence_interval: settings.consumer_persistence_interval ?? base.consumer_persistence_interval,
  };
}

/**
 * The settings: one tree, with the default, the kind and the meaning of every key. The file has this shape, variables and flags
 * name its leaves, and docs/configuration.md is compared with it by a test.
 */
import { availableParallelism } from "node:os";
import { formatBytesize } from "../base/bytesize.ts";
import { formatDuration } from "../base/duration.ts";
import {
  PACKET_BYTES_MAX_DEFAULT,
  RECEIVE_MAXIMUM_DEFAULT,
  RETAINED_BYTES_MAX_DEFAULT,
  RINGS_BUDGET_BYTES,
  STALLED_MS_DEFAULT,
  SUBSCRIPTIONS_PER_SESSION_MAX,
} from "../base/limits.ts";
import { LOG_LEVELS } from "../base/logger.ts";
import {
  bytesize,
  choice,
  duration,
  flagOr,
  host,
  integer,
  integerOrAuto,
  keyExpression,
  optionalPath,
  orInfinity,
  path,
  UNBOUNDED,
} from "./kinds.ts";
import { listenerList } from "./listeners.ts";
import {
  type Leaf,
  leavesOf,
  mapping,
  type OutputOf,
  optional,
  optionalMapping,
  read,
  section,
  setting,
  structureOr,
  type TreeFault,
} from "./tree-schema.ts";

export type { Leaf, TreeFault };

export type SettingsTree = OutputOf<typeof settingsSchema>;

/** Reads a tree of written values; what is missing gets its default. All faults, in the order of the schema. */
export function readTree(
  tree: object,
): { readonly settings: SettingsTree } | { readonly faults: readonly TreeFault[] } {
  const outcome = read(settingsSchema, tree);
  return "faults" in outcome ? outcome : { settings: outcome.value };
}

/** Every key of the tree, in the order of the documentation. */
export function settingsLeaves(): readonly Leaf[] {
  return leavesOf(settingsSchema);
}

const MS_PER_HOUR = 3_600_000;
const GC_INTERVAL_MS_MAX = 4_294_967_295;
/** More would make even the smallest rings exceed their budget: N(N-1) of them. */
const WORKERS_MAX = 64;
/** The largest Remaining Length (MQTT 5.0, section 1.5.5) with the header that says it. */
const PACKET_BYTES_MAX = 268_435_460;
const PACKET_BYTES_MIN = 1024;
/** Below the 2^31 ms that a timer can count. */
const TIMER_MS_MAX = 24 * 24 * MS_PER_HOUR;

const queueFields = {
  data_retention_period: optional(duration(1, UNBOUNDED)),
  dispatch_strategy: optional(choice(["random", "round_robin", "least_inflight"])),
  limits: optionalMapping({
    max_shard_message_count: optional(orInfinity(integer(1, UNBOUNDED))),
    max_shard_message_bytes: optional(orInfinity(bytesize(1, UNBOUNDED))),
  }),
  overflow: optional(choice(["drop_oldest", "drop_newest", "reject"])),
  durability: optional(choice(["fsync"])),
  local_max_inflight: optional(integer(1, 65_535)),
  redispatch_interval: optional(duration(1, TIMER_MS_MAX)),
  consumer_max_inactive: optional(duration(1, TIMER_MS_MAX)),
  ping_interval: optional(duration(1, TIMER_MS_MAX)),
  busy_session_retry_interval: optional(duration(1, TIMER_MS_MAX)),
  stream_max_buffer_size: optional(integer(1, UNBOUNDED)),
  stream_max_unacked: optional(integer(1, UNBOUNDED)),
  consumer_persistence_interval: optional(duration(1, TIMER_MS_MAX)),
};
const regularFields = mapping(queueFields);
const lastValueFields = mapping({ key_expression: optional(keyExpression), ...queueFields });

const settingsSchema = mapping({
  host: setting(host, "127.0.0.1", "The address that every listener binds to."),
  mqtt: section({
    port: setting(integer(0, 65_535), 1883, "MQTT over TCP; 0 picks a free port."),
  }),
  ws: section({
    port: setting(integer(0, 65_535), 8083, "MQTT over WebSocket, path `/mqtt`; 0 picks a free port."),
  }),
  http: section({
    port: setting(integer(0, 65_535), 18083, "REST and dashboard; 0 picks a free port."),
  }),
  listeners: structureOr(
    null,
    listenerList,
    "a list of listeners",
    "The listeners for MQTT, instead of the two of `mqtt.port` and `ws.port`; see [below](#a-list-of-listeners).",
  ),
  data_dir: setting(path, "./data", "Where everything is stored; made with mode 0700. One broker per directory."),
  workers: setting(
    integerOrAuto(1, WORKERS_MAX),
    "auto",
    "Worker threads. `auto` is one less than the processor cores, at least 1. May change between two starts.",
  ),
  api_keys: setting(
    optionalPath,
    null,
    "File of API keys, a line each: `key:secret[:role[:scopes]]`. Without it the first start writes one to `DATA_DIR/api-key.txt`.",
  ),
  log: section({
    level: setting(choice(LOG_LEVELS), "info", "The least important lines that are written."),
  }),
  access: section({
    allow_anonymous: setting(
      flagOr(),
      true,
      "Whether clients without user name and password may come. A wrong password is refused in any case.",
    ),
    password_file: setting(
      optionalPath,
      null,
      "File of users, as `restante passwd` writes it. Without it a user name is a word that proves nothing, and passwords are not looked at.",
    ),
    rules_file: setting(
      optionalPath,
      null,
      "File of access rules (YAML): who may publish and subscribe to what. Without it everybody may do everything.",
    ),
  }),
  queues: section({
    enable: setting(
      flagOr("auto"),
      true,
      "`false`: REST answers 503 for queues and subscribing creates none; queues that are there go on.",
    ),
    gc_interval: setting(duration(1, GC_INTERVAL_MS_MAX), "1h", "Time between two clean-ups of expired messages."),
    regular_queue_retention_period: setting(
      duration(1, UNBOUNDED),
      "7d",
      "Kept for compatibility with EMQX; a queue keeps its messages for its own `data_retention_period`.",
    ),
    max_queue_count: setting(integer(1, UNBOUNDED), 100, "Queues that may exist at a time."),
    find_queue_retry_interval: setting(
      duration(1, TIMER_MS_MAX),
      "10s",
      "Kept for compatibility with EMQX; a waiting subscriber is attached at the moment its queue is created.",
    ),
    auto_create: section({
      regular: structureOr(
        false,
        regularFields,
        "false, or a mapping of queue fields",
        "`false`, or the fields of the regular queue that a subscription to `$queue/<name>/<filter>` or `$q/<filter>` creates.",
      ),
      lastvalue: structureOr(
        false,
        lastValueFields,
        "false, or a mapping of queue fields",
        "The same for a last-value queue. Not both at once.",
      ),
    }),
    quota: section({
      threshold_percentage: setting(integer(1, 100), 10, "Kept for compatibility with EMQX; limits are exact."),
      buffer_max_size: setting(integer(1, UNBOUNDED), 100, "Kept for compatibility with EMQX; limits are exact."),
      buffer_flush_interval: setting(
        duration(1, TIMER_MS_MAX),
        "1s",
        "Kept for compatibility with EMQX; limits are exact.",
      ),
      buffer_pool_size: setting(integer(1, UNBOUNDED), 16, "Kept for compatibility with EMQX; limits are exact."),
    }),
  }),
  session: section({
    max_queued_messages: setting(
      integer(1, UNBOUNDED),
      100_000,
      "Messages that wait for one session at most; then `session.overflow` says which are dropped.",
    ),
    max_queued_bytes: setting(bytesize(1024, UNBOUNDED), "256MB", "The same in bytes."),
    overflow: setting(
      choice(["drop_oldest", "drop_newest"]),
      "drop_oldest",
      "What goes when no more may wait for a session: its oldest messages, or what comes. Its publisher is acknowledged either way.",
    ),
    queue_qos0_messages: setting(
      flagOr(),
      false,
      "`true`: messages with QoS 0 wait for a session that outlives its connection, too, within the same bounds; in memory, so a restart loses them.",
    ),
    shared_subscription_strategy: setting(
      choice(["random", "round_robin", "least_inflight"]),
      "round_robin",
      "Which member of a shared subscription, of those with room, is given the next message.",
    ),
    max_inflight: setting(
      integer(1, 65_535),
      1000,
      "QoS 1 and 2 messages on their way to one client at most, beside the client's own Receive Maximum.",
    ),
    default_expiry_interval: setting(
      orInfinity(duration(1000, UNBOUNDED)),
      "infinity",
      "How long the session of an MQTT 3.1.1 client with clean session 0 outlives its connection. MQTT 5 clients say it themselves.",
    ),
  }),
  limits: section({
    max_packet_size: setting(
      bytesize(PACKET_BYTES_MIN, PACKET_BYTES_MAX),
      formatBytesize(PACKET_BYTES_MAX_DEFAULT),
      "The largest packet accepted; announced to MQTT 5 clients.",
    ),
    receive_maximum: setting(
      integer(1, 65_535),
      RECEIVE_MAXIMUM_DEFAULT,
      "QoS 1 and 2 messages of one publisher that wait for the disk at most; then it is read no further. Announced to MQTT 5 clients; for them it also bounds the QoS 2 messages without PUBCOMP, one more is answered with 0x93.",
    ),
    max_subscriptions: setting(
      integer(1, SUBSCRIPTIONS_PER_SESSION_MAX),
      SUBSCRIPTIONS_PER_SESSION_MAX,
      "Subscriptions of one client at a time; one more is answered with 0x97, or 0x80 for MQTT 3.1.1.",
    ),
    max_sessions: setting(
      integer(1, UNBOUNDED),
      1_000_000,
      "Sessions at a time, with those of clients that are away, shared by the workers by client ID. Beyond it a client that wants a new one to outlive its connection is answered with 0x97, or 3 for MQTT 3.1.1; others come as before.",
    ),
    max_retained_bytes: setting(
      bytesize(1024, UNBOUNDED),
      formatBytesize(RETAINED_BYTES_MAX_DEFAULT),
      "Memory for retained messages, shared by the workers by topic. One more for a new topic, or a larger one, is answered with 0x97, or the connection of an MQTT 3.1.1 client is closed; those that are there stay.",
    ),
    max_connections: setting(
      integer(1, 10_000_000),
      100_000,
      "Connections at a time; those beyond are closed at once.",
    ),
    max_connections_per_address: setting(
      orInfinity(integer(1, UNBOUNDED)),
      "infinity",
      "Connections at a time of one IPv4 address, or of one /64 of IPv6; those beyond are closed at once. Behind a trusted proxy, the address is the one that it announces.",
    ),
    connect_rate: setting(
      orInfinity(integer(1, UNBOUNDED)),
      "infinity",
      "Connections a second that are read, as many at once; the others wait for their turn, up to the 10 s that a connection has for its CONNECT.",
    ),
    max_keepalive: setting(
      duration(1000, 65_535_000),
      "65535s",
      "The longest keep alive. An MQTT 5 client that asks for a longer one, or for none, is told this as Server Keep Alive.",
    ),
    stalled_timeout: setting(
      duration(1000, TIMER_MS_MAX),
      formatDuration(STALLED_MS_DEFAULT),
      "A client that takes nothing of what waits for it, or sends nothing more of a packet it has begun, for so long is cut off.",
    ),
    ring_budget: setting(
      bytesize(64 * 1024, UNBOUNDED),
      formatBytesize(RINGS_BUDGET_BYTES),
      "Memory for the rings between workers, all together. A message is at most a quarter of its ring, or travels in chunks.",
    ),
    memory_budget: setting(
      bytesize(16 * 1024 * 1024, UNBOUNDED),
      "512MB",
      "What the workers may hold in memory for others: output that is not taken (at most one half), packets that are not whole (at most the other), and inboxes of sessions that end with their connection. Beyond it publishers of much are read a little at a time, new connections wait, and such inboxes lose their oldest messages, the largest first. When more than half of either half is in use, clients that would take longer than 10 s to move what they hold are cut off. Wills, filters, names and topics of aliases may take a quarter more; beyond it, who would keep more than 4 KiB is refused with 0x97.",
    ),
  }),
  sys: section({
    interval: setting(
      duration(0, TIMER_MS_MAX),
      "10s",
      "Time between two updates of the topics below `$SYS/broker`, at whole multiples of it by the clock. `0s`: there are none.",
    ),
  }),
  shutdown: section({
    grace_period: setting(
      duration(0, MS_PER_HOUR),
      "8s",
      "How long a stop may take to finish what was accepted; shorter than the 10 s after which Docker kills.",
    ),
  }),
});

/** What `workers: auto` means here. */
export function workersOfThisMachine(): number {
  return Math.min(WORKERS_MAX, Math.max(1, availableParallelism() - 1));
}

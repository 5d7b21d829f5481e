/**
 * Commands: what the control worker asks of a worker, as plain objects over a message port, each with one reply.
 * Control and worker meet only here; the data path never passes through commands.
 *
 * | command | to | reply |
 * |---|---|---|
 * | createQueue | the partition's worker | the record, once its definition is on disk |
 * | updateQueue | the partition's worker | the record, once it is on disk |
 * | deleteQueue | the partition's worker | nothing, once the definition is gone from disk |
 * | announceQueue, retractQueue | every worker | nothing, once routing there follows it |
 * | announceQueues | every worker, at the start | nothing, once routing there follows all of them |
 * | queueStatus, queueMetrics | the partition's worker | what `GET …/:name/status` and `…/metrics` answer |
 * | lookIntoQueue | the partition's worker | a page of what waits |
 * | purgeQueue | the partition's worker | how many messages went, once that is on disk |
 * | health | every worker | whether its partitions can store |
 * | counts | every worker | what it has counted, for `$SYS` |
 * | tellSystem | every worker | nothing, once its subscribers have what the broker says about itself |
 * | kickClient | the worker of the client ID | nothing, once its session has ended; CLIENTID_NOT_FOUND |
 * | publish | the worker of the client ID `http_api` | the worst reason code of all who store it |
 * | allowCreation | every worker | nothing, once it asks, or asks no more, for queues that its subscribers want |
 * | keepConfig | worker 0 | nothing, once the changes of the queues' configuration are on disk |
 * | recovered | every worker, first of all | the queues its partitions hold; from worker 0 also those changes |
 *
 * The other way a worker asks for one thing, a queue that a subscription wants; the answer says that it is there, or will not be.
 */
import type { PlainError } from "../base/errors.ts";
import type { DispatcherMetrics } from "../dispatch/dispatcher-report.ts";
import type { PublishProperties } from "../mqtt/publish-properties.ts";
import type { QueueDefinition, QueueRecord } from "../queue/definition.ts";
import type { QueueCounts } from "../queue/queue.ts";

export interface PublishCommand {
  readonly kind: "publish";
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: PublishProperties & { readonly messageExpiryIntervalS?: number };
}

export interface LookCommand {
  readonly kind: "lookIntoQueue";
  readonly record: QueueRecord;
  /** What lies behind this position, up to so many messages, and bytes of them. */
  readonly after: number;
  readonly limit: number;
  readonly bytesMax: number;
  readonly withPayload: boolean;
}

/** A message that waits. */
export interface WaitingMessage {
  readonly position: number;
  readonly topic: string;
  readonly qos: number;
  readonly publishedAtMs: number;
  readonly clientId: string;
  readonly attempts: number;
  readonly key: string | undefined;
  readonly properties: PublishProperties;
  /** As published, counted from then; undefined = none. */
  readonly messageExpiryIntervalS: number | undefined;
  /** Undefined when it was not asked for, or is larger than all that may be given. */
  readonly payload: Uint8Array | undefined;
}

export interface QueueLook {
  readonly messages: readonly WaitingMessage[];
  /** Others wait behind them. */
  readonly hasNext: boolean;
  /** Messages among them that cannot be read. */
  readonly damaged: number;
}

export interface ConsumerStatus {
  readonly clientid: string;
  readonly in_flight: number;
  readonly window: number;
  readonly delivered: number;
  readonly acknowledged: number;
  readonly rejected: number;
  readonly paused: null | "no_window" | "session_window_full" | "socket_full" | "packet_too_large";
}

/** `difference` is stored less all the other states: always 0; `oldest_waiting_ms` is 0 when none waits. */
export interface QueueStatus extends QueueCounts {
  readonly name: string;
  readonly topic_filter: string;
  readonly consumers: readonly ConsumerStatus[];
}

/** Of one partition; what is counted counts from the start of the broker. */
export interface PartitionHealth {
  readonly partition: number;
  /** Why it cannot store; null when it can. */
  readonly fault: { readonly reason: "disk_full" | "io_error"; readonly sinceMs: number } | null;
  /** Stored values that proved damaged, and live messages known to be lost with them. */
  readonly damage: number;
  readonly damagedRecords: number;
}

/** What a worker counts, since the start or as it is now. */
export interface WorkerCounts {
  readonly clientsConnected: number;
  /** Sessions without a connection. */
  readonly clientsAway: number;
  readonly clientsExpired: number;
  /** CONNECT packets. */
  readonly connects: number;
  /** Those that the authenticator refused; then what the rules refused. */
  readonly refusedConnects: number;
  readonly deniedPublishes: number;
  readonly deniedSubscriptions: number;
  readonly deniedDeliveries: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly publishesDropped: number;
  /** Of payloads. */
  readonly publishBytesReceived: number;
  readonly publishBytesSent: number;
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  readonly retainedMessages: number;
  readonly storedMessages: number;
  readonly storedBytes: number;
  readonly heapBytes: number;
}

/** A topic below `$SYS` and its value. */
export type SystemValue = readonly [topic: string, value: string];

/** What PUT has changed of the queues' configuration: by key, the value and the setting that it replaces, as JSON. */
export type ConfigChanges = Readonly<Record<string, { readonly value: unknown; readonly setting: string }>>;

/** A queue that is not there and that a subscription would create. */
export interface WantedQueue {
  /** The subscription's filter; the answer names it. */
  readonly wanted: string;
  /** Undefined = the unnamed queue. */
  readonly name: string | undefined;
  readonly topicFilter: string;
}

export type WantedAnswer = Pick<WantedQueue, "wanted">;

export type Command =
  | { readonly kind: "recovered" }
  | {
      readonly kind: "createQueue";
      readonly partition: number;
      readonly definition: QueueDefinition;
      readonly createdAtMs: number;
    }
  | { readonly kind: "updateQueue"; readonly record: QueueRecord }
  | { readonly kind: "deleteQueue"; readonly record: QueueRecord }
  | { readonly kind: "announceQueue"; readonly record: QueueRecord }
  | { readonly kind: "announceQueues"; readonly records: readonly QueueRecord[] }
  | { readonly kind: "retractQueue"; readonly name: string }
  | { readonly kind: "queueStatus"; readonly record: QueueRecord }
  | { readonly kind: "queueMetrics"; readonly record: QueueRecord }
  | LookCommand
  | { readonly kind: "purgeQueue"; readonly record: QueueRecord }
  | { readonly kind: "health" }
  | { readonly kind: "counts" }
  | { readonly kind: "tellSystem"; readonly values: readonly SystemValue[] }
  | { readonly kind: "allowCreation"; readonly isAllowed: boolean }
  | { readonly kind: "keepConfig"; readonly changes: ConfigChanges }
  | { readonly kind: "kickClient"; readonly clientId: string }
  | PublishCommand;

/** What each command is answered with. */
export interface Replies {
  readonly recovered: {
    readonly partitions: readonly number[];
    readonly queues: readonly QueueRecord[];
    readonly configChanges: ConfigChanges;
  };
  readonly createQueue: QueueRecord;
  readonly updateQueue: QueueRecord;
  readonly deleteQueue: null;
  readonly announceQueue: null;
  readonly announceQueues: null;
  readonly retractQueue: null;
  readonly queueStatus: QueueStatus;
  readonly queueMetrics: DispatcherMetrics;
  readonly lookIntoQueue: QueueLook;
  readonly purgeQueue: { readonly purged: number };
  readonly health: readonly PartitionHealth[];
  readonly counts: WorkerCounts;
  readonly tellSystem: null;
  readonly allowCreation: null;
  readonly keepConfig: null;
  readonly kickClient: null;
  /** An MQTT PUBACK reason code: 0x00, 0x10, 0x83, 0x97, … */
  readonly publish: { readonly reasonCode: number };
}

export type ReplyTo<K extends Command["kind"]> = Replies[K];

/** What the control worker sees of the workers. Rejects with a coded error when the worker refuses. */
export interface Workers {
  /** Workers, numbered from 0. */
  readonly count: number;
  /** Partitions; partition p lives on worker p mod count. */
  readonly partitions: number;
  call<K extends Command["kind"]>(worker: number, command: Extract<Command, { kind: K }>): Promise<ReplyTo<K>>;
  /** The worker that owns a client ID. */
  workerOf(clientId: string): number;
  /** From now on `create` is called for every queue that a worker asks for; it never rejects. Once. */
  serveWanted(create: (queue: WantedQueue) => Promise<void>): void;
}

/** A command on its port, and its reply. */
export interface CommandRequest {
  readonly number: number;
  readonly command: Command;
}

export interface CommandReply {
  readonly number: number;
  readonly reply?: unknown;
  readonly fault?: PlainError;
}

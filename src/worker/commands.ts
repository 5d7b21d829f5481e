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
 * | queueStatus | the partition's worker | what `GET …/:name/status` answers |
 * | lookIntoQueue | the partition's worker | a page of what waits |
 * | purgeQueue | the partition's worker | how many messages went, once that is on disk |
 * | health | every worker | whether its partitions can store |
 * | kickClient | the worker of the client ID | nothing, once its session has ended; CLIENTID_NOT_FOUND |
 * | publish | the worker of the client ID `http_api` | the worst reason code of all who store it |
 * | recovered | every worker, first of all | the queues its partitions hold |
 */
import type { PlainError } from "../base/errors.ts";
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
  | { readonly kind: "retractQueue"; readonly name: string }
  | { readonly kind: "queueStatus"; readonly record: QueueRecord }
  | LookCommand
  | { readonly kind: "purgeQueue"; readonly record: QueueRecord }
  | { readonly kind: "health" }
  | { readonly kind: "kickClient"; readonly clientId: string }
  | PublishCommand;

/** What each command is answered with. */
export interface Replies {
  readonly recovered: { readonly partitions: readonly number[]; readonly queues: readonly QueueRecord[] };
  readonly createQueue: QueueRecord;
  readonly updateQueue: QueueRecord;
  readonly deleteQueue: null;
  readonly announceQueue: null;
  readonly retractQueue: null;
  readonly queueStatus: QueueStatus;
  readonly lookIntoQueue: QueueLook;
  readonly purgeQueue: { readonly purged: number };
  readonly health: readonly PartitionHealth[];
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

/**
 * Workers inside the test's own thread: they keep records as partitions do, route as every worker does, and refuse when told.
 * Nothing else is stood in for: what is above the interface `Workers` is the real thing.
 */

import { CodedError } from "../../src/base/errors.ts";
import { Histogram } from "../../src/base/histogram.ts";
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";
import type {
  Command,
  ConfigChanges,
  PartitionHealth,
  PublishCommand,
  QueueStatus,
  ReplyTo,
  SystemValue,
  WaitingMessage,
  WantedQueue,
  WorkerCounts,
  Workers,
} from "../../src/worker/commands.ts";

export const NOTHING_COUNTED: WorkerCounts = {
  clientsConnected: 0,
  clientsAway: 0,
  clientsExpired: 0,
  connects: 0,
  refusedConnects: 0,
  deniedPublishes: 0,
  deniedSubscriptions: 0,
  deniedDeliveries: 0,
  packetsReceived: 0,
  packetsSent: 0,
  bytesReceived: 0,
  bytesSent: 0,
  publishesReceived: 0,
  publishesSent: 0,
  publishesDropped: 0,
  publishBytesReceived: 0,
  publishBytesSent: 0,
  subscriptions: 0,
  sharedSubscriptions: 0,
  retainedMessages: 0,
  storedMessages: 0,
  storedBytes: 0,
  heapBytes: 0,
};

export class KeepingWorkers implements Workers {
  readonly count: number;
  readonly partitions: number;
  /** What is on disk, by partition. */
  readonly stored: Map<string, QueueRecord>[];
  /** What each worker routes to. */
  readonly routed: Map<string, QueueRecord>[];
  /** Client IDs with a session. */
  readonly clients = new Set<string>();
  readonly published: PublishCommand[] = [];
  /** Which workers may ask for queues. */
  readonly allowing: boolean[] = [];
  /** Asks for a queue. */
  want: (queue: WantedQueue) => Promise<void> = async () => {};
  /** What PUT has changed, on disk. */
  configChanges: ConfigChanges = {};
  /** What waits in every queue. */
  readonly waiting: WaitingMessage[] = [];
  readonly calls: { readonly worker: number; readonly kind: Command["kind"] }[] = [];
  /** Of partitions, as far as a test has something to say of them. */
  health: readonly PartitionHealth[] = [];
  /** What every worker has counted, and what they were told of the sums. */
  counts: WorkerCounts = { ...NOTHING_COUNTED };
  readonly told: SystemValue[] = [];
  /** What a publish is answered with. */
  reasonCode = 0;
  /** The same for one message. */
  judge: (command: PublishCommand) => number = () => this.reasonCode;
  /** Called before each command; throws to refuse it, or waits. */
  before: (kind: Command["kind"], worker: number) => void | Promise<void> = () => undefined;
  #nextTarget = 1;

  constructor(count = 2, partitions = count) {
    this.count = count;
    this.partitions = partitions;
    this.stored = Array.from({ length: partitions }, () => new Map());
    this.routed = Array.from({ length: count }, () => new Map());
  }

  /** Refuses the next `times` commands of a kind. */
  refuse(kind: Command["kind"], times = 1, fault: unknown = new CodedError("DISK_FULL", "the disk is full")): void {
    let left = times;
    this.before = (asked) => {
      if (asked !== kind || left === 0) return;
      left -= 1;
      throw fault;
    };
  }

  async call<K extends Command["kind"]>(worker: number, command: Extract<Command, { kind: K }>): Promise<ReplyTo<K>> {
    this.calls.push({ worker, kind: command.kind });
    const asked = structuredClone(command) as Command; // As over a message port.
    await Promise.resolve();
    await this.before(asked.kind, worker);
    return structuredClone(this.#answer(worker, asked)) as ReplyTo<K>;
  }

  workerOf(clientId: string): number {
    return clientId.length % this.count;
  }

  serveWanted(create: (queue: WantedQueue) => Promise<void>): void {
    this.want = create;
  }

  namesStored(): string[] {
    return this.stored.flatMap((partition) => [...partition.keys()]).sort();
  }

  #answer(worker: number, command: Command): unknown {
    switch (command.kind) {
      case "recovered": {
        const partitions = [...this.stored.keys()].filter((partition) => partition % this.count === worker);
        const configChanges = worker === 0 ? this.configChanges : {};
        return {
          partitions,
          configChanges,
          queues: partitions.flatMap((partition) => [...this.stored[partition]!.values()]),
        };
      }
      case "createQueue":
        return this.#store(worker, command.partition, command.definition, command.createdAtMs);
      case "updateQueue":
        this.#partition(worker, command.record.partition).set(command.record.definition.name, command.record);
        return command.record;
      case "deleteQueue":
        this.#partition(worker, command.record.partition).delete(command.record.definition.name);
        return null;
      case "announceQueue":
        this.routed[worker]!.set(command.record.definition.name, command.record);
        return null;
      case "announceQueues":
        for (const record of command.records) this.routed[worker]!.set(record.definition.name, record);
        return null;
      case "retractQueue":
        this.routed[worker]!.delete(command.name);
        return null;
      case "queueStatus":
        return statusOf(command.record.definition);
      case "queueMetrics":
        return metricsOf(command.record.definition);
      case "lookIntoQueue":
        return {
          messages: this.waiting.slice(0, command.limit),
          hasNext: this.waiting.length > command.limit,
          damaged: 0,
        };
      case "purgeQueue":
        return { purged: this.waiting.splice(0).length };
      case "counts":
        return this.counts;
      case "tellSystem":
        this.told.push(...command.values);
        return null;
      case "health":
        return this.health.filter(({ partition }) => partition % this.count === worker);
      case "allowCreation":
        this.allowing[worker] = command.isAllowed;
        return null;
      case "keepConfig":
        this.configChanges = command.changes;
        return null;
      case "kickClient":
        if (!this.clients.delete(command.clientId)) throw new CodedError("CLIENTID_NOT_FOUND", "Client ID not found");
        return null;
      case "publish":
        this.published.push(command);
        return { reasonCode: this.judge(command) };
      default:
        throw new Error(`not known here: ${(command as Command).kind}`);
    }
  }

  #store(worker: number, partition: number, definition: QueueDefinition, createdAtMs: number): QueueRecord {
    const record = { definition, partition, target: this.#nextTarget, createdAtMs };
    this.#nextTarget += 1;
    this.#partition(worker, partition).set(definition.name, record);
    return record;
  }

  #partition(worker: number, partition: number): Map<string, QueueRecord> {
    if (partition % this.count !== worker) throw new Error(`partition ${partition} is not on worker ${worker}`);
    return this.stored[partition]!;
  }
}

function metricsOf({ name, topic_filter }: QueueDefinition): ReplyTo<"queueMetrics"> {
  const latency = new Histogram().summary();
  return {
    name,
    topic_filter,
    counters: {
      published: 9,
      stored: 9,
      refused: 0,
      delivered: 5,
      redelivered: 0,
      acknowledged: 2,
      rejected: 0,
      expired: 0,
      superseded: 0,
      dropped: 0,
      dead_lettered: 0,
      purged: 0,
    },
    gauges: { waiting: 4, waiting_bytes: 1024, oldest_waiting_ms: 12, in_flight: 3, consumers: 1 },
    latency_ms: { publish_to_stored: latency, publish_to_delivered: latency, delivered_to_acknowledged: latency },
  };
}

function statusOf({ name, topic_filter }: QueueDefinition): QueueStatus {
  return {
    name,
    topic_filter,
    stored: 9,
    waiting: 4,
    in_flight: 3,
    acknowledged: 2,
    expired: 0,
    superseded: 0,
    dropped: 0,
    dead_lettered: 0,
    purged: 0,
    refused: 0,
    difference: 0,
    waiting_bytes: 1024,
    oldest_waiting_ms: 12,
    consumers: [{ clientid: "c1", in_flight: 3, window: 10, delivered: 5, acknowledged: 2, rejected: 0, paused: null }],
  };
}

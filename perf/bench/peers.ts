/**
 * The brokers that are compared, each started afresh on an empty directory for every measurement.
 *
 * A job queue is a queue over `jobs/#` with us. mosquitto has none: its nearest things are a shared subscription, for
 * consumers that are there, and the session of a subscriber that is away. Both keep messages in memory only. RabbitMQ has
 * queues: a quorum queue (its durable kind, fsynced) over its own protocol, AMQP 0-9-1, with publisher confirms.
 */
import { Broker } from "../../test/harness/broker.ts";
import { startMosquitto } from "../../test/harness/mosquitto.ts";
import type { Peer as Needed } from "../../test/harness/needs.ts";
import { startRabbitmq } from "../../test/harness/rabbitmq.ts";
import { createQueue } from "../../test/harness/rest.ts";
import { loadgen } from "./loadgen.ts";

const JOBS_TOPIC = "jobs/%i";
const JOBS_FILTER = "jobs/#";

/** Unacknowledged messages a consumer may hold: each broker's own default, or the same number for all. */
export type ConsumerWindow = "default" | 100;

type GeneratorOptions = Readonly<Record<string, string | number>>;

export interface RunningPeer {
  readonly port: number;
  readonly pid: number;
  /** Generator options of whoever publishes jobs. */
  readonly producers: GeneratorOptions;
  /** Makes what stores jobs while no consumer is there. */
  storeJobs(): Promise<void>;
  /** Generator options of consumers that share jobs as they come. */
  readonly consumers: GeneratorOptions;
  /** Generator options of the one consumer that takes what was stored. */
  readonly drainer: GeneratorOptions;
  remove(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** What has to be installed for it. */
  readonly needs: readonly Needed[];
  /** It is measured where there are queues, and nowhere else. */
  readonly hasOnlyQueues: boolean;
  start(consumerWindow: ConsumerWindow, directory: string): Promise<RunningPeer>;
}

/** With `memory` its queue acknowledges without the disk. */
export const restante = (workers: number, durability: "fsync" | "memory" = "fsync"): Peer => ({
  name: durability === "fsync" ? `restante-${workers}` : `memory-${workers}`,
  needs: ["broker"],
  hasOnlyQueues: false,
  start: async (consumerWindow, directory) => {
    const broker = await Broker.start({ workers, directory });
    const queue = { "sub-qos": 1, filter: `$q/${JOBS_FILTER}` };
    const windowField = consumerWindow === "default" ? {} : { local_max_inflight: consumerWindow };
    return {
      port: broker.mqttPort,
      pid: broker.pid,
      producers: { topic: JOBS_TOPIC },
      storeJobs: () => createQueue(broker, { topic_filter: JOBS_FILTER, durability, ...windowField }),
      consumers: queue,
      drainer: queue,
      remove: async () => {
        await broker.stop();
        await broker.remove();
      },
    };
  },
});

export const mosquitto: Peer = {
  name: "mosquitto",
  needs: ["mosquitto"],
  hasOnlyQueues: false,
  start: async (consumerWindow) => {
    const broker = await startMosquitto([
      "max_queued_messages 0", // Its default drops a backlog.
      "set_tcp_nodelay true",
      ...(consumerWindow === "default" ? [] : [`max_inflight_messages ${consumerWindow}`]),
    ]);
    const session = { clean: 0, prefix: "away", filter: JOBS_FILTER, "sub-qos": 1 };
    return {
      port: broker.mqttPort,
      pid: broker.pid,
      producers: { topic: JOBS_TOPIC },
      storeJobs: async () => {
        await loadgen("subscribe", { port: broker.mqttPort, ...session });
      },
      consumers: { "sub-qos": 1, filter: `$share/group/${JOBS_FILTER}` },
      drainer: session,
      remove: () => broker.remove(),
    };
  },
};

export const rabbitmq: Peer = {
  name: "rabbitmq",
  needs: ["rabbitmq"],
  hasOnlyQueues: true,
  start: async (consumerWindow, directory) => {
    const node = await startRabbitmq(directory);
    const amqp = { amqp: "quorum", topic: "jobs" };
    // Its default is no limit at all.
    const consumers = { ...amqp, filter: "$q/jobs", prefetch: consumerWindow === "default" ? 0 : consumerWindow };
    return {
      port: node.amqpPort,
      pid: node.pid,
      producers: amqp,
      storeJobs: async () => {}, // Its publishers declare the queue.
      consumers,
      drainer: consumers,
      remove: () => node.remove(),
    };
  },
};

/**
 * The brokers that are compared, each started afresh on an empty directory for every measurement.
 *
 * A job queue is a queue over `jobs/#` with us. mosquitto has none: its nearest things are a shared subscription, for
 * consumers that are there, and the session of a subscriber that is away. Both keep messages in memory only.
 */
import { Broker } from "../../test/harness/broker.ts";
import { startMosquitto } from "../../test/harness/mosquitto.ts";
import { createQueue } from "../../test/harness/rest.ts";
import { loadgen } from "./loadgen.ts";

export const JOBS_TOPIC = "jobs/%i";
const JOBS_FILTER = "jobs/#";

/** Unacknowledged messages a consumer may hold: each broker's own default, or the same number for all. */
export type ConsumerWindow = "default" | 100;

export interface RunningPeer {
  readonly port: number;
  readonly pid: number;
  /** Makes what stores jobs while no consumer is there. */
  storeJobs(): Promise<void>;
  /** Generator options of consumers that share jobs as they come. */
  readonly consumers: Readonly<Record<string, string | number>>;
  /** Generator options of the one consumer that takes what was stored. */
  readonly drainer: Readonly<Record<string, string | number>>;
  remove(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  start(consumerWindow: ConsumerWindow, directory: string): Promise<RunningPeer>;
}

/** With `memory` its queue acknowledges without the disk. */
export const restante = (workers: number, durability: "fsync" | "memory" = "fsync"): Peer => ({
  name: durability === "fsync" ? `restante-${workers}` : `memory-${workers}`,
  start: async (consumerWindow, directory) => {
    const broker = await Broker.start({ workers, directory });
    const queue = { "sub-qos": 1, filter: `$q/${JOBS_FILTER}` };
    const windowField = consumerWindow === "default" ? {} : { local_max_inflight: consumerWindow };
    return {
      port: broker.mqttPort,
      pid: broker.pid,
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
      storeJobs: async () => {
        await loadgen("subscribe", { port: broker.mqttPort, ...session });
      },
      consumers: { "sub-qos": 1, filter: `$share/group/${JOBS_FILTER}` },
      drainer: session,
      remove: () => broker.remove(),
    };
  },
};

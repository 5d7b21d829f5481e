/**
 * The measurements, named by topology. 256-byte payloads, MQTT 3.1.1 (RabbitMQ: AMQP 0-9-1), a window of 1,000 messages for each publisher.
 *
 * Where messages are delivered as they come, the generator is a closed loop: no more of them on their way than the windows
 * hold. So QoS 0 loses nothing, and what is measured is throughput from end to end, not how fast a broker can drop.
 */
import { join } from "node:path";
import { type LoadgenResult, loadgen } from "./loadgen.ts";
import type { RunningPeer } from "./peers.ts";

export type Size = "small" | "real";

export interface Outcome {
  /** Messages a second, in the sense of the scenario: acknowledged, or delivered. */
  readonly perS: number;
  readonly result: LoadgenResult;
}

export interface Scenario {
  readonly name: string;
  readonly what: string;
  /** Its figure depends on the window of the consumers. */
  readonly usesConsumerWindow: boolean;
  /** Its messages go through a queue, or what comes nearest to one. */
  readonly usesQueue: boolean;
  run(peer: RunningPeer, size: Size, directory: string): Promise<Outcome>;
}

const WINDOW = 1_000;
const FAN_OUT_WINDOW = 5_000;
const spans = { small: { warmup: 0.2, time: 0.6 }, real: { warmup: 1, time: 4 } } as const;
const backlogs = { small: 10_000, real: 400_000 } as const;

const common = (peer: RunningPeer) => ({ port: peer.port, "server-pid": peer.pid, size: 256, inflight: WINDOW });

async function enqueue(peer: RunningPeer, size: Size, directory: string): Promise<LoadgenResult> {
  await peer.storeJobs();
  return loadgen("enqueue", {
    ...common(peer),
    ...peer.producers,
    pubs: 4,
    prefix: "fill",
    count: backlogs[size],
    time: 60,
    state: join(directory, "state"),
  });
}

async function live(
  peer: RunningPeer,
  size: Size,
  options: Readonly<Record<string, string | number>>,
): Promise<Outcome> {
  const result = await loadgen("live", { ...common(peer), ...spans[size], ...options });
  return { perS: result.recv_per_s, result };
}

export const scenarios: readonly Scenario[] = [
  {
    name: "enqueue",
    what: "4 publishers, QoS 1, into a queue without consumers: acknowledged a second",
    usesConsumerWindow: false,
    usesQueue: true,
    run: async (peer, size, directory) => {
      const result = await enqueue(peer, size, directory);
      return { perS: result.ack_per_s, result };
    },
  },
  {
    name: "drain",
    what: "1 consumer takes a backlog, from its CONNECT on: delivered a second",
    usesConsumerWindow: true,
    usesQueue: true,
    run: async (peer, size, directory) => {
      const filled = await enqueue(peer, size, directory);
      const result = await loadgen("drain", {
        ...common(peer),
        ...peer.producers,
        ...peer.drainer,
        count: filled.acked,
        time: 60,
        idle: 4,
        state: join(directory, "state"),
      });
      return { perS: result.recv_per_s, result };
    },
  },
  {
    name: "queue-2-4",
    what: "2 publishers, a queue, 4 consumers, QoS 1: delivered a second",
    usesConsumerWindow: true,
    usesQueue: true,
    run: async (peer, size) => {
      // Where queues are, there is one; elsewhere a session that nobody reads must not fill up meanwhile.
      if (peer.consumers === peer.drainer) await peer.storeJobs();
      return live(peer, size, { ...peer.producers, ...peer.consumers, pubs: 2, subs: 4, "e2e-window": 2 * WINDOW });
    },
  },
  {
    name: "qos1-1-1",
    what: "1 publisher, 1 subscriber, QoS 1: delivered a second",
    usesConsumerWindow: true,
    usesQueue: false,
    run: (peer, size) => live(peer, size, { qos: 1, "e2e-window": WINDOW }),
  },
  {
    name: "qos0-1-1",
    what: "1 publisher, 1 subscriber, QoS 0: delivered a second",
    usesConsumerWindow: false,
    usesQueue: false,
    run: (peer, size) => live(peer, size, { qos: 0, "e2e-window": WINDOW }),
  },
  {
    name: "qos0-1-100",
    what: "1 publisher, 100 subscribers, QoS 0: deliveries a second",
    usesConsumerWindow: false,
    usesQueue: false,
    run: (peer, size) => live(peer, size, { qos: 0, subs: 100, "e2e-window": FAN_OUT_WINDOW }),
  },
];

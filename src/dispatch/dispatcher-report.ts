/** What a dispatcher says of its queue and its consumers: the answers to `GET …/:name/status` and `…/metrics`. */
import type { QueueCounters, QueueLatencies } from "../queue/metrics.ts";
import type { DispatchedQueue } from "../queue/paired-queue.ts";
import type { QueueCounts } from "../queue/queue.ts";
import type { Consumer, PauseReason } from "./consumer.ts";

export interface DispatcherStatus extends QueueCounts {
  readonly name: string;
  readonly topic_filter: string;
  readonly consumers: readonly {
    readonly clientid: string;
    readonly in_flight: number;
    readonly window: number;
    readonly delivered: number;
    readonly acknowledged: number;
    readonly rejected: number;
    readonly paused: PauseReason;
  }[];
}

export interface DispatcherMetrics {
  readonly name: string;
  readonly topic_filter: string;
  readonly counters: QueueCounters;
  readonly gauges: {
    readonly waiting: number;
    readonly waiting_bytes: number;
    readonly oldest_waiting_ms: number;
    readonly in_flight: number;
    readonly consumers: number;
  };
  readonly latency_ms: QueueLatencies;
}

/** What `GET …/:name/metrics` answers. */
export function metricsOf(queue: DispatchedQueue, consumers: ReadonlySet<Consumer>, nowMs: number): DispatcherMetrics {
  const { definition } = queue.record;
  const { waiting, waiting_bytes, oldest_waiting_ms, in_flight } = queue.counts(nowMs);
  return {
    name: definition.name,
    topic_filter: definition.topic_filter,
    counters: queue.counters(nowMs),
    gauges: { waiting, waiting_bytes, oldest_waiting_ms, in_flight, consumers: consumers.size },
    latency_ms: queue.latencies(),
  };
}

/** What `GET …/:name/status` answers; no parked message makes a packet smaller than `smallestParkedBytes`. */
export function statusOf(
  queue: DispatchedQueue,
  consumers: ReadonlySet<Consumer>,
  smallestParkedBytes: number,
  nowMs: number,
): DispatcherStatus {
  const { definition } = queue.record;
  const counts = queue.counts(nowMs);
  const isAllParked = counts.waiting > 0 && queue.parkedCount === counts.waiting;
  return {
    name: definition.name,
    topic_filter: definition.topic_filter,
    ...counts,
    consumers: [...consumers].map((consumer) => ({
      clientid: consumer.clientId,
      in_flight: consumer.inFlight,
      window: consumer.window,
      delivered: consumer.delivered,
      acknowledged: consumer.acknowledged,
      rejected: consumer.rejected,
      paused: consumer.pauseReason(isAllParked && consumer.packetBytesMax < smallestParkedBytes),
    })),
  };
}

/**
 * Metrics of one queue: what its ledger does not count, and how long messages take. All since the start of the process, in whole
 * milliseconds of the worker's clock; one value of it holds for a turn.
 *
 * ```
 *   PUBLISH read ──────► batch on disk           publishToStored       each message once, when its commit ends
 *        └─────────────────────► first hand-out  publishToDelivered    from the message itself: a wait over a restart counts
 *                                     └─► PUBACK deliveredToAcknowledged  of the hand-out that was acknowledged
 * ```
 *
 * A message does not remember when it was stored: from `publishedAtMs`, which it carries, the wait costs no memory for each that
 * waits, and includes the few milliseconds of its commit. Hand-outs are not stored either: after a restart the first one of this process
 * counts as the first.
 */
import { Histogram, type HistogramSummary } from "../base/histogram.ts";
import { Arrivals } from "./arrivals.ts";

export class Metrics {
  readonly arrivals = new Arrivals();
  readonly #publishToStored = new Histogram();
  readonly #publishToDelivered = new Histogram();
  readonly #deliveredToAcknowledged = new Histogram();
  delivered = 0;
  redelivered = 0;
  rejected = 0;

  onStored(batch: number, nowMs: number): void {
    this.arrivals.stored(batch, nowMs, this.#publishToStored);
  }

  onDelivered(isRedelivered: boolean, publishedAtMs: number, nowMs: number): void {
    this.delivered += 1;
    if (isRedelivered) this.redelivered += 1;
    else this.#publishToDelivered.record(nowMs - publishedAtMs);
  }

  onAcknowledged(afterMs: number): void {
    this.#deliveredToAcknowledged.record(afterMs);
  }

  latencies(): QueueLatencies {
    return {
      publish_to_stored: this.#publishToStored.summary(),
      publish_to_delivered: this.#publishToDelivered.summary(),
      delivered_to_acknowledged: this.#deliveredToAcknowledged.summary(),
    };
  }
}

export interface QueueLatencies {
  readonly publish_to_stored: HistogramSummary;
  readonly publish_to_delivered: HistogramSummary;
  readonly delivered_to_acknowledged: HistogramSummary;
}

/** What only grows: from the queue's creation on, but `delivered`, `redelivered` and `rejected` from the start of the process. */
export interface QueueCounters {
  /** Offered to the queue: stored or refused. */
  readonly published: number;
  readonly stored: number;
  readonly refused: number;
  readonly delivered: number;
  readonly redelivered: number;
  readonly acknowledged: number;
  readonly rejected: number;
  readonly expired: number;
  readonly superseded: number;
  readonly dropped: number;
  readonly dead_lettered: number;
  readonly purged: number;
}

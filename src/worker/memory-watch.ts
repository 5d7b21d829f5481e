/**
 * A worker's part in keeping the process within its memory budget.
 *
 * ```
 *   each turn:   what is held here: output not taken, input not whole, inboxes in memory ─► reported
 *   over:        who publishes is read a little at a time; new connections wait, on main
 *   each check:  still over: the largest inbox here is halved until 90 % of the budget hold, this worker has no more than its part of them, or
 *                none is left; who has stalled for a second is cut off; nobody's reading rests for longer than its time
 *   far over:    inboxes are halved at once
 * ```
 *
 * Everything is decided from levels, at the end of each turn and at each check of a timer that always runs.
 */
import { STALLED_WHEN_OVER_MS } from "../base/limits.ts";
import type { MemoryPressure } from "../base/memory-pressure.ts";
import { inboxesBytes } from "../session/inbox.ts";
import type { Transport } from "../transport/transport.ts";
import type { BrokerWorker } from "./worker.ts";

export class MemoryWatch {
  readonly #worker: number;
  readonly #pressure: MemoryPressure;
  readonly #transport: Transport;

  constructor(worker: number, pressure: MemoryPressure, transport: Transport) {
    this.#worker = worker;
    this.#pressure = pressure;
    this.#transport = transport;
  }

  /** At the end of a turn. */
  report(worker: BrokerWorker): void {
    this.#report();
    if (this.#pressure.isFarOver) this.#shed(worker);
    this.#transport.pausePublishers(this.#pressure.isOver);
  }

  /** Now and then (MEMORY_CHECK_MS), by a monotonic clock. */
  check(nowMs: number, worker: BrokerWorker): void {
    this.#report();
    if (this.#pressure.isOver) {
      this.#transport.endStalled(nowMs, STALLED_WHEN_OVER_MS);
      this.#shed(worker);
    }
    this.#transport.pausePublishers(this.#pressure.isOver);
    this.#transport.endPauses(nowMs);
  }

  #shed(worker: BrokerWorker): void {
    while (this.#pressure.hasTooMuch(this.#worker) && worker.desk.shedLargestInbox()) this.#report();
  }

  #report(): void {
    this.#pressure.report(this.#worker, this.#transport.heldBytes + inboxesBytes());
  }
}

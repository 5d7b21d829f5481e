/**
 * A worker's part in keeping the process within its memory budget.
 *
 * ```
 *   each turn:  what is held here: output not taken, input not whole, inboxes in memory ─► reported
 *   over:       the largest inbox here is halved until the budget holds or none is left; every check, who has stalled for a second is cut off;
 *               new connections wait, on main
 * ```
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
    while (this.#isOver() && worker.desk.shedLargestInbox());
  }

  /** Now and then (MEMORY_CHECK_MS), by a monotonic clock. */
  check(nowMs: number, worker: BrokerWorker): void {
    this.report(worker);
    if (!this.#pressure.isOver) return;
    this.#transport.endStalled(nowMs, STALLED_WHEN_OVER_MS);
    this.#isOver();
  }

  #isOver(): boolean {
    this.#pressure.report(this.#worker, this.#transport.heldBytes + inboxesBytes());
    return this.#pressure.look();
  }
}

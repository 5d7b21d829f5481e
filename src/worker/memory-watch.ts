/**
 * A worker's part in keeping the process within its memory budget.
 *
 * ```
 *   each turn:  what is held here: output not taken, input not whole, inboxes in memory ─► reported
 *   over:       publishers are read no further; every check, who has stalled for a second is cut off, and the largest inbox is halved
 *   below 90 %: publishers go on
 * ```
 *
 * So a pause that honest clients feel ends soon, whatever the others do.
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

  /** At the end of a turn; whenever the pressure has ended since the last look, parked publishers need another one. */
  report(worker: BrokerWorker): void {
    const wasOver = this.#pressure.isOver;
    this.#pressure.report(this.#worker, this.#transport.heldBytes + inboxesBytes());
    if (!this.#pressure.look() && wasOver) worker.wake();
  }

  /** Now and then (MEMORY_CHECK_MS), by a monotonic clock. */
  check(nowMs: number, worker: BrokerWorker): void {
    this.report(worker);
    if (!this.#pressure.isOver) {
      if (worker.desk.hasParked) worker.wake(); // Whatever they waited for: nobody waits longer than a check for nothing.
      return;
    }
    this.#transport.endStalled(nowMs, STALLED_WHEN_OVER_MS);
    worker.desk.shedLargestInbox();
    this.report(worker);
  }
}

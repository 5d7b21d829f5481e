/**
 * A worker's part in keeping the process within its memory budget.
 *
 * ```
 *   each turn:   what is held here: output not taken, input not whole, inboxes in memory ─► reported
 *   each check:  half of what output or input may take is in use: who holds much of it and moves little is cut off, the dearest first
 *   over:        who publishes is read a little at a time; new connections wait, on main
 *   each check:  still over: the largest inbox here is halved until 90 % of the budget hold, this worker has no more than its part of them, or
 *                none is left; who has stalled for a second is cut off; nobody's reading rests for longer than its time
 *   far over:    inboxes are halved at once
 * ```
 *
 * Everything is decided from levels, at the end of each turn and at each check of a timer that always runs.
 */
import { MEMORY_CHECK_MS, NOTICE_PERIOD_MS, STALLED_WHEN_OVER_MS } from "../base/limits.ts";
import type { MemoryPressure } from "../base/memory-pressure.ts";
import { Throttle } from "../base/throttle.ts";
import { inboxesBytes } from "../session/inbox.ts";
import type { Transport } from "../transport/transport.ts";
import type { BrokerWorker } from "./worker.ts";

export interface MemoryWatchOptions {
  readonly worker: number;
  readonly pressure: MemoryPressure;
  readonly transport: Transport;
  readonly onNotice: (fields: object, message: string) => void;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #worker: number;
  readonly #pressure: MemoryPressure;
  readonly #transport: Transport;
  #checkedMs = 0;
  readonly #cutOff = new Throttle(NOTICE_PERIOD_MS);

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
    this.#worker = options.worker;
    this.#pressure = options.pressure;
    this.#transport = options.transport;
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
    if (nowMs - this.#checkedMs < LATE_CHECK_MS) this.#endSlow(nowMs); // Late, nobody has been read meanwhile: that is ours.
    this.#checkedMs = nowMs;
    if (this.#pressure.isOver) this.#shed(worker);
    this.#transport.pausePublishers(this.#pressure.isOver);
    this.#transport.endPauses(nowMs);
  }

  #endSlow(nowMs: number): void {
    this.#cutOff.note(this.#transport.endSlow(nowMs), nowMs, (count) => {
      this.#options.onNotice({ count }, "clients that send or read too slowly were cut off: memory is tight");
    });
    if (this.#pressure.isOver) this.#transport.endStalled(nowMs, STALLED_WHEN_OVER_MS);
  }

  #shed(worker: BrokerWorker): void {
    while (this.#pressure.hasTooMuch(this.#worker) && worker.desk.shedLargestInbox()) this.#report();
  }

  #report(): void {
    this.#pressure.report(this.#worker, this.#transport.heldBytes + inboxesBytes());
  }
}

const LATE_CHECK_MS = 5 * MEMORY_CHECK_MS;

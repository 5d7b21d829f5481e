/**
 * `$SYS`, by the clock: asks every worker what it has counted, sums it in one place, and tells every worker what has changed, for
 * its own subscribers.
 *
 * ```
 *   12:00:10.000 ─► counts ─► each worker ─► sums, averages ─► what changed ─► tellSystem ─► each worker ─► subscribers to $SYS
 *   12:00:20.000 ─► …
 * ```
 */
import type { Workers } from "../worker/commands.ts";
import { SystemReport } from "./system-report.ts";

export interface SystemBroadcastOptions {
  readonly workers: Workers;
  /** 0 or undefined: nothing is said. */
  readonly systemIntervalMs?: number;
  readonly nowMs: () => number;
  readonly onFault: (fault: unknown) => void;
}

export class SystemBroadcast {
  readonly #workers: Workers;
  readonly #intervalMs: number;
  readonly #nowMs: () => number;
  readonly #onFault: (fault: unknown) => void;
  #report: SystemReport | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #isUpdating = false;

  constructor({ workers, systemIntervalMs = 0, nowMs, onFault }: SystemBroadcastOptions) {
    this.#workers = workers;
    this.#intervalMs = systemIntervalMs;
    this.#nowMs = nowMs;
    this.#onFault = onFault;
  }

  /** From now on: at once, and then at whole multiples of the interval. */
  start(): void {
    if (this.#intervalMs === 0 || this.#report !== undefined) return;
    this.#report = new SystemReport(this.#nowMs());
    this.#update();
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#report = undefined;
  }

  #arm(): void {
    const nowMs = this.#nowMs();
    this.#dueMs = Math.max(nowMs - (nowMs % this.#intervalMs), this.#dueMs) + this.#intervalMs;
    if (this.#dueMs - nowMs > this.#intervalMs) this.#dueMs = nowMs + this.#intervalMs; // The clock was set back.
    this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      if (this.#nowMs() < this.#dueMs) {
        this.#wait(); // Timers may be early by the clock.
        return;
      }
      this.#update();
      this.#arm();
    }, this.#dueMs - this.#nowMs());
  }

  #update(): void {
    if (this.#isUpdating) return; // A worker is behind: it is spared.
    this.#isUpdating = true;
    this.#tell()
      .catch(this.#onFault)
      .finally(() => {
        this.#isUpdating = false;
      });
  }

  async #tell(): Promise<void> {
    const numbers = Array.from({ length: this.#workers.count }, (_, number) => number);
    const counts = await Promise.all(numbers.map((number) => this.#workers.call(number, { kind: "counts" })));
    const values = this.#report?.update(counts, this.#nowMs());
    if (values === undefined || values.length === 0) return;
    await Promise.all(numbers.map((number) => this.#workers.call(number, { kind: "tellSystem", values })));
  }
}

/**
 * When a worker's turns come.
 *
 * ```
 *            wake: a socket, a bell, a commit, a timer
 *   asleep ──────────────────────────────────────────► due ──defer──► turn: work │ output ─┬─ woken meanwhile, or more to do ─► due
 *     ▲                                                                                    │
 *     └──────────────── nothing more: bells armed, timer set ◄─────────────────────────────┘
 * ```
 *
 * A wake during the work of a turn is covered by that turn; one during its output asks for another.
 */
import { HOUSEKEEPING_MS } from "../base/limits.ts";

/** The event loop as turns see it; a simulation has its own. */
export interface EventLoop {
  /** Calls back once, after the events that are being handled. */
  defer(callback: () => void): void;
  /** Calls back once after so many milliseconds; the answer takes it back. */
  after(callback: () => void, afterMs: number): () => void;
}

export const NODE_EVENT_LOOP: EventLoop = {
  defer: (callback) => {
    setImmediate(callback);
  },
  after: (callback, afterMs) => {
    const timer = setTimeout(callback, afterMs);
    return () => clearTimeout(timer);
  },
};

export interface TurnsParts {
  readonly loop: EventLoop;
  readonly nowMs: () => number;
  readonly turn: () => void;
  /** Before sleep: false when something came meanwhile. */
  readonly fallAsleep: () => boolean;
  /** After sleep. */
  readonly rise: () => void;
  readonly nextDeadlineMs: () => number;
}

export class Turns {
  readonly #parts: TurnsParts;
  #nowMs: number;
  #isDue = false;
  #isAwake = true;
  #isStopped = false;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(parts: TurnsParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs();
  }

  /** Milliseconds since the epoch; one value for everything from a wake to the end of its turn. */
  nowMs(): number {
    if (!this.#isDue) this.#nowMs = this.#parts.nowMs();
    return this.#nowMs;
  }

  /** Lets a turn come after the events that are being handled. */
  wake(): void {
    if (this.#isDue || this.#isStopped) return;
    this.#nowMs = this.#parts.nowMs();
    this.#isDue = true;
    if (!this.#isAwake) {
      this.#isAwake = true;
      this.#parts.rise();
    }
    this.#parts.loop.defer(this.#onDue);
  }

  readonly #onDue = (): void => {
    if (!this.#isStopped) this.#parts.turn();
  };

  /** A turn begins; returns the time. */
  begin(): number {
    this.#isDue = true;
    this.#nowMs = this.#parts.nowMs();
    return this.#nowMs;
  }

  /** Its work is done: what is asked for while its output leaves is for the next one. */
  beginOutput(): void {
    this.#isDue = false;
  }

  /** The turn is over; `isBusy`: there is more to do at once. */
  end(isBusy: boolean): void {
    if (this.#isDue) return;
    if (isBusy || !this.#sleep()) this.wake();
    else this.#setTimer();
  }

  #sleep(): boolean {
    if (!this.#parts.fallAsleep()) return false;
    this.#isAwake = false;
    return true;
  }

  #setTimer(): void {
    const nextMs = this.#parts.nextDeadlineMs();
    if (nextMs === this.#timerMs && this.#cancelTimer !== undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = nextMs;
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const inMs = Math.min(HOUSEKEEPING_MS, Math.max(1, nextMs - this.#nowMs));
    this.#cancelTimer = this.#parts.loop.after(() => {
      this.#cancelTimer = undefined;
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.wake();
    }, inMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
  }
}

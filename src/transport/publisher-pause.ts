/**
 * While the process is over its memory budget, connections that publish much are read a little at a time: after each read that brought some of a
 * PUBLISH, a connection rests. Who only acknowledges, subscribes or pings is read as ever: that is what gives memory back; and who has sent
 * little since the last check is not who fills it.
 *
 * ```
 *   read ── a PUBLISH, not little, and over ──► rests ── not over any more, some per turn ──────┬─► read on
 *                                                └───── over or not, after PUBLISHER_PAUSE_MS ─┘
 * ```
 *
 * Nobody has to be woken: `isOver` is a level that is set at the end of every turn and at every check of a timer that always runs, and no
 * rest is longer than its time. So a pause cannot deadlock, whatever holds the memory.
 */
import { PUBLISHER_PAUSE_MS, PUBLISHERS_RESUMED_PER_TURN } from "../base/limits.ts";

export class PublisherPause {
  readonly #wake: () => void;
  /** How each that rests reads on, and from when whatever happens; who rests longest first. */
  readonly #resting = new Map<() => void, number>();
  #isOver = false;
  #nowMs = 0;
  /** Counts checks: what a connection has sent since the last one is little up to so many bytes. */
  period = 0;
  modestBytes = 0;

  /** `wake`: more may read on, the thread must come to `look`. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Connections that rest. */
  get restingCount(): number {
    return this.#resting.size;
  }

  /** A connection has stopped reading; `resume` reads on. */
  rest(resume: () => void): void {
    if (!this.#resting.has(resume)) this.#resting.set(resume, this.#nowMs + PUBLISHER_PAUSE_MS);
  }

  /** At the end of every turn: whether the process is over its budget. If not, some read on: all at once would bring a read of each. */
  look(isOver: boolean): void {
    this.#isOver = isOver;
    if (isOver || this.#resting.size === 0) return;
    let left = PUBLISHERS_RESUMED_PER_TURN;
    for (const resume of this.#resting.keys()) {
      if (left === 0) {
        this.#wake();
        return;
      }
      left -= 1;
      this.#readOn(resume);
    }
  }

  /** Now and then (MEMORY_CHECK_MS), by a monotonic clock: who has rested for long enough reads on. `modestBytes` from one connection until the next are little. */
  check(nowMs: number, modestBytes: number): void {
    this.#nowMs = nowMs;
    this.period += 1;
    this.modestBytes = modestBytes;
    for (const [resume, dueMs] of this.#resting) {
      if (dueMs > nowMs) return;
      this.#readOn(resume);
    }
  }

  #readOn(resume: () => void): void {
    this.#resting.delete(resume);
    resume();
  }
}

/** Tells of what may happen very often, at most once in so long: with how often it has happened since it was told the last time. */
export class Throttle {
  readonly #periodMs: number;
  #count = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** It has happened so often more, or not at all: what is left over from before may be told then. `nowMs`: of a monotonic clock. */
  note(count: number, nowMs: number, tell: (count: number) => void): void {
    this.#count += count;
    if (this.#count === 0 || nowMs - this.#toldMs < this.#periodMs) return;
    const all = this.#count;
    this.#count = 0;
    this.#toldMs = nowMs;
    tell(all);
  }
}

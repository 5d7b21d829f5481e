/** Tells of what may happen very often, at most once in so long: with how often it has happened since it was told the last time. */
export class Throttle {
  readonly #periodMs: number;
  readonly #nowMs: () => number;
  #count = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  /** `nowMs`: a monotonic clock. */
  constructor(periodMs: number, nowMs: () => number) {
    this.#periodMs = periodMs;
    this.#nowMs = nowMs;
  }

  /** It has happened once more. */
  note(tell: (count: number) => void): void {
    this.#count += 1;
    const nowMs = this.#nowMs();
    if (nowMs - this.#toldMs < this.#periodMs) return;
    const count = this.#count;
    this.#count = 0;
    this.#toldMs = nowMs;
    tell(count);
  }
}

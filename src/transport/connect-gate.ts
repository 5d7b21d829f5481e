/**
 * Whether one more connection may be read now: as long as no more come in a second than is configured, over all listeners, and the process is
 * within its memory budget.
 */
export interface ConnectGateOptions {
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** Connections a second; as many may come at once. No bound unless given. */
  readonly ratePerS?: number;
  /** Never, unless given. */
  readonly isOverBudget?: () => boolean;
}

export class ConnectGate {
  readonly #nowMs: () => number;
  readonly #ratePerS: number;
  readonly #isOverBudget: () => boolean;
  /** How many may pass now, as of `#atMs`. */
  #tokens: number;
  #atMs: number;

  constructor({ nowMs, ratePerS, isOverBudget }: ConnectGateOptions) {
    this.#nowMs = nowMs;
    this.#ratePerS = ratePerS ?? Number.POSITIVE_INFINITY;
    this.#isOverBudget = isOverBudget ?? (() => false);
    this.#tokens = this.#ratePerS;
    this.#atMs = nowMs();
  }

  /** True: one has passed. */
  tryPass(): boolean {
    if (this.#isOverBudget()) return false;
    if (this.#ratePerS === Number.POSITIVE_INFINITY) return true;
    const nowMs = this.#nowMs();
    this.#tokens = Math.min(this.#ratePerS, this.#tokens + ((nowMs - this.#atMs) / 1_000) * this.#ratePerS);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

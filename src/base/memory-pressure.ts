/**
 * How much memory the workers hold for others, against what they may together: a word each, in KiB, written by its worker alone.
 *
 * ```
 *   │ worker 0 │ 124 bytes │ worker 1 │ …            sum > budget ─► over ─► sum < 90 % of the budget ─► not over
 * ```
 *
 * Every thread looks for itself; all see the same words.
 */
import { FAR_OVER_BUDGET } from "./limits.ts";

const WORDS_APART = 32;
const KIB = 1024;
/** Over the budget ends below this part of it, so that it does not come and go with each message. */
const ENDS_BELOW = 0.9;

export class MemoryPressure {
  readonly #words: Int32Array;
  readonly #budgetKib: number;
  #isOver = false;

  /** `memory` is `MemoryPressure.newMemory`, the same for all threads. */
  constructor(memory: SharedArrayBuffer, budgetBytes: number) {
    this.#words = new Int32Array(memory);
    this.#budgetKib = budgetBytes / KIB;
  }

  static newMemory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(workers * WORDS_APART * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Only the worker itself says what it holds. */
  report(worker: number, heldBytes: number): void {
    Atomics.store(this.#words, worker * WORDS_APART, Math.ceil(heldBytes / KIB));
  }

  /** What all hold, as they have reported it. */
  get heldBytes(): number {
    let kib = 0;
    for (let at = 0; at < this.#words.length; at += WORDS_APART) kib += Atomics.load(this.#words, at);
    return kib * KIB;
  }

  /** Looks again; true while the budget is exceeded. */
  look(): boolean {
    const heldKib = this.heldBytes / KIB;
    this.#isOver = heldKib > (this.#isOver ? this.#budgetKib * ENDS_BELOW : this.#budgetKib);
    return this.#isOver;
  }

  /** As of the last look. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** So far over that waiting for consumers is no way out. */
  get isFarOver(): boolean {
    return this.heldBytes / KIB > this.#budgetKib * FAR_OVER_BUDGET;
  }

  /** Whether this worker holds more than its equal part: while the budget is exceeded, somebody does. */
  isAboveShare(worker: number): boolean {
    const shareKib = (this.#budgetKib * ENDS_BELOW * WORDS_APART) / this.#words.length;
    return Atomics.load(this.#words, worker * WORDS_APART) > shareKib;
  }
}

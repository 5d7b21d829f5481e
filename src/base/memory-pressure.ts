/**
 * How much memory the workers hold for others, against what they may together: a word each, in KiB, written by its worker alone.
 *
 * ```
 *   │ worker 0 │ 124 bytes │ worker 1 │ …            sum > budget ─► over
 * ```
 *
 * Every answer is of the words alone. No thread remembers that it was over: two that did would differ whenever one has not looked at the moment
 * that the other saw, and wait for each other.
 */
import { FAR_OVER_BUDGET, SHED_TO_BUDGET } from "./limits.ts";

const WORDS_APART = 32;
const KIB = 1024;

export class MemoryPressure {
  readonly #words: Int32Array;
  readonly #budgetKib: number;

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

  /** The budget is exceeded. */
  get isOver(): boolean {
    return this.heldBytes > this.#budgetKib * KIB;
  }

  /** So far over that waiting for consumers is no way out. */
  get isFarOver(): boolean {
    return this.heldBytes > this.#budgetKib * KIB * FAR_OVER_BUDGET;
  }

  /** Whether a worker that sheds goes on: the budget does not hold with some room, and it has more than its equal part of what is left then. */
  hasTooMuch(worker: number): boolean {
    const wantedKib = this.#budgetKib * SHED_TO_BUDGET;
    const partKib = (wantedKib * WORDS_APART) / this.#words.length;
    return this.heldBytes > wantedKib * KIB && Atomics.load(this.#words, worker * WORDS_APART) > partKib;
  }
}

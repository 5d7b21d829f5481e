/**
 * The publishers of this worker that wait for STORED answers, by number: `place + generation * 2^20`. The generation makes an
 * answer for a connection that is gone fall into nothing.
 */
import { assert } from "../base/assert.ts";

const PLACE_BITS = 20;
const PLACES_MAX = 1 << PLACE_BITS;
const GENERATIONS = 1 << (32 - PLACE_BITS);

export interface Origin {
  /** One more answer will come. */
  expect(sequence: number): void;
  resolve(sequence: number, reasonCode: number): void;
}

export class Origins {
  readonly #origins: (Origin | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];

  open(origin: Origin): number {
    const place = this.#free.pop() ?? this.#origins.length;
    assert(place < PLACES_MAX, "a worker has at most a million publishers");
    this.#generations[place] = ((this.#generations[place] ?? 0) + 1) % GENERATIONS;
    this.#origins[place] = origin;
    return this.#generations[place]! * PLACES_MAX + place;
  }

  close(number: number): void {
    if (this.find(number) === undefined) return;
    const place = number % PLACES_MAX;
    this.#origins[place] = undefined;
    this.#free.push(place);
  }

  find(number: number): Origin | undefined {
    const place = number % PLACES_MAX;
    return this.#generations[place] === Math.floor(number / PLACES_MAX) ? this.#origins[place] : undefined;
  }
}

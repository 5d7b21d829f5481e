/**
 * Positions in the order in which they were pushed; a ring that doubles. What a position stands for may have changed
 * since it was pushed: the reader checks.
 */
const CAPACITY_MIN = 16;
/** Shared by all that have never held anything. */
const NO_POSITIONS = new Float64Array(0);

export class PositionFifo {
  #positions = NO_POSITIONS;
  #first = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(position: number): void {
    if (this.#count === this.#positions.length) this.#grow();
    this.#positions[(this.#first + this.#count) & (this.#positions.length - 1)] = position;
    this.#count += 1;
  }

  /** The oldest; only while `count` is above 0. */
  peek(): number {
    return this.#positions[this.#first]!;
  }

  /** The `index`-th, from the oldest on. */
  at(index: number): number {
    return this.#positions[(this.#first + index) & (this.#positions.length - 1)]!;
  }

  shift(): number {
    const position = this.#positions[this.#first]!;
    this.#first = (this.#first + 1) & (this.#positions.length - 1);
    this.#count -= 1;
    return position;
  }

  #grow(): void {
    const old = this.#positions;
    const positions = new Float64Array(Math.max(CAPACITY_MIN, old.length * 2));
    for (let index = 0; index < this.#count; index += 1) {
      positions[index] = old[(this.#first + index) & (old.length - 1)]!;
    }
    this.#positions = positions;
    this.#first = 0;
  }
}

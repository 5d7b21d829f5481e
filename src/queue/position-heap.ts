/**
 * Positions, lowest first: a binary heap. What a position stands for may have changed since it was pushed, and one may
 * stand here twice: the reader checks.
 */
const CAPACITY_MIN = 16;
/** Shared by all that have never held anything. */
const NO_POSITIONS = new Float64Array(0);

export class PositionHeap {
  #positions = NO_POSITIONS;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The lowest; only while `count` is above 0. */
  peek(): number {
    return this.#positions[0]!;
  }

  push(position: number): void {
    if (this.#count === this.#positions.length) {
      const positions = new Float64Array(Math.max(CAPACITY_MIN, this.#count * 2));
      positions.set(this.#positions);
      this.#positions = positions;
    }
    const positions = this.#positions;
    let at = this.#count;
    this.#count += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (positions[parent]! <= position) break;
      positions[at] = positions[parent]!;
      at = parent;
    }
    positions[at] = position;
  }

  pop(): number {
    const positions = this.#positions;
    const lowest = positions[0]!;
    this.#count -= 1;
    const last = positions[this.#count]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && positions[child + 1]! < positions[child]!) child += 1;
      if (positions[child]! >= last) break;
      positions[at] = positions[child]!;
      at = child;
    }
    positions[at] = last;
    return lowest;
  }
}

/**
 * Of a last-value queue: the newest message of each key, by the key's hash. Open addressing in three columns, 16 bytes
 * a place, at most three quarters full. A key leaves when its newest message is done with.
 */
export const NO_POSITION = -1;
const CAPACITY_MIN = 16;

export class LastValues {
  #highs = new Uint32Array(CAPACITY_MIN);
  #lows = new Uint32Array(CAPACITY_MIN);
  #positions = new Float64Array(CAPACITY_MIN).fill(NO_POSITION);
  #mask = CAPACITY_MIN - 1;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The newest position of a key, NO_POSITION when it has none. */
  find(high: number, low: number): number {
    return this.#positions[this.#placeOf(high, low)]!;
  }

  set(high: number, low: number, position: number): void {
    let place = this.#placeOf(high, low);
    if (this.#positions[place] === NO_POSITION) {
      if ((this.#count + 1) * 4 > this.#positions.length * 3) {
        this.#grow();
        place = this.#placeOf(high, low);
      }
      this.#count += 1;
      this.#highs[place] = high;
      this.#lows[place] = low;
    }
    this.#positions[place] = position;
  }

  /** Forgets a key if `position` is still its newest. */
  forget(high: number, low: number, position: number): void {
    let hole = this.#placeOf(high, low);
    if (this.#positions[hole] !== position) return;
    this.#count -= 1;
    for (let next = (hole + 1) & this.#mask; this.#positions[next] !== NO_POSITION; next = (next + 1) & this.#mask) {
      const home = this.#lows[next]! & this.#mask;
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#highs[hole] = this.#highs[next]!;
      this.#lows[hole] = this.#lows[next]!;
      this.#positions[hole] = this.#positions[next]!;
      hole = next;
    }
    this.#positions[hole] = NO_POSITION;
  }

  clear(): void {
    this.#positions.fill(NO_POSITION);
    this.#count = 0;
  }

  /** The place of a key, or the free one where it would stand. The hash is spread already: its low bits will do. */
  #placeOf(high: number, low: number): number {
    let place = low & this.#mask;
    while (this.#positions[place] !== NO_POSITION && (this.#lows[place] !== low || this.#highs[place] !== high)) {
      place = (place + 1) & this.#mask;
    }
    return place;
  }

  #grow(): void {
    const [highs, lows, positions] = [this.#highs, this.#lows, this.#positions];
    const capacity = positions.length * 2;
    this.#highs = new Uint32Array(capacity);
    this.#lows = new Uint32Array(capacity);
    this.#positions = new Float64Array(capacity).fill(NO_POSITION);
    this.#mask = capacity - 1;
    for (let index = 0; index < positions.length; index += 1) {
      if (positions[index] === NO_POSITION) continue;
      const place = this.#placeOf(highs[index]!, lows[index]!);
      this.#highs[place] = highs[index]!;
      this.#lows[place] = lows[index]!;
      this.#positions[place] = positions[index]!;
    }
  }
}

/**
 * Of a last-value queue: the newest message of each key, by the key's hash. Open addressing in tables of a bounded size, 16 bytes a
 * place, at most three quarters full; a full table is divided in two by one more bit of the hash, as in `position-index.ts`. A key
 * leaves when its newest message is done with.
 */
import { INDEX_TABLE_PLACES_MAX } from "../base/limits.ts";

export const NO_POSITION = -1;
const PLACES_MIN = 16;
/** The hash is spread already: its low bits are those of a place, the others those of the directory. */
const DIRECTORY_SHIFT = Math.log2(INDEX_TABLE_PLACES_MAX);

class Table {
  highs: Uint32Array;
  lows: Uint32Array;
  positions: Float64Array;
  mask: number;
  count = 0;
  /** How many bits of the directory its keys have in common. */
  readonly depth: number;

  constructor(places: number, depth: number) {
    this.highs = new Uint32Array(places);
    this.lows = new Uint32Array(places);
    this.positions = new Float64Array(places).fill(NO_POSITION);
    this.mask = places - 1;
    this.depth = depth;
  }

  /** The place of a key, or the free one where it would stand. */
  placeOf(high: number, low: number): number {
    let place = low & this.mask;
    while (this.positions[place] !== NO_POSITION && (this.lows[place] !== low || this.highs[place] !== high)) {
      place = (place + 1) & this.mask;
    }
    return place;
  }

  insert(high: number, low: number, position: number): void {
    const place = this.placeOf(high, low);
    this.highs[place] = high;
    this.lows[place] = low;
    this.positions[place] = position;
    this.count += 1;
  }

  grow(): void {
    const { highs, lows, positions } = this;
    const places = positions.length * 2;
    this.highs = new Uint32Array(places);
    this.lows = new Uint32Array(places);
    this.positions = new Float64Array(places).fill(NO_POSITION);
    this.mask = places - 1;
    this.count = 0;
    for (let place = 0; place < positions.length; place += 1) {
      if (positions[place] !== NO_POSITION) this.insert(highs[place]!, lows[place]!, positions[place]!);
    }
  }

  removeAt(place: number): void {
    const { highs, lows, positions, mask } = this;
    let hole = place;
    this.count -= 1;
    for (let next = (hole + 1) & mask; positions[next] !== NO_POSITION; next = (next + 1) & mask) {
      const home = lows[next]! & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      highs[hole] = highs[next]!;
      lows[hole] = lows[next]!;
      positions[hole] = positions[next]!;
      hole = next;
    }
    positions[hole] = NO_POSITION;
  }
}

export class LastValues {
  #directory: Table[] = [new Table(PLACES_MIN, 0)];
  #depth = 0;

  /** The newest position of a key, NO_POSITION when it has none. */
  find(high: number, low: number): number {
    const table = this.#tableOf(low);
    return table.positions[table.placeOf(high, low)]!;
  }

  set(high: number, low: number, position: number): void {
    let table = this.#tableOf(low);
    const place = table.placeOf(high, low);
    if (table.positions[place] !== NO_POSITION) {
      table.positions[place] = position;
      return;
    }
    while ((table.count + 1) * 4 > table.positions.length * 3) {
      if (table.positions.length < INDEX_TABLE_PLACES_MAX) table.grow();
      else this.#divide(table);
      table = this.#tableOf(low);
    }
    table.insert(high, low, position);
  }

  /** Forgets a key if `position` is still its newest. */
  forget(high: number, low: number, position: number): void {
    const table = this.#tableOf(low);
    const place = table.placeOf(high, low);
    if (table.positions[place] === position) table.removeAt(place);
  }

  clear(): void {
    this.#directory = [new Table(PLACES_MIN, 0)];
    this.#depth = 0;
  }

  #tableOf(low: number): Table {
    return this.#directory[(low >>> DIRECTORY_SHIFT) & (this.#directory.length - 1)]!;
  }

  #divide(table: Table): void {
    if (table.depth === this.#depth) {
      this.#directory = [...this.#directory, ...this.#directory];
      this.#depth += 1;
    }
    const halves = [0, 1].map(() => new Table(INDEX_TABLE_PLACES_MAX, table.depth + 1));
    const bitOf = (number: number): number => (number >>> table.depth) & 1;
    for (let place = 0; place < table.positions.length; place += 1) {
      const position = table.positions[place]!;
      if (position === NO_POSITION) continue;
      const low = table.lows[place]!;
      halves[bitOf(low >>> DIRECTORY_SHIFT)]!.insert(table.highs[place]!, low, position);
    }
    for (let number = 0; number < this.#directory.length; number += 1) {
      if (this.#directory[number] === table) this.#directory[number] = halves[bitOf(number)]!;
    }
  }
}

/**
 * Of a last-value queue: the newest message of each key, by the key's hash. Open addressing, 16 bytes a place, at most three quarters
 * of a table full (`table-directory.ts`). A key leaves when its newest message is done with.
 */
import { type DividingTable, TableDirectory } from "./table-directory.ts";

export const NO_POSITION = -1;
const PLACES_MIN = 16;

class Table implements DividingTable<Table> {
  highs: Uint32Array;
  lows: Uint32Array;
  positions: Float64Array;
  mask: number;
  count = 0;
  readonly depth: number;

  constructor(places: number, depth: number) {
    this.highs = new Uint32Array(places);
    this.lows = new Uint32Array(places);
    this.positions = new Float64Array(places).fill(NO_POSITION);
    this.mask = places - 1;
    this.depth = depth;
  }

  get places(): number {
    return this.positions.length;
  }

  get isFull(): boolean {
    return (this.count + 1) * 4 > this.positions.length * 3;
  }

  another(places: number, depth: number): Table {
    return new Table(places, depth);
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

  moveTo(choose: (hash: number) => Table): void {
    const { highs, lows, positions } = this;
    for (let place = 0; place < positions.length; place += 1) {
      const low = lows[place]!;
      if (positions[place] !== NO_POSITION) choose(low).insert(highs[place]!, low, positions[place]!);
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

/** The hash is spread already: its low half is the one of the tables. */
export class LastValues {
  readonly #tables = new TableDirectory(new Table(PLACES_MIN, 0));

  /** The newest position of a key, NO_POSITION when it has none. */
  find(high: number, low: number): number {
    const table = this.#tables.of(low);
    return table.positions[table.placeOf(high, low)]!;
  }

  set(high: number, low: number, position: number): void {
    const table = this.#tables.of(low);
    const place = table.placeOf(high, low);
    if (table.positions[place] !== NO_POSITION) table.positions[place] = position;
    else (table.isFull ? this.#tables.roomFor(low) : table).insert(high, low, position);
  }

  /** Forgets a key if `position` is still its newest. */
  forget(high: number, low: number, position: number): void {
    const table = this.#tables.of(low);
    const place = table.placeOf(high, low);
    if (table.positions[place] === position) table.removeAt(place);
  }

  clear(): void {
    this.#tables.reset(new Table(PLACES_MIN, 0));
  }
}

/**
 * From a position to its slot in a slab: open addressing, half of a table empty at least (`table-directory.ts`).
 *
 * ```
 *   table   [position · slot + 1] …
 * ```
 */
import { type DividingTable, TableDirectory } from "./table-directory.ts";

const EMPTY = 0; // Places hold slot + 1.
const PLACES_MIN = 32;

class Table implements DividingTable<Table> {
  positions: Float64Array;
  slots: Int32Array;
  mask: number;
  count = 0;
  readonly depth: number;

  constructor(places: number, depth: number) {
    this.positions = new Float64Array(places);
    this.slots = new Int32Array(places);
    this.mask = places - 1;
    this.depth = depth;
  }

  get places(): number {
    return this.slots.length;
  }

  get isFull(): boolean {
    return (this.count + 1) * 2 > this.slots.length;
  }

  another(places: number, depth: number): Table {
    return new Table(places, depth);
  }

  insert(position: number, slot: number): void {
    let place = hashOf(position) & this.mask;
    while (this.slots[place] !== EMPTY) place = (place + 1) & this.mask;
    this.positions[place] = position;
    this.slots[place] = slot + 1;
    this.count += 1;
  }

  grow(): void {
    const { positions, slots } = this;
    this.positions = new Float64Array(positions.length * 2);
    this.slots = new Int32Array(slots.length * 2);
    this.mask = slots.length * 2 - 1;
    this.count = 0;
    for (let place = 0; place < slots.length; place += 1) {
      if (slots[place] !== EMPTY) this.insert(positions[place]!, slots[place]! - 1);
    }
  }

  moveTo(choose: (hash: number) => Table): void {
    const { positions, slots } = this;
    for (let place = 0; place < slots.length; place += 1) {
      const position = positions[place]!;
      if (slots[place] !== EMPTY) choose(hashOf(position)).insert(position, slots[place]! - 1);
    }
  }
}

/** Shared by all that have never held anything; never written to. */
const NOTHING = new Table(1, 0);

export class PositionIndex {
  readonly #tables = new TableDirectory(NOTHING);

  /** The slot of a position, -1 when it has none. */
  find(position: number): number {
    const hash = hashOf(position);
    const { positions, slots, mask } = this.#tables.of(hash);
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = slots[place]! - 1;
      if (slot < 0 || positions[place] === position) return slot;
    }
  }

  /** Adds a position that is not there. */
  add(position: number, slot: number): void {
    const hash = hashOf(position);
    const table = this.#tables.of(hash);
    if (table === NOTHING) this.#tables.reset(new Table(PLACES_MIN, 0));
    (table.isFull ? this.#tables.roomFor(hash) : table).insert(position, slot);
  }

  /** Removes a position that is there. */
  remove(position: number): void {
    const hash = hashOf(position);
    const table = this.#tables.of(hash);
    const { positions, slots, mask } = table;
    let hole = hash & mask;
    while (positions[hole] !== position || slots[hole] === EMPTY) hole = (hole + 1) & mask;
    table.count -= 1;

    // Those behind in the run move up, so that no run is ever cut by a hole.
    for (let next = (hole + 1) & mask; slots[next] !== EMPTY; next = (next + 1) & mask) {
      const home = hashOf(positions[next]!) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      positions[hole] = positions[next]!;
      slots[hole] = slots[next]!;
      hole = next;
    }
    slots[hole] = EMPTY;
  }
}

/** Positions are batch * 65,536 + index: both parts count. */
function hashOf(position: number): number {
  const low = position | 0; // The low 32 bits: ToInt32 is modulo 2^32.
  const high = (position / 0x1_0000_0000) | 0;
  const mixed = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}

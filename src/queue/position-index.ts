/**
 * From a position to its slot in a slab: open addressing in tables of a bounded size. A table that is full is divided in two by one
 * more bit of the hash, so that no step moves more than one table's entries, whatever the index holds.
 *
 * ```
 *   directory, by some bits of the hash      table
 *   [ · · · · ]  two or more may name ─────► [position · slot + 1] …    half of it empty at least
 * ```
 */
import { INDEX_TABLE_PLACES_MAX } from "../base/limits.ts";

const EMPTY = 0; // Places hold slot + 1.
const PLACES_MIN = 32;
/** The bits of the hash below are those of a place in the largest table. */
const DIRECTORY_SHIFT = Math.log2(INDEX_TABLE_PLACES_MAX);

class Table {
  positions: Float64Array;
  slots: Int32Array;
  mask: number;
  count = 0;
  /** How many bits of the directory its entries have in common. */
  readonly depth: number;

  constructor(places: number, depth: number) {
    this.positions = new Float64Array(places);
    this.slots = new Int32Array(places);
    this.mask = places - 1;
    this.depth = depth;
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
}

/** Shared by all that have never held anything; never written to. */
const NOTHING = new Table(1, 0);

export class PositionIndex {
  #directory: Table[] = [NOTHING];
  #depth = 0;

  /** The slot of a position, -1 when it has none. */
  find(position: number): number {
    const hash = hashOf(position);
    const { positions, slots, mask } = this.#tableOf(hash);
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = slots[place]! - 1;
      if (slot < 0 || positions[place] === position) return slot;
    }
  }

  /** Adds a position that is not there. */
  add(position: number, slot: number): void {
    const hash = hashOf(position);
    let table = this.#tableOf(hash);
    while ((table.count + 1) * 2 > table.slots.length) {
      if (table === NOTHING) this.#directory[0] = new Table(PLACES_MIN, 0);
      else if (table.slots.length < INDEX_TABLE_PLACES_MAX) table.grow();
      else this.#divide(table);
      table = this.#tableOf(hash);
    }
    table.insert(position, slot);
  }

  /** Removes a position that is there. */
  remove(position: number): void {
    const hash = hashOf(position);
    const table = this.#tableOf(hash);
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

  #tableOf(hash: number): Table {
    return this.#directory[(hash >>> DIRECTORY_SHIFT) & (this.#directory.length - 1)]!;
  }

  #divide(table: Table): void {
    if (table.depth === this.#depth) {
      this.#directory = [...this.#directory, ...this.#directory];
      this.#depth += 1;
    }
    const halves = [0, 1].map(() => new Table(INDEX_TABLE_PLACES_MAX, table.depth + 1));
    const bitOf = (number: number): number => (number >>> table.depth) & 1;
    for (let place = 0; place < table.slots.length; place += 1) {
      if (table.slots[place] === EMPTY) continue;
      const position = table.positions[place]!;
      halves[bitOf(hashOf(position) >>> DIRECTORY_SHIFT)]!.insert(position, table.slots[place]! - 1);
    }
    for (let number = 0; number < this.#directory.length; number += 1) {
      if (this.#directory[number] === table) this.#directory[number] = halves[bitOf(number)]!;
    }
  }
}

/** Positions are batch * 65,536 + index: both parts count. */
function hashOf(position: number): number {
  const low = position | 0; // The low 32 bits: ToInt32 is modulo 2^32.
  const high = (position / 0x1_0000_0000) | 0;
  const mixed = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}

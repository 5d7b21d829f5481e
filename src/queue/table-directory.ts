/**
 * Hash tables of a bounded size under one directory. A table that is full grows up to that size; then it is divided in two by one more
 * bit of the hash, so that no step moves more than one table's entries, whatever they hold together.
 *
 * ```
 *   directory, by the bits of the hash above those of a place      tables
 *   [ · · · · ]  two or more may name ───────────────────────────► [ … ] [ … ] [ … ]
 * ```
 */
import { INDEX_TABLE_PLACES_MAX } from "../base/limits.ts";

/** One of the tables. */
export interface DividingTable<Self> {
  readonly places: number;
  /** How many bits of the directory its entries have in common. */
  readonly depth: number;
  /** Whether it has to grow, or to be divided, before one more entry. */
  readonly isFull: boolean;
  /** Twice the places. */
  grow(): void;
  /** A table of that many places and that depth, empty. */
  another(places: number, depth: number): Self;
  /** Inserts every entry into the one of these that the hash of it chooses. */
  moveTo(choose: (hash: number) => Self): void;
}

/** The bits of the hash below are those of a place in the largest table. */
const DIRECTORY_SHIFT = Math.log2(INDEX_TABLE_PLACES_MAX);

export class TableDirectory<T extends DividingTable<T>> {
  #tables: T[];
  #depth = 0;

  constructor(first: T) {
    this.#tables = [first];
  }

  /** Forgets all tables but a new one. */
  reset(first: T): void {
    this.#tables = [first];
    this.#depth = 0;
  }

  /** The table for a hash. */
  of(hash: number): T {
    return this.#tables[(hash >>> DIRECTORY_SHIFT) & (this.#tables.length - 1)]!;
  }

  /** The same, made ready for one more entry. */
  roomFor(hash: number): T {
    let table = this.of(hash);
    while (table.isFull) {
      if (table.places < INDEX_TABLE_PLACES_MAX) table.grow();
      else this.#divide(table);
      table = this.of(hash);
    }
    return table;
  }

  #divide(table: T): void {
    const { depth } = table;
    if (depth === this.#depth) {
      this.#tables = [...this.#tables, ...this.#tables];
      this.#depth += 1;
    }
    const zero = table.another(INDEX_TABLE_PLACES_MAX, depth + 1);
    const one = table.another(INDEX_TABLE_PLACES_MAX, depth + 1);
    const halfOf = (bits: number): T => (((bits >>> depth) & 1) === 0 ? zero : one);
    table.moveTo((hash) => halfOf(hash >>> DIRECTORY_SHIFT));
    for (let number = 0; number < this.#tables.length; number += 1) {
      if (this.#tables[number] === table) this.#tables[number] = halfOf(number);
    }
  }
}

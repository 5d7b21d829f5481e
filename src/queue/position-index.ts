/**
 * From a position to its slot in a slab: open addressing over slot numbers, so that the positions stand once, in the
 * slab's own column, which every call brings along.
 */
const EMPTY = 0; // Places hold slot + 1.
const CAPACITY_MIN = 32;
/** One empty place, shared by all that have never held anything; never written to. */
const NO_PLACES = new Int32Array(1);

export class PositionIndex {
  #places = NO_PLACES;
  #mask = 0;
  #count = 0;

  /** The slot of a position, -1 when it has none. */
  find(position: number, positions: Float64Array): number {
    for (let place = hashOf(position) & this.#mask; ; place = (place + 1) & this.#mask) {
      const slot = this.#places[place]! - 1;
      if (slot < 0 || positions[slot] === position) return slot;
    }
  }

  /** Adds a position that is not there; its column entry is written already. */
  add(position: number, slot: number, positions: Float64Array): void {
    if ((this.#count + 1) * 2 > this.#places.length) this.#grow(positions);
    this.#insert(position, slot);
    this.#count += 1;
  }

  /** Removes a position that is there; its column entry is still written. */
  remove(position: number, positions: Float64Array): void {
    let place = hashOf(position) & this.#mask;
    while (positions[this.#places[place]! - 1] !== position) place = (place + 1) & this.#mask;
    this.#count -= 1;

    // Those behind in the run move up, so that no run is ever cut by a hole.
    let hole = place;
    for (let next = (hole + 1) & this.#mask; this.#places[next] !== EMPTY; next = (next + 1) & this.#mask) {
      const home = hashOf(positions[this.#places[next]! - 1]!) & this.#mask;
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#places[hole] = this.#places[next]!;
      hole = next;
    }
    this.#places[hole] = EMPTY;
  }

  #insert(position: number, slot: number): void {
    let place = hashOf(position) & this.#mask;
    while (this.#places[place] !== EMPTY) place = (place + 1) & this.#mask;
    this.#places[place] = slot + 1;
  }

  #grow(positions: Float64Array): void {
    const old = this.#places;
    this.#places = new Int32Array(Math.max(CAPACITY_MIN, old.length * 2));
    this.#mask = this.#places.length - 1;
    for (const place of old) if (place !== EMPTY) this.#insert(positions[place - 1]!, place - 1);
  }
}

/** Positions are batch * 65,536 + index: both parts count. */
function hashOf(position: number): number {
  const low = position | 0; // The low 32 bits: ToInt32 is modulo 2^32.
  const high = (position / 0x1_0000_0000) | 0;
  const mixed = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}

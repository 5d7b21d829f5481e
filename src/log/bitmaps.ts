/** Bitmaps of settled records that do not fit into a row of the table, by number; 0 is none. */
export class Bitmaps {
  readonly #bitmaps: (Uint8Array | undefined)[] = [undefined];
  readonly #free: number[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A new one for so many records, all bits 0. */
  add(records: number): number {
    const bitmap = new Uint8Array(Math.ceil(records / 8));
    this.#bytes += bitmap.length;
    const place = this.#free.pop() ?? this.#bitmaps.length;
    this.#bitmaps[place] = bitmap;
    return place;
  }

  at(place: number): Uint8Array {
    return this.#bitmaps[place]!;
  }

  remove(place: number): void {
    if (place === 0) return;
    this.#bytes -= this.at(place).length;
    this.#bitmaps[place] = undefined;
    this.#free.push(place);
  }
}

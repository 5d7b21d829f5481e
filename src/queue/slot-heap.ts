/**
 * Slots of a slab, the one with the lowest key first: a binary heap that knows the place of each slot, so that any may leave. A slot's
 * key does not change while it is here.
 */
export interface SlotKeys {
  keyOf(slot: number): number;
  placeOf(slot: number): number;
  setPlace(slot: number, place: number): void;
}

export class SlotHeap {
  readonly #keys: SlotKeys;
  readonly #slots: number[] = [];

  constructor(keys: SlotKeys) {
    this.#keys = keys;
  }

  get count(): number {
    return this.#slots.length;
  }

  /** The slot with the lowest key; only while `count` is above 0. */
  peek(): number {
    return this.#slots[0]!;
  }

  add(slot: number): void {
    this.#slots.push(slot);
    this.#rise(slot, this.#slots.length - 1);
  }

  remove(slot: number): void {
    const place = this.#keys.placeOf(slot);
    const last = this.#slots.pop()!;
    if (last === slot) return;
    this.#sink(last, place);
    if (this.#keys.placeOf(last) === place) this.#rise(last, place);
  }

  #rise(slot: number, from: number): void {
    const slots = this.#slots;
    const key = this.#keys.keyOf(slot);
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#keys.keyOf(slots[parent]!) <= key) break;
      this.#put(slots[parent]!, at);
      at = parent;
    }
    this.#put(slot, at);
  }

  #sink(slot: number, from: number): void {
    const slots = this.#slots;
    const key = this.#keys.keyOf(slot);
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= slots.length) break;
      if (child + 1 < slots.length && this.#keys.keyOf(slots[child + 1]!) < this.#keys.keyOf(slots[child]!)) child += 1;
      if (this.#keys.keyOf(slots[child]!) >= key) break;
      this.#put(slots[child]!, at);
      at = child;
    }
    this.#put(slot, at);
  }

  #put(slot: number, place: number): void {
    this.#slots[place] = slot;
    this.#keys.setPlace(slot, place);
  }
}

/**
 * The order of the messages that wait aside of a queue's line.
 *
 * ```
 *   RETURNED       a heap by position
 *   HELD, PARKED   a list each, longest there first; a heap by position for both
 *   HELD           a heap by when its rejecter may have it again
 * ```
 */
import type { AsidePage } from "./aside-page.ts";
import * as page from "./aside-page.ts";
import * as states from "./aside-state.ts";
import { SlotHeap, type SlotKeys } from "./slot-heap.ts";

const { DUE, DUE_PLACE, NEXT, NUMBERS, PAGE_MASK, PAGE_SHIFT, PLACE, POSITION, PREVIOUS, WORDS } = page; // Folded, as in aside.ts.
const { HELD, NO_SLOT, RETURNED, STATES } = states;

export class AsideOrder {
  readonly #pages: readonly AsidePage[];
  readonly #returned: SlotHeap;
  readonly #putOff: SlotHeap;
  readonly #dues: SlotHeap;
  /** By state. */
  readonly #firsts: number[] = new Array<number>(STATES).fill(NO_SLOT);
  readonly #lasts: number[] = new Array<number>(STATES).fill(NO_SLOT);

  /** `pages` of the slab; more may be added to them. */
  constructor(pages: readonly AsidePage[]) {
    this.#pages = pages;
    this.#returned = new SlotHeap(this.#keysOf(POSITION, PLACE));
    this.#putOff = new SlotHeap(this.#keysOf(POSITION, PLACE));
    this.#dues = new SlotHeap(this.#keysOf(DUE, DUE_PLACE));
  }

  #keysOf(key: number, placeColumn: number): SlotKeys {
    return {
      keyOf: (slot) => this.#numberOf(slot, key),
      placeOf: (slot) => this.#wordOf(slot, placeColumn),
      setPlace: (slot, place) => this.#setWord(slot, placeColumn, place),
    };
  }

  #numberOf(slot: number, column: number): number {
    return this.#pages[slot >> PAGE_SHIFT]!.numbers[(slot & PAGE_MASK) * NUMBERS + column]!;
  }

  #wordOf(slot: number, column: number): number {
    return this.#pages[slot >> PAGE_SHIFT]!.words[(slot & PAGE_MASK) * WORDS + column]!;
  }

  #setWord(slot: number, column: number, word: number): void {
    this.#pages[slot >> PAGE_SHIFT]!.words[(slot & PAGE_MASK) * WORDS + column] = word;
  }

  firstOf(state: number): number {
    return this.#firsts[state]!;
  }

  get firstReturned(): number {
    return this.#returned.count === 0 ? NO_SLOT : this.#returned.peek();
  }

  get firstWaiting(): number {
    const returned = this.firstReturned;
    if (this.#putOff.count === 0) return returned;
    const putOff = this.#putOff.peek();
    return returned !== NO_SLOT && this.#numberOf(returned, POSITION) < this.#numberOf(putOff, POSITION)
      ? returned
      : putOff;
  }

  get firstDue(): number {
    return this.#dues.count === 0 ? NO_SLOT : this.#dues.peek();
  }

  add(slot: number, state: number): void {
    if (state === RETURNED) {
      this.#returned.add(slot);
      return;
    }
    this.#append(slot, state);
    this.#putOff.add(slot);
    if (state === HELD) this.#dues.add(slot);
  }

  remove(slot: number, state: number): void {
    if (state === RETURNED) {
      this.#returned.remove(slot);
      return;
    }
    this.#unlink(slot, state);
    this.#putOff.remove(slot);
    if (state === HELD) this.#dues.remove(slot);
  }

  toBack(slot: number, state: number): void {
    this.#unlink(slot, state);
    this.#append(slot, state);
  }

  #append(slot: number, state: number): void {
    const last = this.#lasts[state]!;
    this.#setWord(slot, PREVIOUS, last);
    this.#setWord(slot, NEXT, NO_SLOT);
    if (last === NO_SLOT) this.#firsts[state] = slot;
    else this.#setWord(last, NEXT, slot);
    this.#lasts[state] = slot;
  }

  #unlink(slot: number, state: number): void {
    const next = this.#wordOf(slot, NEXT);
    const previous = this.#wordOf(slot, PREVIOUS);
    if (next === NO_SLOT) this.#lasts[state] = previous;
    else this.#setWord(next, PREVIOUS, previous);
    if (previous === NO_SLOT) this.#firsts[state] = next;
    else this.#setWord(previous, NEXT, next);
  }
}

/**
 * The order of the messages that wait aside of a queue's line.
 *
 * ```
 *   RETURNED       a heap by position
 *   HELD, PARKED   a list each, longest there first; a heap by position for both
 *   HELD           a heap by when its rejecter may have it again
 * ```
 */
import { type AsidePage, PAGE_MASK, PAGE_SHIFT } from "./aside-page.ts";
import { HELD, NO_SLOT, RETURNED, STATES } from "./aside-state.ts";
import { SlotHeap } from "./slot-heap.ts";

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
    const byPosition = {
      keyOf: (slot: number): number => this.#pageOf(slot).positions[slot & PAGE_MASK]!,
      placeOf: (slot: number): number => this.#pageOf(slot).places[slot & PAGE_MASK]!,
      setPlace: (slot: number, place: number): void => {
        this.#pageOf(slot).places[slot & PAGE_MASK] = place;
      },
    };
    this.#returned = new SlotHeap(byPosition);
    this.#putOff = new SlotHeap(byPosition);
    this.#dues = new SlotHeap({
      keyOf: (slot) => this.#pageOf(slot).dues[slot & PAGE_MASK]!,
      placeOf: (slot) => this.#pageOf(slot).duePlaces[slot & PAGE_MASK]!,
      setPlace: (slot, place) => {
        this.#pageOf(slot).duePlaces[slot & PAGE_MASK] = place;
      },
    });
  }

  #pageOf(slot: number): AsidePage {
    return this.#pages[slot >> PAGE_SHIFT]!;
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
    return returned !== NO_SLOT && this.#positionOf(returned) < this.#positionOf(putOff) ? returned : putOff;
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

  #positionOf(slot: number): number {
    return this.#pageOf(slot).positions[slot & PAGE_MASK]!;
  }

  #append(slot: number, state: number): void {
    const page = this.#pageOf(slot);
    const last = this.#lasts[state]!;
    page.previous[slot & PAGE_MASK] = last;
    page.nexts[slot & PAGE_MASK] = NO_SLOT;
    if (last === NO_SLOT) this.#firsts[state] = slot;
    else this.#pageOf(last).nexts[last & PAGE_MASK] = slot;
    this.#lasts[state] = slot;
  }

  #unlink(slot: number, state: number): void {
    const page = this.#pageOf(slot);
    const next = page.nexts[slot & PAGE_MASK]!;
    const previous = page.previous[slot & PAGE_MASK]!;
    if (next === NO_SLOT) this.#lasts[state] = previous;
    else this.#pageOf(next).previous[next & PAGE_MASK] = previous;
    if (previous === NO_SLOT) this.#firsts[state] = next;
    else this.#pageOf(previous).nexts[previous & PAGE_MASK] = next;
  }
}

/**
 * The slots of a credit table as the consumers' worker gives them to its attachments, each time under a new generation.
 */
import type { CreditTable } from "./credit.ts";

/** The table is full: wait until a slot is closed. */
export const NO_CREDIT_SLOT = -1;

export class CreditSlots {
  readonly #table: CreditTable;
  readonly #generations: Uint16Array;
  readonly #free: number[] = [];
  #unused = 0;

  constructor(table: CreditTable) {
    this.#table = table;
    this.#generations = new Uint16Array(table.slots);
  }

  get table(): CreditTable {
    return this.#table;
  }

  /** Opens a slot for a new attachment; its generation is `generationOf`. */
  open(): number {
    const slot = this.#free.pop() ?? (this.#unused < this.#table.slots ? this.#unused++ : NO_CREDIT_SLOT);
    if (slot === NO_CREDIT_SLOT) return slot;
    this.#generations[slot]! += 1;
    this.#table.open(slot, this.#generations[slot]!);
    return slot;
  }

  generationOf(slot: number): number {
    return this.#generations[slot]!;
  }

  /** The attachment has ended and its owner knows. */
  close(slot: number): void {
    this.#free.push(slot);
  }
}

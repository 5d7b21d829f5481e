/**
 * The slots of a credit table as the consumers' worker gives them to its attachments, each time under a new generation.
 */
import { CREDIT_TABLE_SLOTS } from "../base/limits.ts";
import type { CreditTable } from "./credit.ts";

/** The table is full: take a further one. */
export const NO_CREDIT_SLOT = -1;

export class CreditSlots {
  readonly #table: CreditTable;
  readonly #generations = new Uint16Array(CREDIT_TABLE_SLOTS);
  readonly #free: number[] = [];
  #unused = 0;

  constructor(table: CreditTable) {
    this.#table = table;
  }

  get table(): CreditTable {
    return this.#table;
  }

  /** Opens a slot for a new attachment; its generation is `generationOf`. */
  open(): number {
    const slot = this.#free.pop() ?? (this.#unused < CREDIT_TABLE_SLOTS ? this.#unused++ : NO_CREDIT_SLOT);
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

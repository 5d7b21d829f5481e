/**
 * The adopted records of a partition whose shared subscription may still have the message on disk, too. Until it has not, the record stays:
 * it is what tells a start that the message has been taken over.
 *
 * ```
 *   adopted ──► contested ──forgotten there──► a record like any other
 *                   └── done with: settled when it is forgotten there
 * ```
 */

interface Contested {
  isDone: boolean;
  onForgotten: (() => void) | undefined;
}

export class AdoptedRecords {
  readonly #contested = new Map<number, Contested>();

  get isEmpty(): boolean {
    return this.#contested.size === 0;
  }

  /** `isDone`: nobody wants it any more. */
  note(position: number, isDone: boolean): void {
    this.#contested.set(position, { isDone, onForgotten: undefined });
  }

  /** The record is done with; false when it is contested no more and can be settled at once. */
  end(position: number): boolean {
    const record = this.#contested.get(position);
    if (record === undefined) return false;
    record.isDone = true;
    return true;
  }

  /** `done`, the last one given, when it is contested no more; false when that is now. */
  whenForgotten(position: number, done: () => void): boolean {
    const record = this.#contested.get(position);
    if (record === undefined) return false;
    record.onForgotten = done;
    return true;
  }

  /** The shared subscription's disk has it no more; true when the record is to be settled. */
  forgotten(position: number): boolean {
    const record = this.#contested.get(position);
    this.#contested.delete(position);
    record?.onForgotten?.();
    return record?.isDone === true;
  }
}

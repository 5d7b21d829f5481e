/**
 * The owner's side of a credit table: which consumer has which slot, and the round that follows what they settled.
 */
import type { Consumer } from "./consumer.ts";
import type { CreditTable } from "./credit.ts";
import type { AnyDispatcher } from "./dispatcher.ts";

export class CreditReader {
  readonly table: CreditTable;
  readonly #consumers: (Consumer | undefined)[] = [];
  readonly #dispatchers: (AnyDispatcher | undefined)[] = [];
  readonly #dirty: Int32Array;

  constructor(table: CreditTable) {
    this.table = table;
    this.#dirty = new Int32Array(table.slots);
  }

  /** The consumer of a slot, if it is this generation's. */
  consumerOf(slot: number, generation: number): Consumer | undefined {
    const consumer = this.#consumers[slot];
    return consumer?.generation === (generation & 0xffff) ? consumer : undefined;
  }

  dispatcherOf(slot: number): AnyDispatcher | undefined {
    return this.#dispatchers[slot];
  }

  /** With `dispatcher.attach`. */
  add(consumer: Consumer, dispatcher: AnyDispatcher): void {
    this.#consumers[consumer.slot] = consumer;
    this.#dispatchers[consumer.slot] = dispatcher;
  }

  /** With `dispatcher.detach`. */
  remove(consumer: Consumer): void {
    if (this.#consumers[consumer.slot] !== consumer) return;
    this.#consumers[consumer.slot] = undefined;
    this.#dispatchers[consumer.slot] = undefined;
  }

  /** Takes over what consumers settled or paused since the last call; once before a burst of pumps. Returns how many. */
  refresh(): number {
    const count = this.table.takeDirty(this.#dirty, this.#consumers.length);
    for (let index = 0; index < count; index += 1) {
      const slot = this.#dirty[index]!;
      const consumer = this.#consumers[slot];
      if (consumer !== undefined) this.#dispatchers[slot]!.refresh(consumer);
    }
    return count;
  }
}

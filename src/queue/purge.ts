/**
 * Purge: what waits is removed on request; and the removal of a whole queue.
 */
import type { Position } from "../log/contract.ts";
import { FREE, LEAVING } from "./aside.ts";
import { isWaitingState, removeWaiting } from "./depart.ts";
import { PURGED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

/**
 * One request to remove what waits, carried out in steps. Messages that are not on disk when it begins are their
 * publishers' still: they stay, as does all that comes later and what is in flight.
 */
export class Purge {
  /** Messages removed so far. */
  purged = 0;
  readonly #state: QueueState;
  readonly #before: Position;
  #slot = 0;

  constructor(state: QueueState) {
    this.#state = state;
    this.#before = state.availableBefore;
  }

  /** Removes up to `bound` messages, and looks at no more than as many aside; true when nothing is left to remove. */
  step(bound: number): boolean {
    const { aside, line } = this.#state;
    let left = bound;
    for (; left > 0 && this.#slot < aside.capacity; left -= 1) {
      const slot = this.#slot;
      this.#slot += 1;
      if (isWaitingState(aside.states[slot]!) && aside.positions[slot]! < this.#before) {
        this.#remove(aside.positions[slot]!);
      }
    }
    for (; left > 0 && line.first(this.#before); left -= 1) this.#remove(line.position);
    return this.#slot >= aside.capacity && !line.first(this.#before);
  }

  #remove(position: Position): void {
    removeWaiting(this.#state, position, PURGED);
    this.purged += 1;
  }
}

export function removeAll(state: QueueState): void {
  const { aside, line, log } = state;
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    if (aside.states[slot] === FREE) continue;
    if (aside.overwritten[slot] === 0 || aside.states[slot] === LEAVING) state.settleRecord(aside.positions[slot]!);
    aside.remove(slot);
  }
  for (; line.first(Number.POSITIVE_INFINITY); line.remove()) state.settleRecord(line.position);
  state.lastValues?.clear();
  log.put("ledgers", state.ledgerKey, undefined);
}

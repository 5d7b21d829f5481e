/**
 * Purge: what waits is removed on request; and the removal of a whole queue. Both in steps: ten million messages are no single turn's work.
 */
import { type Position, RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { FREE, isWaitingState, LEAVING } from "./aside-state.ts";
import { removeWaiting } from "./depart.ts";
import { PURGED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { isUnsettled, work } from "./work.ts";

/**
 * One request to remove what waits, carried out in steps. Messages that are not on disk when it begins are their
 * publishers' still (of a memory queue they are the queue's): they stay, as does all that comes later and what is in flight.
 */
export class Purge {
  /** Messages removed so far. */
  purged = 0;
  readonly #state: QueueState;
  readonly #before: Position;
  #slot = 0;

  constructor(state: QueueState) {
    this.#state = state;
    const { gathering, gatheringRecords } = state.log;
    const next = gathering * RECORDS_PER_BATCH_MAX + gatheringRecords; // Of a memory queue everything is available, also what is to come.
    this.#before = Math.min(state.availableBefore, next);
  }

  /** Removes up to `bound` messages, and looks at no more than as many aside; true when nothing is left to remove. */
  step(bound: number): boolean {
    const { aside, line } = this.#state;
    let left = bound;
    if (isUnsettled(this.#state)) {
      work(this.#state, bound); // What comes back counts as back.
      return false;
    }
    for (; left > 0 && this.#slot < aside.capacity; left -= 1) {
      const slot = this.#slot;
      this.#slot += 1;
      if (isWaitingState(aside.stateOf(slot)) && aside.positionOf(slot) < this.#before) {
        this.#remove(aside.positionOf(slot));
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

/** The end of a queue, in steps: every record is settled. Nothing else may use the queue any more. */
export class Removal {
  readonly #state: QueueState;
  #slot = 0;

  constructor(state: QueueState) {
    this.#state = state;
    state.lastValues?.clear();
    state.returning.length = 0;
    state.isTrimming = false;
    state.log.put("ledgers", state.ledgerKey, undefined);
  }

  /** Settles up to `bound` records; true when none is left. */
  step(bound: number): boolean {
    const { aside, line } = this.#state;
    let left = bound;
    for (; left > 0 && this.#slot < aside.capacity; left -= 1) {
      const slot = this.#slot;
      this.#slot += 1;
      if (aside.stateOf(slot) === FREE) continue;
      const isStored = !aside.isOverwritten(slot) || aside.stateOf(slot) === LEAVING;
      if (isStored) this.#state.settleRecord(aside.positionOf(slot));
      aside.remove(slot);
    }
    for (; left > 0 && line.first(Number.POSITIVE_INFINITY); left -= 1) {
      this.#state.settleRecord(line.position);
      line.remove();
    }
    if (left > 0) work(this.#state, left); // The records of what was dropped before.
    return this.#slot >= aside.capacity && line.count === 0 && this.#state.departing.length === 0;
  }
}

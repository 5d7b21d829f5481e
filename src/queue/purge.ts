/**
 * Purge: what waits is removed on request; and the removal of a whole queue.
 */
import { FREE, LEAVING } from "./aside.ts";
import { isWaitingState, removeWaiting } from "./depart.ts";
import { PURGED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

/** Messages that are not on disk yet are their publishers' still: they stay. */
export function purge(state: QueueState, bound: number): number {
  const { aside, line } = state;
  let purged = 0;
  for (let slot = 0; slot < aside.capacity && purged < bound; slot += 1) {
    if (!isWaitingState(aside.states[slot]!)) continue;
    removeWaiting(state, aside.positions[slot]!, PURGED);
    purged += 1;
  }
  for (; purged < bound && line.first(state.availableBefore); purged += 1) {
    removeWaiting(state, line.position, PURGED);
  }
  return purged;
}

export function removeAll(state: QueueState): void {
  const { aside, line, log } = state;
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    if (aside.states[slot] === FREE) continue;
    if (aside.overwritten[slot] === 0 || aside.states[slot] === LEAVING) log.settle(aside.positions[slot]!);
    aside.remove(slot);
  }
  for (; line.first(Number.POSITIVE_INFINITY); line.remove()) log.settle(line.position);
  state.lastValues?.clear();
  log.put("ledgers", state.ledgerKey, undefined);
}

/**
 * Depart: a message that waits goes without having been handed out: superseded, dropped, expired, purged.
 */

import { HELD, IN_FLIGHT, LEAVING, NO_SLOT, PARKED, RETURNED } from "./aside.ts";
import { DROPPED_REASON, type LeavingReason } from "./leaving.ts";
import { DROPPED, SUPERSEDED } from "./ledger.ts";
import type { PositionFifo } from "./position-fifo.ts";
import type { QueueState } from "./queue-state.ts";

export const counterOf = (reason: LeavingReason): number => (reason === DROPPED_REASON ? DROPPED : SUPERSEDED);

/** Whether a slot's message waits: come back, held or parked. */
export const isWaitingState = (state: number): boolean => state === RETURNED || state === HELD || state === PARKED;

/**
 * Lets the message at `old` go as soon as `successor` is on disk. One in flight stays with its holder; if it comes back
 * after that, it goes then.
 */
export function leave(state: QueueState, old: number, successor: number, reason: LeavingReason): void {
  const { aside, line } = state;
  let slot = aside.find(old);
  if (slot !== NO_SLOT) {
    if (aside.states[slot] === LEAVING) return; // Leaves already, for an earlier successor.
    state.leaving.push(old, successor, reason);
    if (aside.states[slot] === IN_FLIGHT) return;
    aside.move(slot, LEAVING);
  } else {
    if (!line.find(old)) return;
    state.leaving.push(old, successor, reason);
    slot = aside.add(old, line.expiresAtMs, line.messageBytes, line.keyHashHigh, line.keyHashLow, LEAVING);
    line.remove();
  }
  aside.dues[slot] = successor;
  aside.holders[slot] = reason;
  state.ledger.count(counterOf(reason), 1);
  state.leavingCounts[reason]! += 1;
}

/** Its successor is on disk, or done with: a message that left goes, wherever it is now. */
export function depart(state: QueueState, old: number, reason: LeavingReason): void {
  const { aside } = state;
  const slot = aside.find(old);
  if (slot === NO_SLOT) return; // Settled meanwhile.

  if (aside.states[slot] === IN_FLIGHT) {
    if (aside.overwritten[slot] === 1) return;
    // The record goes now, in a batch behind its successor's: after a crash the old value must not follow the new one.
    aside.overwritten[slot] = 1;
    state.overwrittenCount += 1;
  } else {
    // It may have left for another reason since: what it was counted as is what counts.
    if (aside.states[slot] === LEAVING) state.leavingCounts[aside.holders[slot]!]! -= 1;
    else state.ledger.count(counterOf(reason), 1); // Was in flight when it was overwritten, and came back.
    aside.remove(slot);
  }
  state.settleRecord(old);
  state.events.onChanged();
}

/**
 * A message is done with. One of a memory queue may not be on disk yet: then what left for it, and for those before it, goes with
 * the same commit, or a crash behind that would bring an older value back.
 */
export function departBefore(state: QueueState, position: number): void {
  const { leaving } = state;
  while (leaving.count > 0 && leaving.successor() <= position && state.isMemoryAt(leaving.successor())) {
    const reason = leaving.reason();
    depart(state, leaving.shift(), reason);
  }
}

/** Lets the oldest message that waits go for `successor`; false when none waits. */
export function dropOldest(state: QueueState, successor: number, reason: LeavingReason): boolean {
  const oldest = oldestWaiting(state);
  if (oldest === -1) return false;
  forgetKey(state, oldest);
  leave(state, oldest, successor, reason);
  return true;
}

/** The position of the oldest message that waits, on disk or not yet; -1 when none does. */
export function oldestWaiting(state: QueueState): number {
  const { aside, line, returned } = state;
  while (returned.count > 0 && aside.findIn(RETURNED, returned.peek()) === NO_SLOT) returned.pop();
  let oldest = returned.count > 0 ? returned.peek() : Number.POSITIVE_INFINITY;
  oldest = Math.min(oldest, lowestOf(state, state.held, HELD), lowestOf(state, state.parked, PARKED));
  if (line.first(oldest)) oldest = line.position;
  return oldest === Number.POSITIVE_INFINITY ? -1 : oldest;
}

/** Takes a message that waits out of the queue at once and settles its record. */
export function removeWaiting(state: QueueState, position: number, counter: number): void {
  const { aside, line } = state;
  forgetKey(state, position);
  const slot = aside.find(position);
  if (slot !== NO_SLOT) aside.remove(slot);
  else if (line.find(position)) line.remove();
  else return;
  state.settleRecord(position);
  departBefore(state, position);
  state.ledger.count(counter, 1);
  state.events.onChanged();
}

/** Drops the oldest that wait until the queue holds what it may, if that is its policy. */
export function enforceLimits(state: QueueState): void {
  if (state.record.definition.overflow !== "drop_oldest") return;
  while (state.waiting + state.inFlight > state.maxCount || state.waitingBytes + state.inFlightBytes > state.maxBytes) {
    const oldest = oldestWaiting(state);
    if (oldest === -1) return;
    removeWaiting(state, oldest, DROPPED);
  }
}

/** Of a last-value queue: the key's newest message is this one no more. */
function forgetKey(state: QueueState, position: number): void {
  const { aside, line, lastValues } = state;
  if (lastValues === undefined) return;
  const slot = aside.find(position);
  if (slot !== NO_SLOT) lastValues.forget(aside.highs[slot]!, aside.lows[slot]!, position);
  else if (line.find(position)) lastValues.forget(line.keyHashHigh, line.keyHashLow, position);
}

/** The lowest of a few positions that still are in this state. These are no order of positions, so all are looked at. */
function lowestOf(state: QueueState, fifo: PositionFifo, wanted: number): number {
  let lowest = Number.POSITIVE_INFINITY;
  if (state.aside.counts[wanted] === 0) return lowest;
  for (let index = 0; index < fifo.count; index += 1) {
    const position = fifo.at(index);
    if (position < lowest && state.aside.findIn(wanted, position) !== NO_SLOT) lowest = position;
  }
  return lowest;
}

/**
 * Depart: a message that waits goes without having been handed out: superseded, dropped, expired, purged.
 */

import { batchOf } from "../log/contract.ts";
import * as states from "./aside-state.ts";
import { DROPPED_REASON, type LeavingReason } from "./leaving.ts";
import { DROPPED, EXPIRED, SUPERSEDED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

const { IN_FLIGHT, LEAVING, NO_SLOT } = states; // Folded, as in aside.ts.

export const counterOf = (reason: LeavingReason): number => (reason === DROPPED_REASON ? DROPPED : SUPERSEDED);

/**
 * Lets the message at `old` go as soon as `successor` is on disk. One in flight stays with its holder; if it comes back
 * after that, it goes then.
 */
export function leave(state: QueueState, old: number, successor: number, reason: LeavingReason): void {
  const { aside, line } = state;
  let slot = aside.find(old);
  if (slot !== NO_SLOT) {
    if (aside.stateOf(slot) === LEAVING) return; // Leaves already, for an earlier successor.
    state.leaving.push(old, successor, reason);
    if (aside.stateOf(slot) === IN_FLIGHT) return;
  } else {
    if (!line.find(old)) return;
    state.leaving.push(old, successor, reason);
    slot = aside.add(old, line.expiresAtMs, line.messageBytes, line.keyHashHigh, line.keyHashLow, LEAVING);
    line.remove();
  }
  aside.leaveFor(slot, successor, reason);
  state.ledger.count(counterOf(reason), 1);
  state.leavingCounts[reason]! += 1;
}

/** Its successor is on disk, or done with: a message that left goes, wherever it is now. */
export function depart(state: QueueState, old: number, reason: LeavingReason): void {
  const { aside } = state;
  const slot = aside.find(old);
  if (slot === NO_SLOT) return; // Settled meanwhile.

  if (aside.stateOf(slot) === IN_FLIGHT) {
    if (aside.isOverwritten(slot)) return;
    // The record goes now, in a batch behind its successor's: after a crash the old value must not follow the new one.
    aside.overwrite(slot);
    state.overwrittenCount += 1;
  } else {
    // It may have left for another reason since: what it was counted as is what counts.
    if (aside.stateOf(slot) === LEAVING) state.leavingCounts[aside.reasonOf(slot)]! -= 1;
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
  const { aside, line } = state;
  const slot = aside.firstWaiting;
  const oldest = slot === NO_SLOT ? Number.POSITIVE_INFINITY : aside.positionOf(slot);
  if (line.first(oldest)) return line.position;
  return slot === NO_SLOT ? -1 : oldest;
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
  if (counter === EXPIRED && position >= state.availableBefore && !state.isMemoryAt(position)) {
    const batch = batchOf(position);
    state.expiredEarly.set(batch, (state.expiredEarly.get(batch) ?? 0) + 1);
  }
  state.events.onChanged();
}

/** Of a last-value queue: the key's newest message is this one no more. */
function forgetKey(state: QueueState, position: number): void {
  const { aside, line, lastValues } = state;
  if (lastValues === undefined) return;
  const slot = aside.find(position);
  if (slot !== NO_SLOT) lastValues.forget(aside.highOf(slot), aside.lowOf(slot), position);
  else if (line.find(position)) lastValues.forget(line.keyHashHigh, line.keyHashLow, position);
}

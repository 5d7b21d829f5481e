/**
 * Settle: the end of a hand-out. Its holder acknowledges it, rejects it, or is gone.
 */
import { HELD, IN_FLIGHT, NO_HOLDER, NO_SLOT, RETURNED } from "./aside.ts";
import { departBefore, enforceLimits } from "./depart.ts";
import { noteAsideExpiry } from "./expire.ts";
import { ACKNOWLEDGED, SUPERSEDED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

/** `"unknown"`: settled before, given back, or never with this holder: a late PUBACK settles nothing. */
export type SettleResult = "acknowledged" | "rejected" | "unknown";

export function settle(
  state: QueueState,
  holder: number,
  position: number,
  isAccepted: boolean,
  nowMs: number,
): SettleResult {
  const { aside } = state;
  const slot = aside.findIn(IN_FLIGHT, position);
  if (slot === NO_SLOT || aside.holders[slot] !== holder) {
    state.unknownSettles += 1;
    return "unknown";
  }
  if (!isAccepted) {
    state.metrics.rejected += 1;
    if (isReplaced(state, slot)) finish(state, slot, SUPERSEDED);
    else hold(state, slot, nowMs);
    enforceLimits(state); // Only in flight may there be more than the limits, when these were lowered.
    return "rejected";
  }
  state.metrics.onAcknowledged(nowMs - aside.handedAtMs[slot]!);
  finish(state, slot, ACKNOWLEDGED);
  return "acknowledged";
}

/** Takes everything back from a holder that is gone; returns how many messages are available again. */
export function giveBack(state: QueueState, holder: number): number {
  const { aside } = state;
  let count = 0;
  for (let slot = aside.newestOf(holder); slot !== NO_SLOT; slot = aside.newestOf(holder)) {
    if (isReplaced(state, slot)) {
      finish(state, slot, SUPERSEDED); // An old value never follows a newer one.
      continue;
    }
    aside.move(slot, RETURNED);
    aside.holders[slot] = NO_HOLDER;
    state.returned.push(aside.positions[slot]!);
    noteAsideExpiry(state, aside.expiries[slot]!);
    count += 1;
  }
  forgetRejecter(state, holder);
  enforceLimits(state);
  if (count > 0) state.events.onAvailable();
  return count;
}

/** Whether a newer value was stored meanwhile; in a memory queue it is enough that it was accepted. */
function isReplaced(state: QueueState, slot: number): boolean {
  const { aside, lastValues } = state;
  if (aside.overwritten[slot] === 1) return true;
  if (lastValues === undefined) return false;
  const newest = lastValues.find(aside.highs[slot]!, aside.lows[slot]!);
  return newest > aside.positions[slot]! && state.isMemoryAt(newest);
}

/** A rejected message goes to another holder at once, or after the redispatch interval to anybody. */
function hold(state: QueueState, slot: number, nowMs: number): void {
  const { aside } = state;
  const dueMs = nowMs + state.record.definition.redispatch_interval;
  aside.move(slot, HELD); // Its holder stays noted: the one that must not have it.
  aside.dues[slot] = dueMs;
  state.held.push(aside.positions[slot]!);
  if (dueMs < state.heldEarliestMs) state.heldEarliestMs = dueMs;
  noteAsideExpiry(state, aside.expiries[slot]!);
  state.events.onAvailable();
}

/** The holder's number will be another's: what it rejected is anybody's. */
function forgetRejecter(state: QueueState, holder: number): void {
  const { aside, held } = state;
  if (aside.counts[HELD] === 0) return;
  for (let left = held.count; left > 0; left -= 1) {
    const position = held.shift();
    held.push(position);
    const slot = aside.findIn(HELD, position);
    if (slot !== NO_SLOT && aside.holders[slot] === holder) aside.holders[slot] = NO_HOLDER;
  }
}

function finish(state: QueueState, slot: number, counter: number): void {
  const { aside, lastValues } = state;
  const position = aside.positions[slot]!;
  if (aside.overwritten[slot] === 1)
    state.overwrittenCount -= 1; // Its record was settled when it was overwritten.
  else state.settleRecord(position);
  lastValues?.forget(aside.highs[slot]!, aside.lows[slot]!, position);
  aside.remove(slot);
  departBefore(state, position);
  state.ledger.count(counter, 1);
  state.events.onChanged();
}

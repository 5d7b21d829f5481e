/**
 * Settle: the end of a hand-out. Its holder acknowledges it, rejects it, or is gone.
 */
import * as states from "./aside-state.ts";
import { departBefore } from "./depart.ts";
import { noteAsideExpiry } from "./expire.ts";
import { ACKNOWLEDGED, SUPERSEDED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { enforceLimits } from "./trim.ts";

const { NO_SLOT } = states; // Folded, as in aside.ts.

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
  const slot = aside.findHeldBy(holder, position);
  if (slot === NO_SLOT) {
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
  state.metrics.onAcknowledged(nowMs - aside.handedAtMsOf(slot));
  finish(state, slot, ACKNOWLEDGED);
  return "acknowledged";
}

/** Takes everything back from a holder that is gone, in steps if it is much; until that is done, nobody else may get its number. */
export function giveBack(state: QueueState, holder: number): void {
  state.returning.push(holder);
  comeBack(state, state.atOnceMessages);
  if (state.returning.length > 0) state.events.onWork();
}

/** Up to `bound` messages of holders that are gone are available again, or done with; returns how much of `bound` is left. */
export function comeBack(state: QueueState, bound: number): number {
  const { aside, returning } = state;
  if (returning.length === 0) return bound;
  let left = bound;
  let isAny = false;
  for (let holder = returning[0]; holder !== undefined; holder = returning[0]) {
    for (; left > 0; left -= 1) {
      const slot = aside.newestOf(holder);
      if (slot === NO_SLOT) break;
      if (isReplaced(state, slot)) {
        finish(state, slot, SUPERSEDED); // An old value never follows a newer one.
        continue;
      }
      aside.release(slot);
      noteAsideExpiry(state, aside.expiryOf(slot));
      isAny = true;
    }
    if (aside.newestOf(holder) !== NO_SLOT) break;
    aside.giveUp(holder);
    returning.shift();
  }
  if (returning.length > 0) return left;
  enforceLimits(state); // Not before: the newest come back first.
  if (isAny) state.events.onAvailable();
  return left;
}

/** Whether a newer value was stored meanwhile; in a memory queue it is enough that it was accepted. */
function isReplaced(state: QueueState, slot: number): boolean {
  const { aside, lastValues } = state;
  if (aside.isOverwritten(slot)) return true;
  if (lastValues === undefined) return false;
  const newest = lastValues.find(aside.highOf(slot), aside.lowOf(slot));
  if (newest <= aside.positionOf(slot) || !state.isMemoryAt(newest)) return false;
  return aside.find(newest) !== NO_SLOT || state.line.find(newest); // It may have been dropped.
}

/** A rejected message goes to another holder at once, or after the redispatch interval to anybody. */
function hold(state: QueueState, slot: number, nowMs: number): void {
  const { aside } = state;
  const dueMs = nowMs + state.record.definition.redispatch_interval;
  aside.hold(slot, dueMs);
  noteAsideExpiry(state, aside.expiryOf(slot));
  state.events.onAvailable();
}

function finish(state: QueueState, slot: number, counter: number): void {
  const { aside, lastValues } = state;
  const position = aside.positionOf(slot);
  if (aside.isOverwritten(slot))
    state.overwrittenCount -= 1; // Its record was settled when it was overwritten.
  else state.settleRecord(position);
  lastValues?.forget(aside.highOf(slot), aside.lowOf(slot), position);
  aside.remove(slot);
  departBefore(state, position);
  state.ledger.count(counter, 1);
  state.events.onChanged();
}

/**
 * Commit: what the end of a batch's commit means for a queue. On disk: its messages are available, and what left for them
 * is gone. Failed: its messages never existed, and what was about to leave for them stays.
 */

import { Region } from "../base/region.ts";
import { batchOf, type Position, RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { IN_FLIGHT, LEAVING, NO_HOLDER, NO_SLOT, RETURNED } from "./aside.ts";
import { counterOf, depart, enforceLimits, isWaitingState, leave } from "./depart.ts";
import { noteAsideExpiry } from "./expire.ts";
import { NO_POSITION } from "./last-values.ts";
import { DROPPED_REASON, type LeavingReason, SUPERSEDED_REASON } from "./leaving.ts";
import { DROPPED, LEDGER_BYTES, STORED, SUPERSEDED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { keepBatch } from "./rewrite.ts";

const ledgerBytes = Region.allocate(LEDGER_BYTES);

/** Puts the ledger into the batch that is about to be sealed. */
export function seal(state: QueueState): void {
  const { ledger, leavingCounts } = state;
  const superseded = ledger.get(SUPERSEDED) - leavingCounts[SUPERSEDED_REASON]! + state.overwrittenCount;
  // A crash loses what is kept without a record.
  const dropped = ledger.get(DROPPED) - leavingCounts[DROPPED_REASON]! + state.kept.unwritten;
  ledger.encode(ledgerBytes, superseded, dropped);
  state.log.put("ledgers", state.ledgerKey, ledgerBytes.bytes);
}

/** The batch is on disk, as are all before it. */
export function committed(state: QueueState, batch: number): void {
  const { leaving } = state;
  const before = (batch + 1) * RECORDS_PER_BATCH_MAX;
  state.noteCommitted(batch);
  state.kept.committed(before);
  while (leaving.count > 0 && leaving.successor() < before) {
    const reason = leaving.reason();
    depart(state, leaving.shift(), reason);
  }
  state.events.onAvailable();
}

/**
 * The batch is not on disk and never will be. What nobody was told of never existed; what was acknowledged without waiting
 * is kept, or lost and counted as dropped. Returns how many are lost.
 */
export function failed(state: QueueState, batch: number): number {
  state.kept.failed(batch);
  const lost = keepBatch(state, batch);
  const isGone = (position: Position): boolean =>
    batchOf(position) === batch && (lost.has(position) || !state.isMemoryAt(position));
  endLeaving(state, batch, isGone);
  const lostCount = removeBatch(state, batch);
  rebuildLastValues(state);
  enforceLimits(state);
  state.events.onChanged();
  state.events.onAvailable();
  return lostCount;
}

/** Finds the newest message of each key again; older ones leave. Used after a failed commit and at the start. */
export function rebuildLastValues(state: QueueState): void {
  const { aside, line, lastValues } = state;
  if (lastValues === undefined) return;
  lastValues.clear();
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    const stateOfSlot = aside.states[slot]!;
    if (stateOfSlot !== IN_FLIGHT && !isWaitingState(stateOfSlot)) continue;
    if (aside.overwritten[slot] === 0) note(state, aside.highs[slot]!, aside.lows[slot]!, aside.positions[slot]!);
  }
  // The older of two always stands before the newer, so only messages behind the cursor leave.
  for (let more = line.from(0); more; ) {
    const { position } = line;
    note(state, line.keyHashHigh, line.keyHashLow, position);
    more = line.from(position + 1);
  }
}

function note(state: QueueState, high: number, low: number, position: number): void {
  const known = state.lastValues!.find(high, low);
  if (known === NO_POSITION || known < position) state.lastValues!.set(high, low, position);
  if (known !== NO_POSITION) {
    leave(state, Math.min(known, position), Math.max(known, position), SUPERSEDED_REASON);
  }
}

/** Undoes the pairs of which one message never existed or is lost; a successor that is kept counts as if it were stored. */
function endLeaving(state: QueueState, batch: number, isGone: (position: Position) => boolean): void {
  const { aside, leaving } = state;
  for (let left = leaving.count; left > 0; left -= 1) {
    const successor = leaving.successor();
    const reason = leaving.reason();
    const old = leaving.shift();
    if (!isGone(successor) && !isGone(old)) {
      if (batchOf(successor) === batch) depart(state, old, reason);
      else leaving.push(old, successor, reason);
      continue;
    }
    const slot = aside.findIn(LEAVING, old);
    if (slot === NO_SLOT) continue;
    if (aside.dues[slot] !== successor && !isGone(old)) continue; // It leaves for another, which may succeed.
    const counted = aside.holders[slot] as LeavingReason;
    state.ledger.count(counterOf(counted), -1);
    state.leavingCounts[counted]! -= 1;
    aside.move(slot, RETURNED);
    aside.holders[slot] = NO_HOLDER;
    state.returned.push(old);
    noteAsideExpiry(state, aside.expiries[slot]!);
  }
}

/** Removes the batch's messages that wait and are not kept; returns how many of them had been acknowledged. */
function removeBatch(state: QueueState, batch: number): number {
  const { aside, line, kept, ledger } = state;
  let lost = 0;
  const count = (position: Position): void => {
    if (state.isMemoryAt(position)) lost += 1;
    else ledger.count(STORED, -1);
  };
  const begin = batch * RECORDS_PER_BATCH_MAX;
  for (let more = line.from(begin); more && batchOf(line.position) === batch; ) {
    const { position } = line;
    if (!kept.has(position)) {
      count(position);
      line.remove();
    }
    more = line.from(position + 1);
  }
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    const position = aside.positions[slot]!;
    if (!isWaitingState(aside.states[slot]!) || batchOf(position) !== batch || kept.has(position)) continue;
    count(position);
    aside.remove(slot);
  }
  ledger.count(DROPPED, lost);
  return lost;
}

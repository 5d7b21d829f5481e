/**
 * Commit: what the end of a batch's commit means for a queue. On disk: its messages are available, and what left for them
 * is gone. Failed: its messages never existed, and what was about to leave for them stays.
 */

import { Region } from "../base/region.ts";
import { batchOf, type Position, RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { IN_FLIGHT, isWaitingState, LEAVING, NO_SLOT } from "./aside-state.ts";
import { counterOf, depart, leave } from "./depart.ts";
import { noteAsideExpiry } from "./expire.ts";
import { NO_POSITION } from "./last-values.ts";
import { DROPPED_REASON, type LeavingReason, SUPERSEDED_REASON } from "./leaving.ts";
import { DROPPED, EXPIRED, LEDGER_BYTES, STORED, SUPERSEDED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { keepBatch } from "./rewrite.ts";
import { enforceLimits } from "./trim.ts";

const ledgerBytes = Region.allocate(LEDGER_BYTES);

/** Puts the ledger into the batch that is about to be sealed. */
export function seal(state: QueueState): void {
  const { ledger, leavingCounts } = state;
  const superseded = ledger.get(SUPERSEDED) - leavingCounts[SUPERSEDED_REASON]! + state.overwrittenCount;
  // A crash loses what is kept without a record.
  const dropped = ledger.get(DROPPED) - leavingCounts[DROPPED_REASON]! - state.departingCount + state.kept.unwritten;
  ledger.encode(ledgerBytes, superseded, dropped);
  state.log.put("ledgers", state.ledgerKey, ledgerBytes.bytes);
}

/** The batch is on disk, as are all before it. */
export function committed(state: QueueState, batch: number): void {
  const { leaving } = state;
  const before = (batch + 1) * RECORDS_PER_BATCH_MAX;
  state.noteCommitted(batch);
  for (const early of state.expiredEarly.keys()) if (early <= batch) state.expiredEarly.delete(early);
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
  const expired = state.expiredEarly.get(batch) ?? 0; // Their publishers are told that they are not stored.
  state.ledger.count(STORED, -expired);
  state.ledger.count(EXPIRED, -expired);
  state.expiredEarly.delete(batch);
  const lost = keepBatch(state, batch);
  const isGone = (position: Position): boolean =>
    batchOf(position) === batch && (lost.has(position) || !state.isMemoryAt(position));
  const restored = endLeaving(state, batch, isGone);
  const lostCount = removeBatch(state, batch);
  for (const old of restored) noteAgain(state, old);
  enforceLimits(state);
  state.events.onChanged();
  state.events.onAvailable();
  return lostCount;
}

/** A message whose successor is gone may be its key's newest again, or leave for one that came after that. */
function noteAgain(state: QueueState, position: Position): void {
  const { aside, lastValues } = state;
  const slot = aside.find(position);
  if (lastValues === undefined || slot === NO_SLOT || aside.isOverwritten(slot)) return;
  if (aside.stateOf(slot) === LEAVING) return;
  note(state, aside.highOf(slot), aside.lowOf(slot), position);
}

/** Finds the newest message of each key; older ones leave. At the start. */
export function rebuildLastValues(state: QueueState): void {
  const { aside, line, lastValues } = state;
  if (lastValues === undefined) return;
  lastValues.clear();
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    const stateOfSlot = aside.stateOf(slot);
    if (stateOfSlot !== IN_FLIGHT && !isWaitingState(stateOfSlot)) continue;
    if (!aside.isOverwritten(slot)) note(state, aside.highOf(slot), aside.lowOf(slot), aside.positionOf(slot));
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
  if (known !== NO_POSITION && known !== position) {
    leave(state, Math.min(known, position), Math.max(known, position), SUPERSEDED_REASON);
  }
}

/**
 * Undoes the pairs of which one message never existed or is lost; a successor that is kept counts as if it were stored. Returns the
 * older ones of those pairs.
 */
function endLeaving(state: QueueState, batch: number, isGone: (position: Position) => boolean): ReadonlySet<Position> {
  const { aside, leaving } = state;
  const restored = new Set<Position>();
  for (let left = leaving.count; left > 0; left -= 1) {
    const successor = leaving.successor();
    const reason = leaving.reason();
    const old = leaving.shift();
    if (!isGone(successor) && !isGone(old)) {
      if (batchOf(successor) === batch) depart(state, old, reason);
      else leaving.push(old, successor, reason);
      continue;
    }
    restored.add(old);
    const slot = aside.findIn(LEAVING, old);
    if (slot === NO_SLOT) continue;
    if (aside.successorOf(slot) !== successor && !isGone(old)) continue; // It leaves for another, which may succeed.
    const counted = aside.reasonOf(slot) as LeavingReason;
    state.ledger.count(counterOf(counted), -1);
    state.leavingCounts[counted]! -= 1;
    aside.release(slot);
    noteAsideExpiry(state, aside.expiryOf(slot));
  }
  return restored;
}

/** Removes the batch's messages that wait and are not kept; returns how many of them had been acknowledged. */
function removeBatch(state: QueueState, batch: number): number {
  const { aside, line, kept, ledger, lastValues } = state;
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
      lastValues?.forget(line.keyHashHigh, line.keyHashLow, position);
      line.remove();
    }
    more = line.from(position + 1);
  }
  aside.forEachOfBatch(batch, (slot) => {
    const position = aside.positionOf(slot);
    if (!isWaitingState(aside.stateOf(slot)) || kept.has(position)) return;
    count(position);
    lastValues?.forget(aside.highOf(slot), aside.lowOf(slot), position);
    aside.remove(slot);
  });
  ledger.count(DROPPED, lost);
  return lost;
}

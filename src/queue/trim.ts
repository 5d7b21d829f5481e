/**
 * Trim: a queue that holds more than it may, because its limits were lowered or messages came back, drops its oldest.
 *
 * Of the line, whole chunks go at once as far as all counts are concerned; their records are settled in steps (`work.ts`), and until then
 * the stored ledger does not count them, so that after a crash in between they wait again and are dropped again. What stands aside
 * goes one by one, in steps, and until that is done nothing is handed out.
 */
import { RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { NO_SLOT } from "./aside-state.ts";
import { oldestWaiting, removeWaiting } from "./depart.ts";
import { DROPPED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

/** Whether the queue has to drop what waits. */
export function isOverLimits(state: QueueState): boolean {
  if (state.maxCount === Number.POSITIVE_INFINITY && state.maxBytes === Number.POSITIVE_INFINITY) return false;
  if (state.record.definition.overflow !== "drop_oldest" || state.waiting === 0) return false;
  return overCount(state) > 0 || overBytes(state) > 0;
}

const overCount = (state: QueueState): number => state.waiting + state.inFlight - state.maxCount;
const overBytes = (state: QueueState): number => state.waitingBytes + state.inFlightBytes - state.maxBytes;

/** Drops the oldest that wait until the queue holds what it may, if that is its policy, or goes on in a later step. */
export function enforceLimits(state: QueueState): void {
  if (state.returning.length > 0 || !isOverLimits(state)) return; // Which is the oldest is known when all are back.
  trim(state, state.atOnceMessages);
  state.isTrimming = isOverLimits(state);
  if (state.isTrimming) state.events.onWork();
}

/** Drops up to `bound` messages one by one, and any number of whole chunks; returns how much of `bound` is left. */
export function trim(state: QueueState, bound: number): number {
  let left = bound;
  while (left > 0 && isOverLimits(state)) {
    if (tryDropChunk(state)) continue;
    removeWaiting(state, oldestWaiting(state), DROPPED);
    left -= 1;
  }
  return left;
}

/** Drops the first chunk of the line, if all of it is on disk, has to go, and stands before everything aside. */
function tryDropChunk(state: QueueState): boolean {
  const { aside, line, log, departing } = state;
  const chunk = line.firstChunk;
  if (chunk === undefined || (chunk.live > overCount(state) && chunk.liveBytes > overBytes(state))) return false;
  const last = chunk.positions[chunk.end - 1]!;
  const slot = aside.firstWaiting;
  const isBehind = slot !== NO_SLOT && aside.positionOf(slot) < last;
  if (isBehind || last >= (log.committed + 1) * RECORDS_PER_BATCH_MAX) return false;
  line.takeFirstChunk();
  state.ledger.count(DROPPED, chunk.live);
  state.departingCount += chunk.live;
  departing.push(chunk);
  state.events.onChanged();
  state.events.onWork();
  return true;
}

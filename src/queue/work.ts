/**
 * Work: what a queue has begun and goes on with in steps, in turns to come, because there may be any number of messages in it.
 *
 * ```
 *   returning   holders that are gone, whose messages come back
 *   over        more than the limits allow, of what stands aside
 *   departing   chunks of the line that are dropped, whose records are settled
 * ```
 *
 * While the first two are under way nothing is handed out: what comes next is not known.
 */
import { departBefore } from "./depart.ts";
import type { QueueState } from "./queue-state.ts";
import { comeBack } from "./settle.ts";
import { isOverLimits, trim } from "./trim.ts";

/** Whether the order of what waits is about to change. */
export const isUnsettled = (state: QueueState): boolean => state.returning.length > 0 || state.isTrimming;

/** Whether there is something to go on with. */
export const hasWork = (state: QueueState): boolean => isUnsettled(state) || state.departing.length > 0;

/** Goes on, for up to `bound` messages; returns how much of `bound` is left. */
export function work(state: QueueState, bound: number): number {
  const wasUnsettled = isUnsettled(state);
  let left = comeBack(state, bound);
  if (state.isTrimming && state.returning.length === 0) {
    left = trim(state, left);
    state.isTrimming = isOverLimits(state);
  }
  left = settleDeparting(state, left);
  if (wasUnsettled && !isUnsettled(state)) state.events.onAvailable();
  return left;
}

function settleDeparting(state: QueueState, bound: number): number {
  const { departing, lastValues } = state;
  let left = bound;
  while (left > 0) {
    const chunk = departing[0];
    if (chunk === undefined) break;
    if (chunk.live === 0) {
      departing.shift();
      continue;
    }
    const at = chunk.start;
    const position = chunk.positions[at]!;
    if (chunk.highs.length > 0) lastValues?.forget(chunk.highs[at]!, chunk.lows[at]!, position);
    chunk.remove(at);
    state.settleRecord(position);
    departBefore(state, position);
    state.departingCount -= 1;
    state.events.onChanged();
    left -= 1;
  }
  return left;
}

/**
 * Expire: a message that waits longer than its Message Expiry Interval or the queue's retention is never handed out; the
 * sweep takes it out of the queue, `hand-out` does if it comes first. What is in flight does not expire.
 *
 * The expiry noted with a message is a lower bound. As long as the retention never changed it is exact; after that the
 * sweep asks the message itself.
 */
import { LINE_CHUNK_MESSAGES, SWEEP_SLOTS_PER_EXPIRY, SWEEP_SLOTS_PER_STEP } from "../base/limits.ts";
import { expiresAtMsOf, publishedAtMsOf } from "../frame/message.ts";
import { isWaitingState, NO_SLOT } from "./aside-state.ts";
import { removeWaiting } from "./depart.ts";
import { EXPIRED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";

/** When a message expires: its own interval or the queue's retention, whichever ends first. */
export function expiryOf(state: QueueState, ownExpiryMs: number, publishedAtMs: number): number {
  const retainedUntilMs = publishedAtMs + state.retentionMs;
  return ownExpiryMs !== 0 && ownExpiryMs < retainedUntilMs ? ownExpiryMs : retainedUntilMs;
}

/** When the sweep has something to do; infinite when nothing waits. */
export const earliestExpiryMs = (state: QueueState): number => Math.min(state.line.earliestMs, state.asideEarliestMs);

const due = new Float64Array(2 * LINE_CHUNK_MESSAGES);

/** Takes out up to `due.length` of the messages that have expired; says whether more may have. */
export function sweepStep(state: QueueState, nowMs: number): boolean {
  const { line } = state;
  if (line.earliestMs <= nowMs) {
    const count = line.collectDue(nowMs, due);
    for (let index = 0; index < count; index += 1) expireAt(state, due[index]!, nowMs);
    state.sweepWork += 1 + count;
  } else if (state.asideEarliestMs <= nowMs) sweepAside(state, nowMs);
  return earliestExpiryMs(state) <= nowMs;
}

/** Takes out every message that has expired. */
export function sweepAll(state: QueueState, nowMs: number): void {
  while (sweepStep(state, nowMs));
}

/** Looks at some slots; when the last one was, it is known when the next message here expires. */
function sweepAside(state: QueueState, nowMs: number): void {
  const { aside } = state;
  const end = Math.min(aside.capacity, state.asideSweepSlot + SWEEP_SLOTS_PER_STEP);
  state.sweepWork += 1 + (end - state.asideSweepSlot) / SWEEP_SLOTS_PER_EXPIRY;
  let earliestMs = state.asideSweptEarliestMs;
  for (let slot = state.asideSweepSlot; slot < end; slot += 1) {
    if (!isWaitingState(aside.stateOf(slot))) continue;
    if (aside.expiryOf(slot) <= nowMs) {
      state.sweepWork += 1;
      expireAt(state, aside.positionOf(slot), nowMs);
    }
    if (isWaitingState(aside.stateOf(slot))) earliestMs = Math.min(earliestMs, aside.expiryOf(slot));
  }
  const isDone = end === aside.capacity;
  if (isDone) state.asideEarliestMs = earliestMs;
  state.asideSweptEarliestMs = isDone ? Number.POSITIVE_INFINITY : earliestMs;
  state.asideSweepSlot = isDone ? 0 : end;
}

/** Expires one message, unless the retention has become longer since it was noted. */
function expireAt(state: QueueState, position: number, nowMs: number): void {
  if (state.ledger.isRetentionChanged) {
    const expiresAtMs = readExpiry(state, position);
    if (expiresAtMs > nowMs) {
      const slot = state.aside.find(position);
      if (slot !== NO_SLOT) state.aside.setExpiry(slot, expiresAtMs);
      else if (state.line.find(position)) state.line.reschedule(expiresAtMs);
      return;
    }
  }
  removeWaiting(state, position, EXPIRED);
}

/** A message's expiry by the present definition; 0 when the log does not have it any more. */
function readExpiry(state: QueueState, position: number): number {
  const { location } = state;
  if (state.read(position) !== "found") return 0;
  return expiryOf(
    state,
    expiresAtMsOf(location.region, location.offset),
    publishedAtMsOf(location.region, location.offset),
  );
}

/** Notes that a message waits aside, so that the sweep finds it. */
export function noteAsideExpiry(state: QueueState, expiresAtMs: number): void {
  if (expiresAtMs < state.asideEarliestMs) state.asideEarliestMs = expiresAtMs;
  if (expiresAtMs < state.asideSweptEarliestMs && state.asideSweepSlot > 0) state.asideSweptEarliestMs = expiresAtMs;
}

/**
 * Expire: a message that waits longer than its Message Expiry Interval or the queue's retention is never handed out; the
 * sweep takes it out of the queue, `hand-out` does if it comes first. What is in flight does not expire.
 *
 * The expiry noted with a message is a lower bound. As long as the retention never changed it is exact; after that the
 * sweep asks the message itself.
 */
import { LINE_CHUNK_MESSAGES } from "../base/limits.ts";
import { expiresAtMsOf, publishedAtMsOf } from "../frame/message.ts";
import { NO_SLOT } from "./aside.ts";
import { isWaitingState, removeWaiting } from "./depart.ts";
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
  } else if (state.asideEarliestMs <= nowMs) sweepAside(state, nowMs);
  return earliestExpiryMs(state) <= nowMs;
}

/** Takes out every message that has expired. */
export function sweepAll(state: QueueState, nowMs: number): void {
  while (sweepStep(state, nowMs));
}

function sweepAside(state: QueueState, nowMs: number): void {
  const { aside } = state;
  let left = due.length;
  let earliestMs = Number.POSITIVE_INFINITY;
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    if (!isWaitingState(aside.states[slot]!)) continue;
    if (aside.expiries[slot]! <= nowMs) {
      if (left === 0) return; // Still due: the next step goes on.
      left -= 1;
      expireAt(state, aside.positions[slot]!, nowMs);
    }
    if (isWaitingState(aside.states[slot]!)) earliestMs = Math.min(earliestMs, aside.expiries[slot]!);
  }
  state.asideEarliestMs = earliestMs;
}

/** Expires one message, unless the retention has become longer since it was noted. */
function expireAt(state: QueueState, position: number, nowMs: number): void {
  if (state.ledger.isRetentionChanged) {
    const expiresAtMs = readExpiry(state, position);
    if (expiresAtMs > nowMs) {
      const slot = state.aside.find(position);
      if (slot !== NO_SLOT) state.aside.expiries[slot] = expiresAtMs;
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
}

/**
 * Accept: a message that was published to the queue's filter enters the queue, or does not.
 *
 * Nothing that depends on the message's commit is done before that commit: what it supersedes or pushes out only leaves
 * (see `leaving.ts`).
 */
import { EXPIRY_STEPS_PER_ACCEPT, QUEUE_STEP_MESSAGES } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, publishedAtMsOf, totalBytes } from "../frame/message.ts";
import { NO_ROOM as LOG_NO_ROOM } from "../log/contract.ts";
import { IN_FLIGHT, NO_SLOT } from "./aside-state.ts";
import { dropOldest, leave } from "./depart.ts";
import { earliestExpiryMs, expiryOf, sweepStep } from "./expire.ts";
import { NO_POSITION } from "./last-values.ts";
import { DROPPED_REASON, SUPERSEDED_REASON } from "./leaving.ts";
import { DROPPED, REFUSED, STORED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { comeBack } from "./settle.ts";

/** Stored with the gathering batch: acknowledge when it is committed. */
export const ACCEPTED = 0;
/** Full, and the policy drops the newest: acknowledge with success. */
export const DROPPED_NEWEST = 1;
/** Full, and the policy refuses; or larger than the whole queue may be. Reason code 0x97. */
export const REFUSED_LIMIT = 2;
/** Its key cannot be computed. Reason code 0x83. */
export const REFUSED_KEY = 3;
/** The gathering batch is full: nothing happened, come again after a commit. */
export const NO_ROOM = 4;
export type AcceptOutcome = 0 | 1 | 2 | 3 | 4;

/** `staged` is the log's handle of this message in the gathering batch. */
export function accept(
  state: QueueState,
  region: Region,
  offset: number,
  staged: number,
  nowMs: number,
): AcceptOutcome {
  const { log, line, lastValues, keyHash, ledger } = state;
  const bytes = totalBytes(region, offset);
  let high = 0;
  let low = 0;
  if (lastValues !== undefined) {
    const keyed = state.expression!.hashInto(region, offset, nowMs, state.random, ledger.seed, keyHash);
    if (keyed !== "ok") return refuse(state, REFUSED_KEY);
    high = keyHash[0]!;
    low = keyHash[1]!;
  }
  let isOver = false;
  if (state.maxCount !== Number.POSITIVE_INFINITY || state.maxBytes !== Number.POSITIVE_INFINITY) {
    isOver = isOverWith(state, bytes, high, low);
    // What has expired makes room. Steps that free nothing only look at messages whose retention has become longer.
    let steps = earliestExpiryMs(state) <= nowMs ? EXPIRY_STEPS_PER_ACCEPT : 0;
    for (; isOver && steps > 0; steps -= 1) {
      if (!sweepStep(state, nowMs)) steps = 0;
      isOver = isOverWith(state, bytes, high, low);
    }
    if (isOver) {
      while (state.returning.length > 0) comeBack(state, QUEUE_STEP_MESSAGES); // What is in flight is never dropped; this no longer is.
      const { overflow } = state.record.definition;
      if (overflow === "reject" || bytes > state.maxBytes) return refuse(state, REFUSED_LIMIT);
      // What is in flight is never dropped: if that alone leaves no room, the newcomer is the oldest that waits.
      const noRoom = state.inFlight + 1 > state.maxCount || state.inFlightBytes + bytes > state.maxBytes;
      if (overflow === "drop_newest" || noRoom) return dropNewest(state);
    }
  }

  const publishedAtMs = publishedAtMsOf(region, offset);
  const expiresAtMs = expiryOf(state, expiresAtMsOf(region, offset), publishedAtMs);
  const position = log.add(state.target, staged, 0, expiresAtMs, high, low);
  if (position === LOG_NO_ROOM) return NO_ROOM;

  ledger.count(STORED, 1);
  state.metrics.arrivals.add(log.gathering, publishedAtMs);
  if (lastValues !== undefined) {
    const old = lastValues.find(high, low);
    if (old !== NO_POSITION) leave(state, old, position, SUPERSEDED_REASON);
    lastValues.set(high, low, position);
  }
  if (isOver) {
    // Of a queue that has still to drop what a lowered limit left no room for, only as much as the newcomer adds.
    const maxCount = Math.max(state.maxCount, state.waiting + state.inFlight);
    const maxBytes = Math.max(state.maxBytes, state.waitingBytes + state.inFlightBytes);
    while (state.waiting + state.inFlight + 1 > maxCount || bytesWith(state, bytes) > maxBytes) {
      if (!dropOldest(state, position, DROPPED_REASON)) break;
    }
  }
  line.append(position, expiresAtMs, bytes, high, low);
  state.events.onChanged();
  if (state.isMemory) state.events.onAvailable();
  return ACCEPTED;
}

const bytesWith = (state: QueueState, bytes: number): number => state.waitingBytes + state.inFlightBytes + bytes;

/** Whether the queue would hold too much with this message and without the one whose key it has. */
function isOverWith(state: QueueState, bytes: number, high: number, low: number): boolean {
  let count = state.waiting + state.inFlight + 1;
  let total = state.waitingBytes + state.inFlightBytes + bytes;
  if (count <= state.maxCount && total <= state.maxBytes) return false;
  const old = state.lastValues?.find(high, low) ?? NO_POSITION;
  if (old === NO_POSITION) return true;

  const slot = state.aside.find(old);
  if (slot === NO_SLOT ? state.line.find(old) : state.aside.stateOf(slot) !== IN_FLIGHT) {
    count -= 1;
    total -= slot === NO_SLOT ? state.line.messageBytes : state.aside.bytesOf(slot);
  }
  return count > state.maxCount || total > state.maxBytes;
}

function refuse(state: QueueState, outcome: AcceptOutcome): AcceptOutcome {
  state.ledger.count(REFUSED, 1);
  state.events.onChanged();
  return outcome;
}

function dropNewest(state: QueueState): AcceptOutcome {
  state.ledger.count(STORED, 1);
  state.ledger.count(DROPPED, 1);
  state.events.onChanged();
  return DROPPED_NEWEST;
}

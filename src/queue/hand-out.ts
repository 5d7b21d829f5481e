/**
 * Hand out: the message that is next, shown first and taken by a holder then. The next one is always the first in stored
 * order, so what came back goes before what is newer; what has expired is never shown.
 */
import { EXPIRED_PER_PEEK, HAND_OUTS_AT_ONCE_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, publishedAtMsOf } from "../frame/message.ts";
import * as states from "./aside-state.ts";
import { removeWaiting } from "./depart.ts";
import { expiryOf, noteAsideExpiry } from "./expire.ts";
import { DROPPED, EXPIRED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { isUnsettled } from "./work.ts";

const { HELD, IN_FLIGHT, NO_HOLDER, NO_SLOT, PARKED, RETURNED } = states; // Folded, as in aside.ts.

/** The message shown; its bytes are valid until the next call into the queue or the log. */
export interface Offer {
  position: number;
  region: Region;
  offset: number;
  /** It was handed out before. */
  isRedelivered: boolean;
  /** The holder that rejected it and must not have it now; NO_HOLDER when anybody may. */
  excluded: number;
  /** It was rejected and handed out so often that it waits out its redispatch interval. */
  isHeldBack: boolean;
}

/** Shows the next available message; false when there is none, or when many had expired: `hasAvailable` says which. */
export function peek(state: QueueState, nowMs: number, into: Offer): boolean {
  const { aside, line } = state;
  if (isUnsettled(state)) return false;
  for (let left = EXPIRED_PER_PEEK; left > 0; left -= 1) {
    const slot = aside.firstReturned;
    const before = slot === NO_SLOT ? state.availableBefore : Math.min(aside.positionOf(slot), state.availableBefore);
    if (line.first(before)) {
      if (show(state, line.position, NO_SLOT, nowMs, into)) return true;
    } else {
      if (slot === NO_SLOT) return false;
      if (show(state, aside.positionOf(slot), slot, nowMs, into)) return true;
    }
  }
  return false;
}

/** Shows the next rejected message that waits for another holder; false when there is none, or when many had expired. */
export function peekHeld(state: QueueState, nowMs: number, into: Offer): boolean {
  const { aside } = state;
  if (isUnsettled(state)) return false;
  for (let left = EXPIRED_PER_PEEK; left > 0; left -= 1) {
    const slot = aside.firstOf(HELD);
    if (slot === NO_SLOT) return false;
    if (show(state, aside.positionOf(slot), slot, nowMs, into)) return true;
  }
  return false;
}

/** Whether `peek` may show something. */
export const hasAvailable = (state: QueueState): boolean =>
  !isUnsettled(state) && (state.aside.counts[RETURNED]! > 0 || state.line.first(state.availableBefore));

/** Gives the message that was shown to a holder. */
export function handOut(state: QueueState, position: number, holder: number, nowMs: number): void {
  const { aside, line } = state;
  let slot = line.isFirst(position) ? NO_SLOT : aside.find(position); // Mostly the first of the line.
  if (slot !== NO_SLOT) aside.move(slot, IN_FLIGHT);
  else slot = takeFromLine(state, position, IN_FLIGHT);
  aside.give(slot, holder, nowMs);
}

/** Takes back what could not be delivered after all, as it was shown: as if it had never been handed out. */
export function takeBack(state: QueueState, position: number, excluded: number): void {
  const { aside } = state;
  const slot = aside.findIn(IN_FLIGHT, position);
  if (slot === NO_SLOT) return;
  aside.takeBack(slot, excluded);
  noteAsideExpiry(state, aside.expiryOf(slot));
}

/** Puts the message that was shown off: it is too large for everybody who could take it now. */
export function park(state: QueueState, position: number): void {
  const { aside } = state;
  let slot = aside.find(position);
  if (slot !== NO_SLOT) aside.move(slot, PARKED);
  else slot = takeFromLine(state, position, PARKED);
  noteAsideExpiry(state, aside.expiryOf(slot));
}

/** Puts the rejected message that was shown off again: nobody else can take it now. */
export function holdOn({ aside }: QueueState, position: number): void {
  const slot = aside.findIn(HELD, position);
  if (slot !== NO_SLOT) aside.toBack(slot);
}

/** Up to `bound` parked messages, longest parked first, are available again. */
export function unpark({ aside }: QueueState, bound: number): void {
  for (let left = bound; left > 0; left -= 1) {
    const slot = aside.firstOf(PARKED);
    if (slot === NO_SLOT) return;
    aside.release(slot);
  }
}

/** Rejected messages whose time has come are available to everybody, up to a bound of them; returns how many. */
export function releaseHeld(state: QueueState, nowMs: number, bound: number): number {
  const { aside } = state;
  let released = 0;
  for (; released < bound && aside.earliestDueMs <= nowMs; released += 1) aside.release(aside.firstDue);
  if (released > 0) state.events.onAvailable();
  return released;
}

/** Reads a message that waits; false when it is gone or expired, and then it is out of the queue. */
function show(state: QueueState, position: number, slot: number, nowMs: number, into: Offer): boolean {
  const { location, line, aside } = state;
  const notedMs = slot === NO_SLOT ? line.expiresAtMs : aside.expiryOf(slot);
  if (notedMs <= nowMs && !state.ledger.isRetentionChanged) {
    removeWaiting(state, position, EXPIRED); // Exact, and there is no need to read it.
    return false;
  }
  if (state.read(position) !== "found") {
    state.unreadable += 1;
    removeWaiting(state, position, DROPPED);
    return false;
  }
  const { region, offset } = location;
  if (expiryOf(state, expiresAtMsOf(region, offset), publishedAtMsOf(region, offset)) <= nowMs) {
    removeWaiting(state, position, EXPIRED); // [MQTT-3.3.2-5]
    return false;
  }
  into.position = position;
  into.region = region;
  into.offset = offset;
  into.isRedelivered = slot !== NO_SLOT && aside.attemptsOf(slot) > 0;
  const isHeld = slot !== NO_SLOT && aside.stateOf(slot) === HELD;
  into.excluded = isHeld ? aside.rejecterOf(slot) : NO_HOLDER;
  into.isHeldBack = isHeld && aside.attemptsOf(slot) >= HAND_OUTS_AT_ONCE_MAX;
  return true;
}

function takeFromLine(state: QueueState, position: number, to: number): number {
  const { line } = state;
  line.find(position);
  const slot = state.aside.add(position, line.expiresAtMs, line.messageBytes, line.keyHashHigh, line.keyHashLow, to);
  line.remove();
  return slot;
}

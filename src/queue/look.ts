/**
 * Look: what waits in a queue, oldest first, for its operator; consumes nothing. First which messages, by position, then each
 * of them, so that who looks at thousands may do so in steps; what has gone in between is passed over.
 */
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, publishedAtMsOf } from "../frame/message.ts";
import type { Position } from "../log/contract.ts";
import { isWaitingState, NO_SLOT } from "./aside-state.ts";
import { expiryOf } from "./expire.ts";
import type { QueueState } from "./queue-state.ts";

/** One message that waits; its bytes are valid until the next call into the queue or the log. */
export interface LookedAt {
  /** How often it was handed out. */
  attempts: number;
  /** Of a last-value queue. */
  key: string | undefined;
  /** The message in the one layout. */
  region: Region;
  offset: number;
}

/** Where up to `limit` messages on disk lie that wait behind `after`, oldest first. Costs a step for each message aside. */
export function waitingBehind(state: QueueState, after: Position, limit: number): Position[] {
  const { line } = state;
  const positions = asideBehind(state, after, limit);
  let more = line.from(after + 1);
  for (let count = 0; more && count < limit && line.position < state.availableBefore; count += 1) {
    positions.push(line.position);
    more = line.from(line.position + 1);
  }
  return positions.sort(ascending).slice(0, limit);
}

/** The lowest of those that stand aside. Ten million may, so no more than two pages of them are held at a time. */
function asideBehind(state: QueueState, after: Position, limit: number): Position[] {
  const { aside } = state;
  const positions: Position[] = [];
  let before = Number.POSITIVE_INFINITY;
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    const position = aside.positionOf(slot);
    if (!isWaitingState(aside.stateOf(slot)) || position <= after || position >= before) continue;
    positions.push(position);
    if (positions.length < 2 * limit) continue;
    positions.sort(ascending).length = limit;
    before = positions[limit - 1]!;
  }
  return positions;
}

/** Shows one of those positions. "gone": it does not wait any more, or has expired. */
export function lookAt(
  state: QueueState,
  position: Position,
  nowMs: number,
  into: LookedAt,
): "found" | "gone" | "damaged" {
  const { aside, line, location } = state;
  const slot = aside.find(position);
  const isWaiting = slot === NO_SLOT ? line.find(position) : isWaitingState(aside.stateOf(slot));
  if (!isWaiting) return "gone";
  if (state.read(position) !== "found") return "damaged";
  const { region, offset } = location;
  if (expiryOf(state, expiresAtMsOf(region, offset), publishedAtMsOf(region, offset)) <= nowMs) return "gone";
  into.attempts = slot === NO_SLOT ? 0 : aside.attemptsOf(slot);
  into.key = state.expression?.keyOf(region, offset);
  into.region = region;
  into.offset = offset;
  return "found";
}

const ascending = (one: number, other: number): number => one - other;

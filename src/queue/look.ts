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

/**
 * Finds where up to `limit` messages on disk lie that wait behind `after`, oldest first. Ten million may stand aside, so they are looked at
 * in steps, and no more than two pages of them are held at a time. Messages that come aside between two steps may be missed.
 */
export class Search {
  readonly #state: QueueState;
  readonly #after: Position;
  readonly #limit: number;
  /** The lowest of those aside that were looked at. */
  readonly #aside: Position[] = [];
  #before: Position = Number.POSITIVE_INFINITY;
  #slot = 0;

  constructor(state: QueueState, after: Position, limit: number) {
    this.#state = state;
    this.#after = after;
    this.#limit = limit;
  }

  /** Looks at up to `bound` more of those aside; true when none is left. */
  step(bound: number): boolean {
    const { aside } = this.#state;
    const end = Math.min(aside.capacity, this.#slot + bound);
    for (; this.#slot < end; this.#slot += 1) {
      const position = aside.positionOf(this.#slot);
      if (!isWaitingState(aside.stateOf(this.#slot)) || position <= this.#after || position >= this.#before) continue;
      this.#aside.push(position);
      if (this.#aside.length < 2 * this.#limit) continue;
      this.#aside.sort(ascending).length = this.#limit;
      this.#before = this.#aside[this.#limit - 1]!;
    }
    return end === aside.capacity;
  }

  /** What was found, with those in the line as it is now. */
  positions(): Position[] {
    const { availableBefore, line } = this.#state;
    const positions = new Set(this.#aside); // Unsettled between two steps, a message may have come back to the line.
    let more = line.from(this.#after + 1);
    for (let count = 0; more && count < this.#limit && line.position < availableBefore; count += 1) {
      positions.add(line.position);
      more = line.from(line.position + 1);
    }
    return [...positions].sort(ascending).slice(0, this.#limit);
  }
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

/**
 * Look: what waits in a queue, oldest first, for its operator; consumes nothing.
 */
import type { Region } from "../base/region.ts";
import { NO_SLOT } from "./aside.ts";
import { isWaitingState } from "./depart.ts";
import type { QueueState } from "./queue-state.ts";

/** One message that waits; valid during the visit. */
export interface LookedAt {
  readonly position: number;
  /** How often it was handed out. */
  readonly attempts: number;
  /** Of a last-value queue. */
  readonly key: string | undefined;
  /** The message in the one layout. */
  readonly region: Region;
  readonly offset: number;
}

/** Visits up to `limit` messages on disk whose position is above `after`. */
export function look(state: QueueState, after: number, limit: number, visit: (message: LookedAt) => void): void {
  const { aside, line, log, location } = state;
  const positions: number[] = [];
  for (let slot = 0; slot < aside.capacity; slot += 1) {
    if (isWaitingState(aside.states[slot]!) && aside.positions[slot]! > after) positions.push(aside.positions[slot]!);
  }
  let more = line.from(after + 1);
  for (let count = 0; more && count < limit && line.position < state.availableBefore; count += 1) {
    positions.push(line.position);
    more = line.from(line.position + 1);
  }
  positions.sort((one, other) => one - other);
  for (const position of positions.slice(0, limit)) {
    if (log.read(position, location) !== "found") continue;
    const { region, offset } = location;
    const slot = aside.find(position);
    const attempts = slot === NO_SLOT ? 0 : aside.attempts[slot]!;
    visit({ position, attempts, key: state.expression?.keyOf(region, offset), region, offset });
  }
}

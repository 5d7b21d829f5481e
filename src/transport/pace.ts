/**
 * How fast something moves, of late: bytes that come or go, looked at now and then. Between two looks nothing is counted.
 *
 * ```
 *   first look          next mark                now
 *   │ ◄── PACE_MS or more ──► │ ◄── less than PACE_MS ──► │
 *   └──────────── the pace is that of all of it ──────────┘
 * ```
 */
import { PACE_MS, SLOW_HOLD_MS } from "../base/limits.ts";

/** Who holds memory while something moves. */
export interface Holder {
  readonly heldBytes: number;
  /** How long moving as much as it holds would take, as of the last look: see Pace. */
  readonly holdMs: number;
}

/** What holding costs the others. */
export const costOf = (holder: Holder): number => holder.heldBytes * holder.holdMs;

/** Those that are too slow for a time of need, by what they cost, the dearest first. */
export function slowOf<T extends Holder>(holders: Iterable<T>): T[] {
  const slow: T[] = [];
  for (const holder of holders) if (holder.holdMs > SLOW_HOLD_MS) slow.push(holder);
  return slow.sort(byCost);
}

/** Those that do not move at all cost without end: then who holds more comes first. */
function byCost(one: Holder, other: Holder): number {
  const [cost, otherCost] = [costOf(one), costOf(other)];
  return cost === otherCost ? other.heldBytes - one.heldBytes : otherCost - cost;
}

const NEVER = -1;

export class Pace {
  /** The marks: how far it was, and when; the older one only once the newer is PACE_MS younger. */
  #olderBytes = 0;
  #olderMs = NEVER;
  #newerBytes = 0;
  #newerMs = NEVER;
  #bytes = 0;
  #nowMs = 0;

  /** `bytes`: all that have moved so far; only grows. `nowMs`: of a monotonic clock. */
  look(bytes: number, nowMs: number): void {
    this.#bytes = bytes;
    this.#nowMs = nowMs;
    if (this.#newerMs === NEVER) {
      this.#newerBytes = bytes;
      this.#newerMs = nowMs;
    } else if (nowMs - this.#newerMs >= PACE_MS) {
      this.#olderBytes = this.#newerBytes;
      this.#olderMs = this.#newerMs;
      this.#newerBytes = bytes;
      this.#newerMs = nowMs;
    }
  }

  /** What moves from now on is something else. */
  restart(): void {
    this.#olderMs = this.#newerMs = NEVER;
  }

  /**
   * How long `heldBytes` would take to move, at the pace of late, as of the last look. Too early for that, only how long it has been looked
   * at: less than twice PACE_MS, if looks come that often.
   */
  msFor(heldBytes: number): number {
    if (this.#newerMs === NEVER) return 0;
    if (this.#olderMs === NEVER) return this.#nowMs - this.#newerMs;
    return (heldBytes * (this.#nowMs - this.#olderMs)) / (this.#bytes - this.#olderBytes);
  }
}

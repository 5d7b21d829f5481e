/**
 * Messages that go as soon as another one is on disk: the old value of a key, or the oldest of a full queue. Until then
 * they are kept, for if that commit fails the newer message never existed and the older one still counts.
 *
 * Pairs stand in order of the newer one's position. Each says why the older one goes.
 */
import { PositionFifo } from "./position-fifo.ts";

export const SUPERSEDED_REASON = 0;
export const DROPPED_REASON = 1;
export type LeavingReason = typeof SUPERSEDED_REASON | typeof DROPPED_REASON;

export class Leaving {
  readonly #olds = new PositionFifo();
  readonly #successors = new PositionFifo();
  readonly #reasons = new PositionFifo();

  get count(): number {
    return this.#olds.count;
  }

  push(old: number, successor: number, reason: LeavingReason): void {
    this.#olds.push(old);
    this.#successors.push(successor);
    this.#reasons.push(reason);
  }

  /** The older messages of all pairs. */
  olds(): Set<number> {
    const olds = new Set<number>();
    for (let index = 0; index < this.#olds.count; index += 1) olds.add(this.#olds.at(index));
    return olds;
  }

  /** The newer message of the first pair; only while `count` is above 0. */
  successor(): number {
    return this.#successors.peek();
  }

  reason(): LeavingReason {
    return this.#reasons.peek() as LeavingReason;
  }

  /** Takes the first pair off and returns its older message. */
  shift(): number {
    this.#successors.shift();
    this.#reasons.shift();
    return this.#olds.shift();
  }
}

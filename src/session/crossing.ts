/**
 * One new subscription, between what was retained before it and what is published after it: each retained message is given to it once,
 * as the one or as the other, and none behind a newer one of its topic.
 *
 * ```
 *   numbers of one worker's publishes for one home:   … 4  5 │ 6  7  8 …
 *                           the subscription came when 5 was taken here: 6, if it was sent here, comes as it was published
 * ```
 */
import type { Region } from "../base/region.ts";
import { hasReached, isDoubtful, markedFrom, markedNumber, markOffsetOf } from "../frame/retained-mark.ts";

export class Crossing {
  /** By worker and home, what had been taken when the subscription came, or when it was first looked for; undefined until then. */
  #since: Float64Array | undefined;
  /** Up to which it may have missed some with QoS 0, by the same places; undefined: none. */
  #missed: Map<number, number> | undefined;
  readonly #worker: number;
  readonly #workers: number;
  /** What waits in front of its retained messages: how many the session's inbox had taken. */
  behind = 0;
  /** What becomes of a retained message that waits here for the client when a newer one of its topic was published, or missed. */
  overtake: ((message: Region, offset: number, isMissed: boolean) => void) | undefined;

  /** `since` undefined: too many wait. What is published before it is looked for may then come once more as a retained one. */
  constructor(worker: number, workers: number, since: Float64Array | undefined) {
    this.#worker = worker;
    this.#workers = workers;
    this.#since = since;
  }

  /** Whether it knows what had been taken when the subscription came. */
  get isExact(): boolean {
    return this.#since !== undefined;
  }

  /** It is looked for from now on. */
  begin(taken: Float64Array): void {
    this.#since ??= taken;
  }

  /** A retained publish was given to the subscription, or missed by it: QoS 0, and its connection had no room. */
  onPublished(
    message: Region,
    offset: number,
    home: number,
    mark: Region,
    markOffset: number,
    isMissed: boolean,
  ): void {
    if (isMissed) {
      this.#missed ??= new Map();
      this.#missed.set(markedFrom(mark, markOffset) * this.#workers + home, markedNumber(mark, markOffset));
    }
    this.overtake?.(message, offset, isMissed);
  }

  /** Whether a message that is retained at `home` comes to the subscription as one that was published, and must not as a retained one. */
  isGiven(message: Region, home: number, qos: number): boolean {
    const at = markOffsetOf(message);
    if (at < 0 || this.#since === undefined || isDoubtful(message, at)) return false;
    const from = markedFrom(message, at);
    const number = markedNumber(message, at);
    const place = from * this.#workers + home;
    if (number <= this.#since[place]!) return false;
    if (from !== this.#worker && home !== this.#worker && !hasReached(message, at, this.#worker)) return false;
    return qos > 0 || number > (this.#missed?.get(place) ?? 0);
  }
}

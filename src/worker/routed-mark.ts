/** The mark of the retained message that is routed, and the worker where its topic lives; see frame/retained-mark.ts. */
import { Region } from "../base/region.ts";
import { MAY_BE_KNOWN, ROUTED_BEFORE } from "../frame/kinds.ts";
import { markedNumber, RETAINED_MARK_BYTES, writeRetainedMark } from "../frame/retained-mark.ts";
import type { Subscription } from "../session/subscription.ts";
import type { RetainedNumbers } from "./retained-numbers.ts";

export class RoutedMark {
  /** Of a message of this worker's. */
  readonly own = Region.allocate(RETAINED_MARK_BYTES);
  region = this.own;
  offset = 0;
  readonly #worker: number;
  readonly #numbers: RetainedNumbers;
  #home = 0;

  constructor(worker: number, numbers: RetainedNumbers) {
    this.#worker = worker;
    this.#numbers = numbers;
  }

  /** One that was published here goes to its home and these workers. */
  make(home: number, flags: number, reached: readonly number[]): void {
    const isDoubtful = (flags & (MAY_BE_KNOWN | ROUTED_BEFORE)) !== 0;
    this.#home = home;
    this.region = this.own;
    this.offset = 0;
    writeRetainedMark(this.own, 0, this.#worker, isDoubtful, this.#numbers.next(home), reached);
  }

  /** One of another worker's has come: its mark lies behind it. */
  take(from: number, home: number, message: Region, end: number): void {
    this.#home = home;
    this.region = message;
    this.offset = end;
    this.#numbers.take(from, home, markedNumber(message, end));
  }

  /** A subscription that is being given what is retained knows of this one, too. */
  cross({ crossings }: Subscription, message: Region, offset: number, isMissed: boolean): void {
    if (crossings === undefined) return;
    for (const each of crossings) each.onPublished(message, offset, this.#home, this.region, this.offset, isMissed);
  }
}

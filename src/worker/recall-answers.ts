/**
 * What other workers ask of this one's retained messages: those that match a filter, a few at a time, and single topics once more. It
 * looks when it has taken what of all workers' retained publishes it is told to take first; what it waits for brings a turn.
 */
import { RETAINED_SCAN_STEPS } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { type AgainBody, RECALLED, type RecallBody, type RecalledBody } from "../frame/kinds.ts";
import { topicBytesOf, topicOffset } from "../frame/message.ts";
import type { RetainedIndex } from "../router/retained.ts";
import type { RetainedScan } from "../router/retained-scan.ts";
import type { Partner } from "./partner.ts";
import type { RetainedNumbers } from "./retained-numbers.ts";

/** What another worker asked for and has not been given in full. */
interface Answering {
  readonly to: Partner;
  readonly token: number;
  readonly filter: string;
  readonly after: readonly number[];
  /** Undefined until that has been taken. */
  scan: RetainedScan<Region> | undefined;
  /** It was said that this worker has looked. */
  isOpen: boolean;
  /** How many messages more may be sent. */
  window: number;
  /** There was no room for the next one: its topic is looked at again when there is. */
  next: Region | undefined;
}

interface Again {
  readonly to: Partner;
  readonly token: number;
  readonly again: AgainBody;
  readonly after: readonly number[];
}

export class RecallAnswers {
  readonly #worker: number;
  readonly #index: RetainedIndex<Region>;
  readonly #partners: readonly Partner[];
  readonly #numbers: RetainedNumbers;
  /** By the other worker and its token. */
  readonly #answering = new Map<string, Answering>();
  /** At most the window of each recall. */
  #agains: Again[] = [];

  constructor(worker: number, index: RetainedIndex<Region>, partners: readonly Partner[], numbers: RetainedNumbers) {
    this.#worker = worker;
    this.#index = index;
    this.#partners = partners;
    this.#numbers = numbers;
  }

  get open(): number {
    return this.#answering.size + this.#agains.length;
  }

  onRecall(from: number, body: RecallBody): void {
    const key = `${from}/${body.token}`;
    const { filter, again, after, window, token } = body;
    const to = this.#partners[from]!;
    const answering = this.#answering.get(key);
    if (again !== undefined) {
      this.#agains.push({ to, token, again, after: after! });
    } else if (filter !== undefined) {
      const opened = { scan: undefined, isOpen: false, next: undefined };
      this.#answering.set(key, { to, token, filter, after: after!, window, ...opened });
    } else if (answering === undefined) {
      return; // It has been given all.
    } else if (window > 0) {
      answering.window += window;
    } else {
      answering.scan?.close();
      this.#answering.delete(key);
    }
  }

  /** Goes on, a bounded part per turn; true when there is more to do at once. */
  turn(): boolean {
    if (this.#agains.length > 0) this.#agains = this.#agains.filter((again) => !this.#answerAgain(again));
    let isBusy = false;
    for (const [key, answering] of this.#answering) {
      if (!this.#mayLook(answering)) continue;
      if (this.#answer(answering)) {
        this.#answering.delete(key);
        continue;
      }
      isBusy ||= answering.window > 0 && answering.next === undefined;
      if (answering.isOpen) continue;
      answering.isOpen = true;
      answering.to.control(RECALLED, { token: answering.token, isOpen: true } satisfies RecalledBody);
    }
    return isBusy;
  }

  #mayLook(answering: Answering): boolean {
    if (answering.scan !== undefined) return true;
    if (!this.#numbers.hasTaken(answering.after)) return false;
    answering.scan = this.#index.scan(answering.filter);
    return true;
  }

  /** Sends what may be sent; true when that was all of it. */
  #answer(answering: Answering): boolean {
    const { to, token } = answering;
    const scan = answering.scan!;
    const taken = this.#numbers.takenOf(this.#worker);
    while (answering.window > 0 || answering.next !== undefined) {
      const { next } = answering;
      const message = next === undefined ? scan.next(RETAINED_SCAN_STEPS) : this.#newestOf(next);
      answering.next = message;
      if (message === undefined && next === undefined) break;
      if (message === undefined) continue; // It was cleared meanwhile.
      if (!to.hasRoom(message.bytes.length + this.#envelopeBytes)) return false; // The partner rings when there is room.
      to.control(RECALLED, { token, message: message.bytes, taken } satisfies RecalledBody);
      answering.next = undefined;
      answering.window -= 1;
    }
    if (!scan.isDone) return false;
    to.control(RECALLED, { token } satisfies RecalledBody);
    return true;
  }

  #newestOf(message: Region): Region | undefined {
    return this.#index.get(message, topicOffset(0), topicBytesOf(message, 0));
  }

  #answerAgain({ to, token, again, after }: Again): boolean {
    if (!this.#numbers.hasTaken(after)) return false;
    const topic = Region.over(Buffer.from(again.topic));
    const message = this.#index.get(topic, 0, topic.bytes.length)?.bytes;
    if (message === undefined) to.control(RECALLED, { token, again } satisfies RecalledBody);
    else if (!to.hasRoom(message.length + topic.bytes.length + this.#envelopeBytes)) return false;
    else to.control(RECALLED, { token, again, message } satisfies RecalledBody);
    return true;
  }

  /** What a RECALLED frame has beside its message and topic. */
  get #envelopeBytes(): number {
    return 128 + 9 * this.#partners.length;
  }
}

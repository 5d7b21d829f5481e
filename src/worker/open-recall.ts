/**
 * One subscription's retained messages, as its client takes them: of this worker by scan, of others a few at a time.
 *
 * ```
 *   next ─► own scan, a bounded part per turn ─┐
 *           arrived ◄── RECALLED … end         ├─► client
 *              └ half of what was asked for is taken ─► RECALL for as many more
 * ```
 *
 * What has arrived goes when a newer one of its topic is published. It comes from a worker that may not have taken all that was taken
 * here, and the newer one may have been among that: then that worker is asked for the topic again when it has.
 */
import { RECALL_WINDOW, RETAINED_SCAN_STEPS } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { RECALL, type RecallBody, type RecalledBody } from "../frame/kinds.ts";
import { expiresAtMsOf, payloadBytesOf, qosOf, topicOf, totalBytes } from "../frame/message.ts";
import type { RetainedScan } from "../router/retained-scan.ts";
import type { Crossing } from "../session/crossing.ts";
import type { Recall } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partner } from "./partner.ts";
import type { RetainedNumbers } from "./retained-numbers.ts";

export interface OpenRecallParts {
  readonly subscription: Subscription;
  readonly crossing: Crossing;
  readonly token: number;
  /** Of this worker's own; undefined when none can be here. */
  readonly scan: RetainedScan<Region> | undefined;
  readonly worker: number;
  /** The workers that were asked. */
  readonly asked: readonly Partner[];
  readonly numbers: RetainedNumbers;
  readonly nowMs: () => number;
  /** There may be more for the client. */
  readonly more: () => void;
  /** Another turn is needed. */
  readonly later: (recall: OpenRecall) => void;
  /** Nothing more will come from other workers, or the recall is closed. */
  readonly forget: () => void;
}

interface Arrived {
  readonly from: number;
  /** Undefined while its topic is asked for again, with this id. */
  message: Region | undefined;
  id: number;
}

export class OpenRecall implements Recall {
  readonly subscription: Subscription;
  readonly crossing: Crossing;
  readonly #parts: OpenRecallParts;
  /** By topic. */
  readonly #arrived = new Map<string, Arrived>();
  /** Workers that have not given all, and how many of theirs were taken since they were last asked. */
  readonly #taken = new Map<number, number>();
  /** Workers that have not begun. */
  readonly #unopened = new Set<number>();
  #lastId = 0;
  #isClosed = false;

  constructor(parts: OpenRecallParts) {
    const { subscription, crossing, asked, numbers, token } = parts;
    this.subscription = subscription;
    this.crossing = crossing;
    this.#parts = parts;
    crossing.overtake = (message, offset, isMissed) => this.#overtake(message, offset, isMissed);
    for (const { worker } of asked) {
      this.#taken.set(worker, 0);
      this.#unopened.add(worker);
      const after = numbers.knownOf(worker);
      this.#ask(worker, { token, filter: subscription.filter, after, window: RECALL_WINDOW });
    }
  }

  get isDone(): boolean {
    return this.#taken.size === 0 && this.#arrived.size === 0 && this.#parts.scan?.isDone !== false;
  }

  get isOpen(): boolean {
    return this.#unopened.size === 0;
  }

  next(qos: number): Region | undefined {
    for (let message = this.#take(qos); message !== undefined; message = this.#take(qos)) {
      const expiresAtMs = expiresAtMsOf(message, 0);
      if (expiresAtMs === 0 || expiresAtMs > this.#parts.nowMs()) return message; // [MQTT-3.3.2-5]
    }
    return undefined;
  }

  #take(qos: number): Region | undefined {
    const { scan, later, worker } = this.#parts;
    if (scan !== undefined && !scan.isDone) {
      for (let left = RETAINED_SCAN_STEPS; left > 0; left -= 1) {
        const found = scan.next(RETAINED_SCAN_STEPS);
        if (found === undefined) break;
        if (!this.#isGiven(found, worker, qos)) return found;
      }
      if (!scan.isDone) later(this);
    }
    for (const [topic, { message, from }] of this.#arrived) {
      if (message === undefined) continue;
      this.#remove(topic, from);
      if (!this.#isGiven(message, from, qos)) return message;
    }
    return undefined;
  }

  #isGiven(message: Region, home: number, qos: number): boolean {
    return this.crossing.isGiven(message, home, Math.min(qos, qosOf(message, 0)));
  }

  #remove(topic: string, from: number): void {
    this.#arrived.delete(topic);
    this.#count(from);
    this.#forgetIfDone();
  }

  /** Asks a worker for more when half of what it may send has been taken. */
  #count(from: number): void {
    const taken = this.#taken.get(from);
    if (taken === undefined) return; // It has given all.
    const isDue = taken + 1 >= RECALL_WINDOW / 2;
    this.#taken.set(from, isDue ? 0 : taken + 1);
    if (isDue) this.#ask(from, { token: this.#parts.token, window: taken + 1 });
  }

  #ask(worker: number, body: RecallBody): void {
    for (const partner of this.#parts.asked) if (partner.worker === worker) partner.control(RECALL, body);
  }

  #forgetIfDone(): void {
    if (this.#taken.size === 0 && this.#arrived.size === 0) this.#parts.forget();
  }

  /** Something of what was asked for has come from another worker. */
  onRecalled(from: number, { isOpen, again, message, taken }: RecalledBody): void {
    if (isOpen === true) {
      this.#unopened.delete(from);
    } else if (again !== undefined) {
      this.#onAgain(from, again.topic, again.id, message);
    } else if (message !== undefined) {
      this.#arrive(from, Region.over(message), taken!);
    } else {
      this.#taken.delete(from);
      this.#unopened.delete(from);
      this.#forgetIfDone();
    }
    this.#parts.more();
  }

  #arrive(from: number, message: Region, taken: readonly number[]): void {
    const { numbers, token } = this.#parts;
    const topic = topicOf(message, 0);
    if (this.#arrived.has(topic)) this.#remove(topic, from); // It was cleared and set once more, and is found again.
    if (numbers.isWithin(from, taken)) {
      this.#arrived.set(topic, { from, message, id: 0 });
      return;
    }
    this.#lastId += 1;
    this.#arrived.set(topic, { from, message: undefined, id: this.#lastId });
    this.#ask(from, { token, again: { topic, id: this.#lastId }, after: numbers.takenOf(from), window: 0 });
  }

  #onAgain(from: number, topic: string, id: number, message: Uint8Array | undefined): void {
    const arrived = this.#arrived.get(topic);
    if (arrived?.id !== id) return; // A newer one has come meanwhile.
    if (message === undefined) this.#remove(topic, from);
    else arrived.message = Region.over(message);
  }

  /** A newer one was published. With QoS 0 and no room in the connection it takes the older one's place. */
  #overtake(message: Region, offset: number, isMissed: boolean): void {
    if (this.#arrived.size === 0) return;
    const topic = topicOf(message, offset);
    const arrived = this.#arrived.get(topic);
    if (arrived === undefined) return;
    if (isMissed && payloadBytesOf(message, offset) > 0) {
      const bytes = totalBytes(message, offset);
      arrived.message = Region.allocate(bytes);
      arrived.id = 0;
      message.bytes.copy(arrived.message.bytes, 0, offset, offset + bytes);
      return;
    }
    this.#remove(topic, arrived.from);
    this.#parts.later(this); // It may have been the last.
  }

  /** After `later`. */
  goOn(): void {
    if (!this.#isClosed) this.#parts.more();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { scan, token, forget } = this.#parts;
    scan?.close();
    this.#arrived.clear();
    this.crossing.overtake = undefined;
    for (const worker of this.#taken.keys()) this.#ask(worker, { token, window: 0 });
    forget();
  }
}

/**
 * One subscription's retained messages, as its client takes them: of this worker by scan, of others a few at a time.
 *
 * ```
 *   next ─► own scan, a bounded part per turn ─┐
 *           arrived ◄── RECALLED … end         ├─► client
 *              └ half of what was asked for is taken ─► RECALL for as many more
 * ```
 */
import { RECALL_WINDOW, RETAINED_SCAN_STEPS } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { RECALL, type RecallBody } from "../frame/kinds.ts";
import { expiresAtMsOf } from "../frame/message.ts";
import type { RetainedScan } from "../router/retained-scan.ts";
import type { Recall } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partner } from "./partner.ts";

export interface OpenRecallParts {
  readonly subscription: Subscription;
  readonly token: number;
  /** Of this worker's own; undefined when none can be here. */
  readonly scan: RetainedScan<Region> | undefined;
  /** The workers that were asked. */
  readonly asked: readonly Partner[];
  readonly nowMs: () => number;
  /** There may be more for the client. */
  readonly more: () => void;
  /** The scan needs another turn. */
  readonly later: (recall: OpenRecall) => void;
  /** Every worker has given all, or the recall is closed. */
  readonly forget: () => void;
}

interface Arrived {
  readonly from: number;
  readonly message: Region;
}

export class OpenRecall implements Recall {
  readonly subscription: Subscription;
  readonly #parts: OpenRecallParts;
  readonly #arrived: Arrived[] = [];
  /** Workers that have not given all, and how many of theirs were taken since they were last asked. */
  readonly #taken = new Map<number, number>();
  /** Workers that have not begun. */
  readonly #unopened = new Set<number>();
  #isClosed = false;

  constructor(parts: OpenRecallParts) {
    this.subscription = parts.subscription;
    this.#parts = parts;
    for (const { worker } of parts.asked) {
      this.#taken.set(worker, 0);
      this.#unopened.add(worker);
    }
    this.#ask(parts.asked, { token: parts.token, filter: parts.subscription.filter, window: RECALL_WINDOW });
  }

  get isDone(): boolean {
    return this.#taken.size === 0 && this.#arrived.length === 0 && this.#parts.scan?.isDone !== false;
  }

  get isOpen(): boolean {
    return this.#unopened.size === 0;
  }

  next(): Region | undefined {
    for (let message = this.#take(); message !== undefined; message = this.#take()) {
      const expiresAtMs = expiresAtMsOf(message, 0);
      if (expiresAtMs === 0 || expiresAtMs > this.#parts.nowMs()) return message; // [MQTT-3.3.2-5]
    }
    return undefined;
  }

  #take(): Region | undefined {
    const { scan, later } = this.#parts;
    if (scan !== undefined && !scan.isDone) {
      const message = scan.next(RETAINED_SCAN_STEPS);
      if (message !== undefined) return message;
      if (!scan.isDone) later(this);
    }
    const arrived = this.#arrived.shift();
    if (arrived === undefined) return undefined;
    this.#count(arrived.from);
    return arrived.message;
  }

  /** Asks a worker for more when half of what it may send has been taken. */
  #count(from: number): void {
    const taken = this.#taken.get(from);
    if (taken === undefined) return; // It has given all.
    const isDue = taken + 1 >= RECALL_WINDOW / 2;
    this.#taken.set(from, isDue ? 0 : taken + 1);
    if (!isDue) return;
    const partners = this.#parts.asked.filter(({ worker }) => worker === from);
    this.#ask(partners, { token: this.#parts.token, window: taken + 1 });
  }

  #ask(partners: readonly Partner[], body: RecallBody): void {
    for (const partner of partners) partner.control(RECALL, body);
  }

  /** Another worker has begun, and may give more. */
  open(from: number): void {
    if (this.#unopened.delete(from)) this.#parts.more();
  }

  /** One more from another worker; undefined: it has given all. */
  arrive(from: number, message: Uint8Array | undefined): void {
    if (message === undefined) {
      this.#taken.delete(from);
      this.#unopened.delete(from);
      if (this.#taken.size === 0) this.#parts.forget();
    } else {
      this.#arrived.push({ from, message: Region.over(message) });
    }
    this.#parts.more();
  }

  /** After `later`. */
  goOn(): void {
    if (!this.#isClosed) this.#parts.more();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { scan, asked, token, forget } = this.#parts;
    scan?.close();
    this.#arrived.length = 0;
    const unfinished = asked.filter(({ worker }) => this.#taken.has(worker));
    this.#ask(unfinished, { token, window: 0 });
    forget();
  }
}

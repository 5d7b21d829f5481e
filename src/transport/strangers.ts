/**
 * All strangers of a thread: connections from which no complete CONNECT has come. What they may cost is bounded: each by a deadline, all
 * of them in number and in bytes. When there are too many, the oldest makes room: one that means it sends its CONNECT at once.
 */
import { CONNECT_DEADLINE_MS, STRANGERS_BUDGET_BYTES, STRANGERS_MAX } from "../base/limits.ts";

/** What the bounds need to know of a stranger. */
export interface Bounded {
  readonly deadlineMs: number;
  /** What it has sent and this process still holds. */
  readonly receivedBytes: number;
  /** It broke a bound, and is forgotten already: closes it at once. */
  drop(): void;
}

/** Why strangers were sent away; each only grows. */
export interface Refusals {
  notMqtt: number;
  late: number;
  tooManyStrangers: number;
  tooManyConnections: number;
  tooManyOfAddress: number;
  memory: number;
}

export interface StrangersOptions {
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly deadlineMs?: number | undefined;
  readonly strangersMax?: number | undefined;
  readonly budgetBytes?: number | undefined;
}

export class Strangers {
  readonly refusals: Refusals = {
    notMqtt: 0,
    late: 0,
    tooManyStrangers: 0,
    tooManyConnections: 0,
    tooManyOfAddress: 0,
    memory: 0,
  };
  readonly #nowMs: () => number;
  readonly #deadlineMs: number;
  readonly #strangersMax: number;
  readonly #budgetBytes: number;
  /** Oldest first, hence by deadline. */
  readonly #all = new Set<Bounded>();
  #bytes = 0;
  #deadline: NodeJS.Timeout | null = null;

  constructor({ nowMs, deadlineMs, strangersMax, budgetBytes }: StrangersOptions) {
    this.#nowMs = nowMs;
    this.#deadlineMs = deadlineMs ?? CONNECT_DEADLINE_MS;
    this.#strangersMax = strangersMax ?? STRANGERS_MAX;
    this.#budgetBytes = budgetBytes ?? STRANGERS_BUDGET_BYTES;
  }

  get count(): number {
    return this.#all.size;
  }

  /** The deadline of one that comes now. */
  newDeadlineMs(): number {
    return this.#nowMs() + this.#deadlineMs;
  }

  /** Takes one more in; the oldest goes if there are too many. */
  add(stranger: Bounded): void {
    if (this.#all.size >= this.#strangersMax) this.#dropOldest();
    this.#all.add(stranger);
    this.#bytes += stranger.receivedBytes;
    this.#armDeadline();
  }

  /** It is no stranger any more, or gone. False when it was none. */
  forget(stranger: Bounded): boolean {
    if (!this.#all.delete(stranger)) return false;
    this.#bytes -= stranger.receivedBytes;
    return true;
  }

  /** Its `receivedBytes` have changed by so many. */
  charge(bytes: number): void {
    this.#bytes += bytes;
  }

  /** All together hold too much: whoever has just been charged for goes. */
  get isOverBudget(): boolean {
    return this.#bytes > this.#budgetBytes;
  }

  /** Sends all of them away. */
  close(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    for (const stranger of this.#all) this.#drop(stranger);
  }

  #drop(stranger: Bounded): void {
    this.forget(stranger);
    stranger.drop();
  }

  #dropOldest(): void {
    for (const oldest of this.#all) {
      this.refusals.tooManyStrangers += 1;
      this.#drop(oldest);
      return;
    }
  }

  #armDeadline(): void {
    if (this.#deadline !== null) return;
    for (const oldest of this.#all) {
      const waitMs = Math.max(1, oldest.deadlineMs - this.#nowMs());
      this.#deadline = setTimeout(() => this.#onDeadline(), waitMs);
      return;
    }
  }

  #onDeadline(): void {
    this.#deadline = null;
    const nowMs = this.#nowMs();
    for (const stranger of this.#all) {
      if (stranger.deadlineMs > nowMs) break;
      this.refusals.late += 1;
      this.#drop(stranger);
    }
    this.#armDeadline();
  }
}

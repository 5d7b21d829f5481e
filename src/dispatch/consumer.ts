/**
 * A consumer: the attachment of one subscription to one queue, as the queue's owner sees it.
 *
 * ```
 *   attach ──► OPEN ──unsubscribed──► DRAINING ──gone──► GONE
 *                └────────gone─────────────────────────────┘
 * ```
 *
 * Its in-flight count is `dispatched - settled`: what it was handed, less what its own worker says it has settled. That
 * may run ahead of the settlements the queue has seen, so the queue may have more of it in flight than the window.
 */
import { CONSUMER_WINDOW_MAX, PACKET_BYTES_MAX } from "../base/limits.ts";
import type { CreditTable } from "./credit.ts";

/** Why a consumer is not served. `null`: it is, or would be. */
export type PauseReason = null | "no_window" | "session_window_full" | "socket_full" | "packet_too_large";

export interface ConsumerOptions {
  readonly clientId: string;
  /** The consumer's worker. */
  readonly worker: number;
  /** Its place in the credit table of the two workers. */
  readonly credit: CreditTable;
  readonly slot: number;
  readonly generation: number;
  /** Granted: 0 or 1, of a shared subscription also 2. */
  readonly qos: 0 | 1 | 2;
  /** The client's Receive Maximum; 65,535 when it named none. */
  readonly receiveMaximum: number;
  /** The client's Maximum Packet Size; everything when it named none. */
  readonly packetBytesMax?: number;
  /** Bytes its Subscription Identifier adds to the properties of a delivery: 0, or 2 to 5. */
  readonly subscriptionIdentifierBytes?: number;
}

export class Consumer {
  readonly clientId: string;
  readonly worker: number;
  readonly credit: CreditTable;
  readonly slot: number;
  readonly generation: number;
  readonly qos: 0 | 1 | 2;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly subscriptionIdentifierBytes: number;
  /** Its number as a holder of the queue's messages; given at attach. */
  holder = -1;
  /** Messages it may have in flight. */
  window = 1;
  delivered = 0;
  acknowledged = 0;
  rejected = 0;
  isDraining = false;
  isGone = false;
  /** The link refused a message: nothing is tried before it is resumed. */
  isBlocked = false;
  /** As last read from the credit table. */
  paused: PauseReason = null;
  /** In flight, for choosing. */
  inFlight = 0;
  #dispatched = 0;

  // Where it stands in its strategy: the owner of these fields is the strategy.
  room = -1;
  next: Consumer | undefined;
  previous: Consumer | undefined;

  constructor(options: ConsumerOptions) {
    this.clientId = options.clientId;
    this.worker = options.worker;
    this.credit = options.credit;
    this.slot = options.slot;
    this.generation = options.generation & 0xffff;
    this.qos = options.qos;
    this.receiveMaximum = options.receiveMaximum;
    this.packetBytesMax = options.packetBytesMax ?? PACKET_BYTES_MAX;
    this.subscriptionIdentifierBytes = options.subscriptionIdentifierBytes ?? 0;
    this.credit.setDispatched(this.slot, this.generation, 0);
  }

  /** Follows a changed `local_max_inflight`. */
  setWindow(localMaxInflight: number): void {
    this.window = Math.min(localMaxInflight, this.receiveMaximum, CONSUMER_WINDOW_MAX);
  }

  /** Whether a message may be assigned to it now. */
  get hasRoom(): boolean {
    return this.inFlight < this.window && this.paused === null && !this.isBlocked && !this.isDraining && !this.isGone;
  }

  /** One more message was handed to it. */
  countDispatched(): void {
    this.#dispatched = (this.#dispatched + 1) & 0xffff;
    this.inFlight += 1;
    this.credit.setDispatched(this.slot, this.generation, this.#dispatched);
  }

  /** The last message counted was not handed out after all. */
  uncountDispatched(): void {
    this.#dispatched = (this.#dispatched - 1) & 0xffff;
    this.inFlight -= 1;
    this.credit.setDispatched(this.slot, this.generation, this.#dispatched);
  }

  /** Reads what its worker says of it. */
  refresh(): void {
    const settled = this.credit.settled(this.slot, this.generation);
    if (settled === -1) return; // The slot is another's: this attachment's DETACH is under way.
    this.inFlight = (this.#dispatched - settled) & 0xffff;
    this.paused = PAUSE_REASONS[this.credit.paused(this.slot, this.generation)];
  }

  /** Why it is not served, for its status. */
  pauseReason(isTooSmall: boolean): PauseReason {
    if (this.paused !== null) return this.paused;
    if (this.isBlocked) return "socket_full";
    if (this.inFlight >= this.window) return "no_window";
    return isTooSmall ? "packet_too_large" : null;
  }
}

const PAUSE_REASONS = [null, "session_window_full", "socket_full"] as const;

/**
 * The consumer's end of a subscription to a queue, or of a shared one: what came from the queue and could not be sent yet, and what
 * was sent with QoS 0 and not yet taken by the kernel. The queue's end, with credit and in-flight table, is on the queue's
 * worker (dispatch room); the two know each other by slot and generation.
 *
 * ```
 *   queue ──deliver──► held ──window, socket──► in flight ──PUBACK──► settled
 *                       └ gone: everything not settled goes back to the queue, which needs no word of it
 * ```
 */
import { Region } from "../base/region.ts";
import { isSharedFilter } from "../mqtt/subscription-filter.ts";
import { sharedFlagsOf } from "./share-tag.ts";
import type { Subscription } from "./subscription.ts";

/** A delivery that waits for room in the session's window or socket; a copy of its own. */
interface Held {
  readonly position: number;
  readonly redelivered: boolean;
  readonly message: Region;
}

export class Attachment {
  readonly subscription: Subscription;
  /** What the deliveries are sent with; of a shared subscription, at most. */
  readonly qos: 0 | 1 | 2;
  /** Of a shared subscription: its messages keep their QoS, and what its client refuses is done with. */
  readonly isShared: boolean;
  /** Of a shared one: what the flags of its deliveries say. */
  readonly sharedFlags: number;
  /** The queue's worker and this attachment's slot there; -1 while there is no such queue, or the client is away. */
  worker = -1;
  slot = -1;
  generation = 0;
  pauseReason: "session_window_full" | "socket_full" | null = null;
  /** Sent and not settled. */
  unsettled = 0;
  /** Unsubscribed: it takes nothing more and ends with its last delivery. */
  isDraining = false;
  /** Of a shared subscription: messages that its session is taking over, and those that it has and whose delivery is not finished. */
  adopting = 0;
  adopted = 0;
  /** Gone, and ends when it is known what became of those. */
  isLeaving = false;
  readonly held: Held[] = [];
  /** QoS 0: positions written, with the connection's mark behind which each is taken. */
  readonly written: { position: number; mark: number }[] = [];

  constructor(subscription: Subscription, qos: 0 | 1 | 2) {
    this.subscription = subscription;
    this.qos = qos;
    this.isShared = isSharedFilter(subscription.filter);
    this.sharedFlags = this.isShared ? sharedFlagsOf(subscription.filter) : 0;
    this.refreshIdentifiers();
  }

  /** The subscription's identifier, in the form deliveries take; none = undefined. */
  get identifiers(): readonly number[] | undefined {
    return this.#identifiers;
  }

  #identifiers: readonly number[] | undefined = undefined;

  /** Follows a change of the subscription's options. */
  refreshIdentifiers(): void {
    const { identifier } = this.subscription.options;
    this.#identifiers = identifier === 0 ? undefined : [identifier];
  }

  get isBound(): boolean {
    return this.slot >= 0;
  }

  /** Keeps a copy of a delivery for later. */
  hold(position: number, redelivered: boolean, message: Region, offset: number, messageBytes: number): void {
    const copy = Region.allocate(messageBytes);
    message.bytes.copy(copy.bytes, 0, offset, offset + messageBytes);
    this.held.push({ position, redelivered, message: copy });
  }

  /** Forgets everything: the queue takes it back. */
  clear(): void {
    this.held.length = 0;
    this.written.length = 0;
    this.unsettled = 0;
    this.adopted = 0;
    this.pauseReason = null;
  }
}

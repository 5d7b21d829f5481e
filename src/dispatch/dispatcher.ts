/**
 * A dispatcher: hands one queue's messages to the consumers attached to it.
 *
 * ```
 *   queue.peek ──► choose among consumers with room ──► queue.handOut ──► link.deliver ──► the consumer's session
 *                     none fits: park it, go on           refused: take it back, the consumer waits for its link
 * ```
 *
 * It has work while something is available and somebody has room; only then is it among the ready ones.
 */
import { assert } from "../base/assert.ts";
import { ASIDE_LOOK_MAX } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { PASSED } from "../frame/kinds.ts";
import { publishedAtMsOf, totalBytes } from "../frame/message.ts";
import type { DispatchStrategy, QueueRecord } from "../queue/definition.ts";
import type { Offer } from "../queue/hand-out.ts";
import type { DispatchedQueue } from "../queue/paired-queue.ts";
import type { Queue } from "../queue/queue.ts";
import type { SettleResult } from "../queue/settle.ts";
import type { Consumer } from "./consumer.ts";
import { type DispatcherMetrics, type DispatcherStatus, metricsOf, statusOf } from "./dispatcher-report.ts";
import { publishPacketBytes } from "./packet-size.ts";
import { ParkedOffers } from "./parked-offers.ts";
import type { ReadyQueues } from "./ready-queues.ts";
import { newStrategy, type Strategy } from "./strategy.ts";

/** How a message gets to a consumer: a call on the same worker, a ring to another. */
export interface ConsumerLink {
  /**
   * Hands over one message, whose bytes are valid during the call. False: no room now; nothing was handed over, and
   * this consumer is left alone until it settles something, changes its pause, or `resume` or `retryBlocked` is called.
   * Must not settle, attach or detach before it returns.
   */
  deliver(consumer: Consumer, position: number, message: Region, offset: number, isRedelivered: boolean): boolean;
}

const NOTHING = Region.allocate(0);

/** Of a queue, or of a shared subscription. */
export type AnyDispatcher = Dispatcher<DispatchedQueue>;

export class Dispatcher<Q extends DispatchedQueue = Queue> {
  readonly queue: Q;
  /** Whether it is among the ready ones; theirs to change. */
  isReady = false;
  readonly #ready: ReadyQueues;
  readonly #consumers = new Set<Consumer>();
  /** By holder number; freed numbers are used again. */
  readonly #holders: (Consumer | undefined)[] = [];
  readonly #freeHolders: number[] = [];
  /** Of those that are gone while what they held comes back. */
  readonly #leavingHolders: number[] = [];
  readonly #offer: Offer = {
    position: 0,
    region: NOTHING,
    offset: 0,
    isRedelivered: false,
    excluded: -1,
    isHeldBack: false,
  };
  #kind: DispatchStrategy;
  #strategy: Strategy;
  readonly #parked: ParkedOffers;
  #isClosed = false;

  /** The queue's `onAvailable` event must call `onAvailable` here. */
  constructor(queue: Q, ready: ReadyQueues) {
    this.queue = queue;
    this.#parked = new ParkedOffers(queue);
    this.#ready = ready;
    this.#kind = queue.record.definition.dispatch_strategy;
    this.#strategy = newStrategy(this.#kind);
  }

  get consumers(): ReadonlySet<Consumer> {
    return this.#consumers;
  }

  /** Consumers with room. */
  get roomCount(): number {
    return this.#strategy.count;
  }

  // Consumers come and go.

  attach(consumer: Consumer): void {
    assert(!this.#isClosed && consumer.holder === -1, "a consumer attaches once, to a queue that is there");
    consumer.holder = this.#takeHolder();
    this.#holders[consumer.holder] = consumer;
    this.#consumers.add(consumer);
    consumer.setWindow(this.queue.record.definition.local_max_inflight);
    consumer.refresh();
    this.#place(consumer);
  }

  #takeHolder(): number {
    const leaving = this.#leavingHolders[0];
    if (leaving !== undefined && this.queue.isIdle(leaving)) return this.#leavingHolders.shift()!;
    return this.#freeHolders.pop() ?? this.#holders.length;
  }

  /** Unsubscribed: nothing more is assigned; what is in flight stays until it is settled or the consumer is gone. */
  drain(consumer: Consumer): void {
    consumer.isDraining = true;
    this.#place(consumer);
  }

  /** Gone: what it has in flight goes back at once. */
  detach(consumer: Consumer): void {
    if (consumer.isGone) return;
    consumer.isGone = true;
    this.#place(consumer);
    this.#consumers.delete(consumer);
    this.queue.giveBack(consumer.holder);
    this.#holders[consumer.holder] = undefined;
    if (this.queue.isIdle(consumer.holder)) this.#freeHolders.push(consumer.holder);
    else this.#leavingHolders.push(consumer.holder);
    this.onAvailable();
  }

  /** Whether a draining consumer has nothing in flight any more. */
  isIdle(consumer: Consumer): boolean {
    return consumer.isGone || this.queue.isIdle(consumer.holder);
  }

  /** The queue was deleted: every attachment ends; returns them, for their workers to be told. */
  close(): Consumer[] {
    const consumers = [...this.#consumers];
    this.#isClosed = true;
    for (const consumer of consumers) {
      consumer.isGone = true;
      this.#place(consumer);
    }
    this.#consumers.clear();
    this.#ready.forget(this);
    return consumers;
  }

  /** The definition changed: strategy and windows follow at once. The queue's own `update` comes first. */
  update(record: QueueRecord): void {
    const { dispatch_strategy: kind, local_max_inflight: window } = record.definition;
    const isNewKind = kind !== this.#kind;
    if (isNewKind) {
      for (const consumer of this.#consumers) if (consumer.room !== -1) this.#strategy.remove(consumer);
      this.#kind = kind;
      this.#strategy = newStrategy(kind);
    }
    for (const consumer of this.#consumers) {
      consumer.setWindow(window);
      this.#place(consumer);
    }
    this.onAvailable();
  }

  // What happens to them.

  /** A consumer acknowledged or rejected a message; its credit counts it already. */
  settle(consumer: Consumer, position: number, isAccepted: boolean, nowMs: number): SettleResult {
    if (consumer.isGone) return "unknown";
    const result = this.queue.settle(consumer.holder, position, isAccepted, nowMs);
    if (result === "acknowledged") consumer.acknowledged += 1;
    else if (result === "rejected") consumer.rejected += 1;
    this.refresh(consumer);
    return result;
  }

  /** The consumer's credit changed. */
  refresh(consumer: Consumer): void {
    if (consumer.isGone) return;
    consumer.isBlocked = false;
    consumer.refresh();
    this.#place(consumer);
  }

  /** The link of a consumer that it refused has room again. */
  resume(consumer: Consumer): void {
    this.refresh(consumer);
  }

  /** The links of all may have room again. */
  resumeBlocked(): void {
    for (const consumer of this.#consumers) if (consumer.isBlocked) this.resume(consumer);
  }

  /** Something may be available that was not: the queue's event. */
  onAvailable(): void {
    if (this.#strategy.count > 0 && !this.#isClosed && this.#hasWork()) this.#ready.add(this);
  }

  // Handing out.

  /**
   * Hands out up to `bound` messages while there are any and somebody has room; returns how many. At its bound it is
   * ready again. `random` in [0, 1).
   */
  pump(nowMs: number, random: () => number, link: ConsumerLink, bound: number): number {
    if (this.#isClosed) return 0;
    let handed = this.queue.heldCount > 0 ? this.#pumpHeld(nowMs, random, link, bound) : 0;
    if (this.#parked.isWanted) this.#parked.unpark(this.#consumers);

    const offer = this.#offer;
    for (let parked = 0; handed < bound && parked < ASIDE_LOOK_MAX && this.#strategy.count > 0; ) {
      if (!this.queue.peek(nowMs, offer)) break;
      const consumer = this.#choose(random, undefined);
      if (consumer !== undefined) {
        if (this.#deliver(consumer, link, nowMs)) handed += 1;
      } else {
        this.#parked.park(offer.position, offer.region, offer.offset);
        parked += 1;
      }
    }
    const isMore = this.queue.hasAvailable || this.#parked.isWanted || (handed > 0 && this.queue.heldCount > 0);
    if (isMore && this.#strategy.count > 0) this.#ready.add(this);
    return handed;
  }

  /**
   * Hands a message that nobody keeps to somebody who can take it, uncounted: its position is PASSED. False when there is nobody. Who has
   * no room for kept messages is given it only when all are so.
   */
  pass(message: Region, offset: number, random: () => number, link: ConsumerLink): boolean {
    const offer = this.#offer;
    offer.region = message;
    offer.offset = offset;
    let consumer = this.#choose(random, undefined) ?? this.#findOpen(undefined);
    if (consumer === undefined) return false;
    if (!link.deliver(consumer, PASSED, message, offset, false)) {
      consumer = this.#findOpen(consumer);
      if (consumer === undefined || !link.deliver(consumer, PASSED, message, offset, false)) return false;
    }
    consumer.delivered += 1;
    if (consumer.room === -1) return true;
    this.#strategy.remove(consumer); // To the end of those that are like it.
    this.#strategy.add(consumer);
    return true;
  }

  /** Somebody whose connection takes something, whatever it has in flight. */
  #findOpen(excluded: Consumer | undefined): Consumer | undefined {
    for (const consumer of this.#consumers) {
      if (consumer === excluded || consumer.isDraining || consumer.paused === "socket_full") continue;
      if (this.#fits(consumer)) return consumer;
    }
    return undefined;
  }

  /**
   * Rejected messages go to anybody but who rejected them; after their interval they are ordinary again. One that everybody rejects
   * goes round at once for a while and then once an interval.
   */
  #pumpHeld(nowMs: number, random: () => number, link: ConsumerLink, bound: number): number {
    const offer = this.#offer;
    let handed = 0;
    for (let left = Math.min(this.queue.heldCount, ASIDE_LOOK_MAX); left > 0 && handed < bound; left -= 1) {
      if (this.#strategy.count === 0 || !this.queue.peekHeld(nowMs, offer)) break;
      const rejecter = offer.excluded === -1 ? undefined : this.#holders[offer.excluded];
      let consumer = offer.isHeldBack ? undefined : this.#choose(random, rejecter);
      if (consumer === undefined) this.queue.holdOn(offer.position);
      // Who refuses is asked no more, and it is held again meanwhile; somebody else may take it.
      while (consumer !== undefined && !this.#deliver(consumer, link, nowMs)) consumer = this.#choose(random, rejecter);
      if (consumer !== undefined) handed += 1;
    }
    return handed;
  }

  #deliver(consumer: Consumer, link: ConsumerLink, nowMs: number): boolean {
    const { position, region, offset, isRedelivered, excluded } = this.#offer;
    const publishedAtMs = publishedAtMsOf(region, offset);
    this.queue.handOut(position, consumer.holder, nowMs);
    consumer.countDispatched();
    if (!link.deliver(consumer, position, region, offset, isRedelivered)) {
      consumer.uncountDispatched();
      this.queue.takeBack(position, excluded);
      consumer.isBlocked = true;
      this.#ready.block(this);
      this.#strategy.remove(consumer);
      return false;
    }
    this.queue.noteDelivered(isRedelivered, publishedAtMs, nowMs);
    consumer.delivered += 1;
    consumer.refresh(); // It may have closed its session's window.
    if (consumer.hasRoom) this.#strategy.served(consumer);
    else this.#strategy.remove(consumer);
    return true;
  }

  /** Somebody with room for the message offered, as the strategy says; undefined when it is too large for all of them. */
  #choose(random: () => number, excluded: Consumer | undefined): Consumer | undefined {
    const picked = this.#strategy.pick(random, excluded);
    if (picked === undefined || this.#fits(picked)) return picked;
    if (excluded === undefined) {
      const other = this.#strategy.pick(random, picked);
      if (other !== undefined && this.#fits(other)) return other;
    }
    return this.#findFitting(excluded);
  }

  /** The one with the fewest in flight of those who can take a large message: rare, so all are looked at. */
  #findFitting(excluded: Consumer | undefined): Consumer | undefined {
    let best: Consumer | undefined;
    for (const consumer of this.#consumers) {
      if (consumer.room === -1 || consumer === excluded || !this.#fits(consumer)) continue;
      if (best === undefined || consumer.inFlight < best.inFlight) best = consumer;
    }
    return best;
  }

  #fits(consumer: Consumer): boolean {
    const { region, offset } = this.#offer;
    const { packetBytesMax, qos, subscriptionIdentifierBytes } = consumer;
    // No packet is larger than the stored message: its header alone has more than a packet adds to the parts.
    if (packetBytesMax >= totalBytes(region, offset)) return true;
    return publishPacketBytes(region, offset, qos, subscriptionIdentifierBytes) <= packetBytesMax; // [MQTT-3.1.2-24]
  }

  /** Puts a consumer where its room and its count say. */
  #place(consumer: Consumer): void {
    const isIn = consumer.room !== -1;
    if (!consumer.hasRoom) {
      if (isIn) this.#strategy.remove(consumer);
      return;
    }
    if (isIn) {
      this.#strategy.moved(consumer);
      return;
    }
    this.#strategy.add(consumer);
    this.#parked.want(consumer);
    this.onAvailable();
  }

  #hasWork(): boolean {
    return this.queue.hasAvailable || this.queue.heldCount > 0 || this.#parked.isWanted;
  }

  metrics(nowMs: number): DispatcherMetrics {
    return metricsOf(this.queue, this.#consumers, nowMs);
  }

  status(nowMs: number): DispatcherStatus {
    return statusOf(this.queue, this.#consumers, this.#parked.smallestBytes, nowMs);
  }
}

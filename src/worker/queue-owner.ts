/**
 * The queues of this worker's partitions and their consumers, on whichever workers those are.
 *
 * ```
 *   ATTACH, SETTLE, DETACH ─► consumer by worker and slot ─► its dispatcher ─► ready ─pump─► DELIVER
 * ```
 */
import { HAND_OUTS_OF_QUEUE_PER_TURN, HAND_OUTS_PER_TURN, PUMP_COST_HAND_OUTS } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { Consumer } from "../dispatch/consumer.ts";
import { CreditTable } from "../dispatch/credit.ts";
import { CreditReader } from "../dispatch/credit-reader.ts";
import { type AnyDispatcher, type ConsumerLink, Dispatcher } from "../dispatch/dispatcher.ts";
import { ReadyQueues } from "../dispatch/ready-queues.ts";
import type { AttachBody, DetachBody } from "../frame/kinds.ts";
import { totalBytes } from "../frame/message.ts";
import type { QueueRecord } from "../queue/definition.ts";
import type { PairedQueue } from "../queue/paired-queue.ts";
import type { Queue } from "../queue/queue.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";

export class QueueOwner {
  readonly #partitions: ReadonlyMap<number, Partition>;
  readonly #readers: readonly CreditReader[];
  readonly #ready = new ReadyQueues();
  /** By partition, then target. */
  readonly #dispatchers = new Map<number, Map<number, Dispatcher>>();
  /** How a message gets to a consumer. */
  readonly link: ConsumerLink;
  /** The dispatcher of a shared subscription that lives here. */
  sharedBy: (filter: string) => AnyDispatcher | undefined = () => undefined;

  /** `partners` and `credit` (the tables that the consumers' workers write) by worker. */
  constructor(
    partitions: ReadonlyMap<number, Partition>,
    partners: readonly Partner[],
    credit: readonly ArrayBufferLike[],
  ) {
    this.#partitions = partitions;
    this.#readers = credit.map((memory) => new CreditReader(new CreditTable(memory)));
    for (const number of partitions.keys()) this.#dispatchers.set(number, new Map());
    this.link = {
      deliver: (consumer: Consumer, position: number, message: Region, offset: number, isRedelivered: boolean) =>
        partners[consumer.worker]!.deliver(
          consumer.slot,
          consumer.generation,
          position,
          isRedelivered,
          message,
          offset,
          totalBytes(message, offset),
        ),
    };
  }

  /** Opens a queue, new or to be recovered. */
  open(record: QueueRecord): Queue {
    const partition = this.#partitions.get(record.partition)!;
    let dispatcher: Dispatcher | undefined;
    const queue = partition.queues.open(record, () => dispatcher?.onAvailable());
    dispatcher = new Dispatcher(queue, this.#ready);
    this.#dispatchers.get(record.partition)!.set(record.target, dispatcher);
    return queue;
  }

  dispatcherOf(record: QueueRecord): Dispatcher | undefined {
    return this.#dispatchers.get(record.partition)?.get(record.target);
  }

  update(record: QueueRecord): void {
    const dispatcher = this.dispatcherOf(record);
    dispatcher?.queue.update(record);
    dispatcher?.update(record);
  }

  /** Ends the queue's consumers and removes its messages; their workers learn it from the queue's retraction. */
  remove(record: QueueRecord): void {
    const dispatcher = this.dispatcherOf(record);
    if (dispatcher === undefined) return;
    this.close(dispatcher);
    this.#dispatchers.get(record.partition)!.delete(record.target);
    this.#partitions.get(record.partition)!.queues.remove(record.target);
  }

  /** A dispatcher for a shared subscription; `close` ends it. */
  newDispatcher(queue: PairedQueue): AnyDispatcher {
    return new Dispatcher(queue, this.#ready);
  }

  /** Ends all its consumers. */
  close(dispatcher: AnyDispatcher): void {
    for (const consumer of dispatcher.close()) this.#readers[consumer.worker]!.remove(consumer);
  }

  /** Every queue of this worker. */
  *queues(): IterableIterator<Queue> {
    for (const dispatchers of this.#dispatchers.values()) for (const { queue } of dispatchers.values()) yield queue;
  }

  onAttach(from: number, body: AttachBody): void {
    const { group, partition, target } = body;
    const dispatcher = group === undefined ? this.#dispatchers.get(partition)?.get(target) : this.sharedBy(group);
    if (dispatcher === undefined) return; // Deleted meanwhile; the consumer's worker is about to hear of it.
    const reader = this.#readers[from]!;
    const consumer = new Consumer({
      clientId: body.clientId,
      worker: from,
      credit: reader.table,
      slot: body.slot,
      generation: body.generation,
      qos: body.qos,
      receiveMaximum: body.receiveMaximum,
      packetBytesMax: body.packetBytesMax,
      subscriptionIdentifierBytes: body.subscriptionIdentifierBytes,
    });
    dispatcher.attach(consumer);
    reader.add(consumer, dispatcher);
  }

  onDetach(from: number, body: DetachBody): void {
    const reader = this.#readers[from]!;
    const consumer = reader.consumerOf(body.slot, body.generation);
    const dispatcher = reader.dispatcherOf(body.slot);
    if (consumer === undefined || dispatcher === undefined) return;
    if (!body.gone) {
      dispatcher.drain(consumer);
      return;
    }
    dispatcher.detach(consumer);
    reader.remove(consumer);
  }

  onSettle(from: number, slot: number, generation: number, position: number, accepted: boolean, nowMs: number): void {
    const reader = this.#readers[from]!;
    const consumer = reader.consumerOf(slot, generation);
    if (consumer === undefined) return; // A late word of an attachment that has ended.
    reader.dispatcherOf(slot)?.settle(consumer, position, accepted, nowMs);
  }

  /** Hands out what can be handed out, each queue and all together up to a bound; true when some queue is ready at once. */
  pump(nowMs: number, random: () => number): boolean {
    for (const reader of this.#readers) reader.refresh();
    if (this.#ready.blockedCount > 0) this.#ready.retryBlocked();
    if (this.#ready.count === 0) return false;
    this.#ready.beginRound();
    for (let left = HAND_OUTS_PER_TURN; left > 0; left -= PUMP_COST_HAND_OUTS) {
      const dispatcher = this.#ready.next();
      if (dispatcher === undefined) break;
      left -= dispatcher.pump(nowMs, random, this.link, HAND_OUTS_OF_QUEUE_PER_TURN);
    }
    return this.#ready.count > 0;
  }

  nextDeadlineMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { queues } of this.#partitions.values()) nextMs = Math.min(nextMs, queues.nextDeadlineMs());
    return nextMs;
  }

  onDeadline(nowMs: number): void {
    for (const { queues } of this.#partitions.values()) {
      queues.onDeadline(nowMs);
      queues.keepLedgers();
    }
  }
}

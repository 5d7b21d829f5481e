/** A real queue with its dispatcher over a log in memory, and consumers whose settlements are calls: for tests by hand. */
import type { Region } from "../../src/base/region.ts";
import { Consumer, type ConsumerOptions } from "../../src/dispatch/consumer.ts";
import { CreditTable, newCreditMemory } from "../../src/dispatch/credit.ts";
import { CreditReader } from "../../src/dispatch/credit-reader.ts";
import { CreditSlots } from "../../src/dispatch/credit-slots.ts";
import { type ConsumerLink, Dispatcher } from "../../src/dispatch/dispatcher.ts";
import { ReadyQueues } from "../../src/dispatch/ready-queues.ts";
import { payloadBytesOf, payloadOffset, totalBytes } from "../../src/frame/message.ts";
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import { record } from "../queue/definitions.ts";
import { MemoryDisk, MemoryLog } from "../queue/memory-log.ts";
import { type MessageFields, message } from "../queue/message.ts";
import { randomOf } from "../random.ts";

export class Bench implements ConsumerLink {
  record: QueueRecord;
  readonly disk: MemoryDisk;
  readonly log: MemoryLog;
  readonly queues: PartitionQueues;
  readonly ready = new ReadyQueues();
  readonly dispatcher: Dispatcher;
  readonly slots = new CreditSlots(new CreditTable(newCreditMemory(true, 1)));
  readonly reader = new CreditReader(this.slots.table);
  readonly consumers: Consumer[] = [];
  /** Every hand-out, and those that are not settled. */
  readonly handed: { consumer: Consumer; position: number; isRedelivered: boolean; payload: string }[] = [];
  readonly #unsettled = new Map<Consumer, number[]>();
  readonly refusing = new Set<Consumer>();
  onDeliver: (consumer: Consumer) => void = () => {};
  /** Messages that failed commits lost although they were acknowledged. */
  lost = 0;
  readonly random = randomOf(1);
  nowMs = 0;

  /** With a `disk`: as after a start on what another one left. */
  constructor(definition: Partial<QueueDefinition>, disk = new MemoryDisk()) {
    this.disk = disk;
    this.record = record(definition);
    this.log = new MemoryLog(this.disk, {
      onSeal: (batch) => this.queues.onSeal(batch),
      onCommitted: (batch) => this.queues.onCommitted(batch, this.nowMs),
      onFailed: (batch) => {
        this.lost += this.queues.onFailed(batch);
      },
    });
    this.queues = new PartitionQueues(this.log, this.random);
    const queue = this.queues.open(this.record, () => this.dispatcher.onAvailable());
    this.dispatcher = new Dispatcher(queue, this.ready);
    this.queues.recover(() => undefined);
  }

  attach(options: Partial<ConsumerOptions> = {}): Consumer {
    const slot = this.slots.open();
    const consumer = new Consumer({
      clientId: `c${this.consumers.length}`,
      worker: 0,
      credit: this.slots.table,
      slot,
      generation: this.slots.generationOf(slot),
      qos: 1,
      receiveMaximum: 65_535,
      ...options,
    });
    this.consumers.push(consumer);
    this.#unsettled.set(consumer, []);
    this.dispatcher.attach(consumer);
    this.reader.add(consumer, this.dispatcher);
    return consumer;
  }

  detach(consumer: Consumer): void {
    this.#unsettled.set(consumer, []);
    this.reader.remove(consumer);
    this.dispatcher.detach(consumer);
  }

  /** Offers messages without committing them; returns the outcomes. */
  offer(count: number, fields: MessageFields = {}): number[] {
    return Array.from({ length: count }, () => {
      const region = message({ publishedAtMs: this.nowMs, ...fields });
      const staged = this.log.stage(region, 0, totalBytes(region, 0));
      return this.dispatcher.queue.accept(region, 0, staged, this.nowMs);
    });
  }

  publish(count: number, fields: MessageFields = {}): number[] {
    const outcomes = this.offer(count, fields);
    this.log.flush();
    this.log.succeed();
    return outcomes;
  }

  /** Where messages wait, as a look into the queue finds them. */
  waitingBehind(after: number, limit: number): number[] {
    const search = this.dispatcher.queue.searchBehind(after, limit);
    while (!search.step(3));
    return search.positions();
  }

  pump(): void {
    this.reader.refresh();
    while (this.queues.workSome(1_000));
    while (this.ready.count > 0) {
      this.ready.beginRound();
      for (let one = this.ready.next(); one !== undefined; one = this.ready.next()) {
        one.pump(this.nowMs, this.random, this, 1_000);
      }
    }
  }

  deliver(consumer: Consumer, position: number, region: Region, offset: number, isRedelivered: boolean): boolean {
    if (this.refusing.has(consumer)) return false;
    this.onDeliver(consumer);
    const start = payloadOffset(region, offset);
    const payload = region.bytes.toString("utf8", start, start + Math.min(20, payloadBytesOf(region, offset)));
    this.handed.push({ consumer, position, isRedelivered, payload });
    this.#unsettled.get(consumer)!.push(position);
    return true;
  }

  settle(consumer: Consumer, position: number, isAccepted: boolean): void {
    const positions = this.#unsettled.get(consumer)!;
    positions.splice(positions.indexOf(position), 1);
    this.slots.table.addSettled(consumer.slot, 1);
    this.dispatcher.settle(consumer, position, isAccepted, this.nowMs);
  }

  /** Acknowledges the oldest that a consumer has. */
  settleSome(consumer: Consumer, count: number): void {
    for (const position of this.#unsettled.get(consumer)!.slice(0, count)) this.settle(consumer, position, true);
  }

  settleAll(): void {
    for (const [consumer, positions] of this.#unsettled) this.settleSome(consumer, positions.length);
  }

  tick(ms: number): void {
    this.nowMs += ms;
    if (this.queues.nextDeadlineMs() <= this.nowMs) this.queues.onDeadline(this.nowMs);
  }

  update(change: Partial<QueueDefinition>): void {
    this.record = { ...this.record, definition: { ...this.record.definition, ...change } };
    this.dispatcher.queue.update(this.record);
    this.dispatcher.update(this.record);
  }
}

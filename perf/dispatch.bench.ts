/**
 * The heart alone, one thread: messages accepted, committed, handed out and settled through the real queue, dispatcher and
 * credit table, with 2, 50 and 1,000 consumers and each strategy; and a last-value queue whose keys are overwritten. The log
 * is a stub that only counts, so that a row shows what queue and dispatch cost: CPU nanoseconds a message, which a busy
 * machine changes least.
 */
import { assert } from "../src/base/assert.ts";
import { Region } from "../src/base/region.ts";
import { Consumer } from "../src/dispatch/consumer.ts";
import { CreditTable, newCreditMemory } from "../src/dispatch/credit.ts";
import { CreditReader } from "../src/dispatch/credit-reader.ts";
import { CreditSlots } from "../src/dispatch/credit-slots.ts";
import { type ConsumerLink, Dispatcher } from "../src/dispatch/dispatcher.ts";
import { ReadyQueues } from "../src/dispatch/ready-queues.ts";
import { messageBytesOf, totalBytes, writeMessageHeader } from "../src/frame/message.ts";
import {
  type MessageLocation,
  type PartitionLog,
  RECORDS_PER_BATCH_MAX,
  type ReadResult,
} from "../src/log/contract.ts";
import type { DispatchStrategy, QueueRecord } from "../src/queue/definition.ts";
import { PartitionQueues } from "../src/queue/partition-queues.ts";

export interface DispatchRow {
  readonly name: string;
  readonly nsPerOp: number;
}

const BURST = 1_000;
const WINDOW = 10;

/** @throws when a message was not handed out and acknowledged exactly once. */
export function dispatchBench(size: "small" | "real"): readonly DispatchRow[] {
  const bursts = size === "small" ? 3 : 400;
  const rows: DispatchRow[] = [];
  for (const consumers of [2, 50, 1_000]) {
    for (const strategy of ["random", "round_robin", "least_inflight"] as const) {
      rows.push(
        row(`accept to acknowledge, ${strategy}, ${consumers} consumers`, bursts, () => flow(strategy, consumers)),
      );
    }
  }
  rows.push(row("a value that supersedes, 1,000 keys", bursts, supersede));
  return rows;
}

/** The median of five runs of bursts, after one to warm up. */
function row(name: string, bursts: number, make: () => () => void): DispatchRow {
  const times: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const burst = make();
    const start = process.cpuUsage();
    for (let count = 0; count < bursts; count += 1) burst();
    const { user, system } = process.cpuUsage(start);
    times.push(((user + system) * 1_000) / (bursts * BURST));
  }
  times.shift();
  return { name, nsPerOp: times.toSorted((one, other) => one - other)[2]! };
}

function flow(strategy: DispatchStrategy, consumerCount: number): () => void {
  const heart = new Heart({ dispatch_strategy: strategy });
  for (let count = 0; count < consumerCount; count += 1) heart.attach();
  return () => {
    const acknowledged = heart.dispatcher.queue.counts(0).acknowledged;
    heart.publish(BURST);
    while (heart.dispatcher.queue.counts(0).waiting > 0 || heart.handed > 0) {
      heart.pump();
      heart.settle();
    }
    assert(heart.dispatcher.queue.counts(0).acknowledged === acknowledged + BURST, "each message is acknowledged once");
  };
}

function supersede(): () => void {
  const heart = new Heart({ is_lastvalue: true, key_expression: "message.topic" });
  return () => {
    heart.publish(BURST);
    assert(heart.dispatcher.queue.counts(0).waiting === BURST, "each key has one value");
  };
}

/** A queue and all around it, on a log that only counts. */
class Heart implements ConsumerLink {
  readonly #log = new CountingLog();
  readonly #queues = new PartitionQueues(this.#log, Math.random);
  readonly #ready = new ReadyQueues();
  readonly #slots = new CreditSlots(new CreditTable(newCreditMemory(true, 1)));
  readonly #reader = new CreditReader(this.#slots.table);
  readonly #positions = new Float64Array(BURST * 16);
  readonly #consumers: Consumer[] = [];
  readonly #messages: Region[] = [];
  readonly dispatcher: Dispatcher;
  handed = 0;

  constructor(definition: Partial<QueueRecord["definition"]>) {
    const queue = this.#queues.open(recordOf(definition), () => this.dispatcher.onAvailable());
    this.dispatcher = new Dispatcher(queue, this.#ready);
    for (let index = 0; index < BURST; index += 1) this.#messages.push(messageOf(`commands/device-${index}`));
    this.#log.message = this.#messages[0]!;
  }

  attach(): void {
    const slot = this.#slots.open();
    const generation = this.#slots.generationOf(slot);
    const credit = this.#slots.table;
    const receiveMaximum = 1_000;
    const consumer = new Consumer({
      clientId: `c${slot}`,
      worker: 0,
      credit,
      slot,
      generation,
      qos: 1,
      receiveMaximum,
    });
    this.dispatcher.attach(consumer);
    this.#reader.add(consumer, this.dispatcher);
  }

  publish(count: number): void {
    for (let index = 0; index < count; index += 1) this.dispatcher.queue.accept(this.#messages[index]!, 0, 0, 0);
    const batch = this.#log.gathering;
    this.#queues.onSeal(batch);
    this.#log.next();
    this.#queues.onCommitted(batch, 0);
  }

  pump(): void {
    this.#reader.refresh();
    this.#ready.beginRound();
    for (let one = this.#ready.next(); one !== undefined; one = this.#ready.next())
      one.pump(0, Math.random, this, BURST);
  }

  deliver(consumer: Consumer, position: number): boolean {
    this.#positions[this.handed] = position;
    this.#consumers[this.handed] = consumer;
    this.handed += 1;
    return true;
  }

  settle(): void {
    for (let index = 0; index < this.handed; index += 1) {
      const consumer = this.#consumers[index]!;
      this.#slots.table.addSettled(consumer.slot, 1);
      this.dispatcher.settle(consumer, this.#positions[index]!, true, 0);
    }
    this.handed = 0;
  }
}

class CountingLog implements PartitionLog {
  readonly hasDamage = false;
  readonly storedRecords = 0;
  readonly storedBytes = 0;
  gathering = 1;
  committed = 0;
  gatheringBytes = 0;
  gatheringRecords = 0;
  isCommitting = false;
  readonly isGathering = false;
  message!: Region;
  #index = 0;

  next(): void {
    this.committed = this.gathering;
    this.gathering += 1;
    this.#index = 0;
  }

  stage(): number {
    return 0;
  }

  add(): number {
    this.#index += 1;
    return this.gathering * RECORDS_PER_BATCH_MAX + this.#index;
  }

  settle(): void {}
  put(): void {}
  flush(): void {}

  read(_position: number, into: MessageLocation): ReadResult {
    into.region = this.message;
    into.offset = 0;
    return "found";
  }

  recover(): void {}
  entries(): void {}

  stats(): never {
    throw new Error("it only counts");
  }

  async close(): Promise<void> {}
}

function messageOf(topic: string): Region {
  const parts = {
    topicBytes: topic.length,
    propertiesBytes: 0,
    payloadBytes: 256,
    clientIdBytes: 8,
    usernameBytes: 0,
    peerBytes: 0,
  };
  const region = Region.allocate(messageBytesOf(parts));
  writeMessageHeader(region, 0, parts, 1, false, 5, 0, 0);
  region.bytes.write(topic, 40, "latin1");
  assert(totalBytes(region, 0) === region.bytes.byteLength, "the message is whole");
  return region;
}

const recordOf = (definition: Partial<QueueRecord["definition"]>): QueueRecord => ({
  partition: 0,
  target: 1,
  createdAtMs: 0,
  definition: {
    name: "q",
    topic_filter: "t",
    is_lastvalue: false,
    data_retention_period: 604_800_000,
    dispatch_strategy: "random",
    limits: { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" },
    overflow: "drop_oldest",
    durability: "fsync",
    local_max_inflight: WINDOW,
    redispatch_interval: 100,
    consumer_max_inactive: 30_000,
    ping_interval: 10_000,
    busy_session_retry_interval: 100,
    stream_max_buffer_size: 2_000,
    stream_max_unacked: 1_000,
    consumer_persistence_interval: 10_000,
    ...definition,
  },
});

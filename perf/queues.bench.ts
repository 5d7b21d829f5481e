/**
 * What queues that do not match cost: one worker with 1, 100 and 10,000 queues, messages published to the topic of one of them, by the real
 * filter index, publishing, queues and turns. The log is a stub that only counts, so that a row shows nothing but the worker: CPU nanoseconds
 * a message, or nanoseconds a call. The topics are new each time, so that no remembered match helps. The rows for publishing should be alike.
 */
import { createAuthenticator } from "../src/access/authentication.ts";
import { assert } from "../src/base/assert.ts";
import { PURGE_MESSAGES_PER_TURN, SWEEP_SLOTS_PER_STEP } from "../src/base/limits.ts";
import { Region } from "../src/base/region.ts";
import { newCreditMemory } from "../src/dispatch/credit.ts";
import { MESSAGE_HEADER_BYTES, messageBytesOf, writeMessageHeader } from "../src/frame/message.ts";
import { type LogEvents, type PartitionLog, RECORDS_PER_BATCH_MAX, type ReadResult } from "../src/log/contract.ts";
import type { QueueRecord } from "../src/queue/definition.ts";
import type { Queue } from "../src/queue/queue.ts";
import type { SessionLimits } from "../src/session/ports.ts";
import { BrokerWorker } from "../src/worker/worker.ts";

const BURST = 1_000;
const TOPIC_DIGITS = 9;
/** Where the digits of `jobs/000000000` lie in the message. */
const TOPIC_AT = MESSAGE_HEADER_BYTES + "jobs/".length;

/** @throws when a message is not in the one queue that it matches, or in any other. */
export function queuesBench(size: "small" | "real"): readonly { readonly name: string; readonly nsPerOp: number }[] {
  const bursts = size === "small" ? 3 : 300;
  return [1, 100, 10_000].flatMap((queues) => {
    const one = new OneWorker(queues);
    const rows = [
      { name: `publish to one of ${queues} queues`, nsPerOp: medianOf(bursts, BURST, cpuNs, () => one.publish(BURST)) },
      {
        name: `a look at the deadlines of ${queues} idle queues`,
        nsPerOp: medianOf(bursts, 1, wallNs, () => one.lookAtDeadlines()),
      },
    ];
    one.check();
    return rows;
  });
}

/** What a busy machine changes least, in microseconds: too coarse for what is over sooner. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}

const wallNs = (): number => Number(process.hrtime.bigint());

const LONG = { small: 10_000, real: 1_000_000 };
const PAGE = 100;

/** What an operator's look into a long queue, its purge and its deletion cost, a step at a time. */
export function longQueueBench(size: "small" | "real"): readonly { readonly name: string; readonly nsPerOp: number }[] {
  const messages = LONG[size];
  const one = new OneWorker(1);
  one.fill(messages);
  const looks = medianOf(size === "small" ? 3 : 300, 1, wallNs, () => one.lookBehind(0.9));
  const purge = one.purge(messages);
  one.fill(messages);
  const removal = one.remove(messages);
  return [
    { name: `${PAGE} positions behind nine tenths of ${messages} messages`, nsPerOp: looks },
    { name: `purge, a message of ${messages}`, nsPerOp: purge },
    { name: `deletion, a message of ${messages}`, nsPerOp: removal },
  ];
}

/** Of five runs, after one to warm up. */
function medianOf(bursts: number, operations: number, clockNs: () => number, burst: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const startNs = clockNs();
    for (let count = 0; count < bursts; count += 1) burst();
    times.push((clockNs() - startNs) / (bursts * operations));
  }
  return times.slice(1).toSorted((one, other) => one - other)[2]!;
}

class OneWorker {
  readonly #log = new CountingLog();
  readonly #worker: BrokerWorker;
  readonly #message = messageOf(`jobs/${"0".repeat(TOPIC_DIGITS)}`);
  readonly #records: readonly QueueRecord[];
  #published = 0;
  #topic = 0;

  constructor(queues: number) {
    this.#worker = new BrokerWorker({
      worker: 0,
      workers: 1,
      partitions: 1,
      dataDirectory: "",
      authenticator: createAuthenticator({ allowAnonymous: true, verifyPassword: undefined }),
      limits: LIMITS,
      connect: () => {
        throw new Error("there is no other worker");
      },
      creditOut: [newCreditMemory(false, 1)],
      creditIn: [newCreditMemory(false, 1)],
      nowMs: () => 0,
      random: Math.random,
      loop: { defer: () => {}, after: () => () => {} },
      openLog: ({ events }) => this.#log.tellTo(events),
      flushOutput: () => {},
      ask: () => {},
      onFault: (_fields, message) => {
        throw new Error(message);
      },
      onNotice: () => {},
    });
    this.#worker.recover();
    this.#worker.begin([], [], []);
    this.#records = Array.from({ length: queues }, (_, index) =>
      recordOf(index + 1, index === 0 ? "jobs/+" : `fleet/${index}/+`),
    );
    for (const record of this.#records) {
      this.#worker.queueRoutes.create(record);
      this.#worker.queueRoutes.announce(record, () => {});
    }
  }

  publish(count: number): void {
    for (let sent = 0; sent < count; sent += 1) {
      this.#nextTopic();
      const reason = this.#worker.publishing.publish(this.#message, 0, undefined, 0, -1, 0, 0);
      assert(reason === 0, "the message is taken");
    }
    this.#worker.turn();
    this.#log.commit();
    this.#published += count;
  }

  check(): void {
    const stored = this.#records.map((record) => this.#worker.owner.dispatcherOf(record)!.queue.counts(0).stored);
    assert(
      stored.every((messages, index) => messages === (index === 0 ? this.#published : 0)),
      "only its queue has it",
    );
  }

  /** Messages that wait in the first queue. */
  fill(count: number): void {
    for (let sent = 0; sent < count; sent += BURST) this.publish(BURST);
  }

  get #first(): Queue {
    return this.#worker.owner.dispatcherOf(this.#records[0]!)!.queue;
  }

  lookBehind(part: number): void {
    const all = this.#published;
    const behind = Math.floor((all / BURST) * part) * RECORDS_PER_BATCH_MAX;
    const search = this.#first.searchBehind(behind, PAGE);
    while (!search.step(SWEEP_SLOTS_PER_STEP));
    assert(search.positions().length === PAGE, "the look finds a page");
  }

  /** Nanoseconds a message. */
  purge(count: number): number {
    const start = process.hrtime.bigint();
    const purge = this.#first.beginPurge();
    while (!purge.step(PURGE_MESSAGES_PER_TURN)) this.#log.commit();
    const tookNs = Number(process.hrtime.bigint() - start);
    assert(purge.purged === count && this.#first.isEmpty, "all that waited is gone");
    return tookNs / count;
  }

  /** Nanoseconds a message. */
  remove(count: number): number {
    const start = process.hrtime.bigint();
    this.#worker.queueRoutes.remove(this.#records[0]!);
    const { queues } = this.#worker.partitions.get(0)!;
    while (queues.removeSome(PURGE_MESSAGES_PER_TURN)) this.#log.commit();
    return Number(process.hrtime.bigint() - start) / count;
  }

  /** A topic that no cache knows. */
  #nextTopic(): void {
    this.#message.bytes.write(String(this.#topic).padStart(TOPIC_DIGITS, "0"), TOPIC_AT, "latin1");
    this.#topic += 1;
  }

  lookAtDeadlines(): void {
    this.#worker.owner.onDeadline(0);
    assert(this.#worker.owner.nextDeadlineMs() > 0, "nothing is due");
  }
}

class CountingLog implements PartitionLog {
  readonly hasDamage = false;
  readonly storedRecords = 0;
  readonly storedBytes = 0;
  gathering = 1;
  committed = 0;
  readonly gatheringBytes = 0;
  gatheringRecords = 0;
  readonly isCommitting = false;
  readonly isGathering = false;
  #events: LogEvents | undefined;

  tellTo(events: LogEvents): this {
    this.#events = events;
    return this;
  }

  stage(): number {
    return 0;
  }

  add(): number {
    this.gatheringRecords += 1;
    return this.gathering * RECORDS_PER_BATCH_MAX + this.gatheringRecords - 1;
  }

  flush(): void {}

  /** All that gathered is on disk. */
  commit(): void {
    const batch = this.gathering;
    this.#events?.onSeal(batch);
    this.gathering += 1;
    this.gatheringRecords = 0;
    this.committed = batch;
    this.#events?.onCommitted(batch);
  }

  settle(): void {}
  put(): void {}
  recover(): void {}
  entries(): void {}

  read(): ReadResult {
    return "gone";
  }

  stats(): never {
    throw new Error("it only counts");
  }

  async close(): Promise<void> {}
}

const LIMITS: SessionLimits = {
  inFlightMax: 100,
  receiveMaximum: 100,
  packetBytesMax: 1024 * 1024,
  queuedMessagesMax: 1_000,
  queuedBytesMax: 1024 * 1024,
  inboxOverflow: "drop_oldest",
  queuesQos0: false,
  sharedStrategy: "round_robin",
  subscriptionsMax: 1_000,
  sessionsMax: Number.POSITIVE_INFINITY,
  retainedBytesMax: Number.POSITIVE_INFINITY,
  belongingsBytesMax: Number.POSITIVE_INFINITY,
  keepAliveMaxS: 0,
  level3ExpiryS: 0,
};

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
  region.bytes.write(topic, MESSAGE_HEADER_BYTES, "latin1");
  return region;
}

const recordOf = (target: number, topicFilter: string): QueueRecord => ({
  partition: 0,
  target,
  createdAtMs: 0,
  definition: {
    name: `q${target}`,
    topic_filter: topicFilter,
    is_lastvalue: false,
    data_retention_period: 604_800_000,
    dispatch_strategy: "random",
    limits: { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" },
    overflow: "drop_oldest",
    durability: "fsync",
    local_max_inflight: 10,
    redispatch_interval: 100,
    consumer_max_inactive: 30_000,
    ping_interval: 10_000,
    busy_session_retry_interval: 100,
    stream_max_buffer_size: 2_000,
    stream_max_unacked: 1_000,
    consumer_persistence_interval: 10_000,
  },
});

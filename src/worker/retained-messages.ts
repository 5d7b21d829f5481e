/**
 * Retained messages of this worker's partitions: bytes in memory under a topic trie, and in the store's table "retained" under
 * their topic. A subscription is given those of every worker.
 *
 * ```
 *   SUBSCRIBE ─► own scan ─┬─► one by one, as the client reads
 *              RECALL ─► each other worker ─ RECALLED … end ─┘
 * ```
 *
 * What was published before the subscription was known to its publisher's worker is retained when it is looked for, since a worker that
 * is asked takes all of that first; what comes later is given as it is published, and left out here (see session/crossing.ts). A worker
 * says when it has looked, and only then goes SUBACK, with the first of what is found.
 */

import { assert } from "../base/assert.ts";
import { homePartitionOf } from "../base/hash.ts";
import { RETAINED_MESSAGES_MAX, SYSTEM_MESSAGE_BYTES_MAX, SYSTEM_TOPICS_MAX } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { RecallBody, RecalledBody } from "../frame/kinds.ts";
import { payloadBytesOf, topicBytesOf, topicOf, topicOffset, totalBytes } from "../frame/message.ts";
import { RETAINED_MARK_BYTES } from "../frame/retained-mark.ts";
import { isSystemFilter } from "../mqtt/topics.ts";
import { RetainedIndex } from "../router/retained.ts";
import { Crossing } from "../session/crossing.ts";
import type { Recall } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import { OpenRecall } from "./open-recall.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import { RecallAnswers } from "./recall-answers.ts";
import { RetainedExpiry } from "./retained-expiry.ts";
import { RetainedNumbers } from "./retained-numbers.ts";
import type { RoutedMark } from "./routed-mark.ts";
import type { WorkerOptions } from "./worker-options.ts";

export class RetainedMessages {
  readonly numbers: RetainedNumbers;
  readonly #index: RetainedIndex<Region>;
  /** What the broker says about itself: the same on every worker, and not in the store. */
  readonly #system: RetainedIndex<Region>;
  readonly #partners: readonly Partner[];
  readonly #worker: number;
  readonly #partitionCount: number;
  readonly #nowMs: () => number;
  readonly #expiry: RetainedExpiry;
  readonly #recalls = new Map<number, OpenRecall>();
  readonly #answers: RecallAnswers;
  /** Own scans that need another turn. */
  readonly #scanning = new Set<OpenRecall>();
  #token = 0;

  constructor(
    worker: number,
    { partitions, limits }: Pick<WorkerOptions, "partitions" | "limits">,
    partners: readonly Partner[],
    seed: number,
    wheel: TimerWheel,
    nowMs: () => number,
  ) {
    this.#worker = worker;
    this.#partitionCount = partitions;
    this.#partners = partners;
    this.#nowMs = nowMs;
    this.numbers = new RetainedNumbers(worker, partners.length);
    this.#index = new RetainedIndex(RETAINED_MESSAGES_MAX, limits.retainedBytesMax, seed);
    this.#answers = new RecallAnswers(worker, this.#index, partners, this.numbers);
    this.#expiry = new RetainedExpiry(wheel, (partition, topic, message) => {
      this.#index.clear(message, topicOffset(0), topicBytesOf(message, 0));
      partition.put("retained", topic, undefined); // [MQTT-3.3.2-5]
    });
    this.#system = new RetainedIndex(SYSTEM_TOPICS_MAX, SYSTEM_TOPICS_MAX * SYSTEM_MESSAGE_BYTES_MAX, seed);
  }

  /** Subscriptions that are being given theirs. */
  get openRecalls(): number {
    return this.#recalls.size + this.#answers.open + this.#index.openScans + this.#system.openScans;
  }

  get count(): number {
    return this.#index.count;
  }

  get bytes(): number {
    return this.#index.bytes;
  }

  /** Keeps a message of the broker about itself for those who subscribe later. */
  keepSystem(message: Region): void {
    const { length } = message.bytes;
    const isKept = this.#system.set(message, topicOffset(0), topicBytesOf(message, 0), message, length);
    assert(isKept, "what the broker says about itself is within its bound");
  }

  /** Reads a partition's retained messages back, at the start: all of them, also when less is allowed now. */
  recover(partition: Partition): void {
    partition.log.entries("retained", (_topic, bytes) => {
      const message = Region.over(bytes);
      const [at, topicBytes] = [topicOffset(0), topicBytesOf(message, 0)];
      if (this.#index.restore(message, at, topicBytes, message, totalBytes(message, 0))) {
        this.#expiry.found(partition, message);
      }
    });
  }

  #keep(message: Region): boolean {
    const length = totalBytes(message, 0);
    return this.#index.set(message, topicOffset(0), topicBytesOf(message, 0), message, length);
  }

  /** Keeps a message for its topic with its mark, or forgets the topic's when its payload is empty [MQTT-3.3.1-6]; false: no room. */
  set(partition: Partition, message: Region, offset: number, messageBytes: number, mark: RoutedMark): boolean {
    const topic = topicOf(message, offset);
    if (payloadBytesOf(message, offset) === 0) {
      this.#index.clear(message, topicOffset(offset), topicBytesOf(message, offset));
      partition.put("retained", topic, undefined);
      this.#expiry.watch(partition, topic, undefined);
      return true;
    }
    const copy = Region.allocate(messageBytes + RETAINED_MARK_BYTES);
    message.bytes.copy(copy.bytes, 0, offset, offset + messageBytes);
    mark.region.bytes.copy(copy.bytes, messageBytes, mark.offset, mark.offset + RETAINED_MARK_BYTES);
    if (!this.#keep(copy)) return false;
    partition.put("retained", topic, copy.bytes.subarray(0, messageBytes)); // [MQTT-3.3.1-5]
    this.#expiry.watch(partition, topic, copy);
    return true;
  }

  /** A message that was kept before is published again: what its topic has by now stays, and is on disk with the next commit. */
  putAgain(partition: Partition, message: Region, offset: number): void {
    const kept = this.#index.get(message, topicOffset(offset), topicBytesOf(message, offset));
    partition.put("retained", topicOf(message, offset), kept?.bytes.subarray(0, totalBytes(kept, 0)));
  }

  newCrossing(isOneOfMany: boolean): Crossing {
    return new Crossing(this.#worker, this.#partners.length, isOneOfMany ? undefined : this.numbers.snapshot);
  }

  /** Begins to give a subscription what matches it. */
  recall(subscription: Subscription, crossing: Crossing, more: () => void): Recall {
    const { filter } = subscription;
    crossing.begin(this.numbers.snapshot);
    const isSystem = isSystemFilter(filter);
    const isExact = !filter.includes("+") && !filter.includes("#");
    const home = isExact ? homePartitionOf(filter, this.#partitionCount) % this.#partners.length : -1;
    const others = isSystem ? [] : this.#partners.filter(({ worker }) => worker !== this.#worker);
    const asked = isExact ? others.filter(({ worker }) => worker === home) : others;
    const ownIndex = isSystem ? this.#system : isExact && home !== this.#worker ? undefined : this.#index;
    this.#token = (this.#token + 1) >>> 0;
    const token = this.#token;
    const recall = new OpenRecall({
      subscription,
      crossing,
      token,
      scan: ownIndex?.scan(filter),
      worker: this.#worker,
      asked,
      numbers: this.numbers,
      nowMs: this.#nowMs,
      more,
      later: (waiting) => this.#scanning.add(waiting),
      forget: () => this.#recalls.delete(token),
    });
    if (asked.length > 0) this.#recalls.set(token, recall);
    return recall;
  }

  onRecall(from: number, body: RecallBody): void {
    this.#answers.onRecall(from, body);
  }

  onRecalled(from: number, body: RecalledBody): void {
    this.#recalls.get(body.token)?.onRecalled(from, body);
  }

  /** Goes on with what is asked for, a bounded part per turn; true when there is more to do at once. */
  turn(): boolean {
    const isBusy = this.#answers.turn();
    if (this.#scanning.size === 0) return isBusy;
    const scanning = [...this.#scanning];
    this.#scanning.clear();
    for (const recall of scanning) recall.goOn();
    return true;
  }
}

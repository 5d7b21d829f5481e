/**
 * Retained messages of this worker's partitions: bytes in memory under a topic trie, and in the store's table "retained" under
 * their topic. A subscription is given those of every worker.
 *
 * ```
 *   SUBSCRIBE ─► own scan ─┬─► one by one, as the client reads
 *              RECALL ─► each other worker ─ RECALLED … end ─┘
 * ```
 */
import { homePartitionOf } from "../base/hash.ts";
import {
  RECALLED_FRAMES_PER_TURN,
  RETAINED_BYTES_MAX,
  RETAINED_MESSAGES_MAX,
  RETAINED_SCAN_STEPS,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { RECALL, RECALLED, type RecallBody, type RecalledBody } from "../frame/kinds.ts";
import { expiresAtMsOf, payloadBytesOf, topicBytesOf, topicOf, topicOffset } from "../frame/message.ts";
import { RetainedIndex } from "../router/retained.ts";
import type { RetainedScan } from "../router/retained-scan.ts";
import type { Recall } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";

/** What another worker asked for and has not been given in full. */
interface Answering {
  readonly to: Partner;
  readonly token: number;
  readonly scan: RetainedScan<Region>;
}

export class RetainedMessages {
  readonly #index: RetainedIndex<Region>;
  readonly #partners: readonly Partner[];
  readonly #worker: number;
  readonly #partitionCount: number;
  readonly #nowMs: () => number;
  readonly #recalls = new Map<number, OpenRecall>();
  readonly #answering = new Set<Answering>();
  #token = 0;

  constructor(worker: number, partitionCount: number, partners: readonly Partner[], seed: number, nowMs: () => number) {
    this.#worker = worker;
    this.#partitionCount = partitionCount;
    this.#partners = partners;
    this.#nowMs = nowMs;
    this.#index = new RetainedIndex(RETAINED_MESSAGES_MAX, RETAINED_BYTES_MAX, seed);
  }

  get count(): number {
    return this.#index.count;
  }

  /** Reads a partition's retained messages back, at the start. */
  recover(partition: Partition): void {
    partition.log.entries("retained", (_topic, bytes) => this.#keep(Region.over(bytes)));
  }

  #keep(message: Region): boolean {
    const { length } = message.bytes;
    return this.#index.set(message, topicOffset(0), topicBytesOf(message, 0), message, length);
  }

  /** Keeps a message for its topic, or forgets the topic's when its payload is empty [MQTT-3.3.1-6]; false: no room. */
  set(partition: Partition, message: Region, offset: number, messageBytes: number): boolean {
    const topic = topicOf(message, offset);
    if (payloadBytesOf(message, offset) === 0) {
      this.#index.clear(message, topicOffset(offset), topicBytesOf(message, offset));
      partition.put("retained", topic, undefined);
      return true;
    }
    const copy = Region.allocate(messageBytes);
    message.bytes.copy(copy.bytes, 0, offset, offset + messageBytes);
    if (!this.#keep(copy)) return false;
    partition.put("retained", topic, copy.bytes); // [MQTT-3.3.1-5]
    return true;
  }

  /** Begins to give a subscription what matches it. */
  recall(subscription: Subscription, more: () => void): Recall {
    const { filter } = subscription;
    const isExact = !filter.includes("+") && !filter.includes("#");
    const home = isExact ? homePartitionOf(filter, this.#partitionCount) % this.#partners.length : -1;
    const asked = this.#partners.filter(({ worker }) => worker !== this.#worker && (!isExact || worker === home));
    this.#token = (this.#token + 1) >>> 0;
    const token = this.#token;
    const scan = isExact && home !== this.#worker ? undefined : this.#index.scan(filter);
    const recall = new OpenRecall(subscription, scan, asked.length, more, this.#nowMs, () =>
      this.#recalls.delete(token),
    );
    if (asked.length > 0) this.#recalls.set(token, recall);
    const body: RecallBody = { token, filter };
    for (const partner of asked) partner.control(RECALL, body);
    return recall;
  }

  onRecall(from: number, body: RecallBody): void {
    const to = this.#partners[from]!;
    this.#answering.add({ to, token: body.token, scan: this.#index.scan(body.filter) });
  }

  onRecalled(body: RecalledBody): void {
    this.#recalls.get(body.token)?.take(body.message);
  }

  /** Goes on answering other workers, a bounded part per turn; true when there is more to do. */
  turn(): boolean {
    for (const answering of this.#answering) {
      for (let frames = 0; frames < RECALLED_FRAMES_PER_TURN; frames += 1) {
        const message = answering.scan.next(RETAINED_SCAN_STEPS);
        if (message === undefined && !answering.scan.isDone) break;
        const body: RecalledBody =
          message === undefined ? { token: answering.token } : { token: answering.token, message: message.bytes };
        answering.to.control(RECALLED, body);
        if (message === undefined) {
          this.#answering.delete(answering);
          break;
        }
      }
    }
    return this.#answering.size > 0;
  }
}

/** One subscription's retained messages: of this worker by scan, of others as they come. */
class OpenRecall implements Recall {
  readonly subscription: Subscription;
  readonly #scan: RetainedScan<Region> | undefined;
  readonly #arrived: Region[] = [];
  readonly #more: () => void;
  readonly #nowMs: () => number;
  readonly #forget: () => void;
  #pending: number;

  constructor(
    subscription: Subscription,
    scan: RetainedScan<Region> | undefined,
    pending: number,
    more: () => void,
    nowMs: () => number,
    forget: () => void,
  ) {
    this.subscription = subscription;
    this.#scan = scan;
    this.#pending = pending;
    this.#more = more;
    this.#nowMs = nowMs;
    this.#forget = forget;
  }

  get isDone(): boolean {
    return this.#pending === 0 && this.#arrived.length === 0 && this.#scan?.isDone !== false;
  }

  next(): Region | undefined {
    for (let message = this.#take(); message !== undefined; message = this.#take()) {
      const expiresAtMs = expiresAtMsOf(message, 0);
      if (expiresAtMs === 0 || expiresAtMs > this.#nowMs()) return message; // [MQTT-3.3.2-5]
    }
    return undefined;
  }

  #take(): Region | undefined {
    while (this.#scan !== undefined && !this.#scan.isDone) {
      const message = this.#scan.next(RETAINED_SCAN_STEPS);
      if (message !== undefined) return message;
    }
    return this.#arrived.shift();
  }

  /** One more from another worker; undefined: that worker has given all. */
  take(message: Uint8Array | undefined): void {
    if (message === undefined) {
      this.#pending -= 1;
      if (this.#pending === 0) this.#forget();
    } else {
      this.#arrived.push(Region.over(message));
    }
    this.#more();
  }

  close(): void {
    this.#scan?.close();
    this.#arrived.length = 0;
    this.#forget();
  }
}

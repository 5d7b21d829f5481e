/**
 * Retained messages of this worker's partitions: bytes in memory under a topic trie, and in the store's table "retained" under
 * their topic. A subscription is given those of every worker.
 *
 * ```
 *   SUBSCRIBE ─► own scan ─┬─► one by one, as the client reads
 *              RECALL ─► each other worker ─ RECALLED … end ─┘
 * ```
 *
 * A worker that is asked looks when it has taken all that the others had sent it by then: what was published before the subscription
 * was known to its publisher's worker is either among that, or comes as an ordinary message. It says when it has looked, and only then
 * goes SUBACK: what is published after that comes once, as an ordinary message, if all matches were found at the first look.
 */

import { assert } from "../base/assert.ts";
import { homePartitionOf } from "../base/hash.ts";
import {
  RETAINED_BYTES_MAX,
  RETAINED_MESSAGES_MAX,
  RETAINED_SCAN_STEPS,
  SYSTEM_MESSAGE_BYTES_MAX,
  SYSTEM_TOPICS_MAX,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { RECALLED, type RecallBody, type RecalledBody } from "../frame/kinds.ts";
import { payloadBytesOf, topicBytesOf, topicOf, topicOffset } from "../frame/message.ts";
import { isSystemFilter } from "../mqtt/topics.ts";
import { RetainedIndex } from "../router/retained.ts";
import type { RetainedScan } from "../router/retained-scan.ts";
import type { Recall } from "../session/ports.ts";
import type { Subscription } from "../session/subscription.ts";
import { OpenRecall } from "./open-recall.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import { Shown } from "./shown.ts";

/** What another worker asked for and has not been given in full. */
interface Answering {
  readonly to: Partner;
  readonly token: number;
  readonly filter: string;
  /** When this was asked: it is taken first. */
  readonly shown: Shown;
  /** Undefined before that. */
  scan: RetainedScan<Region> | undefined;
  /** It was said that this worker has looked. */
  isOpen: boolean;
  /** How many messages more may be sent. */
  window: number;
  /** The next one, when there was no room for it. */
  next: Region | undefined;
}

export class RetainedMessages {
  readonly #index: RetainedIndex<Region>;
  /** What the broker says about itself: the same on every worker, and not in the store. */
  readonly #system: RetainedIndex<Region>;
  readonly #partners: readonly Partner[];
  readonly #worker: number;
  readonly #partitionCount: number;
  readonly #nowMs: () => number;
  readonly #recalls = new Map<number, OpenRecall>();
  /** By the other worker and its token. */
  readonly #answering = new Map<string, Answering>();
  /** Own scans that need another turn. */
  readonly #scanning = new Set<OpenRecall>();
  #token = 0;

  constructor(worker: number, partitionCount: number, partners: readonly Partner[], seed: number, nowMs: () => number) {
    this.#worker = worker;
    this.#partitionCount = partitionCount;
    this.#partners = partners;
    this.#nowMs = nowMs;
    this.#index = new RetainedIndex(RETAINED_MESSAGES_MAX, RETAINED_BYTES_MAX, seed);
    this.#system = new RetainedIndex(SYSTEM_TOPICS_MAX, SYSTEM_TOPICS_MAX * SYSTEM_MESSAGE_BYTES_MAX, seed);
  }

  /** Subscriptions that are being given theirs. */
  get openRecalls(): number {
    return this.#recalls.size + this.#answering.size + this.#index.openScans + this.#system.openScans;
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
      token,
      scan: ownIndex?.scan(filter),
      asked,
      nowMs: this.#nowMs,
      more,
      later: (waiting) => this.#scanning.add(waiting),
      forget: () => this.#recalls.delete(token),
    });
    if (asked.length > 0) this.#recalls.set(token, recall);
    return recall;
  }

  onRecall(from: number, body: RecallBody): void {
    const key = `${from}/${body.token}`;
    const { filter, window } = body;
    const answering = this.#answering.get(key);
    if (filter !== undefined) {
      const to = this.#partners[from]!;
      const shown = new Shown(this.#partners);
      const opened = { scan: undefined, isOpen: false, next: undefined };
      this.#answering.set(key, { to, token: body.token, filter, shown, window, ...opened });
    } else if (answering === undefined) {
      return; // It has been given all.
    } else if (window > 0) {
      answering.window += window;
    } else {
      answering.scan?.close();
      this.#answering.delete(key);
    }
  }

  onRecalled(from: number, body: RecalledBody): void {
    const recall = this.#recalls.get(body.token);
    if (body.isOpen === true) recall?.open(from);
    else recall?.arrive(from, body.message);
  }

  /** Goes on with what is asked for, a bounded part per turn; true when there is more to do at once. */
  turn(): boolean {
    let isBusy = false;
    for (const [key, answering] of this.#answering) {
      if (!this.#mayLook(answering)) continue; // What it waits for brings a turn.
      if (answer(answering)) {
        this.#answering.delete(key);
        continue;
      }
      isBusy ||= answering.window > 0 && answering.next === undefined;
      if (answering.isOpen) continue;
      answering.isOpen = true;
      answering.to.control(RECALLED, { token: answering.token, isOpen: true } satisfies RecalledBody);
    }
    if (this.#scanning.size === 0) return isBusy;
    const scanning = [...this.#scanning];
    this.#scanning.clear();
    for (const recall of scanning) recall.goOn();
    return true;
  }

  #mayLook(answering: Answering): boolean {
    if (answering.scan !== undefined) return true;
    if (!answering.shown.isTaken) return false;
    answering.scan = this.#index.scan(answering.filter);
    return true;
  }
}

/** Sends what may be sent; true when that was all of it. */
function answer(answering: Answering): boolean {
  const { to, token } = answering;
  const scan = answering.scan!;
  while (answering.window > 0 || answering.next !== undefined) {
    const message = answering.next ?? scan.next(RETAINED_SCAN_STEPS);
    answering.next = message;
    if (message === undefined) break;
    if (!to.hasRoom(message.bytes.length + RECALLED_ENVELOPE_BYTES)) return false; // The partner rings when there is room.
    to.control(RECALLED, { token, message: message.bytes } satisfies RecalledBody);
    answering.next = undefined;
    answering.window -= 1;
  }
  if (!scan.isDone) return false;
  to.control(RECALLED, { token } satisfies RecalledBody);
  return true;
}

/** What a RECALLED frame has beside its message. */
const RECALLED_ENVELOPE_BYTES = 64;

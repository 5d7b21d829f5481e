/**
 * From one message to everyone who wants it.
 *
 * ```
 *   match ─┬─ subscribers here: straight, or a record in their session's partition
 *          ├─ queues here: a record in their partition                        ┐ one copy of the message per partition,
 *          ├─ retained, if its topic lives here: a keyed value of its partition ┘ one waiter per partition
 *          └─ other workers: PUBLISH, answered by STORED when they store any of it
 * ```
 *
 * First everyone's room is looked at, then everything is done: a message is taken whole or not at all.
 */
import { hashBytes } from "../base/hash.ts";
import type { Region } from "../base/region.ts";
import { ANSWER_WANTED, EXACTLY_ONCE, MAY_BE_KNOWN, ROUTED_BEFORE } from "../frame/kinds.ts";
import { clientIdOf, expiresAtMsOf, isRetain, qosOf, topicBytesOf, topicOffset, totalBytes } from "../frame/message.ts";
import { RETAINED_MARK_BYTES } from "../frame/retained-mark.ts";
import { NO_ROOM } from "../log/contract.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { DROPPED_NEWEST, NO_ROOM as QUEUE_NO_ROOM, REFUSED_KEY, REFUSED_LIMIT } from "../queue/accept.ts";
import type { Queue } from "../queue/queue.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import type { Match } from "../router/match.ts";
import { deliver } from "../session/deliver.ts";
import { DELIVERY_RETAIN } from "../session/inbox.ts";
import { NO_ROOM_NOW } from "../session/ports.ts";
import { mayReceive } from "../session/rights.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { speaksForQueues, speaksForSession } from "./inbound-record.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import type { RetainedMessages } from "./retained-messages.ts";
import { RoutedIdentifier } from "./routed-identifier.ts";
import { RoutedMark } from "./routed-mark.ts";
import { packetKeyOf } from "./session-record.ts";
import type { ShareGroup } from "./share-group.ts";
import { awaitPartitions, KNOWN, NOT_STAGED, newStaging, resetStaging, type Staging } from "./staging.ts";
import type { Joins } from "./waiters.ts";

/** What a queue needs beside itself to be routed to. */
export interface RoutedQueue {
  readonly queue: Queue;
  readonly partition: Partition;
  /** Of a shared subscription; then `queue` is for what that stores. */
  readonly group: ShareGroup | undefined;
}

export interface PublishingParts {
  readonly worker: number;
  readonly partitionCount: number;
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly partners: readonly Partner[];
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly retained: RetainedMessages;
  readonly joins: Joins;
  readonly nowMs: () => number;
  /** The publisher waits for one more answer. */
  readonly expect: (origin: number, sequence: number) => void;
}
export class Publishing {
  readonly #parts: PublishingParts;
  readonly #staging: readonly Staging[];
  readonly #byPartition = new Map<number, Staging>();
  /** Of the message that is routed. */
  readonly #identifier: RoutedIdentifier;
  readonly #mark: RoutedMark;
  #isRoutedBefore = false;
  /** It is the broker's, about itself. */
  #isOwn = false;
  /** It has more takers in one partition than a batch has records. */
  #isOverfull = false;

  constructor(parts: PublishingParts) {
    this.#parts = parts;
    this.#staging = [...parts.partitions.values()].map(newStaging);
    for (const staging of this.#staging) this.#byPartition.set(staging.partition.number, staging);
    this.#identifier = new RoutedIdentifier(this.#staging);
    this.#mark = new RoutedMark(parts.worker, parts.retained.numbers);
  }

  /**
   * Takes a message from a publisher of this worker; see SessionHost.publish. `origin` and `sequence` name who waits for answers;
   * sequence -1: nobody.
   */
  publish(
    message: Region,
    offset: number,
    from: Session | undefined,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
  ): number {
    const { worker, index } = this.#parts;
    const bytes = totalBytes(message, offset);
    const match = index.match(message, topicOffset(offset), topicBytesOf(message, offset));
    const isRetained = isRetain(message, offset);
    const retainer = isRetained ? this.#retainerOf(message, offset) : worker;
    if (!this.#hasRoom(match, retainer, isRetained ? bytes + RETAINED_MARK_BYTES : bytes)) return NO_ROOM_NOW;
    if (isRetained) this.#mark.make(retainer, flags, match.workers);

    let reason = this.#routeHere(match, message, offset, bytes, from, flags, packetId);
    if (from !== undefined) this.#identifier.keepAtHome(from.homePartition, match.durable);
    awaitPartitions(this.#staging, this.#parts, worker, origin, sequence, ReasonCode.success);
    for (let place = 0; place < match.workers.length; place += 1) {
      const other = match.workers[place]!;
      const wantsAnswer = sequence >= 0 && (match.durable[place] === true || other === retainer);
      this.#send(other, message, offset, bytes, origin, sequence, flags, packetId, wantsAnswer);
    }
    if (retainer !== worker && !match.workers.includes(retainer)) {
      this.#send(retainer, message, offset, bytes, origin, sequence, flags, packetId, sequence >= 0);
    }
    if (reason === ReasonCode.noMatchingSubscribers && match.workers.length > 0) reason = ReasonCode.success;
    return reason;
  }

  /** Takes a message that another worker sent for this one's own; false when there is no room: it is offered again. */
  take(
    from: number,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
  ): boolean {
    const { index } = this.#parts;
    const bytes = totalBytes(message, offset);
    const match = index.match(message, topicOffset(offset), topicBytesOf(message, offset));
    if (!this.#hasRoomHere(match, bytes)) return false;
    if (isRetain(message, offset)) this.#mark.take(from, this.#retainerOf(message, offset), message, offset + bytes);
    const reason = this.#routeHere(match, message, offset, bytes, undefined, flags, packetId);
    awaitPartitions(this.#staging, this.#parts, from, origin, (flags & ANSWER_WANTED) === 0 ? -1 : sequence, reason);
    return true;
  }

  /**
   * Gives a message of the broker about itself to subscribers here that read, and to one member of each shared subscription that
   * lives here, at QoS 0: nothing of it is stored or waits, and no queue takes it.
   */
  tell(message: Region): void {
    const bytes = totalBytes(message, 0);
    const match = this.#parts.index.match(message, topicOffset(0), topicBytesOf(message, 0));
    this.#isRoutedBefore = false;
    this.#isOwn = true;
    this.#toSubscribers(match, message, 0, bytes, undefined);
    this.#isOwn = false;
    for (const { group } of match.queues) group?.tell(message, 0);
  }

  /** Forgets a QoS 2 identifier in every partition here; `from` is answered when that is on disk. */
  release(from: number, origin: number, sequence: number, clientId: string, packetId: number): void {
    const key = packetKeyOf(clientId, packetId);
    for (const staging of this.#staging) {
      const company = staging.partition.releaseInbound(key);
      staging.isTouched = company === staging.partition.company;
      staging.earlier = staging.isTouched ? undefined : company;
    }
    awaitPartitions(this.#staging, this.#parts, from, origin, sequence, ReasonCode.success);
  }

  #send(
    other: number,
    message: Region,
    offset: number,
    bytes: number,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    wantsAnswer: boolean,
  ): void {
    if (wantsAnswer) this.#parts.expect(origin, sequence);
    const answerFlag = wantsAnswer ? ANSWER_WANTED : 0;
    const mark = isRetain(message, offset) ? this.#mark.own : undefined;
    this.#parts.partners[other]!.publish(origin, sequence, flags | answerFlag, packetId, message, offset, bytes, mark);
  }

  #hasRoom(match: Match<Subscription, RoutedQueue>, retainer: number, bytes: number): boolean {
    const { partners, worker } = this.#parts;
    if (!this.#hasRoomHere(match, bytes)) return false;
    for (const other of match.workers) if (!partners[other]!.hasRoom(bytes)) return false;
    return retainer === worker || partners[retainer]!.hasRoom(bytes);
  }

  #hasRoomHere(match: Match<Subscription, RoutedQueue>, bytes: number): boolean {
    const recordsMax = match.subscribers.length + match.queues.length;
    for (const { partition } of this.#staging) if (!partition.hasRoom(bytes, recordsMax)) return false;
    return true;
  }

  /** The worker where a topic's retained message lives. */
  #retainerOf(message: Region, offset: number): number {
    return this.#homeOf(message, offset) % this.#parts.partners.length;
  }

  #homeOf(message: Region, offset: number): number {
    const start = topicOffset(offset);
    return hashBytes(message.bytes, start, start + topicBytesOf(message, offset)) % this.#parts.partitionCount;
  }

  /** Everything of a message that concerns this worker. */
  #routeHere(
    match: Match<Subscription, RoutedQueue>,
    message: Region,
    offset: number,
    bytes: number,
    from: Session | undefined,
    flags: number,
    packetId: number,
  ): number {
    for (const staging of this.#staging) resetStaging(staging);
    const isExactlyOnce = (flags & EXACTLY_ONCE) !== 0;
    this.#identifier.begin(isExactlyOnce ? packetKeyOf(clientIdOf(message, offset), packetId) : "");
    if (isExactlyOnce && (flags & MAY_BE_KNOWN) !== 0) this.#identifier.askKnown();
    this.#isRoutedBefore = (flags & ROUTED_BEFORE) !== 0;
    const { subscribers, queues } = match;
    let reason: number = ReasonCode.noMatchingSubscribers;
    if (subscribers.length > 0) {
      reason = ReasonCode.success;
      this.#isOverfull = false;
      this.#toSubscribers(match, message, offset, bytes, from);
      if (this.#isOverfull) reason = ReasonCode.quotaExceeded;
    }
    for (let index = 0; index < queues.length; index += 1) {
      const { group } = queues[index]!;
      const isQueued = group === undefined || group.stores(message, offset);
      const outcome = isQueued
        ? this.#toQueue(queues[index]!, message, offset, bytes)
        : this.#toMembers(group, message, offset, bytes);
      if (outcome > reason || reason === ReasonCode.noMatchingSubscribers) reason = outcome;
    }
    if (isRetain(message, offset) && !this.#retain(message, offset, bytes)) reason = ReasonCode.quotaExceeded;
    if (reason < 0x80) this.#identifier.keep();
    else this.#identifier.begin(""); // The publisher hears of a failure and may send the message again as a new one.
    return reason;
  }

  #toQueue({ queue, partition }: RoutedQueue, message: Region, offset: number, bytes: number): number {
    const staging = this.#byPartition.get(partition.number)!;
    if (staging.known !== undefined && speaksForQueues(staging.known, partition.number)) return ReasonCode.success;
    const staged = this.#stage(staging, message, offset, bytes);
    if (staged === KNOWN) return ReasonCode.success;
    if (staged === NO_ROOM) return ReasonCode.implementationSpecificError;
    switch (queue.accept(message, offset, staged, this.#parts.nowMs())) {
      case DROPPED_NEWEST:
        return ReasonCode.success; // Nothing of it is to be stored.
      case REFUSED_LIMIT:
        return ReasonCode.quotaExceeded;
      case REFUSED_KEY:
      case QUEUE_NO_ROOM:
        return ReasonCode.implementationSpecificError;
      default:
        if (queue.waitsForCommit) staging.isTouched = true;
        else staging.isInMemory = true;
        return ReasonCode.success;
    }
  }

  /** What a shared subscription does not store is on its way, or kept in memory: nobody waits for that. */
  #toMembers(group: ShareGroup, message: Region, offset: number, bytes: number): number {
    if (!this.#isRoutedBefore) group.take(message, offset, bytes);
    return ReasonCode.success;
  }

  #toSubscribers(
    match: Match<Subscription, RoutedQueue>,
    message: Region,
    offset: number,
    bytes: number,
    from: Session | undefined,
  ): void {
    const { subscribers } = match;
    const publishedQos = qosOf(message, offset);
    const isRetained = isRetain(message, offset);
    const mayCross = isRetained && !this.#isOwn && !this.#isRoutedBefore;
    for (let index = 0; index < subscribers.length; index += 1) {
      const subscription = subscribers[index]!;
      const { session, options } = subscription;
      if (match.hasOverlap && subscribers[index + 1]?.session === session) {
        index = this.#toOverlapping(subscribers, index, message, offset, bytes, from, mayCross);
        continue;
      }
      if (options.noLocal && session === from) {
        if (mayCross) this.#mark.cross(subscription, message, offset, false);
        continue; // [MQTT-3.8.3-3]
      }
      if (subscription.standing !== "open" && !mayReceive(subscription, message, offset)) continue;
      const qos = Math.min(options.qos, publishedQos); // [MQTT-3.8.4-8]
      const withRetain = isRetained && options.retainAsPublished; // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      const isTaken = this.#toSession(session, message, offset, bytes, qos, withRetain, subscription.identifiers);
      if (mayCross) this.#mark.cross(subscription, message, offset, !isTaken);
    }
  }

  /** One session with several matching subscriptions gets one copy: the highest QoS, all identifiers [MQTT-3.3.4-4]. */
  #toOverlapping(
    subscribers: readonly Subscription[],
    first: number,
    message: Region,
    offset: number,
    bytes: number,
    from: Session | undefined,
    mayCross: boolean,
  ): number {
    const { session } = subscribers[first]!;
    let qos = -1;
    let withRetain = false;
    const identifiers: number[] = [];
    let last = first;
    let isTaken = true;
    for (; subscribers[last]?.session === session; last += 1) {
      const subscription = subscribers[last]!;
      const { options } = subscription;
      if (options.noLocal && session === from) continue;
      if (subscription.standing !== "open" && !mayReceive(subscription, message, offset)) continue;
      qos = Math.max(qos, options.qos);
      withRetain ||= options.retainAsPublished;
      if (options.identifier !== 0) identifiers.push(options.identifier);
    }
    if (qos >= 0) {
      const granted = Math.min(qos, qosOf(message, offset));
      const isRetained = withRetain && isRetain(message, offset);
      const known = identifiers.length === 0 ? undefined : identifiers;
      isTaken = this.#toSession(session, message, offset, bytes, granted, isRetained, known);
    }
    for (let index = first; mayCross && index < last; index += 1) {
      this.#mark.cross(subscribers[index]!, message, offset, !isTaken);
    }
    return last - 1;
  }

  /** False: with QoS 0, and its connection had no room. */
  #toSession(
    session: Session,
    message: Region,
    offset: number,
    bytes: number,
    qos: number,
    withRetain: boolean,
    identifiers: readonly number[] | undefined,
  ): boolean {
    if (qos === 0 || !session.isDurable) {
      if (this.#isRoutedBefore) return true;
      if (this.#isOwn && session.audience?.connection.isWritable !== true) return false; // The next value comes soon.
      return deliver(session, message, offset, qos, withRetain, identifiers);
    }
    const staging = this.#byPartition.get(session.homePartition)!;
    if (staging.known !== undefined && speaksForSession(staging.known, session.clientId)) return true;
    const staged = this.#stage(staging, message, offset, bytes);
    if (staged === KNOWN) return true;
    const flags = qos | (withRetain ? DELIVERY_RETAIN : 0);
    const { partition } = staging;
    const expiresAtMs = expiresAtMsOf(message, offset);
    const position = staged === NO_ROOM ? NO_ROOM : partition.log.add(session.target, staged, flags, expiresAtMs, 0, 0);
    if (position === NO_ROOM) {
      this.#isOverfull = true;
      return true;
    }
    partition.company.deliverAfterCommit(session, position, bytes, flags);
    staging.isTouched = true;
    return true;
  }

  /** The message's one copy in a partition's gathering batch. */
  #stage(staging: Staging, message: Region, offset: number, bytes: number): number {
    if (staging.staged !== NOT_STAGED) return staging.staged;
    staging.staged = staging.partition.log.stage(message, offset, bytes);
    return staging.staged;
  }

  /** Keeps a retained message, if its topic lives here; false when there is no room for another. */
  #retain(message: Region, offset: number, bytes: number): boolean {
    const staging = this.#byPartition.get(this.#homeOf(message, offset));
    if (staging === undefined) return true; // Another worker's.
    const { retained } = this.#parts;
    if (this.#isRoutedBefore) retained.putAgain(staging.partition, message, offset);
    else if (!retained.set(staging.partition, message, offset, bytes, this.#mark)) return false;
    staging.isTouched = true;
    return true;
  }
}

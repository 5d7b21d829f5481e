/**
 * The sessions of this worker, and what they need of it: the one implementation of `SessionHost`.
 */
import { homePartitionOf } from "../base/hash.ts";
import type { Region } from "../base/region.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { AcknowledgementLine } from "../session/acknowledgement-line.ts";
import type { Attachment } from "../session/attachment.ts";
import { SessionCounters } from "../session/counters.ts";
import type { Crossing } from "../session/crossing.ts";
import { shedLargestInbox } from "../session/deliver.ts";
import { disconnect, leave } from "../session/disconnect.ts";
import type { Recall, SessionAccess, SessionHost, SessionLimits } from "../session/ports.ts";
import { publishWill } from "../session/publish.ts";
import { type Attendance, Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import type { CommitOutcome } from "./batch-company.ts";
import { EndedSessions } from "./ended-sessions.ts";
import { InboundReleases } from "./inbound-releases.ts";
import { PacketIdMemory } from "./packet-id-memory.ts";
import { ParkedSessions } from "./parked-sessions.ts";
import { nextPositionOf } from "./partition.ts";
import type { SessionDeskParts } from "./session-desk-parts.ts";
import { parsePacketKey } from "./session-record.ts";
import { SessionTimers } from "./session-timers.ts";
import { StoredSessions } from "./stored-sessions.ts";

export class SessionDesk implements SessionHost {
  readonly limits: SessionLimits;
  readonly access: SessionAccess;
  readonly counters = new SessionCounters();
  readonly #parts: SessionDeskParts;
  readonly #sessions = new Map<string, Session>();
  readonly #parked = new ParkedSessions();
  readonly #releases: InboundReleases;
  readonly #timers: SessionTimers;
  readonly #stored: StoredSessions;
  readonly #ended = new EndedSessions();
  readonly #packetIds = new PacketIdMemory();

  constructor(parts: SessionDeskParts) {
    this.#parts = parts;
    this.#timers = new SessionTimers(parts.wheel, parts.nowMs);
    this.#releases = new InboundReleases(parts);
    this.#stored = new StoredSessions(parts.partitions);
    ({ limits: this.limits, access: this.access } = parts);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get sessions(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  nowMs(): number {
    return this.#parts.nowMs();
  }

  random(): number {
    return this.#parts.random();
  }

  wake(): void {
    this.#parts.wake();
  }

  pumpSoon(session: Session): void {
    this.#parts.pumpSoon(session);
    this.wake();
  }

  park(session: Session): void {
    this.#parked.add(session);
  }

  /** Tries what waits for room again, a bounded part per turn; true when some were not tried yet. */
  retryParked(): boolean {
    return this.#parked.retry();
  }

  /** Removes some of what waited for sessions that have ended; true when there is more. */
  removeSome(): boolean {
    return this.#stored.removeSome();
  }

  /** For the memory of the process: the inbox with most in memory loses the older half of that; false when none has anything there. */
  shedLargestInbox(): boolean {
    return shedLargestInbox(this.#sessions.values());
  }

  /** Whether something found no room and is tried again: a will. */
  get hasRetries(): boolean {
    return this.#timers.retries > 0;
  }

  after(afterMs: number, callback: () => void): void {
    this.#timers.after(afterMs, callback);
  }

  publish(
    message: Region,
    offset: number,
    from: Session | undefined,
    sequence: number,
    flags: number,
    packetId: number,
  ): number {
    const origin = from?.attendance?.origin ?? 0;
    return this.#parts.publishing.publish(message, offset, from, origin, sequence, flags, packetId);
  }

  release(session: Session, packetId: number, tried: (outcome: CommitOutcome) => void): void {
    this.#releases.release(session.clientId, packetId, tried);
  }

  /**
   * A QoS 2 identifier that some partition has at the start. Its session knows it from here on, wherever it was found: a crash may
   * have come when the session's own partition had forgotten it, or had not got it yet. What belongs to no session is forgotten.
   */
  restoreInbound(key: string): void {
    const { clientId, packetId } = parsePacketKey(key);
    const { partitionCount, partitions } = this.#parts;
    if (!partitions.has(homePartitionOf(clientId, partitionCount))) return; // Another worker's session.
    const session = this.find(clientId);
    if (session !== undefined) session.inbound.restore(packetId);
    else this.#releases.releaseForCertain(clientId, packetId, this.#ended.add(clientId));
  }

  keepOutbound(
    session: Session,
    packetId: number,
    state: number,
    position: number,
    done: (outcome: "stored" | "failed") => void,
  ): void {
    this.#stored.keepOutbound(session, packetId, state, position, done);
    this.wake();
  }

  forgetOutbound(session: Session, packetId: number): void {
    this.#stored.forgetOutbound(session, packetId);
  }

  openOrigin(line: AcknowledgementLine): number {
    return this.#parts.origins.open(line);
  }

  closeOrigin(origin: number): void {
    this.#parts.origins.close(origin);
  }

  subscribe(subscription: Subscription, previous: Subscription | undefined, done: () => void): void {
    const { index, announcer, attachments, members } = this.#parts;
    const { attachment } = subscription;
    if (attachment?.isShared === true) {
      members.join(subscription, done);
      attachments.bind(attachment);
      return;
    }
    if (attachment !== undefined) {
      attachments.bind(attachment);
      this.wantQueue(subscription, done);
      return;
    }
    const { filter, session } = subscription;
    if (previous !== undefined) index.removeSubscriber(filter, previous);
    index.addSubscriber(filter, subscription, session.isDurable);
    announcer.tell(filter, index.stateOf(filter), done);
  }

  wantQueue(subscription: Subscription, done: () => void): void {
    this.#parts.wanted.want(subscription.filter, done);
  }

  unsubscribe(subscription: Subscription): void {
    const { index, announcer, attachments, members } = this.#parts;
    const { attachment, session, filter } = subscription;
    if (attachment !== undefined) {
      attachments.drain(attachment);
      const isReplaced = (session.subscriptions.get(filter) ?? subscription) !== subscription;
      if (attachment.isShared && !isReplaced) members.leave(subscription);
      return;
    }
    index.removeSubscriber(subscription.filter, subscription);
    announcer.tell(subscription.filter, index.stateOf(subscription.filter), () => {});
  }

  newCrossing(isOneOfMany: boolean): Crossing {
    return this.#parts.retained.newCrossing(isOneOfMany);
  }

  recall(subscription: Subscription, crossing: Crossing, more: () => void): Recall {
    return this.#parts.retained.recall(subscription, crossing, more);
  }

  attach(attachment: Attachment): void {
    this.#parts.attachments.bind(attachment);
    this.wantQueue(attachment.subscription, () => {});
  }

  detach(attachment: Attachment): void {
    this.#parts.attachments.detach(attachment);
  }

  settle(attachment: Attachment, position: number, accepted: boolean): void {
    this.#parts.attachments.settle(attachment, position, accepted, true);
  }

  tryAdopt(attachment: Attachment, position: number, message: Region, offset: number, isRetain: boolean): boolean {
    const { partitions, attachments, members } = this.#parts;
    const home = partitions.get(attachment.subscription.session.homePartition)!;
    return members.adoption.tryAdopt(home, attachments, attachment, position, message, offset, isRetain);
  }

  giveRoom(attachment: Attachment): void {
    this.#parts.attachments.giveRoom(attachment);
  }

  decline(attachment: Attachment, position: number): void {
    this.#parts.attachments.settle(attachment, position, false, false);
  }

  pause(attachment: Attachment, reason: "session_window_full" | "socket_full" | null): void {
    this.#parts.attachments.pause(attachment, reason);
  }

  nextPosition(session: Session): number {
    return nextPositionOf(this.#parts.partitions.get(session.homePartition)!);
  }

  find(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  begin(clientId: string): Session {
    const last = this.#packetIds.take(clientId) ?? 1 + Math.floor(this.random() * 65_535);
    return this.restore(clientId, last);
  }

  /** A session, new or read back from the store. */
  restore(clientId: string, lastPacketId: number): Session {
    const home = homePartitionOf(clientId, this.#parts.partitionCount);
    const session = new Session(clientId, home, this, lastPacketId);
    this.#sessions.set(clientId, session);
    return session;
  }

  save(session: Session, done: ((outcome: "stored" | "failed") => void) | undefined): void {
    if (session.target === 0) {
      this.#stored.takeIn(session);
      this.#routeDurable(session);
    }
    this.#stored.save(session, done);
    if (session.awaySinceMs !== 0) this.watchExpiry(session);
    this.wake();
  }

  /** From now on the session's messages are stored: its routes say so. */
  #routeDurable(session: Session): void {
    const { index, announcer, members } = this.#parts;
    for (const subscription of session.subscriptions.values()) {
      if (subscription.attachment?.isShared === true) members.join(subscription, () => {});
      if (subscription.attachment !== undefined) continue;
      index.addSubscriber(subscription.filter, subscription, true);
      announcer.tell(subscription.filter, index.stateOf(subscription.filter), () => {});
    }
  }

  /** The session ends when its time away is over. */
  watchExpiry(session: Session): void {
    this.#timers.watchExpiry(session, () => {
      if (session.isConnected) return;
      this.counters.expiredSessions += 1;
      this.end(session);
    });
  }

  /** Sends a client away and ends its session; false when there is neither. */
  kick(clientId: string): boolean {
    const session = this.find(clientId);
    if (session === undefined) return false;
    const { attendance } = session;
    if (attendance !== undefined) {
      disconnect(session, attendance, ReasonCode.administrativeAction);
      leave(session, attendance);
      publishWill(session);
    }
    this.end(session);
    return true;
  }

  end(session: Session): void {
    if (this.#sessions.get(session.clientId) !== session) return;
    this.#sessions.delete(session.clientId);
    this.#parked.delete(session);
    this.#timers.cancel(session);
    publishWill(session); // At the latest now [MQTT-3.1.3-9].
    session.belongings.onEnded();
    for (const attachment of [...session.attachments]) this.detach(attachment);
    for (const subscription of session.subscriptions.values()) {
      if (subscription.attachment === undefined) this.unsubscribe(subscription);
      else if (subscription.attachment.isShared) this.#parts.members.leave(subscription);
    }
    this.#packetIds.keep(session.clientId, session.outgoing.lastPacketId, this.nowMs());
    if (session.isDurable) this.#forgetStored(session);
    else session.inbox.clear();
    this.wake();
  }

  #forgetStored(session: Session): void {
    const { clientId } = session;
    this.#ended.addRemoval(clientId, this.#stored.remove(session));
    for (const packetId of session.inbound.packetIds) {
      this.#releases.releaseForCertain(clientId, packetId, this.#ended.add(clientId));
    }
  }

  whenForgotten(clientId: string, done: (outcome: CommitOutcome) => void): void {
    this.#ended.whenForgotten(clientId, done);
  }

  scheduleWill(session: Session, delayS: number): void {
    if (delayS <= 0) publishWill(session);
    else this.#timers.scheduleWill(session, delayS, () => this.#onWillDue(session));
  }

  #onWillDue(session: Session): void {
    publishWill(session);
    if (session.isDurable) this.save(session, undefined); // So that a start does not publish it again.
  }

  /** Sessions that a start has found: what time does to them begins to count. */
  watchFound(): void {
    for (const session of this.sessions) {
      const { will, awaySinceMs } = session;
      if (awaySinceMs === 0) continue;
      if (will !== undefined) {
        const dueMs = awaySinceMs + Math.min(will.delayS, session.expiryS) * 1000;
        this.#timers.scheduleWill(session, (dueMs - this.nowMs()) / 1000, () => this.#onWillDue(session));
      }
      this.watchExpiry(session);
    }
  }

  cancelWill(session: Session): void {
    this.#timers.cancel(session);
  }

  watchKeepAlive(session: Session, attendance: Attendance): void {
    this.#timers.watchKeepAlive(attendance, () => {
      disconnect(session, attendance, ReasonCode.keepAliveTimeout);
      this.wake();
    });
  }

  unwatchKeepAlive(attendance: Attendance): void {
    this.#timers.unwatchKeepAlive(attendance);
  }

  closeAfterPause(session: Session, attendance: Attendance): void {
    this.#timers.closeAfterPause(session.clientId, attendance);
  }

  /** Forgets what is only kept for a while. */
  keepHouse(nowMs: number): void {
    this.#packetIds.keepHouse(nowMs);
    this.#timers.keepHouse(nowMs);
  }
}

/**
 * One worker: everything that lives on its thread, and its turn.
 *
 * ```
 *   sockets ─ packets ─┐                                                  ┌─ logs: flush
 *   rings ── frames ───┼─► sessions, router, queues ─► pump ─► end of turn ┼─ connections: flush
 *   commits, timers ───┘                                                  └─ rings: publish, ring the bell
 * ```
 *
 * A turn is bounded and awaits nothing. It runs once after the sockets of a poll were read (setImmediate), again while there
 * is work, and then the worker sleeps until a socket, a bell, a commit or a timer wakes it.
 */
import {
  FRAMES_PER_TURN,
  PURGE_MESSAGES_PER_TURN,
  QUEUE_STEP_MESSAGES,
  SESSIONS_PUMPED_PER_TURN,
  TIMERS_PER_TURN,
} from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import { partitionsOf } from "../log/partitions.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { QueueRegistry } from "../queue/registry.ts";
import { FilterIndex } from "../router/filter-index.ts";
import { Client } from "../session/client.ts";
import { deliverFromQueue } from "../session/consume.ts";
import { pump } from "../session/deliver.ts";
import { disconnect } from "../session/disconnect.ts";
import type { ClientConnection } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import { type AccessChange, changeAccess } from "./access-change.ts";
import { AccessDesk } from "./access-desk.ts";
import { Attachments } from "./attachments.ts";
import { ControlFrames } from "./control-frames.ts";
import type { SentCounts } from "./counts.ts";
import { LocalPartner } from "./local-partner.ts";
import { Origins } from "./origins.ts";
import type { Partition } from "./partition.ts";
import { openPartition, type PartitionOwner } from "./partition-opening.ts";
import type { Partner, PartnerHandler } from "./partner.ts";
import { Publishing, type RoutedQueue } from "./publishing.ts";
import { QueueOwner } from "./queue-owner.ts";
import { QueueRoutes } from "./queue-routes.ts";
import { RetainedMessages } from "./retained-messages.ts";
import type { RingPartner } from "./ring-partner.ts";
import { RouteAnnouncer, type RouteSummary } from "./route-announcer.ts";
import { SessionDesk } from "./session-desk.ts";
import { ShareGroups } from "./share-groups.ts";
import { ShareMembers } from "./share-members.ts";
import { NODE_EVENT_LOOP, Turns } from "./turns.ts";
import { Upkeep } from "./upkeep.ts";
import { Joins } from "./waiters.ts";
import { WantedQueues } from "./wanted-queues.ts";
import type { WorkerOptions } from "./worker-options.ts";
import { type FoundShares, type Recovered, WorkerStart } from "./worker-start.ts";

export class BrokerWorker implements PartnerHandler {
  readonly desk: SessionDesk;
  readonly owner: QueueOwner;
  readonly queueRoutes: QueueRoutes;
  readonly registry = new QueueRegistry();
  readonly access: AccessDesk;
  readonly wanted: WantedQueues;
  readonly partitions = new Map<number, Partition>();
  readonly partners: Partner[] = [];
  readonly publishing: Publishing;
  readonly origins = new Origins();
  readonly #options: WorkerOptions;
  readonly #rings: RingPartner[] = [];
  readonly #index: FilterIndex<Subscription, RoutedQueue>;
  readonly #announcer: RouteAnnouncer;
  readonly #attachments: Attachments;
  readonly #retained: RetainedMessages;
  readonly sent: SentCounts;
  readonly #members: ShareMembers;
  readonly #shares: ShareGroups;
  readonly #controlFrames: ControlFrames;
  readonly #joins = new Joins();
  readonly #wheel: TimerWheel;
  readonly #start: WorkerStart;
  readonly #upkeep: Upkeep;
  readonly #toPump = new Set<Session>();
  readonly #turns: Turns;

  constructor(options: WorkerOptions) {
    const { worker, workers } = options;
    this.#options = options;
    this.access = new AccessDesk(options.authenticator, options.rules, this.registry);
    this.sent = options.sent ?? { packetsReserved: 0, bytesWritten: 0 };
    this.#turns = new Turns({
      loop: options.loop ?? NODE_EVENT_LOOP,
      nowMs: options.nowMs,
      turn: () => this.turn(),
      fallAsleep: () => this.#fallAsleep(),
      rise: () => {
        for (const ring of this.#rings) ring.wake();
      },
      nextDeadlineMs: () => this.#wheel.nextDeadlineMs(),
    });
    const nowMs = (): number => this.nowMs();
    const wake = (): void => this.wake();
    const pumpSoon = (session: Session): void => void this.#toPump.add(session);
    this.#wheel = new TimerWheel(options.nowMs());
    const owner: PartitionOwner = {
      options,
      joins: this.#joins,
      answer: (to, origin, sequence, reason) => this.#answer(to, origin, sequence, reason),
      pumpSoon,
      wake,
    };
    for (const number of partitionsOf(worker, workers, options.partitions)) {
      this.partitions.set(number, openPartition(number, owner));
    }
    for (let other = 0; other < workers; other += 1) {
      if (other === worker) {
        this.partners.push(new LocalPartner(worker, this));
        continue;
      }
      const partner = options.connect(other, this);
      this.partners.push(partner);
      this.#rings.push(partner);
    }
    const seed = (): number => Math.floor(options.random() * 2 ** 32);
    this.#index = new FilterIndex((subscription) => subscription.session, seed());
    this.#announcer = new RouteAnnouncer(this.#rings);
    this.#members = new ShareMembers(this.partners, options.partitions);
    this.#attachments = new Attachments(this.registry, this.partners, options.creditOut, this.#members, (owner) =>
      options.onFault(
        { owner },
        "all places for consumers of that worker's queues are taken; further ones wait for one to go",
      ),
    );
    this.#retained = new RetainedMessages(worker, options, this.partners, seed(), this.#wheel, nowMs);
    this.owner = new QueueOwner(this.partitions, this.partners, options.creditIn);
    this.#shares = new ShareGroups({
      partitions: this.partitions,
      owner: this.owner,
      index: this.#index,
      announcer: this.#announcer,
      limits: options.limits,
      counters: () => this.desk.counters,
      nowMs,
      random: options.random,
      wake,
    });
    this.owner.sharedBy = (filter) => this.#shares.dispatcherOf(filter);
    this.queueRoutes = new QueueRoutes({
      registry: this.registry,
      owner: this.owner,
      partitions: this.partitions,
      index: this.#index,
      announcer: this.#announcer,
      wake,
    });
    this.publishing = new Publishing({
      worker,
      partitionCount: options.partitions,
      partitions: this.partitions,
      partners: this.partners,
      index: this.#index,
      retained: this.#retained,
      joins: this.#joins,
      nowMs,
      expect: (origin, sequence) => this.origins.find(origin)?.expect(sequence),
    });
    this.#controlFrames = new ControlFrames({
      partners: this.partners,
      index: this.#index,
      announcer: this.#announcer,
      owner: this.owner,
      publishing: this.publishing,
      retained: this.#retained,
      shares: this.#shares,
      members: this.#members,
    });
    this.wanted = new WantedQueues({
      registry: this.registry,
      ask: options.ask,
      after: (afterMs, callback) => this.desk.after(afterMs, callback),
      onFault: options.onFault,
    });
    this.desk = new SessionDesk({
      worker,
      limits: options.limits,
      access: this.access,
      partitionCount: options.partitions,
      partitions: this.partitions,
      partners: this.partners,
      index: this.#index,
      announcer: this.#announcer,
      attachments: this.#attachments,
      members: this.#members,
      wanted: this.wanted,
      origins: this.origins,
      retained: this.#retained,
      publishing: this.publishing,
      wheel: this.#wheel,
      nowMs,
      random: options.random,
      wake,
      pumpSoon,
    });
    this.#start = new WorkerStart({
      worker,
      partitions: this.partitions,
      desk: this.desk,
      queueRoutes: this.queueRoutes,
      retained: this.#retained,
      index: this.#index,
      announcer: this.#announcer,
      groups: this.#shares,
      members: this.#members,
      random: options.random,
    });
    this.#upkeep = new Upkeep(this.#wheel, [this.owner, this.#shares], (now) => {
      this.desk.keepHouse(now);
      this.#index.trim();
    });
  }

  #answer(worker: number, origin: number, sequence: number, reason: number): void {
    if (worker === this.#options.worker) this.onStored(origin, sequence, reason);
    else this.partners[worker]!.stored(origin, sequence, reason);
  }

  /** Reads everything back; returns its queues, and what to tell the other workers: its routes, and the QoS 2 identifiers it has. */
  recover(): Recovered {
    const found = this.#start.recover(this.nowMs());
    this.#upkeep.start(this.nowMs());
    return found;
  }

  /** The routes, QoS 2 identifiers and shared subscriptions of all workers, by worker: this one's own routes are passed over. */
  begin(
    routes: readonly (readonly RouteSummary[])[],
    inbound: readonly (readonly string[])[],
    shares: readonly FoundShares[],
  ): void {
    this.#start.begin(routes, inbound, shares);
    this.wake();
  }

  /** Every worker routes to every queue: clients may come, and wills be published. */
  serve(): void {
    this.desk.watchFound();
    this.#members.adoption.begin();
    this.wake();
  }

  /** Other users and rules. */
  changeAccess(change: AccessChange): void {
    changeAccess(change, this.access, this.desk.sessions, this.#attachments);
    this.wake();
  }

  // Clients.

  /** A client for a connection; the caller ties it to the connection's events. */
  newClient(connection: ClientConnection, assignedClientId: string): Client {
    return new Client(this.desk, connection, assignedClientId);
  }

  // What other workers, or this one, ask.

  onPublish(
    from: number,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
  ): boolean {
    return this.publishing.take(from, origin, sequence, flags, packetId, message, offset);
  }

  onStored(origin: number, sequence: number, reason: number): void {
    this.origins.find(origin)?.resolve(sequence, reason);
  }

  onDeliver(
    from: number,
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
  ): void {
    const attachment = this.#attachments.find(from, slot, generation);
    if (attachment === undefined) return; // It has ended; its queue has taken the message back.
    deliverFromQueue(attachment.subscription.session, attachment, position, redelivered, message, offset);
  }

  onSettle(from: number, slot: number, generation: number, position: number, accepted: boolean): void {
    const nowMs = this.nowMs();
    this.owner.onSettle(from, slot, generation, position, accepted, nowMs);
    if (!accepted) this.#upkeep.onRejected(nowMs);
  }

  onControl(from: number, kind: number, body: object): void {
    this.#controlFrames.take(from, kind, body);
  }

  // Turns.

  /** Milliseconds since the epoch; one value for everything until the next turn. */
  nowMs(): number {
    return this.#turns.nowMs();
  }

  /** Lets a turn come after the events that are being handled. */
  wake(): void {
    this.#turns.wake();
  }

  /** One turn. */
  turn(): void {
    const nowMs = this.#turns.begin();
    let isBusy = false;
    for (const ring of this.#rings) if (ring.drain(FRAMES_PER_TURN) > 0) isBusy = true;
    if (this.#wheel.advance(nowMs, TIMERS_PER_TURN) === TIMERS_PER_TURN) isBusy = true;
    if (this.desk.retryParked()) isBusy = true;
    if (this.#pumpSessions()) isBusy = true;
    for (const { queues } of this.partitions.values()) if (queues.workSome(QUEUE_STEP_MESSAGES)) isBusy = true;
    if (this.#shares.workSome(QUEUE_STEP_MESSAGES)) isBusy = true;
    if (this.owner.pump(nowMs, this.#options.random)) isBusy = true;
    this.#shares.endTurn(nowMs);
    if (this.#retained.turn()) isBusy = true;
    if (this.desk.removeSome()) isBusy = true;
    this.#members.adoption.ask();
    for (const { log, queues } of this.partitions.values()) {
      if (queues.removeSome(PURGE_MESSAGES_PER_TURN)) isBusy = true;
      log.flush("mayWait");
    }
    this.#turns.beginOutput();
    this.#options.flushOutput();
    for (const partner of this.partners) partner.endTurn();
    this.#turns.end(isBusy);
  }

  /** Sends what waits for sessions that have got messages; true when there is more to do. */
  #pumpSessions(): boolean {
    let left = Math.min(SESSIONS_PUMPED_PER_TURN, this.#toPump.size); // Who is there again goes on in the next turn.
    for (const session of this.#toPump) {
      if (left === 0) break;
      left -= 1;
      this.#toPump.delete(session);
      pump(session);
    }
    return this.#toPump.size > 0;
  }

  /** Arms the bells; false when something came meanwhile. */
  #fallAsleep(): boolean {
    if (this.#rings.length === 0) return true;
    for (const ring of this.#rings) if (ring.awaitSpace()) return false;
    for (const ring of this.#rings) {
      if (ring.armSleep()) continue;
      for (const armed of this.#rings) armed.wake();
      return false;
    }
    return true;
  }

  get retained(): RetainedMessages {
    return this.#retained;
  }

  // The end.

  /** Tells every client to go; what lasts is kept as they leave. */
  disconnectAll(): void {
    for (const session of this.desk.sessions) {
      const { attendance } = session;
      if (attendance === undefined) continue;
      disconnect(session, attendance, ReasonCode.serverShuttingDown);
    }
    this.wake();
  }

  /** Whether other workers have not taken all that this one has for them: the wills of its clients. */
  get isSending(): boolean {
    return this.desk.hasRetries || this.#rings.some((ring) => !ring.isDrained);
  }

  /** After the last connection of every worker is gone. */
  async close(): Promise<void> {
    this.#turns.stop();
    while (this.#rings.some((ring) => ring.drain(FRAMES_PER_TURN) > 0)); // The wills of others' clients.
    for (const { queues } of this.partitions.values()) {
      queues.writeKept();
      queues.keepLedgers();
    }
    await Promise.all([...this.partitions.values()].map(({ log }) => log.close()));
  }
}

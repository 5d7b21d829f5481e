/**
 * Workers in one thread over real rings, for tests: connections are in memory; bells, turns and ends of commits are events that
 * happen one by one in an order drawn from a seed. Time moves only when a test says so. Logs are LMDB's in a directory of
 * their own, or in memory with crashes and failed commits (`disks`).
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthenticator } from "../../src/access/authentication.ts";
import { homePartitionOf } from "../../src/base/hash.ts";
import { encodeStructured } from "../../src/base/structured.ts";
import { newCreditMemory } from "../../src/dispatch/credit.ts";
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";
import { createMesh, ringOf } from "../../src/ring/mesh.ts";
import type { SessionLimits } from "../../src/session/ports.ts";
import { RingPartner } from "../../src/worker/ring-partner.ts";
import { BrokerWorker } from "../../src/worker/worker.ts";
import { ledgerFault } from "../harness/ledgers.ts";
import { definition } from "../queue/definitions.ts";
import { type MemoryDisk, MemoryLog } from "../queue/memory-log.ts";
import { randomOf } from "../random.ts";
import { MemoryClient } from "./memory-client.ts";

const LIMITS: SessionLimits = {
  inFlightMax: 100,
  receiveMaximum: 100,
  packetBytesMax: 2 * 1024 * 1024,
  queuedMessagesMax: 1_000,
  queuedBytesMax: 64 * 1024 * 1024,
  inboxOverflow: "drop_oldest",
  queuesQos0: false,
  sharedStrategy: "round_robin",
  subscriptionsMax: 1_000,
  sessionsMax: 1_000_000,
  retainedBytesMax: 1024 * 1024 * 1024,
  belongingsBytesMax: 128 * 1024 * 1024,
  keepAliveMaxS: 0,
  level3ExpiryS: Number.POSITIVE_INFINITY,
};

export interface RigOptions {
  readonly workers?: number;
  /** As many as workers unless given. */
  readonly partitions?: number;
  readonly seed?: number;
  readonly limits?: Partial<SessionLimits>;
  /** One per partition: logs in memory. */
  readonly disks?: readonly MemoryDisk[];
  readonly directory?: string;
  readonly nowMs?: number;
  /** All rings together; the smallest unless given. */
  readonly ringsBytes?: number;
}

interface Event {
  readonly worker: number;
  readonly run: () => void;
}

/** Messages removed at a time by a purge: few, so that it takes steps. */
const PURGE_STEP = 3;

/** More events than any test needs: a worker that never sleeps. */
const EVENTS_MAX = 2_000_000;

export class Rig {
  readonly workers: BrokerWorker[] = [];
  readonly logs: MemoryLog[] = [];
  readonly directory: string;
  readonly partitions: number;
  readonly faults: string[] = [];
  /** Of the queues that there are. */
  readonly records: QueueRecord[] = [];
  readonly random: () => number;
  nowMs: number;
  /** Commits of logs in memory that are due to fail. */
  failingCommits = 0;
  /** Partitions whose next commit fails. */
  readonly failing = new Set<number>();
  failedCommits = 0;
  /** Partitions whose commits take longer than everything else. */
  readonly stalled = new Set<number>();
  /** Whether commits of logs in memory end by themselves. */
  isCommitting = true;
  #events: Event[] = [];
  #timers: { readonly dueMs: number; readonly run: () => void }[] = [];
  readonly #clients: MemoryClient[][] = [];
  #isDead = false;

  constructor(options: RigOptions = {}) {
    const { workers = 1, seed = 1, disks } = options;
    this.partitions = options.partitions ?? workers;
    this.nowMs = options.nowMs ?? 1_700_000_000_000;
    this.random = randomOf(seed);
    this.directory = disks === undefined ? (options.directory ?? mkdtempSync(join(tmpdir(), "restante-rig-"))) : "";
    const mesh = createMesh(workers, options.ringsBytes ?? 0);
    const credit = Array.from({ length: workers * workers }, () => newCreditMemory(true, workers));
    for (let number = 0; number < workers; number += 1) {
      this.#clients.push([]);
      const worker = new BrokerWorker({
        worker: number,
        workers,
        authenticator: createAuthenticator({ allowAnonymous: true, verifyPassword: undefined }),
        partitions: this.partitions,
        dataDirectory: this.directory,
        limits: { ...LIMITS, ...options.limits },
        connect: (other, handler) => {
          const bell = { ring: () => this.#push(other, () => this.workers[other]?.wake()) };
          const out = ringOf(mesh, number, other);
          return new RingPartner(other, handler, out, ringOf(mesh, other, number), bell, 4 * 1024 * 1024);
        },
        ask: () => {},
        creditOut: Array.from({ length: workers }, (_, owner) => credit[owner * workers + number]!),
        creditIn: Array.from({ length: workers }, (_, consumers) => credit[number * workers + consumers]!),
        nowMs: () => this.nowMs,
        random: this.random,
        loop: {
          defer: (callback) => this.#push(number, callback),
          after: (callback, afterMs) => this.#after(callback, afterMs),
        },
        ...(disks === undefined
          ? {}
          : {
              openLog: ({ partition, events }) => {
                // Settlements wait for an event drawn from the seed: soon, or after much else.
                const log = new MemoryLog(disks[partition]!, events, undefined, (flush) => this.#push(number, flush));
                this.logs[partition] = log;
                return log;
              },
            }),
        flushOutput: () => {
          for (const client of this.#clients[number]!) client.connection.flush();
        },
        onFault: (_fields, message) => this.faults.push(message),
        onNotice: () => undefined,
      });
      this.workers.push(worker);
    }
    const recovered = this.workers.map((worker) => worker.recover());
    const routes = recovered.map((each) => each.routes);
    const inbound = recovered.map((each) => each.inbound);
    const shares = recovered.map((each) => each.shares);
    for (const worker of this.workers) worker.begin(routes, inbound, shares);
    for (const { queues } of recovered) {
      for (const record of queues) {
        this.records.push(record);
        for (const worker of this.workers) worker.queueRoutes.announce(record, () => {});
      }
    }
    for (const worker of this.workers) worker.serve();
  }

  #push(worker: number, run: () => void): void {
    this.#events.push({ worker, run });
  }

  #after(run: () => void, afterMs: number): () => void {
    const timer = { dueMs: this.nowMs + afterMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** The worker of a client ID. */
  workerOf(clientId: string): BrokerWorker {
    return this.workers[homePartitionOf(clientId, this.partitions) % this.workers.length]!;
  }

  /** A client ID that lives on a worker. */
  idOn(worker: number, name: string): string {
    for (let number = 0; ; number += 1) {
      const id = `${name}-${number}`;
      if (this.workerOf(id) === this.workers[worker]) return id;
    }
  }

  /** A connection to the worker of this client ID, CONNECT sent; what comes of it is known after `settle`. */
  open(clientId: string, options: Parameters<MemoryClient["connect"]>[1] & { version?: 4 | 5 } = {}): MemoryClient {
    const { version = 5, ...connect } = options;
    const worker = this.workerOf(clientId);
    const client = new MemoryClient(worker, version);
    this.#clients[this.workers.indexOf(worker)]!.push(client);
    client.connect(clientId, connect);
    return client;
  }

  /** As `open`, until everything is quiet; CONNACK must say success. */
  async connected(clientId: string, options: Parameters<Rig["open"]>[1] = {}): Promise<MemoryClient> {
    const client = this.open(clientId, options);
    await this.settle();
    const [connack] = client.take("connack");
    if (connack === undefined || (connack.reasonCode ?? connack.returnCode) !== 0) {
      throw new Error(`CONNACK ${JSON.stringify(connack)}`);
    }
    return client;
  }

  /** As `connected`, with a session that outlives its connection. */
  lasting(clientId: string, options: Parameters<Rig["open"]>[1] = {}): Promise<MemoryClient> {
    const version = options.version ?? 5;
    return this.connected(clientId, {
      clean: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}),
      ...options,
    });
  }

  createQueue(fields: Partial<QueueDefinition>, partition = 0): QueueRecord {
    const owner = this.workers[partition % this.workers.length]!;
    const target = owner.partitions.get(partition)!.takeTarget();
    const record: QueueRecord = { definition: definition(fields), partition, target, createdAtMs: this.nowMs };
    owner.queueRoutes.create(record);
    for (const worker of this.workers) worker.queueRoutes.announce(record, () => {});
    this.records.push(record);
    return record;
  }

  /** As `createQueue`, on disk as control does it, so that a later start finds it. */
  async storeQueue(fields: Partial<QueueDefinition>, partition = 0): Promise<QueueRecord> {
    const record = this.createQueue(fields, partition);
    this.#putDefinition(record, encodeStructured(record));
    await this.settle();
    return record;
  }

  /** What a PUT does. */
  async updateQueue(record: QueueRecord, fields: Partial<QueueDefinition>): Promise<QueueRecord> {
    const changed = { ...record, definition: { ...record.definition, ...fields } };
    this.#putDefinition(changed, encodeStructured(changed));
    await this.settle();
    this.#ownerOf(record).owner.update(changed);
    for (const worker of this.workers) worker.queueRoutes.announce(changed, () => {});
    this.records.splice(this.records.indexOf(record), 1, changed);
    await this.settle();
    return changed;
  }

  /** What a DELETE does. */
  async deleteQueue(record: QueueRecord): Promise<void> {
    for (const worker of this.workers) worker.queueRoutes.retract(record.definition.name);
    this.#putDefinition(record, undefined);
    await this.settle();
    this.#ownerOf(record).queueRoutes.remove(record);
    this.records.splice(this.records.indexOf(record), 1);
    await this.settle();
  }

  /** What DELETE …/messages does; returns how many went. */
  async purgeQueue(record: QueueRecord): Promise<number> {
    const worker = this.#ownerOf(record);
    const purge = worker.owner.dispatcherOf(record)!.queue.beginPurge();
    while (!purge.step(PURGE_STEP)) await this.settle();
    worker.wake();
    await this.settle();
    return purge.purged;
  }

  #ownerOf(record: QueueRecord): BrokerWorker {
    return this.workers[record.partition % this.workers.length]!;
  }

  #putDefinition(record: QueueRecord, value: Buffer | undefined): void {
    const owner = this.#ownerOf(record);
    owner.partitions.get(record.partition)!.put("queues", record.definition.name, value);
    owner.wake();
  }

  status(record: QueueRecord) {
    return this.workers[record.partition % this.workers.length]!.owner.dispatcherOf(record)!.status(this.nowMs);
  }

  /** @throws when the counts of some queue do not add up. */
  checkLedgers(): void {
    for (const { owner } of this.workers) {
      for (const queue of owner.queues()) {
        const fault = ledgerFault({ name: queue.record.definition.name, ...queue.counts(this.nowMs) });
        if (fault !== undefined) throw new Error(fault);
      }
    }
  }

  /** One event, drawn from those that are due; false when there is none. */
  step(): boolean {
    if (this.#isDead) return false;
    const commits = this.isCommitting ? this.logs.filter((log, at) => log.isCommitting && !this.stalled.has(at)) : [];
    const drawn = Math.floor(this.random() * (this.#events.length + commits.length));
    if (drawn < this.#events.length) {
      const [event] = this.#events.splice(drawn, 1);
      event!.run();
    } else if (commits.length > 0) {
      this.#endCommit(commits[drawn - this.#events.length]!);
    } else {
      return false;
    }
    this.#closeEnded();
    return true;
  }

  /** One event of one worker, if one is due: the others stand still. */
  stepOf(worker: number): boolean {
    const index = this.#events.findIndex((event) => event.worker === worker);
    if (index < 0) return false;
    const [event] = this.#events.splice(index, 1);
    event!.run();
    return true;
  }

  #endCommit(log: MemoryLog): void {
    const isChosen = this.failing.delete(this.logs.indexOf(log));
    if (isChosen || this.failingCommits > 0) {
      if (!isChosen) this.failingCommits -= 1;
      this.failedCommits += 1;
      log.fail();
    } else {
      log.succeed();
    }
  }

  #closeEnded(): void {
    for (const clients of this.#clients) {
      for (const client of clients.filter(({ connection }) => connection.isEnded)) {
        clients.splice(clients.indexOf(client), 1);
        client.close();
      }
    }
  }

  /** Runs events until nothing happens any more. */
  async settle(): Promise<void> {
    for (let events = 0; ; ) {
      while (this.step()) {
        events += 1;
        if (events > EVENTS_MAX) throw new Error("some worker never sleeps");
      }
      if (this.logs.length > 0) return;
      // LMDB tells of its commits from the event loop.
      const isCommitting = this.workers.some((worker) =>
        [...worker.partitions.values()].some(({ log }) => log.isCommitting),
      );
      await new Promise((resolve) => setTimeout(resolve, isCommitting ? 1 : 0));
      if (!isCommitting && this.#events.length === 0) return;
    }
  }

  /** Lets time pass: timers fire one by one, and what they start comes to rest in between. */
  async pass(byMs: number): Promise<void> {
    const endMs = this.nowMs + byMs;
    await this.settle();
    for (;;) {
      const next = Math.min(...this.#timers.map(({ dueMs }) => dueMs));
      if (next > endMs) break;
      this.nowMs = Math.max(this.nowMs, next);
      const due = this.#timers.filter(({ dueMs }) => dueMs <= this.nowMs);
      this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.nowMs);
      for (const { run } of due) run();
      await this.settle();
    }
    this.nowMs = endMs;
    for (const worker of this.workers) worker.wake();
    await this.settle();
  }

  /** Everything ends here and now; only what is on the disks stays. Every ledger adds up, whatever the moment. */
  kill(): void {
    if (!this.#isDead) this.checkLedgers();
    this.#isDead = true;
    this.#events = [];
    this.#timers = [];
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    for (const worker of this.workers) worker.disconnectAll();
    await this.settle();
    this.#closeEnded();
    await this.settle();
    for (const worker of this.workers) await worker.close();
    this.kill();
  }

  async remove(): Promise<void> {
    if (!this.#isDead) await this.stop();
    if (this.directory !== "") rmSync(this.directory, { recursive: true, force: true });
  }
}

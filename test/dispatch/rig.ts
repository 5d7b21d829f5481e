/**
 * A rig: one real queue with its dispatcher over a log, driven by operations that are plain data, with the model beside it.
 * Every hand-out is judged when it happens, every count after every operation.
 */
import { expect } from "vitest";
import type { Region } from "../../src/base/region.ts";
import { Consumer } from "../../src/dispatch/consumer.ts";
import { CreditTable, NOT_PAUSED, newCreditMemory, SESSION_WINDOW_FULL } from "../../src/dispatch/credit.ts";
import { CreditReader } from "../../src/dispatch/credit-reader.ts";
import { CreditSlots } from "../../src/dispatch/credit-slots.ts";
import { type ConsumerLink, Dispatcher } from "../../src/dispatch/dispatcher.ts";
import { publishPacketBytes } from "../../src/dispatch/packet-size.ts";
import { ReadyQueues } from "../../src/dispatch/ready-queues.ts";
import { payloadBytesOf, payloadOffset, totalBytes } from "../../src/frame/message.ts";
import type { LogEvents, PartitionLog } from "../../src/log/contract.ts";
import { ACCEPTED, DROPPED_NEWEST, REFUSED_KEY, REFUSED_LIMIT } from "../../src/queue/accept.ts";
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import { record } from "../queue/definitions.ts";
import { message, userProperty } from "../queue/message.ts";
import { Model, type ModelMessage } from "./model.ts";

export type Operation =
  | { readonly op: "publish"; readonly key: number; readonly extraBytes: number; readonly lifeMs: number }
  | { readonly op: "flush" | "succeed" | "fail" | "frames" | "pump" | "purge" | "retry" }
  | { readonly op: "crash"; readonly isCommitDone: boolean }
  | { readonly op: "attach"; readonly receiveMaximum: number; readonly packetBytesMax: number; readonly qos: 0 | 1 }
  | { readonly op: "detach" | "drain" | "pause" | "unpause" | "refuse"; readonly consumer: number }
  | { readonly op: "settle"; readonly which: number; readonly isAccepted: boolean }
  | { readonly op: "late"; readonly which: number }
  | { readonly op: "tick"; readonly ms: number }
  | { readonly op: "update"; readonly strategy: QueueDefinition["dispatch_strategy"]; readonly window: number }
  | { readonly op: "limit"; readonly maxCount: number };

interface Attached {
  readonly consumer: Consumer;
  readonly slots: CreditSlots;
  isDraining: boolean;
  isPaused: boolean;
  refuses: boolean;
  /** Positions it was sent and has not settled. */
  readonly unsettled: number[];
}

export interface RigOptions {
  readonly definition: Partial<QueueDefinition>;
  /** Opens a log, the first time and after a crash. */
  readonly open: (events: LogEvents) => PartitionLog;
  readonly random: () => number;
}

export class Rig implements ConsumerLink {
  readonly model: Model;
  readonly #options: RigOptions;
  #record: QueueRecord;
  log!: PartitionLog;
  queues!: PartitionQueues;
  dispatcher!: Dispatcher;
  #ready!: ReadyQueues;
  #slots!: CreditSlots;
  #reader!: CreditReader;
  attached: Attached[] = [];
  #frames: { attached: Attached; position: number; isAccepted: boolean }[] = [];
  nowMs = 1_000_000;
  #nextId = 1;
  /** The position that the log gave last. */
  #lastAdded = 0;
  /** Records added since it was emptied: the message and where it lies. */
  #added: { readonly id: number; readonly position: number }[] = [];
  deliveries = 0;

  constructor(options: RigOptions) {
    this.#options = options;
    this.#record = record({ redispatch_interval: 50, ...options.definition });
    const { definition } = this.#record;
    const bound = (limit: number | "infinity"): number => (limit === "infinity" ? Number.POSITIVE_INFINITY : limit);
    this.model = new Model({
      isLastValue: definition.is_lastvalue,
      isMemory: definition.durability === "memory",
      overflow: definition.overflow,
      maxCount: bound(definition.limits.max_shard_message_count),
      maxBytes: bound(definition.limits.max_shard_message_bytes),
      redispatchMs: definition.redispatch_interval,
    });
    this.start();
  }

  /** Opens log, queue and dispatcher, as at a start. */
  start(): void {
    // The log may seal the next batch before it tells of the last one's end.
    this.log = this.#options.open({
      onSeal: (batch) => this.queues.onSeal(batch),
      onCommitted: (batch) => {
        this.model.gathering = this.log.gathering;
        this.model.commit(batch);
        this.queues.onCommitted(batch, this.nowMs);
      },
      onFailed: (batch) => {
        this.model.gathering = this.log.gathering;
        this.model.fail(batch);
        this.queues.onFailed(batch);
      },
    });
    const { log } = this;
    const add = log.add.bind(log);
    const stage = log.stage.bind(log);
    let stagedId = 0;
    log.stage = (region, offset, bytes) => {
      stagedId = idOf(region, offset);
      return stage(region, offset, bytes);
    };
    log.add = (...record) => {
      this.#lastAdded = add(...record);
      this.#added.push({ id: stagedId, position: this.#lastAdded });
      return this.#lastAdded;
    };
    // A few messages a step, so that what is done in steps takes several.
    this.queues = new PartitionQueues(this.log, this.#options.random, { atOnceMessages: 2 });
    const queue = this.queues.open(this.#record, () => this.dispatcher.onAvailable());
    this.#ready = new ReadyQueues();
    this.dispatcher = new Dispatcher(queue, this.#ready);
    this.#slots = new CreditSlots(new CreditTable(newCreditMemory(true, 1)));
    this.#reader = new CreditReader(this.#slots.table);
    this.attached = [];
    this.#frames = [];
    this.queues.recover(() => expect.unreachable("a record of no queue"));
    this.model.gathering = this.log.gathering;
  }

  publish(key: number, extraBytes: number, lifeMs: number): void {
    const id = this.#nextId++;
    const expiresAtMs = lifeMs === 0 ? 0 : this.nowMs + lifeMs;
    const region = message({
      payload: String(id).padEnd(6 + extraBytes, "."),
      properties: key === 0 ? Buffer.alloc(0) : userProperty("k", `key-${key}`),
      publishedAtMs: this.nowMs,
      expiresAtMs,
    });
    const { data_retention_period: retentionMs } = this.#record.definition;
    const bytes = totalBytes(region, 0);
    const staged = this.log.stage(region, 0, bytes);
    const outcome = this.dispatcher.queue.accept(region, 0, staged, this.nowMs);
    const position = this.#lastAdded;
    const expected = this.model.accept(
      {
        id,
        position,
        key: key === 0 ? undefined : `key-${key}`,
        bytes,
        expiresAtMs: Math.min(expiresAtMs || Number.POSITIVE_INFINITY, this.nowMs + retentionMs),
      },
      this.nowMs,
    );
    const codes = { accepted: ACCEPTED, dropped: DROPPED_NEWEST, refusedLimit: REFUSED_LIMIT, refusedKey: REFUSED_KEY };
    expect(outcome).toBe(codes[expected]);
  }

  attach(receiveMaximum: number, packetBytesMax: number, qos: 0 | 1): void {
    const slot = this.#slots.open();
    const consumer = new Consumer({
      clientId: `c${slot}`,
      worker: 1,
      credit: this.#slots.table,
      slot,
      generation: this.#slots.generationOf(slot),
      qos,
      receiveMaximum,
      packetBytesMax,
    });
    this.attached.push({
      consumer,
      slots: this.#slots,
      isDraining: false,
      isPaused: false,
      refuses: false,
      unsettled: [],
    });
    this.dispatcher.attach(consumer);
    this.#reader.add(consumer, this.dispatcher);
  }

  detach(attached: Attached): void {
    this.frames(); // A ring keeps order: what it settled arrives before its end does.
    this.attached = this.attached.filter((other) => other !== attached);
    this.model.giveBack(attached.consumer.holder);
    this.#reader.remove(attached.consumer);
    this.dispatcher.detach(attached.consumer);
    this.#slots.close(attached.consumer.slot);
  }

  /** The consumer's worker counts a settlement at once; its frame arrives with `frames`. */
  settle(which: number, isAccepted: boolean): void {
    const holding = this.attached.filter((attached) => attached.unsettled.length > 0);
    const attached = holding[which % Math.max(1, holding.length)];
    if (attached === undefined) return;
    const [position] = attached.unsettled.splice(which % attached.unsettled.length, 1);
    this.#slots.table.addSettled(attached.consumer.slot, 1);
    this.#frames.push({ attached, position: position!, isAccepted });
  }

  frames(): void {
    for (const { attached, position, isAccepted } of this.#frames) {
      const expected = this.model.messages.find(
        (message) => message.state === "inFlight" && message.position === position,
      )!;
      this.model.settle(expected, isAccepted, this.nowMs);
      const result = this.dispatcher.settle(attached.consumer, position, isAccepted, this.nowMs);
      expect(result).toBe(isAccepted ? "acknowledged" : "rejected");
    }
    this.#frames = [];
  }

  pump(): void {
    this.#reader.refresh();
    while (this.queues.workSome(2));
    for (let rounds = 0; this.#ready.count > 0; rounds += 1) {
      expect(rounds).toBeLessThan(1_000);
      this.#ready.beginRound();
      for (let one = this.#ready.next(); one !== undefined; one = this.#ready.next()) {
        one.pump(this.nowMs, this.#options.random, this, 3);
      }
    }
    this.#checkNobodyWaitsInVain();
  }

  deliver(consumer: Consumer, position: number, region: Region, offset: number, isRedelivered: boolean): boolean {
    const attached = this.attached.find((other) => other.consumer === consumer);
    expect(attached, "only attached consumers are served").toBeDefined();
    if (attached!.refuses) return false;
    const id = idOf(region, offset);
    const available = this.model.available(this.nowMs);
    const found = available.find((other) => other.id === id);
    expect(found, `message ${id} is available`).toBeDefined();
    expect(found!.position).toBe(position);
    expect(isRedelivered).toBe(found!.attempts > 0);
    expect(this.#hasRoom(attached!, 0), "a consumer without room is never chosen").toBe(true);
    expect(publishPacketBytes(region, offset, consumer.qos, 0)).toBeLessThanOrEqual(consumer.packetBytesMax);

    const isHeld = this.#isHeld(found!);
    if (isHeld) expect(found!.rejecter, "never back to who rejected it").not.toBe(consumer.holder);
    else {
      const earlier = available.filter(
        (other) => other.position < position && !this.#isHeld(other) && other.bytes <= this.#smallestPacketMax(),
      );
      expect(
        earlier.map((other) => other.id),
        "what was stored earlier goes first",
      ).toEqual([]);
    }
    found!.state = "inFlight";
    found!.holder = consumer.holder;
    found!.attempts += 1;
    found!.rejecter = undefined;
    found!.heldUntilMs = undefined;
    attached!.unsettled.push(position);
    this.deliveries += 1;
    return true;
  }

  /** Rejected, and its time has not come; before `onDeadline` ran it is the same even if it has. */
  #isHeld(candidate: ModelMessage): boolean {
    return candidate.heldUntilMs !== undefined;
  }

  #smallestPacketMax(): number {
    return Math.min(...this.attached.map(({ consumer }) => consumer.packetBytesMax));
  }

  #hasRoom(attached: Attached, extra: number): boolean {
    const { consumer } = attached;
    const window = Math.min(this.#record.definition.local_max_inflight, consumer.receiveMaximum);
    return !attached.isDraining && !attached.isPaused && attached.unsettled.length + extra < window;
  }

  #checkNobodyWaitsInVain(): void {
    for (const attached of this.attached) {
      if (attached.refuses || !this.#hasRoom(attached, 0)) continue;
      const { consumer } = attached;
      for (const candidate of this.model.available(this.nowMs)) {
        if (candidate.bytes > consumer.packetBytesMax) continue; // Larger than its packet: a sure fit only below.
        const isHis = !this.#isHeld(candidate) || candidate.rejecter !== consumer.holder;
        expect(isHis, `message ${candidate.id} waits while ${consumer.clientId} has room`).toBe(false);
      }
    }
  }

  tick(ms: number): void {
    this.nowMs += ms;
    const nextMs = this.queues.nextDeadlineMs();
    if (nextMs > this.nowMs) return;
    this.#added = [];
    this.queues.onDeadline(this.nowMs);
    this.#checkRewrites();
    for (const waiting of this.model.waiting()) {
      if (waiting.heldUntilMs === undefined || waiting.heldUntilMs > this.nowMs) continue;
      waiting.heldUntilMs = undefined;
      waiting.rejecter = undefined;
    }
  }

  /** What a memory queue kept is written again all together, or not yet. */
  #checkRewrites(): void {
    if (this.#added.length === 0) return;
    const unwritten = this.model.unwritten(); // What has just expired is swept after it.
    expect(this.#added.map(({ id }) => id).sort(ascending)).toEqual(unwritten.map(({ id }) => id).sort(ascending));
    for (const message of unwritten) {
      message.batch = this.log.gathering;
      message.recordPosition = this.#added.find(({ id }) => id === message.id)!.position;
    }
  }

  update(change: Partial<QueueDefinition>): void {
    this.#record = { ...this.#record, definition: { ...this.#record.definition, ...change } };
    const count = this.#record.definition.limits.max_shard_message_count;
    if (change.limits !== undefined) this.model.limit(count as number, this.model.settings.maxBytes);
    this.dispatcher.queue.update(this.#record);
    this.dispatcher.update(this.#record);
  }

  purge(): void {
    const purge = this.dispatcher.queue.beginPurge();
    while (!purge.step(3));
    expect(purge.purged).toBe(this.model.purge());
  }

  /** The process is gone; what is on disk comes back. */
  crash(durable: number): void {
    this.start();
    this.model.crash(durable, this.log.gathering, this.nowMs);
    this.model.gathering = this.log.gathering;
  }

  apply(operation: Operation): void {
    this.model.gathering = this.log.gathering;
    const at = <T>(items: readonly T[], index: number): T | undefined => items[index % Math.max(1, items.length)];
    switch (operation.op) {
      case "publish":
        this.publish(operation.key, operation.extraBytes, operation.lifeMs);
        break;
      case "flush":
        this.log.flush();
        this.model.gathering = this.log.gathering;
        break;
      case "frames":
        this.frames();
        break;
      case "pump":
        this.pump();
        break;
      case "purge":
        this.purge();
        break;
      case "attach":
        if (this.attached.length < 5) this.attach(operation.receiveMaximum, operation.packetBytesMax, operation.qos);
        break;
      case "detach":
      case "drain":
      case "pause":
      case "unpause":
      case "refuse": {
        const attached = at(this.attached, operation.consumer);
        if (attached !== undefined) this.#change(operation.op, attached);
        break;
      }
      case "retry":
        for (const attached of this.attached) attached.refuses = false;
        this.#ready.retryBlocked();
        break;
      case "settle":
        this.settle(operation.which, operation.isAccepted);
        break;
      case "late": {
        const done = this.model.messages.filter((other) => other.state !== "inFlight");
        const holder = this.attached[0]?.consumer;
        const late = at(done, operation.which);
        if (late === undefined || holder === undefined) break;
        expect(this.dispatcher.settle(holder, late.position, true, this.nowMs)).toBe("unknown");
        break;
      }
      case "tick":
        this.tick(operation.ms);
        break;
      case "update":
        this.update({ dispatch_strategy: operation.strategy, local_max_inflight: operation.window });
        break;
      case "limit":
        if (this.model.settings.maxCount !== Number.POSITIVE_INFINITY) {
          const { limits } = this.#record.definition;
          this.update({ limits: { ...limits, max_shard_message_count: operation.maxCount } });
        }
        break;
      default:
        throw new Error(`${operation.op} is its log's`);
    }
  }

  #change(op: "detach" | "drain" | "pause" | "unpause" | "refuse", attached: Attached): void {
    switch (op) {
      case "detach":
        this.detach(attached);
        break;
      case "drain":
        attached.isDraining = true;
        this.dispatcher.drain(attached.consumer);
        break;
      case "pause":
        attached.isPaused = true;
        this.#slots.table.setPaused(attached.consumer.slot, SESSION_WINDOW_FULL);
        break;
      case "unpause":
        attached.isPaused = false;
        this.#slots.table.setPaused(attached.consumer.slot, NOT_PAUSED);
        break;
      case "refuse":
        attached.refuses = true;
        break;
    }
  }

  /** One good consumer takes all there is. Yields whenever a commit has begun, for the caller to end it. */
  *drain(): Generator<void> {
    for (const attached of [...this.attached]) this.detach(attached);
    this.attach(100, 1_000_000, 1);
    for (let round = 0; round < 200 && (round < 3 || this.model.live().length > 0); round += 1) {
      this.apply({ op: "tick", ms: 1_000 });
      this.check();
      this.apply({ op: "flush" });
      yield;
      this.apply({ op: "pump" });
      for (let count = this.attached[0]!.unsettled.length; count > 0; count -= 1) this.settle(0, true);
      this.apply({ op: "frames" });
      this.check();
    }
    expect(this.model.live().map((message) => message.id)).toEqual([]);
    for (let round = 0; round < 3; round += 1) {
      this.apply({ op: "flush" });
      yield;
    }
  }

  /** Every count of the real queue is the model's. */
  check(): void {
    this.model.gathering = this.log.gathering;
    this.model.expire(this.nowMs);
    const status = this.dispatcher.status(this.nowMs);
    expect(status).toMatchObject(this.model.counts());
    const { in_flight: inFlight } = status;
    expect(inFlight).toBeGreaterThanOrEqual(this.attached.reduce((sum, { unsettled }) => sum + unsettled.length, 0));
  }
}

/** The number at the beginning of a message's payload. */
function idOf(region: Region, offset: number): number {
  const start = payloadOffset(region, offset);
  return Number.parseInt(region.bytes.toString("latin1", start, start + payloadBytesOf(region, offset)), 10);
}

const ascending = (one: number, other: number): number => one - other;

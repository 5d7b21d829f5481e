/**
 * A plain model of queues as clients see them: each queue a list of messages in stored order, and the rules applied one by one.
 * It knows nothing of workers, frames, batches or positions, and does not choose consumers: it judges what was delivered once
 * everything is at rest.
 *
 * ```
 *   stored ──► waiting ──delivered──► in flight ──PUBACK──► acknowledged
 *                 ▲                      ├─ rejected ─► waiting, not for its rejecter before the redispatch interval is over
 *                 └──────────────────────┴─ holder gone
 * ```
 */
import type { QueueDefinition, QueueRecord } from "../../src/queue/definition.ts";

/** A deadline of a queue may be looked at so much later; see QUEUE_TICK_MS. */
const LATE_MS = 150;

export interface ModelMessage {
  readonly text: string;
  readonly key: string;
  readonly publishedAtMs: number;
  /** Its own; infinite when it has none. */
  readonly expiresAtMs: number;
  holder: ModelAttachment | undefined;
  attempts: number;
  /** Rejected: until when, and by whom, unless that one is gone. */
  heldUntilMs: number;
  rejecter: ModelAttachment | undefined;
  /** In flight, and a newer value of its key is stored. */
  isOverwritten: boolean;
}

/** A subscription to a queue, as long as it may have messages of one and the same queue. */
export interface ModelAttachment {
  readonly client: string;
  readonly filter: string;
  readonly qos: 0 | 1;
  queue: QueueModel | undefined;
  isDraining: boolean;
}

export interface Delivery {
  readonly attachment: ModelAttachment;
  readonly text: string;
  readonly isDup: boolean;
  readonly qos: number;
}

export type Stored = "stored" | "dropped" | "refused";

export class QueueModel {
  record: QueueRecord;
  /** Live, in stored order. */
  messages: ModelMessage[] = [];
  readonly attachments = new Set<ModelAttachment>();
  readonly counts = { stored: 0, acknowledged: 0, expired: 0, superseded: 0, dropped: 0, purged: 0, refused: 0 };

  /** Since the start, counted without a record in the log: a crash may forget them. */
  readonly unrecorded = { dropped: 0, refused: 0, acknowledged: 0 };

  constructor(record: QueueRecord) {
    this.record = record;
  }

  get definition(): QueueDefinition {
    return this.record.definition;
  }

  get waiting(): ModelMessage[] {
    return this.messages.filter(({ holder }) => holder === undefined);
  }

  inFlightOf(attachment: ModelAttachment): ModelMessage[] {
    return this.messages.filter(({ holder }) => holder === attachment);
  }

  /** A message comes in; `isLost`: its commit fails, so that in the end it never came. */
  store(message: ModelMessage, nowMs: number, isLost: boolean): Stored {
    const { overflow, is_lastvalue } = this.definition;
    const elder = is_lastvalue
      ? this.messages.findLast(({ key, isOverwritten }) => key === message.key && !isOverwritten)
      : undefined;
    const isOver = (): boolean =>
      this.messages.filter((each) => each !== elder || each.holder !== undefined).length + 1 > this.#maxCount;
    if (isOver()) this.expire(nowMs);
    if (isOver()) {
      if (overflow === "reject") {
        this.counts.refused += 1;
        this.unrecorded.refused += 1;
        return "refused";
      }
      const inFlight = this.messages.length - this.waiting.length;
      if (overflow === "drop_newest" || inFlight + 1 > this.#maxCount) {
        this.counts.stored += 1;
        this.counts.dropped += 1;
        this.unrecorded.dropped += 1;
        return "dropped";
      }
    }
    const leaving: [ModelMessage, "superseded" | "dropped"][] = [];
    if (elder !== undefined) leaving.push([elder, "superseded"]);
    const left = (): ModelMessage[] =>
      this.messages.filter((each) => !leaving.some(([old]) => old === each && old.holder === undefined));
    while (left().length + 1 > this.#maxCount) {
      const oldest = left().find(({ holder }) => holder === undefined);
      if (oldest === undefined) break;
      leaving.push([oldest, "dropped"]);
    }
    for (const [old, reason] of leaving) {
      if (isLost) {
        if (old.holder === undefined) release(old); // It was about to go: it is anybody's again.
      } else if (old.holder !== undefined) {
        old.isOverwritten = true;
      } else {
        this.#finish(old, reason);
      }
    }
    if (isLost) return "stored";
    this.counts.stored += 1;
    this.messages.push(message);
    return "stored";
  }

  settle(message: ModelMessage, isAccepted: boolean, nowMs: number): void {
    if (isAccepted && message.isOverwritten) this.unrecorded.acknowledged += 1;
    if (isAccepted) this.#finish(message, "acknowledged");
    else if (message.isOverwritten) this.#finish(message, "superseded");
    else {
      message.rejecter = message.holder;
      message.holder = undefined;
      message.heldUntilMs = nowMs + this.definition.redispatch_interval;
    }
    if (!isAccepted) this.enforceLimits();
  }

  /** A consumer is gone. */
  giveBack(attachment: ModelAttachment): void {
    for (const message of this.inFlightOf(attachment)) {
      message.holder = undefined;
      if (message.isOverwritten) this.#finish(message, "superseded");
    }
    for (const message of this.messages) if (message.rejecter === attachment) message.rejecter = undefined;
    this.attachments.delete(attachment);
    this.enforceLimits();
  }

  /** After a crash: what it counts now, within what it may have forgotten. */
  forget(found: { readonly dropped: number; readonly refused: number; readonly acknowledged: number }): void {
    const acknowledged = this.counts.acknowledged - found.acknowledged;
    if (acknowledged >= 0 && acknowledged <= this.unrecorded.acknowledged) {
      this.counts.acknowledged -= acknowledged;
      this.counts.superseded += acknowledged; // Its record went when it was overwritten.
    }
    const dropped = this.counts.dropped - found.dropped;
    const refused = this.counts.refused - found.refused;
    if (dropped >= 0 && dropped <= this.unrecorded.dropped) {
      this.counts.dropped -= dropped;
      this.counts.stored -= dropped;
    }
    if (refused >= 0 && refused <= this.unrecorded.refused) this.counts.refused -= refused;
  }

  /** The disk knows of everything. */
  recorded(): void {
    this.unrecorded.dropped = this.unrecorded.refused = this.unrecorded.acknowledged = 0;
  }

  /** The broker started again. */
  restart(): void {
    this.attachments.clear();
    for (const message of [...this.messages]) {
      if (message.isOverwritten) this.#finish(message, "superseded");
      message.holder = undefined;
      message.attempts = 0;
      release(message);
    }
    this.enforceLimits();
  }

  purge(): number {
    const purged = this.waiting;
    for (const message of purged) this.#finish(message, "purged");
    return purged.length;
  }

  expire(nowMs: number): void {
    for (const message of this.waiting) if (this.expiryOf(message) <= nowMs) this.#finish(message, "expired");
  }

  expiryOf({ expiresAtMs, publishedAtMs }: ModelMessage): number {
    return Math.min(expiresAtMs, publishedAtMs + this.definition.data_retention_period);
  }

  enforceLimits(): void {
    if (this.definition.overflow !== "drop_oldest") return;
    while (this.messages.length > this.#maxCount && this.waiting.length > 0) this.#finish(this.waiting[0]!, "dropped");
  }

  /** What came from this queue since it was last at rest, in the order of each connection; throws what is wrong with it. */
  deliver(deliveries: readonly Delivery[], sinceMs: number, nowMs: number): void {
    const held = new Set(this.waiting.filter(({ heldUntilMs }) => heldUntilMs > sinceMs));
    const ordinary = this.waiting.filter((message) => !held.has(message));
    const indexes = new Map<ModelAttachment, number>();
    const handedOut = new Set<ModelMessage>();
    for (const { attachment, text, isDup, qos } of deliveries) {
      const what = `${text} of ${this.definition.name} to ${attachment.client} by ${attachment.filter}`;
      const message = this.messages.find((each) => each.text === text);
      if (message === undefined) throw new Error(`${what}: not in the queue`);
      if (message.holder !== undefined) throw new Error(`${what}: ${message.holder.client} has it`);
      if (handedOut.has(message)) throw new Error(`${what}: twice`);
      if (attachment.isDraining) throw new Error(`${what}: unsubscribed`);
      if (qos !== attachment.qos) throw new Error(`${what}: QoS ${qos}`);
      if (isDup !== (qos === 1 && message.attempts > 0))
        throw new Error(`${what}: DUP ${isDup}, ${message.attempts} attempts`);
      if (this.expiryOf(message) <= sinceMs) throw new Error(`${what}: expired`);
      if (message.rejecter === attachment && message.heldUntilMs > nowMs)
        throw new Error(`${what}: rejected it just now`);
      if (!held.has(message)) {
        const index = ordinary.indexOf(message);
        if (index < (indexes.get(attachment) ?? -1)) throw new Error(`${what}: after a newer one`);
        indexes.set(attachment, index);
      }
      handedOut.add(message);
      if (qos === 1) {
        message.holder = attachment;
        message.attempts += 1;
        release(message);
        const inFlight = this.inFlightOf(attachment).length;
        if (inFlight > this.definition.local_max_inflight) throw new Error(`${what}: ${inFlight} in flight`);
      } else {
        this.#finish(message, "acknowledged");
      }
    }
    const newest = Math.max(...indexes.values(), -1);
    const passed = ordinary.findIndex((message) => !handedOut.has(message) && this.expiryOf(message) > nowMs);
    if (passed !== -1 && passed < newest)
      throw new Error(`${ordinary[passed]!.text} of ${this.definition.name} was passed over`);
  }

  /** Throws when something waits that somebody could have. */
  checkNothingIsLeft(nowMs: number): void {
    const roomy = [...this.attachments].filter(
      (each) => !each.isDraining && this.inFlightOf(each).length < this.definition.local_max_inflight,
    );
    for (const message of this.waiting) {
      if (this.expiryOf(message) <= nowMs) continue;
      const isRejecters = message.rejecter !== undefined && message.heldUntilMs + LATE_MS > nowMs;
      const taker = roomy.find((each) => !isRejecters || each !== message.rejecter);
      if (taker !== undefined) {
        throw new Error(
          `${message.text} waits in ${this.definition.name}, and ${taker.client} has room (${taker.filter})`,
        );
      }
    }
  }

  get ledger(): Record<string, number> {
    const waiting = this.waiting.length;
    return { ...this.counts, waiting, in_flight: this.messages.length - waiting, dead_lettered: 0, difference: 0 };
  }

  get #maxCount(): number {
    const { max_shard_message_count: max } = this.definition.limits;
    return max === "infinity" ? Number.POSITIVE_INFINITY : max;
  }

  #finish(message: ModelMessage, reason: Exclude<keyof QueueModel["counts"], "stored" | "refused">): void {
    this.counts[reason] += 1;
    message.holder = undefined;
    this.messages.splice(this.messages.indexOf(message), 1);
  }
}

function release(message: ModelMessage): void {
  message.heldUntilMs = 0;
  message.rejecter = undefined;
}

/**
 * One partition on its worker: its log, the queues and sessions that live in it, and who waits for its commits.
 *
 * ```
 *   publish ─► stage, add ─► gathering ─seal─► sealed ─► on disk: sessions and queues get their records, publishers their
 *                                                        answers · failed: publishers get 0x83
 * ```
 */
import { LOG_BATCH_BYTES_MAX } from "../base/limits.ts";
import {
  type CommitFault,
  type Damage,
  type LogEvents,
  type PartitionLog,
  RECORDS_PER_BATCH_MAX,
  type Table,
} from "../log/contract.ts";
import { openPartitionLog } from "../log/partition-log.ts";
import { PartitionQueues } from "../queue/partition-queues.ts";
import type { SessionStore, StoredMessage } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import { AdoptedRecords } from "./adopted.ts";
import { BatchCompany, type CommitOutcome } from "./batch-company.ts";
import type { PartitionHealth } from "./commands.ts";
import { decodeShares, encodeShares, type Share } from "./inbound-record.ts";

export interface PartitionEvents {
  /** A publisher's message is on disk here, or could not be stored. */
  onAnswer(worker: number, origin: number, sequence: number, outcome: CommitOutcome): void;
  onDelivery(session: Session, position: number, messageBytes: number, flags: number): void;
  /** Messages of memory queues, acknowledged to their publishers, that a failed commit and a full memory lost. */
  onLoss(partition: number, messages: number): void;
  /** A commit ended: there may be something to do. */
  onCommit(): void;
  /** The partition cannot store, or can again, after `forMs`: then `fault` is undefined. */
  onHealth(partition: number, fault: CommitFault | undefined, forMs: number): void;
  /** Stored bytes proved bad: set aside, the rest is served. */
  onDamage(partition: number, damage: Damage): void;
}

/** Opens the log of a partition. */
export type OpenLog = (options: {
  readonly directory: string;
  readonly partition: number;
  readonly events: LogEvents;
}) => PartitionLog;

/** A QoS 2 identifier in this partition; its value in the store says the same once its batch is on disk. */
export interface InboundIdentifier {
  readonly shares: readonly Share[];
  /** Of its batch, while that is not on disk and somebody has to wait for it. */
  company: BatchCompany | undefined;
}

export class Partition implements SessionStore {
  readonly number: number;
  readonly log: PartitionLog;
  readonly queues: PartitionQueues;
  /** Sessions that outlive their connection, by target. */
  readonly sessions = new Map<number, Session>();
  /** What lies here now, as QoS 2 identifiers say it. */
  readonly share: Share;
  /** Of the sessions' records. */
  readonly adopted = new AdoptedRecords();
  /** QoS 2 identifiers received with a message and not yet released: keys of table "inbound". */
  readonly inbound = new Map<string, InboundIdentifier>();
  /** Identifiers that were released and may still be on disk, with the batch that removes them. */
  readonly #releasing = new Map<string, BatchCompany>();
  readonly #events: PartitionEvents;
  #gathering = new BatchCompany();
  /** Of sealed batches, oldest first: the log may seal the next one before it tells that one ended. */
  readonly #sealed: BatchCompany[] = [];
  readonly #spare: BatchCompany[] = [];
  /** Of a batch in which nothing has gathered. */
  readonly #emptyBytes: number;
  readonly #nowMs: () => number;
  readonly #shares: readonly Share[];
  readonly #sharesValue: Buffer;
  #lastTarget = 0;
  #fault: PartitionHealth["fault"] = null;
  #damageCount = 0;
  #damagedRecords = 0;

  /** `share`: its number, of how many. */
  constructor(
    share: Share,
    directory: string,
    random: () => number,
    nowMs: () => number,
    events: PartitionEvents,
    openLog: OpenLog = openPartitionLog,
  ) {
    const number = share.partition;
    this.number = number;
    this.share = share;
    this.#shares = [this.share];
    this.#sharesValue = encodeShares(this.#shares);
    this.#events = events;
    this.#nowMs = nowMs;
    this.log = openLog({
      directory,
      partition: number,
      events: {
        onSeal: (batch) => this.#onSeal(batch),
        onCommitted: (batch) => this.#onCommitted(batch),
        onFailed: (batch) => this.#onFailed(batch),
        onHealth: (fault) => this.#onHealth(fault),
        onDamage: (damage) => this.#onDamage(damage),
      },
    });
    this.#emptyBytes = this.log.gatheringBytes;
    this.queues = new PartitionQueues(this.log, random);
  }

  /** What waits for the batch that gathers now. */
  get company(): BatchCompany {
    return this.#gathering;
  }

  /** Whether a message of so many bytes can be staged now, and that many records added; an empty batch takes what it can. */
  hasRoom(messageBytes: number, records: number): boolean {
    const { gatheringBytes, gatheringRecords } = this.log;
    if (gatheringBytes === this.#emptyBytes) return true;
    if (gatheringRecords + records > RECORDS_PER_BATCH_MAX) return false;
    return gatheringBytes + messageBytes < LOG_BATCH_BYTES_MAX - ROOM_MARGIN_BYTES;
  }

  /** Whether the partition can store, and what proved damaged since the start. */
  get health(): PartitionHealth {
    const { number: partition } = this;
    return { partition, fault: this.#fault, damage: this.#damageCount, damagedRecords: this.#damagedRecords };
  }

  /** A session's record is done with. */
  settle(position: number): void {
    if (this.adopted.isEmpty || !this.adopted.end(position)) this.log.settle(position);
  }

  read(position: number, into: StoredMessage): "found" | "gone" | "damaged" {
    return this.log.read(position, into);
  }

  whenForgotten(position: number, done: () => void): boolean {
    return !this.adopted.isEmpty && this.adopted.whenForgotten(position, done);
  }

  /** All that this partition was given until now is on disk; `done` at once when it is. */
  whenStored(done: () => void): void {
    const company = this.log.isGathering ? this.#gathering : this.#sealed.at(-1);
    if (company === undefined) done();
    else company.afterCommit((outcome) => (outcome === "stored" ? done() : this.whenStored(done)));
  }

  /** A number for a new session or queue. */
  takeTarget(): number {
    this.#lastTarget += 1;
    return this.#lastTarget;
  }

  /** Numbers up to this are taken: found at recovery. */
  noteTarget(target: number): void {
    this.#lastTarget = Math.max(this.#lastTarget, target);
  }

  /** Sets a keyed value with the gathering batch; put again by itself should the batch fail. */
  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.log.put(table, key, value);
    this.#gathering.put(table, key, value);
  }

  /**
   * Keeps a QoS 2 identifier with the gathering batch. `hasMessage`: with it, everyone here who was to have the message has it;
   * else it only tells the session. If the batch fails, what was known before is known again, and a repeat is stored as new; unless
   * the message does not depend on it (`isFree`): then the identifier goes with the next batch.
   */
  keepInbound(key: string, hasMessage: boolean, isFree: boolean): void {
    const before = this.inbound.get(key);
    const shares = hasMessage ? this.#shares : (before?.shares ?? NO_SHARES);
    const company = this.#gathering;
    const wasReleasing = this.#releasing.delete(key); // This value takes the place of the one that was to be removed.
    const kept: InboundIdentifier = { shares, company: isFree ? undefined : company };
    this.inbound.set(key, kept);
    const value = hasMessage ? this.#sharesValue : encodeShares(shares);
    this.log.put("inbound", key, value);
    if (isFree) {
      this.#keepUntilStored(key, kept, value);
      return;
    }
    company.afterCommit((outcome) => {
      if (outcome === "stored") kept.company = undefined;
      else if (this.inbound.get(key) !== kept)
        return; // Released meanwhile, or kept again.
      else if (before !== undefined && before.company === undefined) this.inbound.set(key, before);
      else if (wasReleasing) this.releaseInbound(key);
      else this.inbound.delete(key);
    });
  }

  /** Puts an identifier into one batch after the other until one is on disk, or it is released or kept for another message. */
  #keepUntilStored(key: string, kept: InboundIdentifier, value: Buffer): void {
    this.#gathering.afterCommit((outcome) => {
      if (outcome === "stored" || this.inbound.get(key) !== kept) return;
      this.log.put("inbound", key, value);
      this.#keepUntilStored(key, kept, value);
    });
  }

  /** A QoS 2 identifier read back. */
  restoreInbound(key: string, value: Buffer): void {
    this.inbound.set(key, { shares: decodeShares(value, this.share), company: undefined });
  }

  /** Forgets a QoS 2 identifier; returns the batch after which it is not on disk, undefined when it is not there now. */
  releaseInbound(key: string): BatchCompany | undefined {
    if (this.inbound.delete(key)) {
      this.put("inbound", key, undefined);
      this.#releasing.set(key, this.#gathering);
    }
    return this.#releasing.get(key);
  }

  #onSeal(batch: number): void {
    this.queues.onSeal(batch);
    this.#sealed.push(this.#gathering);
    this.#gathering = this.#spare.pop() ?? new BatchCompany();
  }

  #onCommitted(batch: number): void {
    const company = this.#sealed.shift()!;
    for (const { table, key } of company.puts.values()) {
      if (table === "inbound" && this.#releasing.get(key) === company) this.#releasing.delete(key);
    }
    company.puts.clear();
    this.queues.onCommitted(batch, this.#nowMs());
    company.drainDeliveries((session, position, messageBytes, flags) =>
      this.#events.onDelivery(session, position, messageBytes, flags),
    );
    this.#finish(company, "stored");
  }

  #onFailed(batch: number): void {
    const company = this.#sealed.shift()!;
    const puts = [...company.puts.values()];
    company.puts.clear();
    const lost = this.queues.onFailed(batch);
    if (lost > 0) this.#events.onLoss(this.number, lost);
    company.drainDeliveries(() => {});
    for (const { table, key, value } of puts) {
      if (table === "inbound") {
        if (this.#releasing.get(key) !== company) continue; // Released once more, or kept for another message.
        this.#releasing.set(key, this.#gathering);
      }
      if (!this.#gathering.puts.has(`${table}/${key}`)) this.put(table, key, value);
    }
    this.#finish(company, "failed");
  }

  #onHealth(fault: CommitFault | undefined): void {
    const nowMs = this.#nowMs();
    const forMs = this.#fault === null ? 0 : nowMs - this.#fault.sinceMs;
    this.#fault = fault === undefined ? null : { reason: fault.kind, sinceMs: nowMs };
    this.#events.onHealth(this.number, fault, forMs);
  }

  #onDamage(damage: Damage): void {
    this.#damageCount += 1;
    this.#damagedRecords += Math.max(0, damage.records);
    this.#events.onDamage(this.number, damage);
  }

  #finish(company: BatchCompany, outcome: CommitOutcome): void {
    company.waiters.drain((worker, origin, sequence) => this.#events.onAnswer(worker, origin, sequence, outcome));
    company.drainCallbacks(outcome);
    this.#spare.push(company);
    this.#events.onCommit();
  }
}

/** The position that the next record gets; one before it when a batch has failed meanwhile or is full. */
export const nextPositionOf = ({ log }: Partition): number =>
  log.gathering * RECORDS_PER_BATCH_MAX + log.gatheringRecords;

const NO_SHARES: readonly Share[] = [];

/** What a batch needs beside its messages, and room for the records of one more publish. */
const ROOM_MARGIN_BYTES = 64 * 1024;

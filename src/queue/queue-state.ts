/**
 * What a queue is made of; the verbs of a message's life (`accept`, `hand-out`, `settle`, `expire`, …) work on it.
 *
 * ```
 *   accept ──► line ──hand out──► aside (in flight) ──settle──► gone
 *                │                  │
 *                │                  └── give back ──► aside (returned), in a heap by position
 *                └── available once its batch is on disk: position < availableBefore
 * ```
 *
 * One thread, the owner of the queue's partition, calls everything here.
 */
import { QUEUE_AT_ONCE_MESSAGES } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import {
  type MessageLocation,
  type Position,
  type QueueLog,
  RECORDS_PER_BATCH_MAX,
  type ReadResult,
} from "../log/contract.ts";
import { Aside } from "./aside.ts";
import { HELD, IN_FLIGHT, LEAVING, PARKED, RETURNED } from "./aside-state.ts";
import type { QueueRecord } from "./definition.ts";
import { Kept, type KeptBudget } from "./kept.ts";
import { compileKeyExpression, type KeyExpression, keyless } from "./key-expression.ts";
import { type HashSeed, type KeyHash, newKeyHash } from "./key-hash.ts";
import { LastValues } from "./last-values.ts";
import { Leaving } from "./leaving.ts";
import { Ledger } from "./ledger.ts";
import type { LineChunk } from "./line-chunk.ts";
import { Metrics } from "./metrics.ts";
import { WaitingLine } from "./waiting.ts";

/** Told by a queue what its owner has to know. */
export interface QueueEvents {
  /** There may be something to hand out that was not there before. */
  onAvailable(): void;
  /** The ledger or uncommitted messages changed: `seal` before the next commit, `committed` or `failed` after it. */
  onChanged(): void;
  /** Something was begun that `work` goes on with. */
  onWork(): void;
}

const NOTHING = Region.allocate(0);

export interface QueueOptions {
  readonly record: QueueRecord;
  readonly log: QueueLog;
  /** A secret for the hashes of keys; of a queue with a stored ledger, that one's is used. */
  readonly seed: HashSeed;
  /** In [0, 1), for key expressions. */
  readonly random: () => number;
  /** Shared by the queues of a partition. */
  readonly keptBudget: KeptBudget;
  readonly events: QueueEvents;
  /** QUEUE_AT_ONCE_MESSAGES unless given. */
  readonly atOnceMessages?: number;
}

const DEFAULT_KEY_EXPRESSION = "message.from";

export class QueueState {
  readonly log: QueueLog;
  /** In [0, 1), for key expressions. */
  readonly random: () => number;
  readonly events: QueueEvents;
  readonly target: number;
  readonly ledgerKey: string;
  readonly ledger: Ledger;
  readonly line: WaitingLine;
  readonly aside = new Aside();
  readonly leaving = new Leaving();
  /** Holders that are gone and whose messages have not all come back. */
  readonly returning: number[] = [];
  /** Whether more is to be dropped, in steps. */
  isTrimming = false;
  /** Chunks of the line whose messages are dropped, and how many of those have records that are not settled yet. */
  readonly departing: LineChunk[] = [];
  departingCount = 0;
  /** Messages handled at once before the rest is left to turns to come. */
  readonly atOnceMessages: number;
  /** LEAVING messages by reason: counted as gone already, their records still there. */
  readonly leavingCounts = new Float64Array(2);
  /** Messages that expired before their commit ended, by batch: should it fail, they never existed. */
  readonly expiredEarly = new Map<number, number>();
  /** IN_FLIGHT messages whose record is settled because a newer value is on disk. */
  overwrittenCount = 0;
  readonly metrics = new Metrics();
  readonly kept: Kept;
  /** Kept messages are tried again no earlier than this. */
  nextKeptMs = 0;
  readonly lastValues: LastValues | undefined;
  readonly keyHash: KeyHash = newKeyHash();
  readonly location: MessageLocation = { region: NOTHING, offset: 0 };

  record: QueueRecord;
  expression: KeyExpression | undefined;
  maxCount = Number.POSITIVE_INFINITY;
  maxBytes = Number.POSITIVE_INFINITY;
  retentionMs = 0;
  isMemory = false;
  /** Messages from the one to before the other were accepted for `durability: memory`: no publisher waits for their commit. */
  memoryFrom: Position = 0;
  memoryBefore: Position = 0;
  /** Messages at positions below this may be handed out. */
  availableBefore: Position = 0;
  /** Aside's waiting messages: none expires before this. A lower bound. */
  asideEarliestMs = Number.POSITIVE_INFINITY;
  /** The sweep of what waits aside goes on at this slot; none of those before it expires before this. */
  asideSweepSlot = 0;
  asideSweptEarliestMs = Number.POSITIVE_INFINITY;
  /** What sweeps have cost so far, in messages. */
  sweepWork = 0;
  /** The sweep for expired messages runs no earlier than this. */
  nextSweepMs = 0;
  /** Settlements that named nothing this queue has in flight with that holder. */
  unknownSettles = 0;
  /** Messages that the log could not give back; counted as dropped. */
  unreadable = 0;

  constructor({ record, log, seed, random, keptBudget, events, atOnceMessages }: QueueOptions) {
    this.atOnceMessages = atOnceMessages ?? QUEUE_AT_ONCE_MESSAGES;
    this.record = record;
    this.log = log;
    this.random = random;
    this.events = events;
    this.target = record.target;
    this.ledgerKey = String(record.target);
    this.ledger = new Ledger(seed);
    this.ledger.retentionMsMax = record.definition.data_retention_period;
    this.lastValues = record.definition.is_lastvalue ? new LastValues() : undefined;
    this.line = new WaitingLine(record.definition.is_lastvalue);
    this.kept = new Kept(keptBudget);
    this.define(record);
    this.memoryFrom = 0; // Nothing was accepted before.
    this.noteCommitted(log.committed);
  }

  /** Takes over a definition; `is_lastvalue` is the one it was created with. */
  define(record: QueueRecord): void {
    const { definition } = record;
    this.record = record;
    this.maxCount = boundOf(definition.limits.max_shard_message_count);
    this.maxBytes = boundOf(definition.limits.max_shard_message_bytes);
    this.retentionMs = definition.data_retention_period;
    const isMemory = definition.durability === "memory";
    if (isMemory !== this.isMemory) {
      // Each change of it is a commit of its own, so what was accepted before the last one is on disk.
      const next = this.log.gathering * RECORDS_PER_BATCH_MAX + this.log.gatheringRecords;
      if (isMemory) this.memoryFrom = next;
      this.memoryBefore = isMemory ? Number.POSITIVE_INFINITY : next;
      this.isMemory = isMemory;
      this.noteCommitted(this.log.committed);
    }
    if (definition.is_lastvalue) {
      const source = definition.key_expression ?? DEFAULT_KEY_EXPRESSION;
      const compiled = compileKeyExpression(source);
      // It was compiled at its creation; should another version have taken what this one does not, no message has a key.
      this.expression = compiled.ok ? compiled.expression : keyless(source);
    }
  }

  /** Everything up to this batch is on disk: how far messages may be handed out. */
  noteCommitted(batch: number): void {
    const before = (batch + 1) * RECORDS_PER_BATCH_MAX;
    // Those of a memory queue at once, unless some before them still wait for the disk.
    this.availableBefore = before < this.memoryFrom ? before : Math.max(before, this.memoryBefore);
  }

  /** Whether a message was acknowledged without waiting for its commit. */
  isMemoryAt(position: Position): boolean {
    return position >= this.memoryFrom && position < this.memoryBefore;
  }

  /** Finds a message of this queue, in the log or kept. */
  read(position: Position): ReadResult {
    const { kept, log, location } = this;
    return kept.isEmpty ? log.read(position, location) : kept.read(position, log, location);
  }

  /** A message's record is done with. */
  settleRecord(position: Position): void {
    this.log.settle(this.kept.isEmpty ? position : this.kept.settle(position));
  }

  /** Messages that wait: in the line, come back, put off. Those LEAVING count as gone. */
  get waiting(): number {
    const { counts } = this.aside;
    return this.line.count + counts[RETURNED]! + counts[HELD]! + counts[PARKED]!;
  }

  get waitingBytes(): number {
    const { byteCounts } = this.aside;
    return this.line.bytes + byteCounts[RETURNED]! + byteCounts[HELD]! + byteCounts[PARKED]!;
  }

  get inFlight(): number {
    return this.aside.counts[IN_FLIGHT]!;
  }

  get inFlightBytes(): number {
    return this.aside.byteCounts[IN_FLIGHT]!;
  }

  /** Whether nothing at all is kept here. */
  get isEmpty(): boolean {
    return this.waiting + this.inFlight + this.aside.counts[LEAVING]! === 0;
  }
}

const boundOf = (limit: number | "infinity"): number => (limit === "infinity" ? Number.POSITIVE_INFINITY : limit);

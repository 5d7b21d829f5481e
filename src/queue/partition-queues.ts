/**
 * The queues of one partition, and what the partition's log has to do with them. Of a thousand queues only those that
 * a batch touched are visited when it is sealed and when it ends.
 */
import { assert } from "../base/assert.ts";
import { EXPIRIES_PER_TICK, SWEEP_COST_EXPIRIES, WORK_COST_MESSAGES } from "../base/limits.ts";
import type { PartitionLog, RecordSummary } from "../log/contract.ts";
import type { QueueRecord } from "./definition.ts";
import { KeptBudget } from "./kept.ts";
import type { HashSeed } from "./key-hash.ts";
import type { Removal } from "./purge.ts";
import { Queue } from "./queue.ts";

export class PartitionQueues {
  readonly #log: PartitionLog;
  readonly #random: () => number;
  readonly #steps: { readonly atOnceMessages?: number };
  readonly #keptBudget = new KeptBudget();
  readonly #byTarget = new Map<number, Entry>();
  /** Those that hold something, and maybe some that have just been emptied: no other has a deadline. */
  readonly #occupied = new Set<Entry>();
  /** Of deleted queues whose records are not all settled yet. */
  readonly #removals: Removal[] = [];
  /** Those that go on with something, in the order in which they have their turn. */
  readonly #working = new Set<Entry>();
  /** Touched since the last seal. */
  #changed: Entry[] = [];
  /** Of batches that are sealed and have not ended, oldest first: the next one may be sealed before the last is told of. */
  #sealed: { readonly batch: number; readonly entries: readonly Entry[] }[] = [];

  /** `random` in [0, 1): for the secret of a new queue's key hashes, and for key expressions. `steps` as of `QueueOptions`. */
  constructor(log: PartitionLog, random: () => number, steps: { readonly atOnceMessages?: number } = {}) {
    this.#steps = steps;
    this.#log = log;
    this.#random = random;
  }

  get(target: number): Queue | undefined {
    return this.#byTarget.get(target)?.queue;
  }

  all(): Queue[] {
    return [...this.#byTarget.values()].map((entry) => entry.queue);
  }

  /** Adds a queue, new or to be recovered. `onAvailable` is called whenever there may be something new to hand out. */
  open(record: QueueRecord, onAvailable: () => void): Queue {
    const seed: HashSeed = { high: this.#random32(), low: this.#random32() };
    const onChanged = (): void => this.#touch(entry);
    const events = { onAvailable, onChanged, onWork: () => void this.#working.add(entry) };
    const queue = new Queue({
      record,
      log: this.#log,
      seed,
      random: this.#random,
      keptBudget: this.#keptBudget,
      events,
      ...this.#steps,
    });
    const entry: Entry = { queue, isChanged: false, isRemoved: false };
    this.#byTarget.set(record.target, entry);
    return entry.queue;
  }

  /** Removes a deleted queue; its records go with `removeSome`. A crash before that leaves strangers to the next `recover`. */
  remove(target: number): void {
    const entry = this.#byTarget.get(target);
    if (entry === undefined) return;
    this.#byTarget.delete(target);
    this.#occupied.delete(entry);
    this.#working.delete(entry);
    entry.isRemoved = true;
    this.#removals.push(entry.queue.beginRemoval());
  }

  /** Goes on with what queues have begun, for up to `bound` messages of all; true when there is more. */
  workSome(bound: number): boolean {
    let left = bound;
    for (const entry of this.#working) {
      if (left <= 0) break;
      this.#working.delete(entry);
      left = entry.queue.work(left) - WORK_COST_MESSAGES;
      if (entry.queue.hasWork) this.#working.add(entry);
    }
    return this.#working.size > 0;
  }

  /** Settles up to `bound` records of removed queues; true when there are more. */
  removeSome(bound: number): boolean {
    const [removal] = this.#removals;
    if (removal?.step(bound) === true) this.#removals.shift();
    return this.#removals.length > 0;
  }

  /**
   * Reads every opened queue back, at the start. `onStranger` gets the records of targets that are no queue here:
   * sessions', or those of a queue whose deletion a crash cut short, which the caller settles.
   */
  recover(onStranger: (record: RecordSummary) => void): void {
    const ledgers = new Map<string, Uint8Array>();
    this.#log.entries("ledgers", (key, value) => ledgers.set(key, value));
    this.#log.recover((record) => {
      const queue = this.get(record.target);
      if (queue === undefined) onStranger(record);
      else queue.recoverRecord(record);
    });
    for (const [target, entry] of this.#byTarget) {
      entry.queue.recovered(ledgers.get(String(target)));
      if (!entry.queue.isEmpty) this.#occupied.add(entry);
      ledgers.delete(String(target));
    }
    for (const key of ledgers.keys()) this.#log.put("ledgers", key, undefined); // Of queues that are gone.
  }

  /** For the log's `onSeal`. */
  onSeal(batch: number): void {
    const entries = this.#changed.filter((entry) => !entry.isRemoved);
    this.#changed = [];
    this.#sealed.push({ batch, entries });
    for (const entry of entries) {
      entry.isChanged = false;
      entry.queue.seal();
    }
  }

  /** For the log's `onCommitted`. */
  onCommitted(batch: number, nowMs: number): void {
    for (const { queue, isRemoved } of this.#ended(batch)) if (!isRemoved) queue.committed(batch, nowMs);
  }

  /** For the log's `onFailed`. Returns how many messages are lost although their publishers were told they are stored. */
  onFailed(batch: number): number {
    let lost = 0;
    for (const { queue, isRemoved } of this.#ended(batch)) if (!isRemoved) lost += queue.failed(batch);
    return lost;
  }

  /** Before the log is closed: what is in memory only goes with its last commit. */
  writeKept(): void {
    for (const { queue } of this.#byTarget.values()) queue.writeKept();
  }

  #ended(batch: number): readonly Entry[] {
    const ended = this.#sealed.shift();
    assert(ended?.batch === batch, "batches end in the order in which they were sealed");
    return ended.entries;
  }

  /** Lets the ledgers that changed without a record, by what was refused or dropped at once, go with the gathering batch. */
  keepLedgers(): void {
    for (const { queue, isRemoved } of this.#changed) if (!isRemoved) queue.seal();
  }

  /** When `onDeadline` has something to do. */
  nextDeadlineMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#occupied) {
      if (entry.queue.isEmpty && !entry.isChanged)
        this.#occupied.delete(entry); // Changed: something may come with the same batch.
      else nextMs = Math.min(nextMs, entry.queue.nextDeadlineMs);
    }
    return nextMs;
  }

  onDeadline(nowMs: number): void {
    let left = EXPIRIES_PER_TICK;
    for (const entry of [...this.#occupied]) {
      const { queue } = entry;
      if (queue.nextDeadlineMs > nowMs) continue;
      const swept = queue.onDeadline(nowMs, left);
      if (swept === 0) continue;
      left -= swept + SWEEP_COST_EXPIRIES;
      this.#occupied.delete(entry); // Who has swept goes to the end: no queue keeps the others from it.
      this.#occupied.add(entry);
    }
  }

  #touch(entry: Entry): void {
    if (entry.isChanged || entry.isRemoved) return;
    entry.isChanged = true;
    this.#occupied.add(entry);
    this.#changed.push(entry);
  }

  #random32(): number {
    return Math.floor(this.#random() * 0x1_0000_0000);
  }
}

interface Entry {
  readonly queue: Queue;
  isChanged: boolean;
  isRemoved: boolean;
}

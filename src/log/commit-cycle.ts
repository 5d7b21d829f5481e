/**
 * The commits of one log, one at a time: when the next one begins, and what its end changes.
 *
 * ```
 *   gathering ──begin: seal──► under way ──fsync──► committed: read cache, table, rewritten values in force
 *       ▲                          │                    │
 *       │                          └── fails: taken back, a pause, a probe ──┤
 *       └── next: asked for meanwhile, left by a failure, rewrites due ◄──────┘
 * ```
 */
import { assert } from "../base/assert.ts";
import {
  LOG_BATCH_NUMBERS_MAX,
  LOG_BATCH_NUMBERS_RESERVED,
  LOG_PROBE_MS,
  LOG_RETRY_MS_MAX,
  LOG_RETRY_MS_MIN,
  LOG_SETTLEMENTS_WAIT_MS,
} from "../base/limits.ts";
import { Arena } from "./arena.ts";
import type { BatchImage } from "./batch-image.ts";
import type { BatchImages } from "./batch-images.ts";
import type { BatchTable } from "./batch-table.ts";
import { type Commit, skipCommit, writeCommit } from "./commit.ts";
import { DiskFull, faultOfCommit } from "./commit-fault.ts";
import type { CommitFault, LogEvents, SettlementsMode } from "./contract.ts";
import type { DamageReport } from "./damage-report.ts";
import type { Environment } from "./environment.ts";
import { Health, isWritable } from "./health.ts";
import type { Merge, Merger } from "./merger.ts";
import type { Pending } from "./pending.ts";
import type { Rewrite, Rewriter } from "./rewriter.ts";
import type { Space } from "./space.ts";
import { ceilingOf, STORE_FORMAT, storedFormatOf } from "./store-format.ts";

export interface CommitCycleParts {
  readonly directory: string;
  readonly partition: number;
  readonly events: LogEvents;
  readonly schedule: (callback: () => void, afterMs: number) => void;
  readonly environment: Environment;
  readonly space: Space;
  readonly damage: DamageReport;
  readonly table: BatchTable;
  readonly rewriter: Rewriter;
  readonly merger: Merger;
  readonly images: BatchImages;
  readonly pending: Pending;
}

export class CommitCycle {
  readonly #parts: CommitCycleParts;
  readonly #health = new Health();
  #arena = new Arena();
  #commit: Commit | undefined;
  #committed: number;
  #ceiling: number;
  /** A flush that came while a commit was under way. */
  #wanted: SettlementsMode | undefined;
  /** Settlements alone gather until a timer fires, or until something joins them. */
  #isWaiting = false;
  #isClosed = false;
  /** The pause after a failed commit; 0 when the last one went well. */
  #retryMs = 0;
  #isPausing = false;
  #isProbeDue = false;
  #isFormatOld: boolean;
  #whenIdle: (() => void) | undefined;
  /** The batch whose owner is just told that it failed. */
  #failing: Commit | undefined;
  /** Since the start: commits that went through and that failed, values rewritten and made of several, values removed. */
  readonly counters = { commits: 0, failedCommits: 0, rewrites: 0, merges: 0, removals: 0 };

  constructor(parts: CommitCycleParts) {
    const { environment } = parts;
    this.#parts = parts;
    // A store of an older format becomes one of this with the next commit: a new ceiling goes with it.
    this.#isFormatOld = storedFormatOf(environment) < STORE_FORMAT;
    this.#ceiling = ceilingOf(environment);
    this.#committed = Math.max(this.#ceiling, environment.lastBatchOf("indexes"));
    this.#arena.reset(this.#committed + 1);
  }

  /** The batch that gathers. */
  get arena(): Arena {
    return this.#arena;
  }

  /** The newest batch on disk. */
  get committed(): number {
    return this.#committed;
  }

  get isCommitting(): boolean {
    return this.#commit !== undefined;
  }

  /** As `PartitionLog.flush`. */
  flush(settlements: SettlementsMode): void {
    if (this.#commit !== undefined || this.#isPausing) {
      if (this.#wanted !== "now") this.#wanted = settlements;
      return;
    }
    if (settlements === "mayWait" && this.#hasOnlySettlements) this.#wait();
    else if (this.hasWork || this.#parts.rewriter.isDue) this.#begin();
    else if (this.#arena.records === 0) this.#arena.reset(this.#arena.batch); // Staged for nobody.
  }

  /** The value that a row of the table, here named by its batch, is in: from memory or disk; undefined when it is damaged. */
  imageOf(batch: number): BatchImage | undefined {
    const commit = this.#commit;
    if (commit !== undefined) {
      if (commit.batch === batch) return commit.image;
      if (commit.merges.length > 0) return mergedImageOf(commit.merges, batch) ?? this.#parts.images.load(batch);
    }
    return this.#parts.images.load(batch);
  }

  /** Of the batch whose owner is just told that it failed: it may still read there. */
  failingImageOf(batch: number): BatchImage | undefined {
    return this.#failing?.batch === batch ? this.#failing.image : undefined;
  }

  /** Commits what there is, also when the commit under way fails, and begins nothing after that. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#commit !== undefined) await this.#ended();
    const failedBefore = this.counters.failedCommits;
    while (this.#commit !== undefined || (this.hasWork && this.counters.failedCommits === failedBefore)) {
      if (this.#commit === undefined) this.#begin();
      await this.#ended();
    }
  }

  /** The end of the commit that is under way. */
  #ended(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** Whether a commit has anything to say; rewrites alone are no reason. */
  get hasWork(): boolean {
    return this.#arena.records > 0 || !this.#parts.pending.isEmpty || this.#parts.damage.hasAside;
  }

  /** Whether nobody waits for what gathers. Where rewrites are due, the disk is not kept waiting. */
  get #hasOnlySettlements(): boolean {
    if (this.#arena.records > 0 || !this.#parts.pending.isSettlementsOnly) return false;
    return !this.#parts.damage.hasAside && !this.#parts.rewriter.isDue;
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#parts.schedule(this.#onWaited, LOG_SETTLEMENTS_WAIT_MS);
  }

  readonly #onWaited = (): void => {
    this.#isWaiting = false;
    if (!this.#isClosed && this.#commit === undefined && !this.#isPausing && this.hasWork) this.#begin();
  };

  /** Seals the gathering batch and starts its commit; that of a probe may be empty. */
  #begin(): void {
    const { partition, directory, events, environment, damage, table, rewriter, images, pending } = this.#parts;
    const isProbe = this.#isProbeDue;
    this.#isProbeDue = false;
    this.#wanted = undefined;
    const arena = this.#arena;
    assert(arena.batch < LOG_BATCH_NUMBERS_MAX, "positions are exact numbers");
    events.onSeal(arena.batch);
    const rewrites = rewriter.take(arena.usedBytes, (batch) => this.imageOf(batch));
    const wanted: Commit = {
      batch: arena.batch,
      arena,
      image: arena.records > arena.settled ? arena.seal() : undefined,
      ...pending.take(),
      rewrites,
      merges: this.#takeMerges(arena.usedBytes, rewrites),
      partition,
      ceiling: arena.batch > this.#ceiling ? arena.batch + LOG_BATCH_NUMBERS_RESERVED : this.#ceiling,
      isCeilingNew: isProbe || this.#isFormatOld || arena.batch > this.#ceiling,
      isProbe,
    };
    const { commit, growthBytes, isGranted } = this.#claim(wanted);
    this.#commit = commit;
    this.#arena = images.takeArena();
    this.#arena.reset(commit.batch + 1);

    const done = isGranted
      ? environment.commit((changes) => writeCommit(commit, table, damage, changes))
      : this.#skip(commit, growthBytes);
    if (commit.image !== undefined) {
      const settled = arena.settled === 0 ? undefined : arena.settledBits;
      const live = arena.records - arena.settled;
      table.append(commit.batch, arena.records, arena.records, live, settled, commit.image.valueBytes);
    }
    done.then(
      () => this.#succeeded(commit, growthBytes),
      (cause: unknown) => this.#failed(commit, faultOfCommit(cause, directory, growthBytes), growthBytes),
    );
  }

  /** Merging is for sound times: nothing of it stands in the way of what makes room, or of closing. */
  #takeMerges(bytesMax: number, rewrites: readonly Rewrite[]): readonly Merge[] {
    if (this.#isClosed || this.#health.fault !== undefined) return [];
    const taken = new Set(rewrites.map(({ batch }) => batch));
    return this.#parts.merger.take(bytesMax, taken, (batch) => this.#parts.images.loadAside(batch));
  }

  /** Room for a commit, without its merges if they are what has none. */
  #claim(commit: Commit): { commit: Commit; growthBytes: number; isGranted: boolean } {
    const claimed = this.#parts.space.claim(commit);
    if (claimed.isGranted || commit.merges.length === 0) return { commit, ...claimed };
    const without = { ...commit, merges: [] };
    return { commit: without, ...this.#parts.space.claim(without) };
  }

  #skip(commit: Commit, growthBytes: number): Promise<void> {
    skipCommit(commit, this.#parts.table);
    return Promise.reject(new DiskFull(growthBytes));
  }

  #succeeded(commit: Commit, growthBytes: number): void {
    const { events, table, images } = this.#parts;
    this.#commit = undefined;
    this.#committed = commit.batch;
    this.#ceiling = commit.ceiling;
    this.#isFormatOld = false;
    this.counters.commits += 1;
    this.counters.rewrites += commit.rewrites.length;
    this.counters.removals += commit.removals.length;
    if (commit.image !== undefined || !this.#isPausing) this.#retryMs = 0;
    for (const { batch, image } of commit.rewrites) {
      if (!table.find(batch)) continue;
      table.replaceStored(image.entries, image.valueBytes);
      images.put(image);
    }
    this.counters.merges += commit.merges.length;
    for (const merge of commit.merges) this.#apply(merge);
    images.keep(commit.batch, commit.image, commit.arena);
    if (commit.image !== undefined) this.#health.succeed(growthBytes);
    const isSoundAgain = commit.isProbe && this.#health.fault !== undefined;
    if (isSoundAgain) this.#health.fault = undefined;
    this.#next();
    events.onCommitted(commit.batch);
    if (isSoundAgain) events.onHealth?.(undefined);
    this.#rest();
  }

  /** A merged value is on disk in the place of others; what was settled meanwhile is settled in it, with the next commit. */
  #apply({ batches, image }: Merge): void {
    const { table, images, pending } = this.#parts;
    pending.forgetRemovals(batches);
    for (const batch of batches) images.drop(batch);
    const live = table.merge(batches, image);
    if (live === 0) pending.remove(image.batch, image.valueBytes);
    else images.put(image);
    if (live > 0 && live < image.entries) pending.noteDirty(image.batch);
  }

  #failed(commit: Commit, fault: CommitFault, growthBytes: number): void {
    const { events, schedule, table, rewriter, images, pending } = this.#parts;
    this.#commit = undefined;
    this.counters.failedCommits += 1;
    if (commit.image !== undefined && table.find(commit.batch)) table.remove("live");
    pending.takeBack(commit);
    for (const { batch } of commit.rewrites) if (table.find(batch)) rewriter.consider();
    this.#retryMs = Math.min(LOG_RETRY_MS_MAX, Math.max(LOG_RETRY_MS_MIN, this.#retryMs * 2));
    this.#isPausing = !this.#isClosed;
    if (this.#isPausing) {
      schedule(() => {
        this.#isPausing = false;
        if (!this.#isClosed && this.#commit === undefined) this.#next();
      }, this.#retryMs);
    }
    const wasSound = this.#health.fail(fault, growthBytes);
    this.#failing = commit;
    events.onFailed(commit.batch, fault);
    this.#failing = undefined;
    images.release(commit.arena);
    if (wasSound) {
      events.onHealth?.(fault);
      schedule(() => this.#probe(), LOG_PROBE_MS);
    }
    // What makes room goes alone, without waiting for records that may not fit either.
    const isAlone = commit.image !== undefined && this.#commit === undefined && this.#arena.records === 0;
    if (isAlone && fault.kind === "disk_full" && this.hasWork) this.#begin();
    this.#rest();
  }

  /** What was asked for while a commit was under way, what a failed one left, and the rewriter's work, start by themselves. */
  #next(): void {
    if (this.#isClosed || this.#isPausing) return;
    const isRetry = this.#retryMs > 0;
    if (!this.hasWork ? !this.#parts.rewriter.isDue : this.#wanted === undefined && !isRetry) return;
    if (this.#wanted === "mayWait" && !isRetry && this.#hasOnlySettlements) this.#wait();
    else this.#begin();
  }

  /** While the log cannot store: tries whether it can again, when nothing has failed for a while. */
  #probe(): void {
    const { directory, schedule, space } = this.#parts;
    const { fault, growthBytes } = this.#health;
    if (this.#isClosed || fault === undefined) return;
    schedule(() => this.#probe(), LOG_PROBE_MS);
    if (!this.#health.tick() || this.#isPausing) return;
    this.#isProbeDue = fault.kind === "disk_full" ? space.hasRoomForRecords(growthBytes, 0) : isWritable(directory);
    if (this.#isProbeDue && this.#commit === undefined) this.#begin(); // Or with the commit after the one under way.
  }

  #rest(): void {
    this.#whenIdle?.();
    this.#whenIdle = undefined;
  }
}

/** While a commit is under way its merges may be on the disk or not: what they are made of is not looked for there. */
function mergedImageOf(merges: readonly Merge[], batch: number): BatchImage | undefined {
  for (const { batches, image } of merges) {
    if (batch >= batches[0]! && batch <= batches.at(-1)!) return image;
  }
  return undefined;
}

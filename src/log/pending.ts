/**
 * What waits for the next commit beside the batch's own records: keyed values, settled bits, removals, indexes made again.
 *
 * ```
 *   put, settle ──► pending ──take──► commit ──fails──► takeBack ──► pending
 * ```
 */
import type { BatchTable } from "./batch-table.ts";
import type { Commit } from "./commit.ts";
import { TableChanges } from "./record-tables.ts";

/** As one commit carries it. */
export type PendingChanges = Pick<Commit, "puts" | "dirty" | "removals" | "removedBytes" | "indexes">;

export class Pending {
  readonly #table: BatchTable;
  #puts = new TableChanges();
  /** Batches whose settled bits changed, and batches to remove, since the last seal. */
  #dirty: number[] = [];
  #removals: number[] = [];
  #removedBytes = 0;
  #indexes = new Map<number, Buffer>();

  constructor(table: BatchTable) {
    this.#table = table;
  }

  get puts(): TableChanges {
    return this.#puts;
  }

  get isEmpty(): boolean {
    return this.#puts.isEmpty && !this.#hasSettlements && this.#indexes.size === 0;
  }

  /** Whether nobody waits for it. */
  get isSettlementsOnly(): boolean {
    return this.#hasSettlements && this.#puts.isEmpty && this.#indexes.size === 0;
  }

  get #hasSettlements(): boolean {
    return this.#dirty.length > 0 || this.#removals.length > 0;
  }

  /** What a start found to be set right. */
  repair(removals: number[], indexes: Map<number, Buffer>): void {
    this.#removals = removals;
    this.#indexes = indexes;
  }

  /** The settled bits of a batch, the one that the table has found, changed. */
  noteDirty(batch: number): void {
    if (this.#table.markDirty()) this.#dirty.push(batch);
  }

  /** These batches were merged: those of them that were to go alone are no values of their own any more. */
  forgetRemovals(batches: readonly number[]): void {
    if (this.#removals.length === 0) return;
    const merged = new Set(batches);
    this.#removals = this.#removals.filter((batch) => !merged.has(batch));
  }

  /** A batch without a live record goes, with a value of so many bytes. */
  remove(batch: number, storedBytes: number): void {
    this.#removals.push(batch);
    this.#removedBytes += storedBytes;
  }

  /** Everything, for a commit; nothing is pending then. */
  take(): PendingChanges {
    const changes = {
      puts: this.#puts,
      dirty: this.#dirty,
      removals: this.#removals,
      removedBytes: this.#removedBytes,
      indexes: this.#indexes,
    };
    this.#puts = new TableChanges();
    this.#dirty = [];
    this.#removals = [];
    this.#removedBytes = 0;
    this.#indexes = new Map();
    return changes;
  }

  /** Of a commit that failed: all but its keyed values, which are their owner's to repeat. */
  takeBack(commit: Commit): void {
    for (const removed of commit.removals) if (removed !== commit.batch) this.#removals.push(removed);
    this.#removedBytes += commit.removedBytes;
    for (const [batch, index] of commit.indexes) this.#indexes.set(batch, index);
    const rewritten = commit.rewrites.map(({ batch }) => batch);
    const merged = commit.merges.flatMap(({ batches }) => batches);
    for (const batch of [...commit.dirty, ...rewritten, ...merged]) {
      if (this.#table.find(batch) && this.#table.live < this.#table.records) this.noteDirty(batch);
    }
  }
}

/** One commit: what its transaction consists of. It is put together at the seal, and no byte of it changes until it ends. */
import type { Arena } from "./arena.ts";
import { encodeSettled } from "./batch-format.ts";
import type { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";
import type { DamageReport } from "./damage-report.ts";
import type { Changes } from "./environment.ts";
import type { Merge } from "./merger.ts";
import type { TableChanges } from "./record-tables.ts";
import type { Rewrite } from "./rewriter.ts";
import { CEILING_KEY, encodeCeiling, formatChange } from "./store-format.ts";

export interface Commit {
  readonly batch: number;
  readonly arena: Arena;
  /** The batch's value; undefined when no record of it needs storing. */
  readonly image: BatchImage | undefined;
  readonly puts: TableChanges;
  /** Batches whose settled bits changed. */
  readonly dirty: readonly number[];
  readonly removals: readonly number[];
  /** Bytes of their values. */
  readonly removedBytes: number;
  /** Indexes made again from their batches. */
  readonly indexes: ReadonlyMap<number, Buffer>;
  readonly rewrites: readonly Rewrite[];
  readonly merges: readonly Merge[];
  readonly partition: number;
  /** No batch number up to this is ever given again; stored when it is new. */
  readonly ceiling: number;
  readonly isCeilingNew: boolean;
  /** Made to see whether the log can store again. */
  readonly isProbe: boolean;
}

/** Writes a commit; the bits of the batches it touches count as handed over from here on. */
export function writeCommit(commit: Commit, table: BatchTable, damage: DamageReport, changes: Changes): void {
  if (commit.isCeilingNew) {
    const format = formatChange(commit.partition);
    changes.put("log", format.key, format.value);
    changes.put("log", CEILING_KEY, encodeCeiling(commit.ceiling));
  }
  writeBatch(commit, changes);
  for (const [batch, index] of commit.indexes) changes.putBatch("indexes", batch, index);
  for (const { batch, image, index } of commit.rewrites) {
    if (table.find(batch)) table.clearDirty(); // Records without an entry are settled: no bits are needed.
    changes.putBatch("batches", batch, image.region.bytes);
    changes.putBatch("indexes", batch, index);
    changes.removeBatch("settled", batch);
  }
  for (const merge of commit.merges) writeMerge(merge, table, changes);
  for (const batch of commit.dirty) {
    if (!table.find(batch) || !table.clearDirty()) continue;
    const { batch: stored, settledBits, records, width } = table; // Of a batch that was merged meanwhile, the value it is in.
    changes.putBatch("settled", stored, encodeSettled(stored, settledBits, records, width));
  }
  for (const batch of commit.removals) {
    changes.removeBatch("batches", batch);
    changes.removeBatch("indexes", batch);
    changes.removeBatch("settled", batch);
  }
  commit.puts.write(changes);
  damage.moveAside(changes);
}

/** For a commit that is not tried: the dirty batches are handed over all the same, as to one that failed. */
export function skipCommit(commit: Commit, table: BatchTable): void {
  for (const batch of commit.dirty) if (table.find(batch)) table.clearDirty();
}

function writeBatch(commit: Commit, changes: Changes): void {
  const { batch, arena, image } = commit;
  if (image === undefined) return;
  changes.putBatch("batches", batch, image.region.bytes.subarray(0, image.valueBytes));
  changes.putBatch("indexes", batch, arena.indexValue);
  if (arena.settled === 0) return;
  const bits = arena.settledBits.subarray(0, Math.ceil(arena.records / 8));
  changes.putBatch("settled", batch, encodeSettled(batch, bits, arena.records, arena.records));
}

/** All that was stored of the neighbours goes, but for the two values that now stand for them. */
function writeMerge({ batches, image, index }: Merge, table: BatchTable, changes: Changes): void {
  for (const batch of batches) {
    if (table.find(batch)) table.clearDirty(); // Records without an entry are settled.
    changes.removeBatch("settled", batch);
    if (batch === image.batch) continue;
    changes.removeBatch("batches", batch);
    changes.removeBatch("indexes", batch);
  }
  changes.putBatch("batches", image.batch, image.region.bytes);
  changes.putBatch("indexes", image.batch, index);
}

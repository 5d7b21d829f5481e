/**
 * The start of a log: from the indexes and the settled bits on disk to the table of waiting batches and a visit of every live
 * record. Messages are not read, except those of a batch whose index is damaged.
 */

import { Region } from "../base/region.ts";
import {
  BATCH_MAGIC,
  batchesOf,
  decodeSettled,
  ENTRY_BYTES,
  entriesOf,
  entriesOffsetOf,
  entryIndex,
  faultOf,
  HEADER_BYTES,
  INDEX_MAGIC,
  positionOf,
  readEntry,
  recordsOf,
  sealValue,
  widthOf,
} from "./batch-format.ts";
import type { BatchTable } from "./batch-table.ts";
import type { RecordSummary } from "./contract.ts";
import type { DamageReport } from "./damage-report.ts";
import { batchOfKey, type Environment } from "./environment.ts";

/** What the next commit has to set right. */
export interface Repairs {
  /** Batches without a live record, or without anything readable. */
  readonly removals: number[];
  /** Indexes made again from their batches. */
  readonly indexes: Map<number, Buffer>;
}

/** Fills the empty table and visits the live records in order of position. */
export function recoverBatches(
  environment: Environment,
  table: BatchTable,
  damage: DamageReport,
  visit: (record: RecordSummary) => void,
): Repairs {
  const repairs: Repairs = { removals: [], indexes: new Map() };
  const summary: RecordSummary = {
    position: 0,
    target: 0,
    flags: 0,
    messageBytes: 0,
    expiresAtMs: 0,
    keyHashHigh: 0,
    keyHashLow: 0,
  };
  const settledBits = settledOf(environment);
  let last = 0;
  for (const { key, value } of environment.scan("indexes")) {
    const batch = batchOfKey(key);
    const index = soundIndex(environment, batch, value, damage, repairs);
    if (index === undefined) {
      repairs.removals.push(batch);
      continue;
    }
    if (batch <= last) {
      damage.add({ what: "batch", batch, records: 0, reason: `lies within what was merged up to ${last}` }, value);
      repairs.removals.push(batch);
      continue;
    }
    last = batch + batchesOf(index) - 1;
    const settled = settledOrNone(settledBits(batch), batch, index, damage);
    const live = visitLive(index, batch, settled, summary, visit);
    if (live === 0) repairs.removals.push(batch);
    else {
      const records = recordsOf(index);
      const entries = entriesOf(index);
      const missing = entries < records ? withoutEntries(index, settled) : settled;
      table.append(batch, records, entries, live, missing, valueBytesOf(index), widthOf(index));
    }
  }
  return repairs;
}

/** Walks the settled values beside the scan of the indexes: asked for rising batch numbers only. */
function settledOf(environment: Environment): (batch: number) => Buffer | undefined {
  const scan = environment.scan("settled");
  let next = scan.next();
  return (batch) => {
    while (!next.done && batchOfKey(next.value.key) < batch) next = scan.next();
    return !next.done && batchOfKey(next.value.key) === batch ? next.value.value : undefined;
  };
}

/** The index, or the one that its batch gives when it is damaged; undefined when both are. */
function soundIndex(
  environment: Environment,
  batch: number,
  value: Buffer,
  damage: DamageReport,
  repairs: Repairs,
): Region | undefined {
  const index = Region.over(value);
  const reason = faultOf(index, INDEX_MAGIC, batch);
  if (reason === undefined) return index;

  const stored = environment.getBatch("batches", batch);
  const whole = stored === undefined ? undefined : Region.over(stored);
  const isSound = whole !== undefined && faultOf(whole, BATCH_MAGIC, batch) === undefined;
  damage.add({ what: "index", batch, records: isSound ? 0 : -1, reason }, value);
  if (!isSound) {
    if (stored !== undefined) damage.add({ what: "batch", batch, records: -1, reason: "as its index" }, stored);
    return undefined;
  }
  const rebuilt = indexFrom(whole, batch);
  repairs.indexes.set(batch, rebuilt.bytes);
  return rebuilt;
}

/** The index that a sound batch value gives. */
export function indexFrom(batchValue: Region, batch: number): Region {
  const start = entriesOffsetOf(batchValue);
  const entries = entriesOf(batchValue);
  const index = Region.allocate(HEADER_BYTES + entries * ENTRY_BYTES);
  batchValue.bytes.copy(index.bytes, HEADER_BYTES, start, start + entries * ENTRY_BYTES);
  sealValue(index, INDEX_MAGIC, batch, recordsOf(batchValue), entries, HEADER_BYTES, widthOf(batchValue));
  return index;
}

function settledOrNone(
  value: Buffer | undefined,
  batch: number,
  index: Region,
  damage: DamageReport,
): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const bits = decodeSettled(value, batch, recordsOf(index), widthOf(index));
  if (bits === undefined) {
    const reason = "checksum or length does not match: its settled records come again";
    damage.add({ what: "settled", batch, records: 0, reason }, value);
  }
  return bits;
}

function visitLive(
  index: Region,
  batch: number,
  settled: Uint8Array | undefined,
  summary: RecordSummary,
  visit: (record: RecordSummary) => void,
): number {
  const end = HEADER_BYTES + entriesOf(index) * ENTRY_BYTES;
  const width = widthOf(index);
  let live = 0;
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    const record = entryIndex(index, at);
    if (settled !== undefined && (settled[record >>> 3]! & (1 << (record & 7))) !== 0) continue;
    live += 1;
    readEntry(index, at, summary);
    summary.position = positionOf(batch, width, record);
    visit(summary);
  }
  return live;
}

/** The settled bits of a rewritten or merged value: those on disk and those of the records that have no entry any more. */
function withoutEntries(index: Region, settled: Uint8Array | undefined): Uint8Array {
  const bits = new Uint8Array(Math.ceil(recordsOf(index) / 8)).fill(0xff);
  const end = HEADER_BYTES + entriesOf(index) * ENTRY_BYTES;
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    const record = entryIndex(index, at);
    const isSettled = settled !== undefined && (settled[record >>> 3]! & (1 << (record & 7))) !== 0;
    if (!isSettled) bits[record >>> 3]! &= ~(1 << (record & 7));
  }
  return bits;
}

/** Bytes of the batch value, estimated from its index: a message that several records share counts once. */
function valueBytesOf(index: Region): number {
  let bytes = index.bytes.length;
  let last = 0;
  const end = HEADER_BYTES + entriesOf(index) * ENTRY_BYTES;
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    const offset = index.view.getUint32(at, true);
    if (offset !== last) bytes += index.view.getUint32(at + 4, true);
    last = offset;
  }
  return bytes;
}

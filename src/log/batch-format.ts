/**
 * The bytes of a batch as stored. Each batch is two values: the batch itself, with the messages, and its index, which start-up
 * reads instead. Both begin with the same header and end with the same entries, so a batch explains itself when its
 * index is lost, and a raw file can be searched for batches by their magic. Little endian. Neighbouring batches that were merged are one
 * such pair under the number of the first.
 *
 * ```
 *   header                                          batch value:  header · messages · entries
 *   0  u32  magic          "RSTB" batch, "RSTI" index               index value:  header · entries
 *   4  u32  checksum       CRC-32 of all that follows this field
 *   8  u16  version        of this format: 1 a batch, 2 merged batches
 *  10  u16  messageLayout  version of the messages' layout (frame/message.ts)
 *  12  u32  records        added to the batch, 1 to 65,536: a record's index is below this; of merged batches instead
 *  12  u16  records - 1    and
 *  14  u16  width - 1      record r of the value is record r % width of batch number + floor(r / width)
 *  16  u32  entries        that follow: all records, or fewer in a rewritten or merged one, sorted by index
 *  20  u32  entriesOffset  of the first entry in this value; entries end the value
 *  24  f64  batch          its number, or the first one's
 *
 *   entry
 *   0  u32  offset         of the message in the batch value; records that share a message share it
 *   4  u32  messageBytes
 *   8  u32  target
 *  12  u16  flags          the owner's
 *  14  u16  index          of the record in the value
 *  16  f64  expiresAtMs
 *  24  u32  keyHashHigh
 *  28  u32  keyHashLow
 * ```
 *
 * A record without an entry is settled: also those that no batch of merged ones ever had, where they are of unequal size. What was settled
 * since is a value of its own: u32 checksum of the rest and of the batch's number (f64), then one bit per record, the lowest bit of the first
 * byte first. Of merged batches the checksum covers records and width as well: bits from before a merge mean other records. Without
 * the number, as written until store format 1, bits that lie under a wrong key would settle another batch's records.
 *
 * These bytes outlive the process. To change them: 1. add a version; 2. keep the readers of the others here; 3. raise `STORE_FORMAT`, so
 * that an older program refuses them; 4. add a migration test with bytes written by the old version.
 */

import type { Region } from "../base/region.ts";
import { MESSAGE_LAYOUT_VERSION } from "../frame/message.ts";
import { checksumOf } from "./checksum.ts";
import { type Position, RECORDS_PER_BATCH_MAX, type RecordSummary } from "./contract.ts";

export const BATCH_VERSION = 1;
export const MERGED_VERSION = 2;
export const HEADER_BYTES = 32;
export const ENTRY_BYTES = 32;
export const BATCH_MAGIC = 0x42545352;
export const INDEX_MAGIC = 0x49545352;

/** Writes the header of a value whose other bytes are in place, checksum included; of merged batches when `width` is below `records`. */
export function sealValue(
  region: Region,
  magic: number,
  batch: number,
  records: number,
  entries: number,
  entriesOffset: number,
  width = records,
): void {
  const { view } = region;
  view.setUint32(0, magic, true);
  view.setUint16(8, width < records ? MERGED_VERSION : BATCH_VERSION, true);
  view.setUint16(10, MESSAGE_LAYOUT_VERSION, true);
  view.setUint32(12, width < records ? records - 1 + (width - 1) * RECORDS_PER_BATCH_MAX : records, true);
  view.setUint32(16, entries, true);
  view.setUint32(20, entriesOffset, true);
  view.setFloat64(24, batch, true);
  view.setUint32(4, checksumOf(region.bytes.subarray(8, entriesOffset + entries * ENTRY_BYTES)), true);
}

/** What is wrong with a stored value, or undefined when it is sound. */
export function faultOf(region: Region, magic: number, batch: number): string | undefined {
  const { view, bytes } = region;
  if (bytes.length < HEADER_BYTES) return `${bytes.length} bytes are less than a header`;
  if (view.getUint32(0, true) !== magic) return "wrong magic number";
  if (view.getUint32(4, true) !== checksumOf(bytes.subarray(8))) return "checksum does not match";
  // From here on the bytes are what was written; these can only differ between versions or be misplaced as a whole.
  const version = view.getUint16(8, true);
  if (version !== BATCH_VERSION && version !== MERGED_VERSION) return `format version ${version}`;
  if (view.getUint16(10, true) !== MESSAGE_LAYOUT_VERSION) return `message layout ${view.getUint16(10, true)}`;
  if (view.getFloat64(24, true) !== batch) return `belongs to batch ${view.getFloat64(24, true)}`;
  const records = recordsOf(region);
  const entries = entriesOf(region);
  const isWide = version === MERGED_VERSION && widthOf(region) >= records;
  if (records === 0 || records > RECORDS_PER_BATCH_MAX || entries > records || isWide) return "impossible counts";
  if (entriesOffsetOf(region) + entries * ENTRY_BYTES !== bytes.length) return "entries do not end the value";
  return undefined;
}

/** Records of a value: of a batch, or of merged ones together. */
export const recordsOf = ({ view }: Region): number =>
  view.getUint16(8, true) === MERGED_VERSION ? view.getUint16(12, true) + 1 : view.getUint32(12, true);
/** Records of each batch in a value of merged ones; all records of one that is not. */
export const widthOf = (region: Region): number =>
  region.view.getUint16(8, true) === MERGED_VERSION ? region.view.getUint16(14, true) + 1 : recordsOf(region);
/** How many batch numbers a value stands for. */
export const batchesOf = (region: Region): number => Math.ceil(recordsOf(region) / widthOf(region));
/** Where a record of a value lies that is stored under `batch`. */
export const positionOf = (batch: number, width: number, record: number): Position =>
  record < width
    ? batch * RECORDS_PER_BATCH_MAX + record
    : (batch + Math.floor(record / width)) * RECORDS_PER_BATCH_MAX + (record % width);
export const entriesOf = (region: Region): number => region.view.getUint32(16, true);
export const entriesOffsetOf = (region: Region): number => region.view.getUint32(20, true);

/** Writes one entry at `at`. */
export function writeEntry(
  region: Region,
  at: number,
  offset: number,
  messageBytes: number,
  target: number,
  flags: number,
  index: number,
  expiresAtMs: number,
  keyHashHigh: number,
  keyHashLow: number,
): void {
  const { view } = region;
  view.setUint32(at, offset, true);
  view.setUint32(at + 4, messageBytes, true);
  view.setUint32(at + 8, target, true);
  view.setUint16(at + 12, flags, true);
  view.setUint16(at + 14, index, true);
  view.setFloat64(at + 16, expiresAtMs, true);
  view.setUint32(at + 24, keyHashHigh, true);
  view.setUint32(at + 28, keyHashLow, true);
}

export const entryOffset = (region: Region, at: number): number => region.view.getUint32(at, true);
export const entryMessageBytes = (region: Region, at: number): number => region.view.getUint32(at + 4, true);
export const entryIndex = (region: Region, at: number): number => region.view.getUint16(at + 14, true);

/** Fills the summary of the entry at `at`, all but its position. */
export function readEntry(region: Region, at: number, into: RecordSummary): void {
  const { view } = region;
  into.messageBytes = view.getUint32(at + 4, true);
  into.target = view.getUint32(at + 8, true);
  into.flags = view.getUint16(at + 12, true);
  into.expiresAtMs = view.getFloat64(at + 16, true);
  into.keyHashHigh = view.getUint32(at + 24, true);
  into.keyHashLow = view.getUint32(at + 28, true);
}

/** The settled bits of a value as one of their own: a copy that nobody else touches. */
export function encodeSettled(batch: number, bits: Uint8Array, records: number, width: number): Buffer {
  const value = Buffer.allocUnsafe(4 + bits.length);
  value.set(bits, 4);
  value.writeUInt32LE(settledChecksumOf(batch, bits, records, width), 0);
  return value;
}

/** The bits of such a value; undefined when it is damaged. */
export function decodeSettled(value: Buffer, batch: number, records: number, width: number): Uint8Array | undefined {
  if (value.length !== 4 + Math.ceil(records / 8)) return undefined;
  const bits = value.subarray(4);
  const checksum = value.readUInt32LE(0);
  if (checksum === settledChecksumOf(batch, bits, records, width)) return bits;
  return width === records && checksum === checksumOf(bits) ? bits : undefined;
}

function settledChecksumOf(batch: number, bits: Uint8Array, records: number, width: number): number {
  identity.writeDoubleLE(batch);
  const checksum = checksumOf(identity, checksumOf(bits));
  if (width === records) return checksum;
  identity.writeUInt32LE(records, 0);
  identity.writeUInt32LE(width, 4);
  return checksumOf(identity, checksum);
}

const identity = Buffer.alloc(8);

/**
 * The memory in which a batch gathers, laid out from the start as it is stored: messages behind the header, entries as the
 * index value. Arenas alternate: LMDB reads the bytes at the commit, not at the put, so a sealed arena rests until then.
 */

import { LOG_ARENA_BYTES_MIN, LOG_BATCH_BYTES_MAX } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";
import { totalBytes } from "../frame/message.ts";
import {
  BATCH_MAGIC,
  ENTRY_BYTES,
  entryOffset,
  HEADER_BYTES,
  INDEX_MAGIC,
  sealValue,
  writeEntry,
} from "./batch-format.ts";
import { BatchImage } from "./batch-image.ts";
import { NO_ROOM, RECORDS_PER_BATCH_MAX } from "./contract.ts";

const ENTRIES_BYTES_MIN = HEADER_BYTES + 512 * ENTRY_BYTES;

export class Arena {
  /** The number of the batch that gathers here. */
  batch = 0;
  records = 0;
  settled = 0;
  /** One bit per record that was settled before the seal; sound up to `records`. */
  readonly settledBits: Uint8Array = new Uint8Array(RECORDS_PER_BATCH_MAX / 8);
  /** The batch value: messages behind room for the header. */
  #messages: Region = Region.lasting(LOG_ARENA_BYTES_MIN);
  #messagesEnd = HEADER_BYTES;
  /** The index value. */
  #entries: Region = Region.allocate(ENTRIES_BYTES_MIN);

  /** Begins a new batch; what was here is forgotten. */
  reset(batch: number): void {
    if (this.settled > 0) this.settledBits.fill(0, 0, Math.ceil(this.records / 8));
    this.batch = batch;
    this.records = 0;
    this.settled = 0;
    this.#messagesEnd = HEADER_BYTES;
    // A message larger than a batch had this arena for itself: its memory is not kept.
    if (this.#messages.bytes.length > 2 * LOG_BATCH_BYTES_MAX) this.#messages = Region.lasting(LOG_ARENA_BYTES_MIN);
  }

  get messages(): Region {
    return this.#messages;
  }

  /** Bytes of the batch value if it were sealed now. */
  get usedBytes(): number {
    return this.#messagesEnd + this.records * ENTRY_BYTES;
  }

  /** Bytes of the index value if it were sealed now. */
  get indexBytes(): number {
    return HEADER_BYTES + this.records * ENTRY_BYTES;
  }

  get heldBytes(): number {
    return this.#messages.bytes.length + this.#entries.bytes.length;
  }

  /** Copies a message in; its offset, or NO_ROOM. */
  stage(source: Region, offset: number, messageBytes: number): number {
    const at = this.#messagesEnd;
    const needed = at + messageBytes;
    if (needed + this.records * ENTRY_BYTES > LOG_BATCH_BYTES_MAX && at !== HEADER_BYTES) return NO_ROOM;
    if (needed > this.#messages.bytes.length) this.#messages = grown(this.#messages, at, needed);
    copyBytes(this.#messages, at, source, offset, messageBytes);
    this.#messagesEnd = needed;
    return at;
  }

  /** Adds a record over a staged message: its index, or NO_ROOM. What was staged finds room up to the bound of records. */
  add(
    target: number,
    staged: number,
    flags: number,
    expiresAtMs: number,
    keyHashHigh: number,
    keyHashLow: number,
  ): number {
    const index = this.records;
    if (index === RECORDS_PER_BATCH_MAX) return NO_ROOM;
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    if (at + ENTRY_BYTES > this.#entries.bytes.length) this.#entries = grown(this.#entries, at, at + ENTRY_BYTES);
    writeEntry(
      this.#entries,
      at,
      staged,
      totalBytes(this.#messages, staged),
      target,
      flags,
      index,
      expiresAtMs,
      keyHashHigh,
      keyHashLow,
    );
    this.records = index + 1;
    return index;
  }

  isLive(index: number): boolean {
    return index < this.records && (this.settledBits[index >>> 3]! & (1 << (index & 7))) === 0;
  }

  /** Settles a record before its batch is stored. Idempotent. */
  settle(index: number): void {
    if (!this.isLive(index)) return;
    this.settledBits[index >>> 3]! |= 1 << (index & 7);
    this.settled += 1;
  }

  /** Where a record's message lies in `messages`. */
  messageOf(index: number): number {
    return entryOffset(this.#entries, HEADER_BYTES + index * ENTRY_BYTES);
  }

  /** Completes both values in place; the arena must not change again before they are on disk. */
  seal(): BatchImage {
    const entriesBytes = this.records * ENTRY_BYTES;
    const end = this.#messagesEnd + entriesBytes;
    if (end > this.#messages.bytes.length) this.#messages = grown(this.#messages, this.#messagesEnd, end);
    copyBytes(this.#messages, this.#messagesEnd, this.#entries, HEADER_BYTES, entriesBytes);
    sealValue(this.#messages, BATCH_MAGIC, this.batch, this.records, this.records, this.#messagesEnd);
    sealValue(this.#entries, INDEX_MAGIC, this.batch, this.records, this.records, HEADER_BYTES);
    return new BatchImage(this.batch, this.#messages, this);
  }

  /** The index value of the sealed batch; a view of the arena's memory. */
  get indexValue(): Buffer {
    return this.#entries.bytes.subarray(0, this.indexBytes);
  }
}

/** A larger region with the first `usedBytes` of `region`: doubled up to a full batch, so that growing costs little a byte. */
function grown(region: Region, usedBytes: number, neededBytes: number): Region {
  const doubled = Math.min(2 * region.bytes.length, LOG_BATCH_BYTES_MAX);
  const larger = Region.lasting(Math.max(neededBytes + LOG_ARENA_BYTES_MIN / 4, doubled));
  region.bytes.copy(larger.bytes, 0, 0, usedBytes);
  return larger;
}

/** New values from old ones: the live records' entries and the messages they name, of one batch or of neighbours together. */
import { Region } from "../base/region.ts";
import {
  BATCH_MAGIC,
  ENTRY_BYTES,
  entryIndex,
  entryMessageBytes,
  entryOffset,
  HEADER_BYTES,
  INDEX_MAGIC,
  sealValue,
} from "./batch-format.ts";
import { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";

/** Where a live record's entry lies, and what becomes of it. */
interface LiveEntry {
  readonly source: Region;
  readonly at: number;
  /** In the new value: which record it is, and where its message lies. */
  readonly record: number;
  readonly offset: number;
}

/** How the records of a new value count. */
export interface ValueShape {
  readonly records: number;
  readonly width: number;
}

/** Both new values for `images`, which are in the table and follow each other; stored under the number of the first. */
export function copyLive(
  images: readonly BatchImage[],
  { records, width }: ValueShape,
  table: BatchTable,
): { readonly image: BatchImage; readonly index: Buffer } {
  const { batch } = images[0]!;
  const { live, messagesEnd } = liveOf(images, width, table);
  const entriesBytes = live.length * ENTRY_BYTES;
  const value = Region.allocate(messagesEnd + entriesBytes);
  const index = Region.allocate(HEADER_BYTES + entriesBytes);
  let entryAt = messagesEnd;
  for (const { source, at, record, offset } of live) {
    const from = entryOffset(source, at);
    source.bytes.copy(value.bytes, offset, from, from + entryMessageBytes(source, at));
    source.bytes.copy(value.bytes, entryAt, at, at + ENTRY_BYTES);
    value.view.setUint32(entryAt, offset, true);
    value.view.setUint16(entryAt + 14, record, true);
    entryAt += ENTRY_BYTES;
  }
  value.bytes.copy(index.bytes, HEADER_BYTES, messagesEnd, entryAt);
  sealValue(value, BATCH_MAGIC, batch, records, live.length, messagesEnd, width);
  sealValue(index, INDEX_MAGIC, batch, records, live.length, HEADER_BYTES, width);
  return { image: new BatchImage(batch, value, undefined), index: index.bytes };
}

function liveOf(
  images: readonly BatchImage[],
  width: number,
  table: BatchTable,
): { readonly live: LiveEntry[]; readonly messagesEnd: number } {
  const first = images[0]!.batch;
  const live: LiveEntry[] = [];
  let messagesEnd = HEADER_BYTES;
  for (const image of images) {
    const { region: source, entriesOffset, entries, width: ownWidth, batch } = image;
    const moved = new Map<number, number>(); // From old offsets to new ones: records may share a message.
    table.find(batch);
    for (let entry = 0; entry < entries; entry += 1) {
      const at = entriesOffset + entry * ENTRY_BYTES;
      const own = entryIndex(source, at);
      if (!table.isRecordLive(own)) continue;
      const from = entryOffset(source, at);
      const offset = moved.get(from) ?? messagesEnd;
      if (offset === messagesEnd) {
        moved.set(from, offset);
        messagesEnd += entryMessageBytes(source, at);
      }
      const record = (batch - first + Math.floor(own / ownWidth)) * width + (own % ownWidth);
      live.push({ source, at, record, offset });
    }
  }
  return { live, messagesEnd };
}

/**
 * Frames larger than one record cross a ring in chunks, one frame at a time per ring; other frames may pass between them, so
 * what must stay in order behind a chunked frame waits until that is across.
 *
 * ```
 *   body of a chunk record:
 *   0  u32  kind          of the whole frame
 *   4  u32  totalBytes    of the whole frame
 *   8  u32  offset        of this chunk in it; 0 begins a frame and voids one that was begun before
 *  12  u32  0
 *  16       bytes         to the end of the record
 * ```
 */
import { assert } from "../base/assert.ts";
import { copyBytes, Region } from "../base/region.ts";
import type { OnFrame } from "./reader.ts";
import { RING_FULL, type RingWriter } from "./writer.ts";

const CHUNK_HEADER_BYTES = 16;
const NOTHING = Region.allocate(0);

/** The sending side: resumable. One per ring writer. */
export class ChunkedWrite {
  readonly #writer: RingWriter;
  readonly #chunkKind: number;
  readonly #chunkBytes: number;
  #kind = 0;
  #source = NOTHING;
  #sourceOffset = 0;
  #totalBytes = 0;
  #sentBytes = 0;

  /** `chunkKind`: the kind of the records that carry chunks. */
  constructor(writer: RingWriter, chunkKind: number) {
    this.#writer = writer;
    this.#chunkKind = chunkKind;
    // Half a record, so that a drain of a small ring releases space while the next chunks are written.
    this.#chunkBytes = (writer.maxBodyBytes >> 1) - CHUNK_HEADER_BYTES;
  }

  /** Whether a frame is begun and not all committed. */
  get isActive(): boolean {
    return this.#source !== NOTHING;
  }

  /**
   * Takes up a frame of any size; false when another is under way. The source bytes must stay as they are until `tryContinue`
   * answers true or `abandon` is called.
   */
  tryBegin(kind: number, source: Region, sourceOffset: number, totalBytes: number): boolean {
    if (this.isActive) return false;
    assert(totalBytes > 0, "a chunked frame has a body");
    this.#kind = kind;
    this.#source = source;
    this.#sourceOffset = sourceOffset;
    this.#totalBytes = totalBytes;
    this.#sentBytes = 0;
    return true;
  }

  /** Commits as many chunks as the ring takes; true when the whole frame is committed. Publishing is the caller's. */
  tryContinue(): boolean {
    assert(this.isActive, "a chunked frame was begun");
    while (this.#sentBytes < this.#totalBytes) {
      const bytes = Math.min(this.#chunkBytes, this.#totalBytes - this.#sentBytes);
      const offset = this.#writer.tryClaim(this.#chunkKind, CHUNK_HEADER_BYTES + bytes);
      if (offset === RING_FULL) return false;
      const { region } = this.#writer;
      region.view.setUint32(offset, this.#kind, true);
      region.view.setUint32(offset + 4, this.#totalBytes, true);
      region.view.setUint32(offset + 8, this.#sentBytes, true);
      region.view.setUint32(offset + 12, 0, true);
      copyBytes(region, offset + CHUNK_HEADER_BYTES, this.#source, this.#sourceOffset + this.#sentBytes, bytes);
      this.#writer.commit();
      this.#sentBytes += bytes;
    }
    this.#source = NOTHING;
    return true;
  }

  /** How much `awaitSpace` must wait for: the body of the next chunk. */
  get nextBodyBytes(): number {
    return CHUNK_HEADER_BYTES + Math.min(this.#chunkBytes, this.#totalBytes - this.#sentBytes);
  }

  /** Gives the frame up: the reader drops what it has of it. */
  abandon(): void {
    this.#source = NOTHING;
  }
}

/** The receiving side: assembles one frame at a time in a buffer that grows to the largest frame met. One per ring reader. */
export class ChunkAssembly {
  readonly #bytesMax: number;
  #region = NOTHING;
  #kind = 0;
  #totalBytes = 0;
  #receivedBytes = 0;

  /** A frame above `bytesMax` is a bug of its writer. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes the buffer holds, for the memory budget. */
  get bufferBytes(): number {
    return this.#region.bytes.length;
  }

  /**
   * Takes one chunk record; with the last one, hands the whole frame to `onFrame`. Returns what the drain's handler must: false
   * when `onFrame` refused the frame; the last chunk then comes again, and the frame is offered again.
   */
  accept(region: Region, offset: number, bodyBytes: number, onFrame: OnFrame): boolean {
    const at = region.view.getUint32(offset + 8, true);
    const bytes = bodyBytes - CHUNK_HEADER_BYTES;
    if (at === 0) this.#begin(region.view.getUint32(offset, true), region.view.getUint32(offset + 4, true));
    const isSeen = this.#receivedBytes === this.#totalBytes && at + bytes === this.#totalBytes;
    if (!isSeen) {
      assert(at === this.#receivedBytes && at + bytes <= this.#totalBytes, "chunks arrive in order");
      copyBytes(this.#region, at, region, offset + CHUNK_HEADER_BYTES, bytes);
      this.#receivedBytes += bytes;
    }
    if (this.#receivedBytes < this.#totalBytes) return true;
    return onFrame(this.#kind, this.#region, 0, this.#totalBytes);
  }

  #begin(kind: number, totalBytes: number): void {
    assert(totalBytes <= this.#bytesMax, "a chunked frame is within its bound");
    this.#kind = kind;
    this.#totalBytes = totalBytes;
    this.#receivedBytes = 0;
    if (this.#region.bytes.length < totalBytes) this.#region = Region.allocate(totalBytes);
  }
}

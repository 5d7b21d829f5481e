/**
 * A region: a stretch of memory with the two views the hot path needs, made once.
 *
 * Hot code passes `(region, offset)` and never makes a view of its own: a typed-array view per message costs more than
 * parsing the message. Regions that live as long as their thread lie side by side in one slab: a copy between two of them is
 * one `copyWithin`, 40 ns for 300 bytes, where a copy between two memories costs 135 and leaves a view behind.
 *
 * ```
 *   slab of the thread:  │ read buffer │ message scratch │ log arenas … │ output … │ free │
 * ```
 */
import { THREAD_SLAB_BYTES } from "./limits.ts";

export class Region {
  readonly bytes: Buffer;
  readonly view: DataView<ArrayBufferLike>;
  /** The whole memory that the region is part of, and where it begins in it. */
  readonly memory: ArrayBufferLike;
  readonly whole: Uint8Array;
  readonly base: number;

  constructor(memory: ArrayBufferLike, byteOffset = 0, byteLength = memory.byteLength - byteOffset) {
    this.memory = memory;
    this.base = byteOffset;
    this.bytes = Buffer.from(memory as ArrayBuffer, byteOffset, byteLength);
    this.whole = byteLength === memory.byteLength ? this.bytes : new Uint8Array(memory);
    this.view = new DataView(memory, byteOffset, byteLength);
  }

  /** A region of its own memory, not from Node's shared pool: safe to give to native code and to keep. */
  static allocate(byteLength: number): Region {
    return new Region(new ArrayBuffer(byteLength));
  }

  /** A region for the life of the thread, in its slab while that has room; never given back. */
  static lasting(byteLength: number): Region {
    slab ??= new ArrayBuffer(THREAD_SLAB_BYTES); // Pages that nobody touches cost nothing.
    const start = slabUsedBytes;
    if (start + byteLength > slab.byteLength) return Region.allocate(byteLength);
    slabUsedBytes = (start + byteLength + SLAB_ALIGNMENT_BYTES - 1) & -SLAB_ALIGNMENT_BYTES;
    return new Region(slab, start, byteLength);
  }

  /** Views the memory of `buffer`; the region lives as long as the caller leaves these bytes alone. */
  static over(buffer: Uint8Array): Region {
    return new Region(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }
}

const SLAB_ALIGNMENT_BYTES = 4096;
let slab: ArrayBuffer | undefined;
let slabUsedBytes = 0;

/** Copies bytes between regions or within one (overlap allowed within one memory) without making a view, if it can. */
export function copyBytes(
  target: Region,
  targetOffset: number,
  source: Region,
  sourceOffset: number,
  byteLength: number,
): void {
  if (byteLength <= SHORT_BYTES) {
    const to = target.bytes;
    const from = source.bytes;
    if (target !== source || targetOffset <= sourceOffset) {
      for (let index = 0; index < byteLength; index += 1) to[targetOffset + index] = from[sourceOffset + index]!;
      return;
    }
  }
  if (target.memory === source.memory) {
    const start = source.base + sourceOffset;
    target.whole.copyWithin(target.base + targetOffset, start, start + byteLength);
    return;
  }
  source.bytes.copy(target.bytes, targetOffset, sourceOffset, sourceOffset + byteLength);
}

/** Up to here a loop in JavaScript beats a call out of it. */
const SHORT_BYTES = 16;

/**
 * The memory that a thread's output is written into: slabs cut into chunks, handed out one by one, given back when the
 * kernel has taken what was in them.
 *
 * ```
 *   slab 0 (a Region)                                  slab 1 …            a packet larger than a chunk
 *   │ chunk │ chunk │ chunk │ …                        │ chunk │ …         │ chunk of its own memory │
 * ```
 *
 * The chunk given back last is handed out first: its memory is still in the cache, and messages that go to many
 * connections are copied within one slab.
 */
import {
  OUTPUT_BUDGET_BYTES,
  OUTPUT_CHUNK_BYTES,
  OUTPUT_SLAB_BYTES,
  PART_RELIEVED,
  PART_TIGHT,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";

/** A stretch [start, end) of a region; [start, tail) is written. Chunks of one connection form a line by `next`. */
export class OutputChunk {
  readonly region: Region;
  readonly start: number;
  readonly end: number;
  readonly isPooled: boolean;
  tail: number;
  /** Where the last packet in it begins. */
  lastStart: number;
  next: OutputChunk | null = null;

  constructor(region: Region, start: number, end: number, isPooled: boolean) {
    this.region = region;
    this.start = start;
    this.end = end;
    this.isPooled = isPooled;
    this.tail = start;
    this.lastStart = start;
  }

  get byteLength(): number {
    return this.end - this.start;
  }
}

export class OutputArena {
  readonly #budgetBytes: number;
  readonly #free: OutputChunk[] = [];
  #slabsBytes = 0;
  #usedBytes = 0;

  constructor(budgetBytes = OUTPUT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes;
  }

  /** Bytes of all chunks that are handed out. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** More than a part of the budget is handed out: connections should queue less. */
  get isTight(): boolean {
    return this.#usedBytes > this.#budgetBytes * PART_TIGHT;
  }

  /** Whether, with `leavingBytes` less, there is room again. */
  isRelievedOf(leavingBytes: number): boolean {
    return this.#usedBytes - leavingBytes <= this.#budgetBytes * PART_RELIEVED;
  }

  /** Whether a chunk for `byteLength` bytes still fits into the budget. */
  hasRoomFor(byteLength: number): boolean {
    return this.#usedBytes + Math.max(byteLength, OUTPUT_CHUNK_BYTES) <= this.#budgetBytes;
  }

  /** A chunk with room for `byteLength` bytes at least. Does not look at the budget: see `hasRoomFor`. */
  take(byteLength: number): OutputChunk {
    if (byteLength > OUTPUT_CHUNK_BYTES) {
      this.#usedBytes += byteLength;
      return new OutputChunk(Region.allocate(byteLength), 0, byteLength, false);
    }
    if (this.#free.length === 0) {
      if (this.#slabsBytes >= this.#budgetBytes) {
        // Over the budget for as long as a connection that was cut off for it takes to close.
        this.#usedBytes += OUTPUT_CHUNK_BYTES;
        return new OutputChunk(Region.allocate(OUTPUT_CHUNK_BYTES), 0, OUTPUT_CHUNK_BYTES, false);
      }
      this.#addSlab();
    }
    this.#usedBytes += OUTPUT_CHUNK_BYTES;
    return this.#free.pop()!;
  }

  /** Takes back a whole line of chunks, whose bytes nobody reads any more. */
  giveBack(first: OutputChunk | null): void {
    let chunk = first;
    while (chunk !== null) {
      const { next } = chunk;
      this.#usedBytes -= chunk.byteLength;
      if (chunk.isPooled) {
        chunk.tail = chunk.start;
        chunk.next = null;
        this.#free.push(chunk);
      }
      chunk = next;
    }
  }

  #addSlab(): void {
    const slabBytes = Math.min(OUTPUT_SLAB_BYTES, Math.max(this.#budgetBytes - this.#slabsBytes, OUTPUT_CHUNK_BYTES));
    const region = Region.lasting(slabBytes);
    this.#slabsBytes += slabBytes;
    // The last one pushed is taken first: the beginning of the slab.
    for (
      let start = slabBytes - (slabBytes % OUTPUT_CHUNK_BYTES) - OUTPUT_CHUNK_BYTES;
      start >= 0;
      start -= OUTPUT_CHUNK_BYTES
    ) {
      this.#free.push(new OutputChunk(region, start, start + OUTPUT_CHUNK_BYTES, true));
    }
  }
}

/**
 * Memory into which batch values are read from the disk, used again when a value leaves the cache: what is read in a drain would
 * otherwise be garbage outside of the heap, a few MiB every few milliseconds, each of which brings a collection nearer.
 */
import { LOG_READ_MEMORIES_FREE_MAX, LOG_READ_MEMORY_BYTES_MIN } from "../base/limits.ts";
import { Region } from "../base/region.ts";

export class ReadMemory {
  readonly #free: ArrayBuffer[] = [];

  /** A region of exactly `byteLength` bytes, holding what it happens to hold. */
  take(byteLength: number): Region {
    if (byteLength < LOG_READ_MEMORY_BYTES_MIN) return Region.allocate(byteLength);
    const at = this.#free.findIndex((memory) => memory.byteLength >= byteLength);
    const memory = at === -1 ? new ArrayBuffer(roundedUp(byteLength)) : this.#free.splice(at, 1)[0]!;
    return new Region(memory, 0, byteLength);
  }

  /** Nobody reads the region any more. Its memory is kept while few are. */
  giveBack(region: Region): void {
    const { memory } = region;
    if (memory.byteLength < LOG_READ_MEMORY_BYTES_MIN || !(memory instanceof ArrayBuffer)) return;
    if (this.#free.length < LOG_READ_MEMORIES_FREE_MAX) this.#free.push(memory);
  }
}

/** The next power of two: values of one drain differ a little in size and take each other's place. */
const roundedUp = (byteLength: number): number => 2 ** Math.ceil(Math.log2(byteLength));

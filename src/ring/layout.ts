/**
 * The byte map of a ring: bytes from one worker to one other, in one SharedArrayBuffer. One thread writes records, one
 * reads them; every word has one writer, and words of different writers stand 128 bytes apart (two cache lines: the
 * prefetcher fetches pairs). Native byte order: a ring lives and dies with its process.
 *
 * ```
 *     0  i32  version          creator, before any other thread sees the ring
 *     4  i32  dataBytes        creator; a power of two
 *   128  i32  tail             writer: bytes published since the start, mod 2^32
 *   132  i32  spaceEpoch       writer: odd = waits for space
 *   256  i32  head             reader: bytes released since the start, mod 2^32
 *   260  i32  sleepEpoch       reader: odd = sleeps
 *   384  data
 *
 *        head                tail          dataBytes
 *   ─────┴────────────────────┴───────────────┤       tail - head = bytes in use; both only grow
 *    free│ record  record  pad│free           │
 * ```
 *
 * A record stands 16-byte aligned and is contiguous; one that would not fit before the end of the data is preceded by
 * a padding record that fills the rest, and stands at the start:
 *
 * ```
 *   0  i32  recordBytes        header and body, before alignment; of padding: all of it
 *   4  i32  kind               the frame's kind; 0 = padding
 *   8       body               8-byte aligned
 * ```
 */
import { assert } from "../base/assert.ts";
import { RING_BYTES_MAX, RING_BYTES_MIN, RING_RECORD_DIVISOR, RING_RESERVED_DIVISOR } from "../base/limits.ts";

export const RING_LAYOUT_VERSION = 1;

/** Indexes of the words of the control block, in units of 4 bytes. */
export const VERSION_WORD = 0;
export const DATA_BYTES_WORD = 1;
export const TAIL_WORD = 128 / 4;
export const SPACE_EPOCH_WORD = 132 / 4;
export const HEAD_WORD = 256 / 4;
export const SLEEP_EPOCH_WORD = 260 / 4;
export const CONTROL_BYTES = 384;

export const RECORD_HEADER_BYTES = 8;
export const RECORD_ALIGNMENT_BYTES = 16;
/** The kind of a padding record; no frame may have it. */
export const PADDING_KIND = 0;

/** Bytes a record takes in the ring. */
export const recordBytesOf = (bodyBytes: number): number =>
  (bodyBytes + RECORD_HEADER_BYTES + RECORD_ALIGNMENT_BYTES - 1) & -RECORD_ALIGNMENT_BYTES;

/** The largest body of a record in a ring with `dataBytes` of data. */
export const maxBodyBytesOf = (dataBytes: number): number => dataBytes / RING_RECORD_DIVISOR - RECORD_HEADER_BYTES;

/** The bytes that only reserved records may use. */
export const reservedBytesOf = (dataBytes: number): number => dataBytes / RING_RESERVED_DIVISOR;

// A record and the padding before it together are smaller than two records: they must fit beside the reserved bytes.
assert(2 / RING_RECORD_DIVISOR + 1 / RING_RESERVED_DIVISOR < 1, "an empty ring takes the largest record");

/** Makes an empty ring. `dataBytes` is a power of two within the limits. */
export function createRing(dataBytes: number): SharedArrayBuffer {
  assert(isRingSize(dataBytes), "a ring's size is a power of two within the limits");
  const memory = new SharedArrayBuffer(CONTROL_BYTES + dataBytes);
  const words = new Int32Array(memory, 0, CONTROL_BYTES / 4);
  words[VERSION_WORD] = RING_LAYOUT_VERSION;
  words[DATA_BYTES_WORD] = dataBytes;
  return memory;
}

/** The size of a ring's data; a memory of another layout is a bug. */
export function dataBytesOf(memory: SharedArrayBuffer): number {
  const words = new Int32Array(memory, 0, CONTROL_BYTES / 4);
  const dataBytes = words[DATA_BYTES_WORD]!;
  assert(words[VERSION_WORD] === RING_LAYOUT_VERSION, "a ring's layout is this program's");
  assert(isRingSize(dataBytes) && memory.byteLength === CONTROL_BYTES + dataBytes, "a ring's memory has its size");
  return dataBytes;
}

function isRingSize(dataBytes: number): boolean {
  return dataBytes >= RING_BYTES_MIN && dataBytes <= RING_BYTES_MAX && (dataBytes & (dataBytes - 1)) === 0;
}

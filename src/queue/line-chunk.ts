/**
 * A stretch of a queue's line: up to `capacity` waiting messages in columns, in order of position.
 *
 * ```
 *   column       bytes a message
 *   position     f64
 *   expiresAtMs  f64   a lower bound: the message may live longer, never shorter; as the line notes it
 *   bytes        u32   0 = taken out of the line (a hole)
 *   high, low    u32   the key's hash; only in lines of last-value queues
 *                20, or 28 with keys
 * ```
 *
 * `start` stands on a message, never on a hole, unless the chunk is empty; `end` is behind the last.
 */
const NO_KEYS = new Uint32Array(0);

export class LineChunk {
  readonly capacity: number;
  readonly positions: Float64Array;
  readonly expiries: Float64Array;
  readonly bytes: Uint32Array;
  readonly highs: Uint32Array;
  readonly lows: Uint32Array;
  start = 0;
  end = 0;
  /** Messages between start and end that are no holes. */
  live = 0;
  liveBytes = 0;
  /** No message expires before this. */
  earliestMs = Number.POSITIVE_INFINITY;

  constructor(capacity: number, isKeyed: boolean) {
    this.capacity = capacity;
    this.positions = new Float64Array(capacity);
    this.expiries = new Float64Array(capacity);
    this.bytes = new Uint32Array(capacity);
    this.highs = isKeyed ? new Uint32Array(capacity) : NO_KEYS;
    this.lows = isKeyed ? new Uint32Array(capacity) : NO_KEYS;
  }

  reset(): void {
    this.start = 0;
    this.end = 0;
    this.live = 0;
    this.liveBytes = 0;
    this.earliestMs = Number.POSITIVE_INFINITY;
  }

  append(position: number, expiresAtMs: number, bytes: number, high: number, low: number): void {
    const at = this.end;
    this.positions[at] = position;
    this.expiries[at] = expiresAtMs;
    this.bytes[at] = bytes;
    if (this.highs.length > 0) {
      this.highs[at] = high;
      this.lows[at] = low;
    }
    this.end = at + 1;
    this.live += 1;
    this.liveBytes += bytes;
    if (expiresAtMs < this.earliestMs) this.earliestMs = expiresAtMs;
  }

  /** Makes a hole of the message at `index`. */
  remove(index: number): void {
    this.liveBytes -= this.bytes[index]!;
    this.bytes[index] = 0;
    this.live -= 1;
    if (index === this.start) {
      while (this.start < this.end && this.bytes[this.start] === 0) this.start += 1;
    }
  }

  /** The first index with a position of at least `position`, holes included; `end` when there is none. */
  indexOf(position: number): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.positions[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Appends the messages of another chunk, without its holes. */
  take(other: LineChunk): void {
    for (let index = other.start; index < other.end; index += 1) {
      const bytes = other.bytes[index]!;
      if (bytes === 0) continue;
      this.append(
        other.positions[index]!,
        other.expiries[index]!,
        bytes,
        other.highs.length > 0 ? other.highs[index]! : 0,
        other.lows.length > 0 ? other.lows[index]! : 0,
      );
    }
  }
}

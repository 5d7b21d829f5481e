/**
 * A queue's line: the messages that wait and were never handed out, in stored order. Ten million of them take 200 MB,
 * an empty line nothing.
 *
 * ```
 *   chunk          chunk          chunk
 *   [··xxxxxxxx]   [xx··xxx··x]   [xxxxx     ]      x message   · hole
 *      ▲ first                         ▲ append
 * ```
 *
 * Messages leave at the front, or from the middle (superseded, expired, handed to somebody while those before wait);
 * sparse neighbours are merged, so that a line takes at most about eight times the memory of its messages.
 *
 * The line has a cursor: `first`, `find` and `from` set it on a message, the fields show that message, `remove` takes it
 * out. The cursor is valid until the line changes.
 */
import { LINE_CHUNK_MESSAGES, LINE_CHUNK_MESSAGES_MIN } from "../base/limits.ts";
import { LineChunk } from "./line-chunk.ts";

export class WaitingLine {
  readonly #isKeyed: boolean;
  #chunks: LineChunk[] = [];
  /** An emptied full-size chunk, to be used again. */
  #spare: LineChunk | undefined;
  #earliestMs = Number.POSITIVE_INFINITY;
  /** What all expiries are noted too late by: every message expires so much earlier. */
  #advancedMs = 0;
  #cursorChunk = 0;
  #cursorIndex = 0;
  /** Messages in the line, and their bytes. */
  count = 0;
  bytes = 0;

  constructor(isKeyed: boolean) {
    this.#isKeyed = isKeyed;
  }

  /** Chunks in use, for tests and metrics. */
  get chunkCount(): number {
    return this.#chunks.length;
  }

  /** No message expires before this. */
  get earliestMs(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.#earliestMs - this.#advancedMs;
  }

  /** Positions come in growing order. `expiresAtMs` may be infinite. */
  append(position: number, expiresAtMs: number, bytes: number, high: number, low: number): void {
    let tail = this.#chunks.at(-1);
    if (tail === undefined || tail.end === tail.capacity) {
      tail = this.#newChunk(tail);
      this.#chunks.push(tail);
    }
    const notedMs = expiresAtMs + this.#advancedMs;
    tail.append(position, notedMs, bytes, high, low);
    this.count += 1;
    this.bytes += bytes;
    if (notedMs < this.#earliestMs || this.count === 1) this.#earliestMs = notedMs;
  }

  /** The newest position that was appended and may still be here; 0 when the line is empty. */
  get lastPosition(): number {
    const tail = this.#chunks.at(-1);
    return tail === undefined || tail.live === 0 ? 0 : tail.positions[tail.end - 1]!;
  }

  /** Sets the cursor on the first message, if its position is below `before`. */
  first(before: number): boolean {
    const chunk = this.#chunks[0];
    if (chunk === undefined || chunk.live === 0 || chunk.positions[chunk.start]! >= before) return false;
    this.#cursorChunk = 0;
    this.#cursorIndex = chunk.start;
    return true;
  }

  /** Whether the message at `position` is the first one. */
  isFirst(position: number): boolean {
    const chunk = this.#chunks[0];
    return chunk !== undefined && chunk.live > 0 && chunk.positions[chunk.start] === position;
  }

  /** Sets the cursor on the message at `position`; at once if it is the first one. */
  find(position: number): boolean {
    if (this.isFirst(position)) {
      this.#cursorChunk = 0;
      this.#cursorIndex = this.#chunks[0]!.start;
      return true;
    }
    return this.from(position) && this.position === position;
  }

  /** Sets the cursor on the first message at or behind `position`. */
  from(position: number): boolean {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = chunks[middle]!;
      if (chunk.end === 0 || chunk.positions[chunk.end - 1]! < position) low = middle + 1;
      else high = middle;
    }
    for (; low < chunks.length; low += 1) {
      const chunk = chunks[low]!;
      for (let index = chunk.indexOf(position); index < chunk.end; index += 1) {
        if (chunk.bytes[index] === 0) continue;
        this.#cursorChunk = low;
        this.#cursorIndex = index;
        return true;
      }
    }
    return false;
  }

  get position(): number {
    return this.#chunks[this.#cursorChunk]!.positions[this.#cursorIndex]!;
  }

  get expiresAtMs(): number {
    return this.#chunks[this.#cursorChunk]!.expiries[this.#cursorIndex]! - this.#advancedMs;
  }

  get messageBytes(): number {
    return this.#chunks[this.#cursorChunk]!.bytes[this.#cursorIndex]!;
  }

  get keyHashHigh(): number {
    return this.#isKeyed ? this.#chunks[this.#cursorChunk]!.highs[this.#cursorIndex]! : 0;
  }

  get keyHashLow(): number {
    return this.#isKeyed ? this.#chunks[this.#cursorChunk]!.lows[this.#cursorIndex]! : 0;
  }

  /** Takes the message under the cursor out of the line. */
  remove(): void {
    const at = this.#cursorChunk;
    const chunk = this.#chunks[at]!;
    this.count -= 1;
    this.bytes -= chunk.bytes[this.#cursorIndex]!;
    chunk.remove(this.#cursorIndex);
    if (chunk.live === 0) this.#dropChunk(at);
    else if (this.#isSparse(at)) this.#mergeAround(at);
  }

  /** The message under the cursor lives until `expiresAtMs`. */
  reschedule(expiresAtMs: number): void {
    const chunk = this.#chunks[this.#cursorChunk]!;
    const notedMs = expiresAtMs + this.#advancedMs;
    chunk.expiries[this.#cursorIndex] = notedMs;
    if (notedMs < chunk.earliestMs) chunk.earliestMs = notedMs;
    if (notedMs < this.#earliestMs) this.#earliestMs = notedMs;
  }

  /** Every message expires `byMs` earlier. */
  advanceExpiries(byMs: number): void {
    this.#advancedMs += byMs;
  }

  /** The chunk that the line begins with, for those who take all of it. */
  get firstChunk(): LineChunk | undefined {
    const chunk = this.#chunks[0];
    return chunk === undefined || chunk.live === 0 ? undefined : chunk;
  }

  /** Takes the first chunk out of the line: it is the caller's. */
  takeFirstChunk(): void {
    const chunk = this.#chunks.shift()!;
    this.count -= chunk.live;
    this.bytes -= chunk.liveBytes;
  }

  /**
   * Writes the positions of messages that are due into `into`, which takes at least a chunk's worth, and returns how
   * many; the caller removes or reschedules each before it calls again, until 0.
   */
  collectDue(nowMs: number, into: Float64Array): number {
    const beforeMs = nowMs + this.#advancedMs;
    let count = 0;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const chunk of this.#chunks) {
      if (chunk.earliestMs <= beforeMs) {
        if (chunk.end - chunk.start > into.length - count) return count; // More is due: the next call goes on.
        chunk.earliestMs = Number.POSITIVE_INFINITY;
        for (let index = chunk.start; index < chunk.end; index += 1) {
          if (chunk.bytes[index] === 0) continue;
          const notedMs = chunk.expiries[index]!;
          if (notedMs <= beforeMs) into[count++] = chunk.positions[index]!;
          else if (notedMs < chunk.earliestMs) chunk.earliestMs = notedMs;
        }
      }
      if (chunk.earliestMs < earliestMs) earliestMs = chunk.earliestMs;
    }
    this.#earliestMs = earliestMs;
    return count;
  }

  #newChunk(tail: LineChunk | undefined): LineChunk {
    const capacity = tail === undefined ? LINE_CHUNK_MESSAGES_MIN : Math.min(LINE_CHUNK_MESSAGES, tail.capacity * 4);
    if (capacity < LINE_CHUNK_MESSAGES || this.#spare === undefined) return new LineChunk(capacity, this.#isKeyed);
    const chunk = this.#spare;
    this.#spare = undefined;
    return chunk;
  }

  #dropChunk(at: number): void {
    const chunk = this.#chunks[at]!;
    chunk.reset();
    if (this.#chunks.length === 1) return; // An emptied line keeps its last chunk and begins it again.
    if (at === 0) this.#chunks.shift();
    else this.#chunks.splice(at, 1);
    if (chunk.capacity === LINE_CHUNK_MESSAGES) this.#spare = chunk;
  }

  /** A chunk behind which the line goes on and of which three quarters are holes. */
  #isSparse(at: number): boolean {
    if (at < 0 || at >= this.#chunks.length - 1) return false;
    const chunk = this.#chunks[at]!;
    return chunk.capacity === LINE_CHUNK_MESSAGES && chunk.live <= LINE_CHUNK_MESSAGES >> 2;
  }

  /** Two sparse neighbours become one chunk. A merge costs half a chunk of copies and ends a chunk, so it pays for itself. */
  #mergeAround(at: number): void {
    const chunks = this.#chunks;
    const left = this.#isSparse(at - 1) ? at - 1 : this.#isSparse(at + 1) ? at : -1;
    if (left === -1) return;
    const one = chunks[left]!;
    const other = chunks[left + 1]!;
    const merged = this.#newChunk(other);
    merged.take(one);
    merged.take(other);
    one.reset();
    this.#spare = one;
    chunks.splice(left, 2, merged);
  }
}

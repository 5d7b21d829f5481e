/**
 * The writing end of a ring. Claim room, write the body in place, commit; at the end of the turn publish once.
 *
 * ```
 *   head(reader)       #published        #committed        #claimed
 *   ──┴───────────────────┴─────────────────┴────────────────┴──
 *      the reader may see  written, not seen  being written
 * ```
 *
 * Full is an answer: the caller parks what it has, arms `awaitSpace` and goes on with its turn.
 */
import { assert } from "../base/assert.ts";
import { Region } from "../base/region.ts";
import {
  CONTROL_BYTES,
  dataBytesOf,
  HEAD_WORD,
  maxBodyBytesOf,
  PADDING_KIND,
  RECORD_HEADER_BYTES,
  recordBytesOf,
  reservedBytesOf,
  SLEEP_EPOCH_WORD,
  SPACE_EPOCH_WORD,
  TAIL_WORD,
} from "./layout.ts";

/** An answer of `tryClaim`: the ring is full. */
export const RING_FULL = -1;

export class RingWriter {
  /** The ring's data; bodies are written here. */
  readonly region: Region;
  /** The largest body of one record; larger ones cross in chunks (chunks.ts). */
  readonly maxBodyBytes: number;

  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #dataBytes: number;
  readonly #ordinaryBytes: number;
  /** Positions count bytes since the start, mod 2^32; differences are taken with `| 0`. */
  #head = 0;
  #published = 0;
  #committed = 0;
  #claimed = 0;
  #rungEpoch = 0;

  /** At most one writer per ring, in one thread, for the life of the ring. */
  constructor(memory: SharedArrayBuffer) {
    this.#dataBytes = dataBytesOf(memory);
    this.#ordinaryBytes = this.#dataBytes - reservedBytesOf(this.#dataBytes);
    this.maxBodyBytes = maxBodyBytesOf(this.#dataBytes);
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#words = new Int32Array(memory, CONTROL_BYTES);
    this.region = new Region(memory, CONTROL_BYTES);
  }

  /** Bytes that ordinary records may still use, headers and padding included; the reserved part is not counted. */
  get freeBytes(): number {
    this.#head = Atomics.load(this.#control, HEAD_WORD);
    return Math.max(0, this.#ordinaryBytes - ((this.#committed - this.#head) | 0));
  }

  /** Whether the reader has taken everything. */
  get isDrained(): boolean {
    return this.#committed === Atomics.load(this.#control, HEAD_WORD);
  }

  /** Whether there are committed records that the reader cannot see yet. */
  get hasUnpublished(): boolean {
    return this.#committed !== this.#published;
  }

  /**
   * Room for a record: the offset of its body in `region`, to be written before `commit`; RING_FULL when there is none.
   * A claim that is not committed is void with the next claim. `kind` is above 0, `bodyBytes` at most `maxBodyBytes`.
   */
  tryClaim(kind: number, bodyBytes: number): number {
    assert(kind !== PADDING_KIND, "a frame's kind is not that of padding");
    return this.#claim(kind, bodyBytes, this.#ordinaryBytes);
  }

  /**
   * As `tryClaim`, for settlements and control: may also use the reserved part. While that part is unused it takes any
   * record of up to half of it, wherever the tail stands.
   */
  tryClaimReserved(kind: number, bodyBytes: number): number {
    assert(kind !== PADDING_KIND, "a frame's kind is not that of padding");
    return this.#claim(kind, bodyBytes, this.#dataBytes);
  }

  #claim(kind: number, bodyBytes: number, boundBytes: number): number {
    assert(bodyBytes <= this.maxBodyBytes, "a record is at most a quarter of its ring");
    const recordBytes = recordBytesOf(bodyBytes);
    const at = this.#committed & (this.#dataBytes - 1);
    const endBytes = this.#dataBytes - at;
    const paddingBytes = recordBytes > endBytes ? endBytes : 0;
    const roomBytes = boundBytes - paddingBytes - recordBytes;
    this.#claimed = this.#committed;
    if (((this.#committed - this.#head) | 0) > roomBytes) {
      this.#head = Atomics.load(this.#control, HEAD_WORD);
      if (((this.#committed - this.#head) | 0) > roomBytes) return RING_FULL;
    }
    let start = at;
    if (paddingBytes > 0) {
      this.#words[at >> 2] = paddingBytes;
      this.#words[(at >> 2) + 1] = PADDING_KIND;
      start = 0;
    }
    this.#words[start >> 2] = bodyBytes + RECORD_HEADER_BYTES;
    this.#words[(start >> 2) + 1] = kind;
    this.#claimed = (this.#committed + paddingBytes + recordBytes) | 0;
    return start + RECORD_HEADER_BYTES;
  }

  /** The claimed record is complete. The reader sees it after `publish`. */
  commit(): void {
    assert(this.#claimed !== this.#committed, "a commit follows a claim");
    this.#committed = this.#claimed;
  }

  /**
   * Shows the reader everything committed. True when the reader sleeps and has not been rung since it fell asleep:
   * ring its doorbell, by the end of the turn. Once per turn, and for what must be seen earlier.
   */
  publish(): boolean {
    if (this.#committed === this.#published) return false;
    this.#claimed = this.#committed;
    this.#published = this.#committed;
    // The store of the tail and the load of the epoch are sequentially consistent, as are the reader's store of its epoch and
    // its load of the tail: at least one of the two sees the other.
    Atomics.store(this.#control, TAIL_WORD, this.#published);
    const epoch = Atomics.load(this.#control, SLEEP_EPOCH_WORD);
    if ((epoch & 1) === 0 || epoch === this.#rungEpoch) return false;
    this.#rungEpoch = epoch;
    return true;
  }

  /**
   * Asks to be rung when the reader has released space. False when an ordinary record with `bodyBytes` fits by now: claim
   * again instead of waiting. What is committed must be published, or the reader may never release any.
   */
  awaitSpace(bodyBytes: number): boolean {
    assert(this.#committed === this.#published, "who waits for space has published");
    // Always a new epoch: the reader rings once for each, and may have rung for the last one before its space was used up.
    const epoch = Atomics.load(this.#control, SPACE_EPOCH_WORD);
    Atomics.store(this.#control, SPACE_EPOCH_WORD, (epoch + 1 + (epoch & 1)) | 0);
    if (this.#claim(PADDING_KIND, bodyBytes, this.#ordinaryBytes) === RING_FULL) return true;
    this.#claimed = this.#committed;
    this.stopAwaitingSpace();
    return false;
  }

  /** The opposite of `awaitSpace`: to be called when the writer was rung, or has found space. */
  stopAwaitingSpace(): void {
    const epoch = Atomics.load(this.#control, SPACE_EPOCH_WORD);
    if ((epoch & 1) === 1) Atomics.store(this.#control, SPACE_EPOCH_WORD, (epoch + 1) | 0);
  }
}

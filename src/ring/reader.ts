/**
 * The reading end of a ring: a bounded drain per turn, and the sleep between turns.
 *
 * ```
 *   turn: drain(limit) ── 0 left ──► armSleep ── true ──► sleep ── doorbell ──► wake ──► turn
 *            ▲                          └─ false: data arrived meanwhile ─┐
 *            └────────────────────────────────────────────────────────────┘
 * ```
 */
import { assert } from "../base/assert.ts";
import { Region } from "../base/region.ts";
import {
  CONTROL_BYTES,
  dataBytesOf,
  HEAD_WORD,
  PADDING_KIND,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  SLEEP_EPOCH_WORD,
  SPACE_EPOCH_WORD,
  TAIL_WORD,
} from "./layout.ts";

/**
 * Takes one frame; its bytes are valid until `drain` returns. False = not now: the record stays and comes first in the
 * next drain. A frame that carries a settlement or control must be taken: refusing it for want of room in the opposite ring
 * would let two full rings wait for each other.
 */
export type OnFrame = (kind: number, region: Region, offset: number, bodyBytes: number) => boolean;

export class RingReader {
  readonly region: Region;

  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #mask: number;
  /** Bytes consumed since the start, mod 2^32; equal to the head word between drains. */
  #head = 0;
  #isStalled = false;
  #rungEpoch = 0;

  /** At most one reader per ring, in one thread, for the life of the ring. */
  constructor(memory: SharedArrayBuffer) {
    this.#mask = dataBytesOf(memory) - 1;
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#words = new Int32Array(memory, CONTROL_BYTES);
    this.region = new Region(memory, CONTROL_BYTES);
  }

  /** Whether the handler refused the first record in the last drain. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /**
   * Hands up to `limitRecords` published records to `onFrame`, in order, then releases their space at once. Returns how many were
   * taken; fewer than the limit means that the ring was empty or the handler said stop.
   */
  drain(limitRecords: number, onFrame: OnFrame): number {
    const tail = Atomics.load(this.#control, TAIL_WORD);
    let head = this.#head;
    this.#isStalled = false;
    let taken = 0;
    while (head !== tail && taken < limitRecords) {
      const at = head & this.#mask;
      const recordBytes = this.#words[at >> 2]!;
      const kind = this.#words[(at >> 2) + 1]!;
      if (kind !== PADDING_KIND) {
        if (!onFrame(kind, this.region, at + RECORD_HEADER_BYTES, recordBytes - RECORD_HEADER_BYTES)) {
          this.#isStalled = true;
          break;
        }
        taken += 1;
      }
      head = (head + ((recordBytes + RECORD_ALIGNMENT_BYTES - 1) & -RECORD_ALIGNMENT_BYTES)) | 0;
    }
    if (head !== this.#head) {
      this.#head = head;
      Atomics.store(this.#control, HEAD_WORD, head);
    }
    return taken;
  }

  /** Where what has been published by now ends; see `hasTaken`. */
  get published(): number {
    return Atomics.load(this.#control, TAIL_WORD);
  }

  /** Whether everything before `mark`, a value of `published` less than 2^31 bytes ago, has been taken. Not inside a drain. */
  hasTaken(mark: number): boolean {
    return ((this.#head - mark) | 0) >= 0;
  }

  /** Whether the writer waits for space and has not been rung since it began to: ring its doorbell. Ask after a drain. */
  takeSpaceBell(): boolean {
    const epoch = Atomics.load(this.#control, SPACE_EPOCH_WORD);
    if ((epoch & 1) === 0 || epoch === this.#rungEpoch) return false;
    this.#rungEpoch = epoch;
    return true;
  }

  /**
   * Says that this thread is about to sleep. False when there are records that the last drain did not see, also those from before
   * the first call: drain again instead. A stalled reader may sleep: what it waits for wakes it, not the ring.
   */
  armSleep(): boolean {
    const epoch = Atomics.load(this.#control, SLEEP_EPOCH_WORD);
    assert((epoch & 1) === 0, "a sleep follows a wake");
    Atomics.store(this.#control, SLEEP_EPOCH_WORD, (epoch + 1) | 0);
    if (this.#isStalled || Atomics.load(this.#control, TAIL_WORD) === this.#head) return true;
    this.wake();
    return false;
  }

  /** Awake again, for whatever reason. Harmless when it did not sleep. */
  wake(): void {
    const epoch = Atomics.load(this.#control, SLEEP_EPOCH_WORD);
    if ((epoch & 1) === 1) Atomics.store(this.#control, SLEEP_EPOCH_WORD, (epoch + 1) | 0);
  }
}

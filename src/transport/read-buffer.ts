/**
 * The read buffer of a thread: every socket of the thread is read into it, one at a time, and its packets are scanned
 * where they lie. What must outlive a read (the beginning of a packet whose end has not come) is carried by its
 * connection and put back in front of the next read.
 *
 * ```
 *   0                       READ_HEADROOM_BYTES                                  + READ_BUFFER_BYTES
 *   │            carried ─►│ what one read brought                                │
 * ```
 */
import {
  CARRY_SPARE_MAX,
  HOLDERS_COMPARED_MAX,
  INPUT_BUDGET_BYTES,
  PART_RELIEVED,
  PART_TIGHT,
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { costOf, type Holder, slowOf } from "./pace.ts";
import { PublisherPause } from "./publisher-pause.ts";

/** Who holds memory for what came and is not delivered yet. */
export interface InputHolder extends Holder {
  readonly hasPartialPacket: boolean;
  /** Measures how fast its unfinished packet grows. */
  look(nowMs: number): void;
  giveUp(): void;
  endStalled(nowMs: number, stalledMs: number): void;
}

export class ReadBuffer {
  readonly region = Region.lasting(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);
  /** The part that a socket reads into; it begins at READ_HEADROOM_BYTES of the region. */
  readonly socketBytes: Buffer = this.region.bytes.subarray(READ_HEADROOM_BYTES);
  readonly socketView = new DataView(this.region.memory, this.region.base + READ_HEADROOM_BYTES, READ_BUFFER_BYTES);
  readonly publisherPause: PublisherPause;
  readonly #budgetBytes: number;
  readonly #wake: () => void;
  #resting: (() => void)[] = [];
  #heldBytes = 0;
  readonly #spares: Region[] = [];
  /** Who has held something for longest comes first. */
  readonly #holders = new Set<InputHolder>();

  /** `wake`: a connection rests, the thread must come to `readOn`. */
  constructor(wake: () => void, budgetBytes = INPUT_BUDGET_BYTES) {
    this.#wake = wake;
    this.publisherPause = new PublisherPause(wake);
    this.#budgetBytes = budgetBytes;
  }

  /**
   * A connection filled the whole buffer and has stopped reading: libuv would give it up to 32 reads in a row while the others
   * wait. `resume` is called when their turn is over.
   */
  rest(resume: () => void): void {
    this.#resting.push(resume);
    this.#wake();
  }

  /** The turn is over: who rests reads on. */
  readOn(): void {
    if (this.#resting.length === 0) return;
    const resting = this.#resting;
    this.#resting = [];
    for (const resume of resting) resume();
  }

  /** Memory that connections hold because their input could not be processed yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * A region of at least `byteLength` for a connection to hold, or null when the budget is used up. First whoever costs more by an
   * unfinished packet than `asker` makes room.
   */
  tryHold(byteLength: number, asker: InputHolder): Region | null {
    const regionBytes = Math.max(byteLength, READ_HEADROOM_BYTES);
    if (regionBytes > this.#budgetBytes) return null;
    while (this.#heldBytes + regionBytes > this.#budgetBytes) {
      const dearest = this.#dearestPartial();
      if (dearest === undefined || dearest === asker) return null;
      dearest.giveUp();
    }
    this.#heldBytes += regionBytes;
    if (regionBytes > READ_HEADROOM_BYTES) return Region.allocate(regionBytes);
    return this.#spares.pop() ?? Region.allocate(READ_HEADROOM_BYTES);
  }

  onHeld(holder: InputHolder): void {
    this.#holders.add(holder);
  }

  onDropped(holder: InputHolder): void {
    this.#holders.delete(holder);
  }

  /** Ends connections that have sent nothing more of an unfinished packet for so long. */
  endStalled(nowMs: number, stalledMs: number): void {
    for (const holder of this.#holders) holder.endStalled(nowMs, stalledMs);
  }

  /** Now and then, by the same clock: measures, and, when more than a part of the budget is in use, gives up who holds much for long. Returns how many. */
  endSlow(nowMs: number): number {
    for (const holder of this.#holders) holder.look(nowMs);
    if (this.#heldBytes <= this.#budgetBytes * PART_TIGHT) return 0;
    let count = 0;
    for (const holder of slowOf(this.#holders)) {
      if (this.#heldBytes <= this.#budgetBytes * PART_RELIEVED) break;
      holder.giveUp();
      count += 1;
    }
    return count;
  }

  /** Whose unfinished packet costs the most, of those who hold something for longest; of equals, who has held it for longest. */
  #dearestPartial(): InputHolder | undefined {
    let dearest: InputHolder | undefined;
    let most = -1;
    let left = HOLDERS_COMPARED_MAX;
    for (const holder of this.#holders) {
      if (left === 0) break;
      left -= 1;
      if (!holder.hasPartialPacket) continue;
      const cost = costOf(holder);
      if (cost <= most) continue;
      dearest = holder;
      most = cost;
    }
    return dearest;
  }

  /** Gives back what `tryHold` gave. */
  release(region: Region): void {
    const regionBytes = region.bytes.length;
    this.#heldBytes -= regionBytes;
    if (regionBytes === READ_HEADROOM_BYTES && this.#spares.length < CARRY_SPARE_MAX) this.#spares.push(region);
  }
}

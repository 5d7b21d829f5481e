/**
 * The output of all connections of a thread: their memory, and the list of those that have something to send, which the
 * turn flushes once.
 */
import { OUTPUT_CHUNK_BYTES } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { OutputArena } from "./output-arena.ts";
import type { OutputQueue } from "./output-queue.ts";
import { costOf, slowOf } from "./pace.ts";

export class Outputs {
  readonly arena: OutputArena;
  /** Takes what is written to connections that are gone. */
  readonly scratch = Region.allocate(OUTPUT_CHUNK_BYTES);
  /** Packets that connections have reserved room for, and bytes that the kernel has taken; since the start. */
  packetsReserved = 0;
  bytesWritten = 0;
  /** The broker stops: who is closed from now on is told so, where the transport has a word for it. */
  isGoingAway = false;
  readonly #wake: () => void;
  readonly #queues = new Set<OutputQueue>();
  #listed: OutputQueue[] = [];
  #flushing: OutputQueue[] = [];
  /** Those whose batch the kernel did not take at once. */
  readonly #slow = new Set<OutputQueue>();
  #closingBytes = 0;

  /** `wake` is called when the list of connections to flush begins to fill: the thread must come to a `flush`. */
  constructor(wake: () => void, budgetBytes?: number) {
    this.#wake = wake;
    this.arena = new OutputArena(budgetBytes);
  }

  /** Connections to flush. */
  get listedCount(): number {
    return this.#listed.length;
  }

  /**
   * Sends what every listed connection has. Returns how many were listed meanwhile (by handlers that were told of
   * completed writes): above 0 the thread should come back soon; `wake` has been called for them.
   */
  flush(): number {
    const queues = this.#listed;
    this.#listed = this.#flushing;
    this.#flushing = queues;
    for (let index = 0; index < queues.length; index += 1) {
      const queue = queues[index]!;
      queue.isListed = false;
      queue.flush();
    }
    queues.length = 0;
    return this.#listed.length;
  }

  list(queue: OutputQueue): void {
    if (queue.isListed) return;
    queue.isListed = true;
    this.#listed.push(queue);
    if (this.#listed.length === 1) this.#wake();
  }

  /** A region for `byteLength` bytes that nobody will read. */
  scratchFor(byteLength: number): Region {
    return byteLength <= this.scratch.bytes.length ? this.scratch : Region.allocate(byteLength);
  }

  onOpened(queue: OutputQueue): void {
    this.#queues.add(queue);
  }

  /** The kernel has not taken all of this queue's batch yet; and now it has. */
  onSlow(queue: OutputQueue): void {
    this.#slow.add(queue);
  }

  onSentAll(queue: OutputQueue): void {
    this.#slow.delete(queue);
  }

  /** Cuts off connections whose peer has taken nothing for so long although it has something to take. */
  cutOffStalled(nowMs: number, stalledMs: number): void {
    for (const queue of this.#slow) if (queue.isStalled(nowMs, stalledMs)) queue.cutOff("slowReader");
  }

  /** Now and then, by the same clock: measures, and, while memory is tight, cuts off who would take long to read what is held for it. Returns how many. */
  cutOffSlow(nowMs: number): number {
    for (const queue of this.#slow) queue.look(nowMs);
    if (!this.arena.isTight) return 0;
    let count = 0;
    for (const queue of slowOf(this.#slow)) {
      // What the sockets of those cut off still have counts as given back already.
      if (this.arena.isRelievedOf(this.#closingBytes)) break;
      queue.cutOff("memory");
      count += 1;
    }
    return count;
  }

  /** `sentBytes` of a closed queue stay in use until its socket is gone. */
  onClosing(queue: OutputQueue, sentBytes: number): void {
    this.#queues.delete(queue);
    this.#slow.delete(queue);
    this.#closingBytes += sentBytes;
  }

  onGone(sentBytes: number): void {
    this.#closingBytes -= sentBytes;
  }

  /**
   * The budget is used up: cuts off the connection that costs the most, or while none is slow, the one that has the most unsent. Only one
   * at a time: while the last one's socket is closing, chunks are taken over the budget.
   */
  relieve(): void {
    if (this.#closingBytes > 0) return;
    let largest = this.#dearestSlow();
    if (largest === null)
      for (const queue of this.#queues) {
        if (largest === null || queue.queuedBytes > largest.queuedBytes) largest = queue;
      }
    largest?.cutOff("memory");
  }

  #dearestSlow(): OutputQueue | null {
    let dearest: OutputQueue | null = null;
    let most = 0;
    for (const queue of this.#slow) {
      const cost = costOf(queue);
      if (cost <= most) continue;
      dearest = queue;
      most = cost;
    }
    return dearest;
  }
}

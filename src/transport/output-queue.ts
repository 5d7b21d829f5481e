/**
 * The output of one connection: a line of chunks, the last of which is being filled.
 *
 * ```
 *   sent (the socket has them)      waiting                            open
 *   [chunk]─[chunk]                 [chunk]─[chunk]─[chunk]─ … ─►      [written │ free]
 *   ▲ bytesWritten                                                            ▲ bytesReserved
 * ```
 *
 * One batch is with the socket at a time. While it is there the queue only grows; when the kernel has taken it, its
 * chunks go back to the arena and the next batch follows.
 */
import {
  OUTPUT_BATCH_CHUNKS_MAX,
  OUTPUT_CHUNK_BYTES,
  OUTPUT_CONNECTION_BYTES_MAX,
  OUTPUT_HIGH_BYTES,
  OUTPUT_LOW_BYTES,
} from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import type { OutputChunk } from "./output-arena.ts";
import type { Outputs } from "./outputs.ts";
import { Pace } from "./pace.ts";
import { headerBytes, writeBinaryHeader } from "./web-socket-frames.ts";

/** The connection that an output queue belongs to. */
export interface OutputOwner {
  /**
   * Gives [start, tail) of `count` chunks from `first` on to the socket in one write. True when the kernel took all of them
   * at once; false when `OutputQueue.onSent` will follow.
   */
  send(first: OutputChunk, count: number): boolean;
  /** Of the batch that `send` left behind: bytes that the kernel has not taken. Falls while the peer reads, if only slowly. */
  readonly unsentBytes: number;
  /** The queue has broken a bound and is closed: the connection must go. */
  onCutOff(cause: "slowReader" | "memory"): void;
  onDrained(): void;
  onWritten(): void;
}

export class OutputQueue {
  readonly #outputs: Outputs;
  readonly #owner: OutputOwner;
  /** The memory of the latest reservation. */
  region: Region;
  /** The free part of the open chunk; equal when there is none. */
  #at = 0;
  #end = 0;
  /** Where the latest reservation lies. */
  #lastStart = 0;
  /** What was reserved before the open chunk, and where that chunk's share begins. */
  #reservedBefore = 0;
  #openStart = 0;
  #waitingFirst: OutputChunk | null = null;
  #waitingLast: OutputChunk | null = null;
  /** The last waiting chunk, while it is being filled. */
  #open: OutputChunk | null = null;
  #sent: OutputChunk | null = null;
  #sentBytes = 0;
  #writtenBytes = 0;
  #watchedMark = Number.POSITIVE_INFINITY;
  #refusedDelivery = false;
  #isEnded = false;
  #isClosed = false;
  /** While a batch is with the socket: how far it was when it was seen to move, and when. */
  #progressBytes = -1;
  #progressMs = 0;
  /** How fast batches leave that the kernel did not take at once; made for the first that is looked at. */
  #pace: Pace | null = null;
  /** Kept by Outputs: whether this queue is on the list of those to flush. */
  isListed = false;

  constructor(outputs: Outputs, owner: OutputOwner) {
    this.#outputs = outputs;
    this.#owner = owner;
    this.region = outputs.scratch;
  }

  get bytesReserved(): number {
    return this.#reservedBefore + (this.#at - this.#openStart);
  }

  get bytesWritten(): number {
    return this.#writtenBytes;
  }

  get queuedBytes(): number {
    return this.bytesReserved - this.#writtenBytes;
  }

  /** A batch is with the socket. */
  get isSending(): boolean {
    return this.#sent !== null;
  }

  /**
   * Whether deliveries may be added. When a turn has written much, what it wrote is sent first: only a peer that does not read is
   * a reason to drop.
   */
  get isWritable(): boolean {
    if (this.#isRoomy) return true;
    if (this.#sent === null && !this.#isEnded) {
      this.#sendWaiting();
      if (this.#isRoomy) return true;
    }
    this.#refusedDelivery = true; // Who was told to wait is told when the wait is over.
    return false;
  }

  get #isRoomy(): boolean {
    return !this.#isEnded && this.queuedBytes < this.#highBytes();
  }

  reserve(byteLength: number): number {
    this.#outputs.packetsReserved += 1;
    const offset = this.#at;
    if (offset + byteLength <= this.#end) {
      this.#at = offset + byteLength;
      this.#lastStart = offset;
      return offset;
    }
    return this.#reserveInNextChunk(byteLength);
  }

  /** The same for a packet that goes out in a frame of its own, whose header is written in front of it. */
  reserveFramed(byteLength: number): number {
    const header = headerBytes(byteLength);
    const at = this.reserve(header + byteLength);
    writeBinaryHeader(this.region.bytes, at, byteLength);
    return at + header;
  }

  watchWritten(mark: number): void {
    if (mark < this.#watchedMark) this.#watchedMark = mark;
    if (mark <= this.#writtenBytes && !this.#isClosed) this.#outputs.list(this);
  }

  /** Sends batch after batch until the queue is empty or the kernel takes no more; then tells the owner what came of it. */
  flush(): void {
    if (this.#isClosed) return;
    if (this.#sent === null) this.#sendWaiting();
    this.#report();
  }

  /** Batch after batch, until nothing waits or the kernel takes no more. */
  #sendWaiting(): void {
    this.#seal();
    while (this.#waitingFirst !== null && this.#sendBatch()) this.#forgetSent();
  }

  /** The kernel has taken the batch that `send` left behind. */
  onSent(): void {
    if (this.#sent === null || this.#isClosed) return;
    this.#outputs.onSentAll(this);
    this.#forgetSent();
    this.flush();
  }

  /** Takes nothing more; what was reserved is still sent. */
  end(): void {
    this.#seal();
    this.#isEnded = true;
  }

  /** Memory that it keeps from others. */
  get heldBytes(): number {
    return Math.max(OUTPUT_CHUNK_BYTES, this.queuedBytes);
  }

  /** How long the peer would take to read what is held for it, as of the last look. */
  get holdMs(): number {
    return this.#pace?.msFor(this.heldBytes) ?? 0;
  }

  /** Of a queue whose batch the kernel did not take at once: measures how fast it leaves. */
  look(nowMs: number): void {
    this.#pace ??= new Pace();
    this.#pace.look(this.#progress, nowMs);
  }

  get #progress(): number {
    return this.#writtenBytes + this.#sentBytes - this.#owner.unsentBytes;
  }

  /** Of a queue whose batch the kernel did not take at once: whether nothing of it has left for so long. */
  isStalled(nowMs: number, stalledMs: number): boolean {
    const progressBytes = this.#progress;
    if (progressBytes === this.#progressBytes) return nowMs - this.#progressMs >= stalledMs;
    this.#progressBytes = progressBytes;
    this.#progressMs = nowMs;
    return false;
  }

  /** Lets go of everything but the batch that the socket may still read, and takes nothing more. */
  close(): void {
    if (this.#isClosed) return;
    this.end();
    this.#isClosed = true;
    this.#outputs.arena.giveBack(this.#waitingFirst);
    this.#waitingFirst = this.#waitingLast = null;
    this.#outputs.onClosing(this, this.#sentBytes);
  }

  /** Closes the queue for breaking a bound. Outputs calls it for the queue that holds the most when the budget is used up. */
  cutOff(cause: "slowReader" | "memory"): void {
    this.close();
    this.#owner.onCutOff(cause);
  }

  /** The socket is gone: nobody reads the last batch any more. */
  onSocketGone(): void {
    this.close();
    this.#outputs.onGone(this.#sentBytes);
    this.#outputs.arena.giveBack(this.#sent);
    this.#sent = null;
    this.#sentBytes = 0;
  }

  #reserveInNextChunk(byteLength: number): number {
    if (!this.#isEnded && this.queuedBytes > OUTPUT_CONNECTION_BYTES_MAX) this.cutOff("slowReader");
    if (!this.#isEnded && !this.#outputs.arena.hasRoomFor(byteLength)) this.#outputs.relieve();
    if (this.#isEnded) {
      this.#reservedBefore += byteLength; // Its mark is never reached: nothing may pass for written that went nowhere.
      this.region = this.#outputs.scratchFor(byteLength);
      return 0;
    }

    this.#seal();
    const chunk = this.#outputs.arena.take(byteLength);
    if (this.#waitingLast === null) this.#waitingFirst = chunk;
    else this.#waitingLast.next = chunk;
    this.#waitingLast = chunk;
    this.#open = chunk;
    this.region = chunk.region;
    this.#openStart = chunk.start;
    this.#at = chunk.start + byteLength;
    this.#lastStart = chunk.start;
    this.#end = chunk.end;
    this.#outputs.list(this);
    return chunk.start;
  }

  /** Ends the filling of the open chunk. */
  #seal(): void {
    if (this.#open === null) return;
    this.#open.tail = this.#at;
    this.#open.lastStart = this.#lastStart;
    this.#reservedBefore = this.bytesReserved;
    this.#open = null;
    this.#at = this.#end = this.#openStart = 0;
  }

  #sendBatch(): boolean {
    const first = this.#waitingFirst!;
    let last = first;
    let count = 1;
    let bytes = first.tail - first.start;
    while (last.next !== null && count < OUTPUT_BATCH_CHUNKS_MAX) {
      last = last.next;
      count += 1;
      bytes += last.tail - last.start;
    }
    this.#waitingFirst = last.next;
    if (last.next === null) this.#waitingLast = null;
    last.next = null;
    this.#sent = first;
    this.#sentBytes = bytes;
    if (this.#owner.send(first, count)) return true;
    this.#progressBytes = -1;
    this.#pace?.restart();
    this.#outputs.onSlow(this);
    return false;
  }

  #forgetSent(): void {
    this.#outputs.arena.giveBack(this.#sent);
    this.#writtenBytes += this.#sentBytes;
    this.#outputs.bytesWritten += this.#sentBytes;
    this.#sent = null;
    this.#sentBytes = 0;
  }

  #report(): void {
    if (this.#watchedMark <= this.#writtenBytes) {
      this.#watchedMark = Number.POSITIVE_INFINITY;
      this.#owner.onWritten();
    }
    if (this.#refusedDelivery && !this.#isClosed) {
      const queuedBytes = this.queuedBytes;
      if (queuedBytes <= OUTPUT_LOW_BYTES && queuedBytes < this.#highBytes()) {
        this.#refusedDelivery = false;
        this.#owner.onDrained();
      }
    }
  }

  #highBytes(): number {
    return this.#outputs.arena.isTight ? OUTPUT_CHUNK_BYTES : OUTPUT_HIGH_BYTES;
  }
}

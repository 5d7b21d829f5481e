/**
 * The input of one connection: cuts the bytes that come into packets and holds back what cannot be delivered yet.
 *
 * ```
 *   idle       nothing held
 *   partial    held: the beginning of one packet        ── its end comes ──► idle
 *   paused     held: whatever stood behind the packet in which the reader paused   ── resume ──► idle, partial or paused
 *   stopped    nothing is delivered or held any more: fault, end or close
 * ```
 *
 * Small beginnings are put in front of the next read, in the head-room of the thread's read buffer. Larger ones gather in
 * a region that doubles with the bytes that really came, never with what a length field promises.
 */
import { assert } from "../base/assert.ts";
import { READ_BUFFER_BYTES, READ_HEADROOM_BYTES } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";
import { PacketType, packetTypeOf } from "../mqtt/packet-type.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { NEED_MORE, PACKET_TOO_LARGE, packetBytes } from "../mqtt/scanner.ts";
import { Pace } from "./pace.ts";
import type { InputHolder, ReadBuffer } from "./read-buffer.ts";

/** Takes the packets; see ConnectionHandler. */
export interface PacketReader {
  onPacket(region: Region, start: number, end: number): void;
  onFault(reasonCode: number): void;
}

export class PacketInput implements InputHolder {
  packetBytesMax: number;
  readonly #readBuffer: ReadBuffer;
  #reader: PacketReader | null = null;
  #isPaused = false;
  #isStopped = false;
  #isSplitting = false;
  #held: Region | null = null;
  #heldStart = 0;
  #heldEnd = 0;
  #bytesRead = 0;
  /** While the process is over its memory budget: the last read brought a whole PUBLISH. */
  #hasPublished = false;
  /** While over: what has come since the last check, by its number. */
  #period = -1;
  #periodBytes = 0;
  /** While a packet is unfinished: how much had come when it was looked at, and when. */
  #progressBytes = -1;
  #progressMs = 0;
  /** How fast unfinished packets grow; made for the first that is looked at. */
  #pace: Pace | null = null;

  constructor(readBuffer: ReadBuffer, packetBytesMax: number) {
    this.#readBuffer = readBuffer;
    this.packetBytesMax = packetBytesMax;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Bytes that came and were not delivered. */
  get waitingBytes(): number {
    return this.#heldEnd - this.#heldStart;
  }

  /** Bytes that have come. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** The beginning of a packet has come, its end has not, and nothing but the peer keeps it. */
  get hasPartialPacket(): boolean {
    return this.#held !== null && !this.#isPaused && !this.#isStopped;
  }

  /**
   * While the process is over its memory budget: whether the last read brought some of a PUBLISH, and not little has come since the last check.
   * What comes when it is stopped is thrown away.
   */
  get isPublishing(): boolean {
    if (this.#isStopped || this.#periodBytes <= this.#readBuffer.publisherPause.modestBytes) return false;
    return this.#hasPublished || (this.#held !== null && isPublish(this.#held, this.#heldStart));
  }

  get heldBytes(): number {
    return this.#held?.bytes.length ?? 0;
  }

  /** How long the peer would take to send again what is held of its unfinished packet. */
  get holdMs(): number {
    return this.hasPartialPacket ? (this.#pace?.msFor(this.heldBytes) ?? 0) : 0;
  }

  look(nowMs: number): void {
    if (this.hasPartialPacket && !this.#isSplitting) {
      this.#pace ??= new Pace();
      this.#pace.look(this.#bytesRead, nowMs);
    } else this.#pace?.restart();
  }

  /** Gives up when the peer has sent nothing more of a packet for so long. */
  endStalled(nowMs: number, stalledMs: number): void {
    if (!this.hasPartialPacket || this.#isSplitting || this.#bytesRead !== this.#progressBytes) {
      this.#progressBytes = this.#bytesRead;
      this.#progressMs = nowMs;
    } else if (nowMs - this.#progressMs >= stalledMs) {
      this.giveUp();
    }
  }

  /** Lets go of an unfinished packet, and of its connection [reason 0x97]. */
  giveUp(): void {
    this.#drop();
    this.#fail("quotaExceeded");
  }

  /** Delivers the packets of `head`, which came before this input existed, to `reader` from now on. */
  start(reader: PacketReader, head: Uint8Array): void {
    assert(this.#reader === null, "an input starts once");
    this.#reader = reader;
    if (this.#isStopped || head.length === 0) return;
    const region = Region.over(head);
    this.#accept(region, 0, head.length);
  }

  /** Takes `byteLength` bytes that a read put into the thread's read buffer. */
  receive(byteLength: number): void {
    if (this.#isStopped) return;
    this.#bytesRead += byteLength;
    this.#hasPublished = false;
    const { region, publisherPause } = this.#readBuffer;
    if (publisherPause.isOver) this.#count(byteLength, publisherPause.period);
    const end = READ_HEADROOM_BYTES + byteLength;
    let start = READ_HEADROOM_BYTES;
    const waiting = this.#heldEnd - this.#heldStart;
    if (waiting > READ_HEADROOM_BYTES && !this.#isPaused) {
      start = this.#extend(region, start, end);
    } else if (waiting > 0 && !this.#isPaused) {
      start -= waiting;
      copyBytes(region, start, this.#held!, this.#heldStart, waiting);
      this.#drop();
    }
    if (start < end) this.#accept(region, start, end);
  }

  #count(byteLength: number, period: number): void {
    if (period !== this.#period) {
      this.#period = period;
      this.#periodBytes = 0;
    }
    this.#periodBytes += byteLength;
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Delivers what waits, unless called from within a delivery, which then goes on by itself. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isSplitting || this.#isStopped || this.#held === null) return;

    const region = this.#held;
    const at = this.#split(region, this.#heldStart, this.#heldEnd);
    if (this.#isStopped || at === this.#heldEnd) {
      this.#drop();
      return;
    }
    this.#heldStart = at;
    if (this.#heldEnd - at <= READ_HEADROOM_BYTES && region.bytes.length > READ_HEADROOM_BYTES) {
      const end = this.#heldEnd;
      this.#held = null;
      this.#heldStart = this.#heldEnd = 0;
      this.#readBuffer.onDropped(this);
      this.#hold(region, at, end);
      this.#readBuffer.release(region);
    }
  }

  /** Nothing more is delivered; what is held is let go. */
  stop(): void {
    this.#isStopped = true;
    if (!this.#isSplitting) this.#drop();
  }

  #accept(region: Region, start: number, end: number): void {
    const at = this.#isPaused ? start : this.#split(region, start, end);
    if (this.#isStopped) this.#drop();
    else if (at < end) this.#hold(region, at, end);
  }

  /** Delivers packet after packet; returns where it had to stop. */
  #split(region: Region, start: number, end: number): number {
    const { bytes } = region;
    const reader = this.#reader!;
    const { isOver } = this.#readBuffer.publisherPause;
    let at = start;
    this.#isSplitting = true;
    while (at < end && !this.#isPaused && !this.#isStopped) {
      const length = packetBytes(bytes, at, end, this.packetBytesMax);
      if (length <= 0) {
        if (length !== NEED_MORE) this.#fail(length === PACKET_TOO_LARGE ? "packetTooLarge" : "malformedPacket");
        break;
      }
      if (isOver && isPublish(region, at)) this.#hasPublished = true;
      at += length;
      reader.onPacket(region, at - length, at);
    }
    this.#isSplitting = false;
    return at;
  }

  #fail(reason: "packetTooLarge" | "malformedPacket" | "quotaExceeded"): void {
    this.#isStopped = true;
    this.#reader!.onFault(ReasonCode[reason]);
  }

  /** Keeps [start, end) behind what is already held. */
  #hold(region: Region, start: number, end: number): void {
    const waiting = this.#heldEnd - this.#heldStart;
    const byteLength = end - start;
    if (this.#held === null || this.#heldEnd + byteLength > this.#held.bytes.length) {
      if (!this.#tryMakeRoom(waiting + byteLength)) {
        this.#drop();
        this.#fail("quotaExceeded");
        return;
      }
    }
    copyBytes(this.#held!, this.#heldEnd, region, start, byteLength);
    this.#heldEnd += byteLength;
  }

  /** A held region with room for `byteLength` in all, what is held moved to its beginning. */
  #tryMakeRoom(byteLength: number): boolean {
    const old = this.#held;
    const waiting = this.#heldEnd - this.#heldStart;
    if (old !== null && byteLength <= old.bytes.length && this.#heldStart >= waiting) {
      copyBytes(old, 0, old, this.#heldStart, waiting);
    } else {
      const doubled = old === null ? 0 : Math.min(old.bytes.length * 2, this.packetBytesMax + READ_BUFFER_BYTES);
      const wanted = Math.max(byteLength, doubled);
      const region = this.#readBuffer.tryHold(wanted, this) ?? this.#readBuffer.tryHold(byteLength, this);
      if (region === null) return false;
      if (old !== null) {
        copyBytes(region, 0, old, this.#heldStart, waiting);
        this.#readBuffer.release(old);
      }
      this.#held = region;
      this.#readBuffer.onHeld(this);
    }
    this.#heldStart = 0;
    this.#heldEnd = waiting;
    return true;
  }

  /**
   * Adds to a held beginning too large for the head-room, no more than its packet needs, and delivers it when it is whole.
   * Returns where the rest begins.
   */
  #extend(region: Region, start: number, end: number): number {
    const total = packetBytes(this.#held!.bytes, this.#heldStart, FAR_END, this.packetBytesMax);
    const missing = total - this.waitingBytes; // Not positive when packetBytesMax fell meanwhile: then the split tells.
    const taken = Math.max(0, Math.min(missing, end - start));
    this.#hold(region, start, start + taken);
    if (this.#isStopped || taken < missing) return this.#isStopped ? end : start + taken;

    this.#split(this.#held!, this.#heldStart, this.#heldEnd);
    this.#drop();
    return this.#isStopped ? end : start + taken;
  }

  #drop(): void {
    if (this.#held === null) return;
    this.#readBuffer.release(this.#held);
    this.#readBuffer.onDropped(this);
    this.#held = null;
    this.#heldStart = this.#heldEnd = 0;
  }
}

const isPublish = (region: Region, at: number): boolean => packetTypeOf(region.bytes, at) === PacketType.publish;

/** An end beyond any packet: makes `packetBytes` answer the length of a packet whose fixed header, at least, is there. */
const FAR_END = 0x3fff_ffff;

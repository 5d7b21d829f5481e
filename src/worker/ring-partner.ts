/**
 * A partner on another worker: frames through a pair of rings.
 *
 * ```
 *   publish, deliver ──► ordinary room ─┐
 *   stored, settle, control ──► reserved ─► ring ──► the other worker's turn
 *                       └ full: backlog, first of all in the next turn
 * ```
 *
 * A message larger than a record crosses in chunks; until it is across, no other message follows it, settlements do. What is
 * reserved stays in order: behind a control frame that crosses in chunks everything waits. The
 * backlog is bounded by what others bound: settlements by windows, answers by Receive Maximum, control by clients' requests.
 */

import { assert } from "../base/assert.ts";
import { copyBytes, Region } from "../base/region.ts";
import { decodeStructured, encodeStructured } from "../base/structured.ts";
import {
  CHUNK,
  DELIVER,
  DELIVER_HEADER_BYTES,
  PUBLISH,
  PUBLISH_HEADER_BYTES,
  SETTLE,
  SETTLE_BYTES,
  STORED,
  STORED_BYTES,
  writeDeliverHeader,
  writePublishHeader,
  writeSettle,
  writeStored,
} from "../frame/kinds.ts";
import { RETAINED_MARK_BYTES } from "../frame/retained-mark.ts";
import { ChunkAssembly, ChunkedWrite } from "../ring/chunks.ts";
import type { Doorbell } from "../ring/doorbell.ts";
import { RingReader } from "../ring/reader.ts";
import { RING_FULL, RingWriter } from "../ring/writer.ts";
import type { Partner, PartnerHandler } from "./partner.ts";

/** A frame that found no reserved room. */
interface Backlogged {
  readonly kind: number;
  readonly body: Region;
}

export class RingPartner implements Partner {
  readonly worker: number;
  readonly #handler: PartnerHandler;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #doorbell: Pick<Doorbell, "ring">;
  readonly #chunks: ChunkedWrite;
  readonly #assembly: ChunkAssembly;
  readonly #backlog: Backlogged[] = [];
  /** What crosses in chunks is a control frame. */
  #isControlCrossing = false;
  /** The largest body that was refused since the last drain; 0 = none. */
  #refusedBytes = 0;
  #isNudged = false;
  readonly #onFrame = (kind: number, region: Region, offset: number, bodyBytes: number): boolean =>
    this.#take(kind, region, offset, bodyBytes);

  /** `out` carries frames to the partner, `back` from it. `messageBytesMax` bounds what is assembled from chunks. */
  constructor(
    worker: number,
    handler: PartnerHandler,
    out: SharedArrayBuffer,
    back: SharedArrayBuffer,
    doorbell: Pick<Doorbell, "ring">,
    messageBytesMax: number,
  ) {
    this.worker = worker;
    this.#handler = handler;
    this.#writer = new RingWriter(out);
    this.#reader = new RingReader(back);
    this.#doorbell = doorbell;
    this.#chunks = new ChunkedWrite(this.#writer, CHUNK);
    this.#assembly = new ChunkAssembly(messageBytesMax);
  }

  hasRoom(messageBytes: number): boolean {
    const bodyBytes = PUBLISH_HEADER_BYTES + messageBytes;
    if (this.#chunks.isActive || this.#backlog.length > 0) return this.#refuse(bodyBytes);
    if (bodyBytes > this.#writer.maxBodyBytes) return true; // It begins to cross now and goes on by itself.
    return this.#writer.tryClaim(PUBLISH, bodyBytes) !== RING_FULL || this.#refuse(bodyBytes);
  }

  /** Notes what found no room, so that the partner rings when there is some, also when what goes before it is across by then. */
  #refuse(bodyBytes: number): false {
    this.#refusedBytes = Math.max(this.#refusedBytes, Math.min(bodyBytes, this.#writer.maxBodyBytes));
    return false;
  }

  publish(
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
    messageBytes: number,
    mark: Region | undefined,
  ): void {
    const markAt = PUBLISH_HEADER_BYTES + messageBytes;
    const bodyBytes = mark === undefined ? markAt : markAt + RETAINED_MARK_BYTES;
    const at = bodyBytes > this.#writer.maxBodyBytes ? RING_FULL : this.#writer.tryClaim(PUBLISH, bodyBytes);
    if (at !== RING_FULL) {
      writePublishHeader(this.#writer.region, at, origin, sequence, flags, packetId);
      copyBytes(this.#writer.region, at + PUBLISH_HEADER_BYTES, message, offset, messageBytes);
      if (mark !== undefined) copyBytes(this.#writer.region, at + markAt, mark, 0, RETAINED_MARK_BYTES);
      this.#writer.commit();
      return;
    }
    const body = Region.allocate(bodyBytes);
    writePublishHeader(body, 0, origin, sequence, flags, packetId);
    copyBytes(body, PUBLISH_HEADER_BYTES, message, offset, messageBytes);
    if (mark !== undefined) copyBytes(body, markAt, mark, 0, RETAINED_MARK_BYTES);
    this.#beginChunks(PUBLISH, body);
  }

  stored(origin: number, sequence: number, reason: number): void {
    const at = this.#claimReserved(STORED, STORED_BYTES);
    if (at !== RING_FULL) {
      writeStored(this.#writer.region, at, origin, sequence, reason);
      this.#writer.commit();
      return;
    }
    const body = Region.allocate(STORED_BYTES);
    writeStored(body, 0, origin, sequence, reason);
    this.#backlog.push({ kind: STORED, body });
  }

  deliver(
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
    messageBytes: number,
  ): boolean {
    const bodyBytes = DELIVER_HEADER_BYTES + messageBytes;
    if (this.#chunks.isActive) return this.#refuse(bodyBytes);
    if (bodyBytes > this.#writer.maxBodyBytes) {
      const body = Region.allocate(bodyBytes);
      writeDeliverHeader(body, 0, slot, generation, position, redelivered);
      copyBytes(body, DELIVER_HEADER_BYTES, message, offset, messageBytes);
      this.#beginChunks(DELIVER, body);
      return true;
    }
    const at = this.#writer.tryClaim(DELIVER, bodyBytes);
    if (at === RING_FULL) return this.#refuse(bodyBytes);
    writeDeliverHeader(this.#writer.region, at, slot, generation, position, redelivered);
    copyBytes(this.#writer.region, at + DELIVER_HEADER_BYTES, message, offset, messageBytes);
    this.#writer.commit();
    return true;
  }

  settle(slot: number, generation: number, position: number, accepted: boolean): void {
    const at = this.#claimReserved(SETTLE, SETTLE_BYTES);
    if (at !== RING_FULL) {
      writeSettle(this.#writer.region, at, slot, generation, position, accepted);
      this.#writer.commit();
      return;
    }
    const body = Region.allocate(SETTLE_BYTES);
    writeSettle(body, 0, slot, generation, position, accepted);
    this.#backlog.push({ kind: SETTLE, body });
  }

  control(kind: number, body: object): void {
    this.#backlog.push({ kind, body: Region.over(Buffer.from(encodeStructured(body))) });
    this.#sendBacklog();
    // It is there before a client is told what follows from it; the bell can wait for the end of the turn.
    if (this.#writer.publish()) this.#isNudged = true;
  }

  /** Reserved room, unless frames that came before still wait for theirs. */
  #claimReserved(kind: number, bodyBytes: number): number {
    const mustWait = this.#backlog.length > 0 || this.#isControlCrossing;
    return mustWait ? RING_FULL : this.#writer.tryClaimReserved(kind, bodyBytes);
  }

  #beginChunks(kind: number, body: Region): void {
    const isBegun = this.#chunks.tryBegin(kind, body, 0, body.bytes.length);
    assert(isBegun, "one frame at a time crosses in chunks");
    this.#chunks.tryContinue();
  }

  #continueChunks(): void {
    if (this.#chunks.isActive && this.#chunks.tryContinue()) this.#isControlCrossing = false;
  }

  /** Sends what waited, oldest first; a body too large for reserved room crosses in chunks. */
  #sendBacklog(): void {
    let sent = 0;
    for (const { kind, body } of this.#backlog) {
      if (this.#isControlCrossing) break; // What follows must not overtake it.
      const bodyBytes = body.bytes.length;
      if (bodyBytes > this.#writer.maxBodyBytes / 4) {
        if (this.#chunks.isActive) break;
        this.#beginChunks(kind, body);
        this.#isControlCrossing = this.#chunks.isActive;
      } else {
        const at = this.#writer.tryClaimReserved(kind, bodyBytes);
        if (at === RING_FULL) break;
        copyBytes(this.#writer.region, at, body, 0, bodyBytes);
        this.#writer.commit();
      }
      sent += 1;
    }
    if (sent > 0) this.#backlog.splice(0, sent);
  }

  /** Takes what the partner sent, at most so many frames; returns how many. */
  drain(framesMax: number): number {
    this.#refusedBytes = 0; // Who was refused asks again in this turn.
    const taken = this.#reader.drain(framesMax, this.#onFrame);
    if (this.#reader.takeSpaceBell()) this.#doorbell.ring();
    return taken;
  }

  get shown(): number {
    return this.#reader.published;
  }

  hasTaken(mark: number): boolean {
    return this.#reader.hasTaken(mark);
  }

  nudge(): void {
    this.#isNudged = true;
  }

  endTurn(): void {
    this.#continueChunks();
    if (this.#backlog.length > 0) this.#sendBacklog();
    if (this.#writer.publish() || this.#isNudged) this.#doorbell.ring();
    this.#isNudged = false;
  }

  /** If something waits for room in the ring, the partner rings when there is some. True: there is some already. */
  awaitSpace(): boolean {
    const bodyBytes = this.#waitingBytes;
    return bodyBytes > 0 && !this.#writer.awaitSpace(bodyBytes);
  }

  /** The body that waits for room; 0 = none. */
  get #waitingBytes(): number {
    if (this.#chunks.isActive) return this.#chunks.nextBodyBytes;
    const [first] = this.#backlog;
    return first === undefined ? this.#refusedBytes : Math.min(first.body.bytes.length, this.#writer.maxBodyBytes);
  }

  /** Whether the partner has taken all that it was given. */
  get isDrained(): boolean {
    return !this.#chunks.isActive && this.#backlog.length === 0 && this.#writer.isDrained;
  }

  /** Before the worker sleeps: false when the partner has sent something meanwhile. */
  armSleep(): boolean {
    return this.#reader.armSleep();
  }

  wake(): void {
    this.#reader.wake();
    this.#writer.stopAwaitingSpace();
  }

  #take(kind: number, region: Region, offset: number, bodyBytes: number): boolean {
    const { view } = region;
    switch (kind) {
      case PUBLISH:
        return this.#handler.onPublish(
          this.worker,
          view.getUint32(offset, true),
          view.getUint32(offset + 4, true),
          view.getUint32(offset + 8, true),
          view.getUint32(offset + 12, true),
          region,
          offset + PUBLISH_HEADER_BYTES,
        );
      case STORED:
        this.#handler.onStored(
          view.getUint32(offset, true),
          view.getUint32(offset + 4, true),
          view.getUint32(offset + 8, true),
        );
        return true;
      case DELIVER:
        this.#handler.onDeliver(
          this.worker,
          view.getUint32(offset, true),
          view.getUint32(offset + 4, true),
          view.getFloat64(offset + 8, true),
          view.getUint32(offset + 16, true) === 1,
          region,
          offset + DELIVER_HEADER_BYTES,
        );
        return true;
      case SETTLE:
        this.#handler.onSettle(
          this.worker,
          view.getUint32(offset, true),
          view.getUint32(offset + 4, true),
          view.getFloat64(offset + 8, true),
          view.getUint32(offset + 16, true) === 1,
        );
        return true;
      case CHUNK:
        return this.#assembly.accept(region, offset, bodyBytes, this.#onFrame);
      default:
        this.#handler.onControl(
          this.worker,
          kind,
          // A copy: msgpackr's native string reader refuses shared memory.
          decodeStructured<object>(Buffer.from(region.bytes.subarray(offset, offset + bodyBytes))),
        );
        return true;
    }
  }
}

/**
 * What a WebSocket client is sent: one message for each packet, and one frame for each message that is not too large. The
 * specification lets frames and packets be independent of each other, but there are clients that look for one packet in a message,
 * look at the next only when more bytes come, or lose what comes in several frames
 * ([0130](../../docs/decisions/0130-a-web-socket-message-is-one-packet.md)).
 *
 * ```
 *   packets      │ a │ b │   c, large …        … │ d │ beginning of e        (as the tunnel reads them)
 *   frames       │+a │+b │+c … │ │ +… c │+d │                               e waits for its end
 *                 fin fin  first   more, fin fin
 * ```
 *
 * Frames to a client bear no mask: two, four or ten bytes stand in front of the payload (RFC 6455, 5.2).
 */
import { assert } from "../base/assert.ts";
import { NEED_MORE, PACKET_TOO_LARGE, packetBytes } from "../mqtt/scanner.ts";

export class PacketFrames {
  /** The beginning of a packet that is sent when it is whole, as it came. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Of that packet: all of its bytes; 0 while it is not known. */
  #heldTotal = 0;
  /** Of a large packet that is being sent: bytes to come. */
  #left = 0;

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * The frames that these bytes make, with what was held; empty when they complete nothing. A packet of more than `wholeBytesMax` is sent
   * as it comes. Keeps `more` as long as it holds it.
   */
  next(more: Buffer, wholeBytesMax: number): Buffer {
    if (this.#heldBytes + more.length < this.#heldTotal && this.#heldTotal <= wholeBytesMax) {
      this.#held.push(more);
      this.#heldBytes += more.length;
      return NOTHING;
    }
    const bytes = this.#heldBytes === 0 ? more : Buffer.concat([...this.#held, more]);
    const isContinued = this.#left > 0;
    let at = Math.min(this.#left, bytes.length);
    this.#left -= at;
    const ends = isContinued ? [at] : [];
    while (at < bytes.length) {
      const length = packetBytes(bytes, at, bytes.length, wholeBytesMax);
      if (length === NEED_MORE) break;
      const total = length === PACKET_TOO_LARGE ? packetBytes(bytes, at, FAR_END, FAR_END) : length;
      assert(total > 0, "what a session writes is packets");
      const end = at + total;
      at = Math.min(end, bytes.length);
      this.#left = end - at;
      ends.push(at);
    }
    this.#hold(bytes.subarray(at));
    return framed(bytes, ends, isContinued, this.#left === 0);
  }

  /** Lets go of what is held; returns how much it was. */
  drop(): number {
    const dropped = this.#heldBytes;
    this.#hold(NOTHING);
    return dropped;
  }

  #hold(beginning: Buffer): void {
    this.#heldBytes = beginning.length;
    this.#held = beginning.length === 0 ? [] : [beginning];
    const isLengthThere = packetBytes(beginning, 0, beginning.length, 0) === PACKET_TOO_LARGE;
    this.#heldTotal = isLengthThere ? packetBytes(beginning, 0, FAR_END, FAR_END) : 0;
  }
}

const NOTHING = Buffer.alloc(0);
/** An end beyond any packet: makes `packetBytes` answer a length as soon as it can be read. */
const FAR_END = 0x3fff_ffff;
const FIN = 0x80;
const BINARY = 0x02;
const CONTINUATION = 0x00;

/** A frame for each stretch up to the next of `ends`; the first may go on with a message, the last may leave one open. */
function framed(bytes: Buffer, ends: readonly number[], isContinued: boolean, isFinal: boolean): Buffer {
  if (ends.length === 0) return NOTHING;
  let size = 0;
  let start = 0;
  for (const end of ends) {
    size += headerBytes(end - start) + end - start;
    start = end;
  }
  const frames = Buffer.allocUnsafe(size);
  const last = ends[ends.length - 1];
  let to = 0;
  start = 0;
  for (const end of ends) {
    const opcode = isContinued && start === 0 ? CONTINUATION : BINARY;
    const fin = isFinal || end !== last ? FIN : 0;
    to = writeHeader(frames, to, fin | opcode, end - start);
    to += bytes.copy(frames, to, start, end);
    start = end;
  }
  return frames;
}

const headerBytes = (payloadBytes: number): number => (payloadBytes < 126 ? 2 : payloadBytes < 0x1_0000 ? 4 : 10);

/** Returns the offset behind it. */
function writeHeader(frames: Buffer, at: number, first: number, payloadBytes: number): number {
  frames[at] = first;
  if (payloadBytes < 126) {
    frames[at + 1] = payloadBytes;
    return at + 2;
  }
  if (payloadBytes < 0x1_0000) {
    frames[at + 1] = 126;
    return frames.writeUInt16BE(payloadBytes, at + 2);
  }
  frames[at + 1] = 127;
  frames.writeUInt32BE(0, at + 2);
  return frames.writeUInt32BE(payloadBytes, at + 6);
}

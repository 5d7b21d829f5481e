/**
 * The frames of a WebSocket (RFC 6455, section 5): takes the payload out of what a client sends, and puts what the broker sends into frames.
 *
 * ```
 *   FIN RSV opcode │ MASK length │ [length of 2 or 8 bytes] │ [mask of 4] │ payload
 *
 *   read:   │header│masked payload│header│masked pay        ─► │payload│payload│pay      in place, in one pass; what a frame
 *                                                                                        lacks comes with the next read
 * ```
 *
 * Nothing is held but a header that is cut in two and the payload of a ping: a frame's length is not a promise that memory is kept for. A
 * message of any length is a stream of bytes, as are its fragments [MQTT-6.0.0-2]. What the broker sends is one message, in one frame, for
 * each packet: some clients look for no more in it ([0130](../../docs/decisions/0130-a-web-socket-message-is-one-packet.md)).
 */
import { isUtf8 } from "node:buffer";
import { NEED_MORE } from "../mqtt/scanner.ts";

/** Why a WebSocket is closed (RFC 6455, section 7.4.1). */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidText: 1007,
  tooLarge: 1009,
} as const;

/** Where a reader is: plain data, so that the rest of a connection can be read by another thread. */
export interface FrameState {
  /** The beginning of a header. */
  readonly header: readonly number[];
  /** Bytes of the frame's payload that have not come. */
  readonly missingBytes: number;
  /** Over the next four of them. */
  readonly mask: number;
  /** The beginning of the payload of a control frame; null in a data frame, or between frames. */
  readonly control: { readonly opcode: number; readonly payload: readonly number[] } | null;
  /** Within a message in fragments. */
  readonly isFragmented: boolean;
  /** See FrameReader. */
  readonly closeCode: number;
}

/** Where a WebSocket begins: nothing has come. */
export const FIRST_FRAME: FrameState = {
  header: [],
  missingBytes: 0,
  mask: 0,
  control: null,
  isFragmented: false,
  closeCode: 0,
};

export class FrameReader {
  readonly #onPing: (payload: Uint8Array) => void;
  /** Of a cut header, or of a control frame: the first `gatheredBytes` of it. Made when first needed. */
  #gathered: Uint8Array = NOTHING;
  #gatheredBytes = 0;
  #missingBytes: number;
  #mask: number;
  /** Of the control frame whose payload is being read; 0 for none. */
  #controlOpcode: number;
  #isFragmented: boolean;
  #closeCode: number;

  /** `onPing`, while a read is under way: to be answered with a pong of the same payload. */
  constructor(onPing: (payload: Uint8Array) => void, state: FrameState) {
    this.#onPing = onPing;
    this.#closeCode = state.closeCode;
    this.#missingBytes = state.missingBytes;
    this.#mask = state.mask;
    this.#isFragmented = state.isFragmented;
    this.#controlOpcode = state.control?.opcode ?? 0;
    for (const byte of state.control?.payload ?? state.header) this.#gather(byte);
  }

  /** What the WebSocket is to be closed with, because the client has closed it or speaks none; nothing more is read then. 0 while it is open. */
  get closeCode(): number {
    return this.#closeCode;
  }

  /** For the reader that goes on. */
  get state(): FrameState {
    const gathered = [...this.#gathered.subarray(0, this.#gatheredBytes)];
    const isControl = this.#controlOpcode !== 0;
    return {
      header: isControl ? [] : gathered,
      missingBytes: this.#missingBytes,
      mask: this.#mask,
      control: isControl ? { opcode: this.#controlOpcode, payload: gathered } : null,
      isFragmented: this.#isFragmented,
      closeCode: this.#closeCode,
    };
  }

  /**
   * Takes the first `byteLength` bytes of `view`, which follow what it took before, and puts the payload in them at the beginning of
   * `view`. How many bytes that are.
   */
  read(view: DataView<ArrayBufferLike>, byteLength: number): number {
    let at = 0;
    let payloadEnd = 0;
    while (at < byteLength && this.#closeCode === 0) {
      if (this.#missingBytes === 0) {
        at = this.#readHeader(view, at, byteLength);
        continue;
      }
      const length = Math.min(this.#missingBytes, byteLength - at);
      if (this.#controlOpcode === 0) {
        this.#unmask(view, at, length, payloadEnd);
        payloadEnd += length;
      } else {
        this.#unmask(view, at, length, at); // What lies there is read already.
        for (let index = 0; index < length; index += 1) this.#gather(view.getUint8(at + index));
      }
      at += length;
      this.#missingBytes -= length;
      if (this.#missingBytes === 0 && this.#controlOpcode !== 0) this.#endControl();
    }
    return payloadEnd;
  }

  /** The header at `at`, whole or what there is of it; where its payload begins. */
  #readHeader(view: DataView<ArrayBufferLike>, at: number, end: number): number {
    if (this.#gatheredBytes === 0 && end - at >= HEADER_BYTES_MAX) return at + this.#beginFrame(view, at);

    let next = at;
    while (next < end) {
      this.#gather(view.getUint8(next));
      next += 1;
      if (this.#gatheredBytes === 2) this.#closeCode = this.#faultOf(this.#gathered[0]!, this.#gathered[1]!, 0);
      if (this.#closeCode !== 0) break;
      if (this.#gatheredBytes < headerBytesOf(this.#gathered, this.#gatheredBytes)) continue;
      const { buffer, byteOffset } = this.#gathered;
      this.#gatheredBytes = 0;
      this.#beginFrame(new DataView(buffer, byteOffset), 0);
      break;
    }
    return next;
  }

  /** Of a header that is there as a whole; how long it is. */
  #beginFrame(view: DataView<ArrayBufferLike>, at: number): number {
    const first = view.getUint8(at);
    const second = view.getUint8(at + 1);
    const opcode = first & 0x0f;
    const isControl = opcode >= Opcode.close;
    let payloadBytes = second & 0x7f;
    let length = 2;
    if (payloadBytes === LENGTH_OF_16) {
      payloadBytes = view.getUint16(at + 2);
      length = 4;
    } else if (payloadBytes === LENGTH_OF_64) {
      payloadBytes = view.getUint32(at + 2) * 0x1_0000_0000 + view.getUint32(at + 6);
      length = 10;
    }
    this.#closeCode = this.#faultOf(first, second, payloadBytes);
    if (this.#closeCode !== 0) return length;

    if (isControl) this.#controlOpcode = opcode;
    else this.#isFragmented = (first & FIN) === 0;
    this.#mask = view.getInt32(at + length, true);
    this.#missingBytes = payloadBytes;
    if (payloadBytes === 0 && isControl) this.#endControl();
    return length + MASK_BYTES;
  }

  /** The code to close with; 0 for a header as it should be, as far as `payloadBytes` is known. */
  #faultOf(first: number, second: number, payloadBytes: number): number {
    const opcode = first & 0x0f;
    if ((first & RESERVED) !== 0 || (second & MASKED) === 0) return CloseCode.protocolError;
    if (opcode >= Opcode.close) {
      const isKnown = opcode <= Opcode.pong;
      const isWhole = (first & FIN) !== 0 && (second & 0x7f) <= CONTROL_PAYLOAD_BYTES_MAX;
      return isKnown && isWhole ? 0 : CloseCode.protocolError;
    }
    if (opcode === Opcode.text && !this.#isFragmented) return CloseCode.unsupportedData; // [MQTT-6.0.0-1]
    if (opcode !== (this.#isFragmented ? Opcode.continuation : Opcode.binary)) return CloseCode.protocolError;
    return payloadBytes > Number.MAX_SAFE_INTEGER ? CloseCode.tooLarge : 0;
  }

  /** A control frame is whole. */
  #endControl(): void {
    const opcode = this.#controlOpcode;
    const payload = this.#gathered.slice(0, this.#gatheredBytes);
    this.#controlOpcode = 0;
    this.#gatheredBytes = 0;
    if (opcode === Opcode.ping) this.#onPing(payload);
    else if (opcode === Opcode.close) this.#closeCode = answerTo(payload);
  }

  /** Takes the mask off `length` bytes at `from` and puts them at `to`, which is not behind it. */
  #unmask(view: DataView<ArrayBufferLike>, from: number, length: number, to: number): void {
    const mask = this.#mask;
    const wordsEnd = length & ~3;
    for (let index = 0; index < wordsEnd; index += 4) {
      view.setInt32(to + index, view.getInt32(from + index, true) ^ mask, true);
    }
    for (let index = wordsEnd; index < length; index += 1) {
      view.setUint8(to + index, view.getUint8(from + index) ^ (mask >>> ((index & 3) * 8)));
    }
    const turned = (length & 3) * 8;
    if (turned !== 0) this.#mask = (mask >>> turned) | (mask << (32 - turned));
  }

  #gather(byte: number): void {
    if (this.#gathered.length === 0) this.#gathered = new Uint8Array(CONTROL_PAYLOAD_BYTES_MAX);
    this.#gathered[this.#gatheredBytes] = byte;
    this.#gatheredBytes += 1;
  }
}

/** A frame of the broker with all of a binary message. */
export function binaryFrame(payload: Uint8Array): Buffer {
  const header = headerBytes(payload.length);
  const frame = Buffer.alloc(header + payload.length);
  writeBinaryHeader(frame, 0, payload.length);
  frame.set(payload, header);
  return frame;
}

/** How long the header is of a frame of the broker that holds so much. */
export function headerBytes(payloadBytes: number): number {
  return payloadBytes < LENGTH_OF_16 ? 2 : payloadBytes <= 0xffff ? 4 : 10;
}

/** The header of a frame with all of a binary message of less than 4 GiB. */
export function writeBinaryHeader(bytes: Buffer, at: number, payloadBytes: number): void {
  bytes[at] = FIN | Opcode.binary;
  if (payloadBytes < LENGTH_OF_16) {
    bytes[at + 1] = payloadBytes;
  } else if (payloadBytes <= 0xffff) {
    bytes[at + 1] = LENGTH_OF_16;
    bytes[at + 2] = payloadBytes >> 8;
    bytes[at + 3] = payloadBytes;
  } else {
    bytes[at + 1] = LENGTH_OF_64;
    bytes.writeUInt32BE(0, at + 2);
    bytes.writeUInt32BE(payloadBytes, at + 6);
  }
}

/** The bytes of the broker's frame that starts at `start`, there or not; NEED_MORE before its header is there. */
export function sentFrameBytes(bytes: Buffer, start: number, end: number): number {
  if (end - start < 2) return NEED_MORE;
  const length = bytes[start + 1]!;
  if (length < LENGTH_OF_16) return 2 + length;
  if (length === LENGTH_OF_16) return end - start < 4 ? NEED_MORE : 4 + bytes.readUInt16BE(start + 2);
  return end - start < 10 ? NEED_MORE : 10 + bytes.readUInt32BE(start + 6);
}

export function pongFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(FIN | Opcode.pong, payload.length), payload]);
}

export function closeFrame(code: number): Buffer {
  return Buffer.of(FIN | Opcode.close, 2, code >> 8, code & 0xff);
}

/** How long the header is that begins so, as far as that can be told. */
function headerBytesOf(bytes: Uint8Array, count: number): number {
  if (count < 2) return HEADER_BYTES_MAX;
  const length = bytes[1]! & 0x7f;
  const lengthBytes = length === LENGTH_OF_16 ? 2 : length === LENGTH_OF_64 ? 8 : 0;
  return 2 + lengthBytes + ((bytes[1]! & MASKED) === 0 ? 0 : MASK_BYTES);
}

/** The code for the answer to a close of this payload: its own code, if it is in order. */
function answerTo(payload: Uint8Array): number {
  if (payload.length === 0) return CloseCode.normal;
  const code = (payload[0]! << 8) | (payload[1] ?? 0);
  if (payload.length === 1 || !isCloseCode(code)) return CloseCode.protocolError;
  return isUtf8(payload.subarray(2)) ? code : CloseCode.invalidText;
}

/** Codes that may stand in a frame: those of the protocol and its registry, and those of applications. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const LENGTH_OF_16 = 126;
const LENGTH_OF_64 = 127;
const MASK_BYTES = 4;
const HEADER_BYTES_MAX = 14;
const CONTROL_PAYLOAD_BYTES_MAX = 125;
const NOTHING = new Uint8Array(0);

/**
 * The broker's end of a WebSocket that is open: frames around a connection's bytes, pongs, and the closing handshake.
 *
 * ```
 *   open ── the broker ends: its close is sent ──► closing ── the client's close ──► over: FIN
 *     └──── the client closes, or speaks no WebSocket ──► over ── our close is sent ──────┘
 * ```
 */
import type { Duplex } from "node:stream";
import { WEB_SOCKET_PONG_BYTES_MAX } from "../base/limits.ts";
import { CloseCode, closeFrame, FIRST_FRAME, FrameReader, type FrameState, pongFrame } from "./web-socket-frames.ts";

export class WebSocketEnd {
  readonly #carrier: Duplex;
  readonly #reader: FrameReader;
  #isClosing = false;
  #pongBytes = 0;

  /** `state`: of the end before this one. */
  constructor(carrier: Duplex, state: FrameState = FIRST_FRAME) {
    this.#carrier = carrier;
    this.#reader = new FrameReader((payload) => this.#answer(payload), state);
  }

  /** For the end that goes on with the rest of the connection. */
  get state(): FrameState {
    return this.#reader.state;
  }

  /** See FrameReader.read. */
  read(view: DataView<ArrayBufferLike>, byteLength: number): number {
    return this.#reader.read(view, byteLength);
  }

  /** The client has closed it, or speaks none: nothing more is read. */
  get isOver(): boolean {
    return this.#reader.closeCode !== 0;
  }

  /** Our close is on its way. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The frame that closes it, to be sent behind everything else. `isGoingAway`: because the broker stops. */
  close(isGoingAway: boolean): Buffer {
    this.#isClosing = true;
    if (this.isOver) return closeFrame(this.#reader.closeCode);
    return closeFrame(isGoingAway ? CloseCode.goingAway : CloseCode.normal);
  }

  /** A client that does not read its pongs is cut off. */
  #answer(payload: Uint8Array): void {
    if (this.#isClosing || this.#carrier.destroyed) return;
    if (this.#pongBytes > WEB_SOCKET_PONG_BYTES_MAX) {
      this.#carrier.destroy();
      return;
    }
    const frame = pongFrame(payload);
    this.#pongBytes += frame.length;
    this.#carrier.write(frame, () => {
      this.#pongBytes -= frame.length;
    });
  }
}

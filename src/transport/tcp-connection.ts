/**
 * A connection over TCP: a socket that the main thread handed over. Reads into the thread's read buffer, writes chunks of
 * the thread's output arena. The inner end of a tunnel (tunnel.ts) is such a socket, too, of the Unix domain: the bytes on it are those of a
 * client whose TLS or WebSocket is taken off at the other end.
 *
 * ```
 *   opening ── start ──► open ── end ──► ending (writes out, FIN, reads on and discards) ──► closed
 *                         └──────── destroy, cut off, reset, deadline ─────────────────────────►┘
 * ```
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { assert } from "../base/assert.ts";
import { END_DEADLINE_MS } from "../base/limits.ts";
import type { PeerIdentity } from "../base/peer-identity.ts";
import type { Region } from "../base/region.ts";
import type { CloseCause, Connection, ConnectionHandler } from "./connection.ts";
import { type HandOver, unsentBytesOf } from "./hand-over.ts";
import type { OutputChunk } from "./output-arena.ts";
import { type OutputOwner, OutputQueue } from "./output-queue.ts";
import type { Outputs } from "./outputs.ts";
import { PacketInput } from "./packet-input.ts";
import type { ReadBuffer } from "./read-buffer.ts";

export class TcpConnection implements Connection, OutputOwner {
  readonly peer: string;
  readonly identity: PeerIdentity;
  readonly #socket: Socket;
  readonly #input: PacketInput;
  readonly #output: OutputQueue;
  readonly #onGone: (connection: TcpConnection) => void;
  readonly #resume = (): void => {
    if (this.#handler !== null && !this.#input.isPaused && !this.#socket.destroyed) this.#socket.resume();
  };
  #handler: ConnectionHandler | null = null;
  #head: Uint8Array | null;
  #cause: CloseCause | null = null;
  #isEnding = false;
  #isListeningForDrain = false;
  #deadline: NodeJS.Timeout | null = null;

  constructor(
    readBuffer: ReadBuffer,
    outputs: Outputs,
    handOver: HandOver,
    packetBytesMax: number,
    onGone: (connection: TcpConnection) => void,
  ) {
    this.peer = handOver.peer;
    this.identity = handOver.identity;
    this.#head = handOver.head;
    this.#onGone = onGone;
    this.#input = new PacketInput(readBuffer, packetBytesMax);
    this.#output = new OutputQueue(outputs, this);
    const options: SocketOptions = {
      fd: handOver.fd,
      readable: true,
      writable: true,
      allowHalfOpen: true, // The end of the stream is answered by `#finish`, after what was read before it.
      onread: {
        buffer: readBuffer.socketBytes,
        callback: (byteLength) => {
          this.#input.receive(byteLength);
          if (readBuffer.publisherPause.isOver && this.#input.isPublishing && !this.#input.isPaused) {
            readBuffer.publisherPause.rest(this.#resume);
            return false;
          }
          if (byteLength < readBuffer.socketBytes.length || this.#input.isPaused) return true;
          readBuffer.rest(this.#resume); // There is more: the others' turn first.
          return false;
        },
      },
      writableHighWaterMark: 1, // Makes the stream tell (`drain`) when any write is done that the kernel did not take at once.
    };
    this.#socket = new Socket(options);
    this.#socket.pause(); // Until `start`.
    this.#socket.on("end", () => {
      this.#cause ??= "peer";
      this.#finish();
    });
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#cause ??= PEER_GONE.has(error.code ?? "") ? "peer" : "fault";
    });
    this.#socket.on("close", () => this.#onClose());
    outputs.onOpened(this.#output);
  }

  get isOpen(): boolean {
    return !this.#isEnding && !this.#socket.destroyed;
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === null && this.#head !== null, "a connection starts once");
    this.#handler = handler;
    const head = this.#head;
    this.#head = null;
    this.#input.start(handler, head);
    if (!this.#input.isPaused) this.#socket.resume();
  }

  get isReadingPaused(): boolean {
    return this.#input.isPaused;
  }

  pauseReading(): void {
    if (this.#input.isPaused || !this.isOpen) return;
    this.#input.pause();
    this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#input.isPaused) return;
    this.#input.resume();
    if (!this.#input.isPaused && this.#handler !== null) this.#socket.resume();
  }

  get bytesRead(): number {
    return this.#input.bytesRead;
  }

  get hasPartialPacket(): boolean {
    return this.#input.hasPartialPacket;
  }

  get packetBytesMax(): number {
    return this.#input.packetBytesMax;
  }

  set packetBytesMax(byteLength: number) {
    this.#input.packetBytesMax = byteLength;
  }

  get output(): Region {
    return this.#output.region;
  }

  reserve(byteLength: number): number {
    return this.#output.reserve(byteLength);
  }

  get bytesReserved(): number {
    return this.#output.bytesReserved;
  }

  get bytesWritten(): number {
    return this.#output.bytesWritten;
  }

  get queuedBytes(): number {
    return this.#output.queuedBytes;
  }

  get isWritable(): boolean {
    return this.#output.isWritable;
  }

  watchWritten(mark: number): void {
    this.#output.watchWritten(mark);
  }

  end(): void {
    this.#cause ??= "local";
    this.#finish();
  }

  destroy(): void {
    this.#cause ??= "local";
    this.#input.stop();
    this.#output.close();
    this.#socket.destroy();
  }

  /** For OutputQueue only. */
  send(first: OutputChunk, count: number): boolean {
    const socket = this.#socket;
    if (count === 1) {
      socket.write(bytesOf(first));
    } else {
      socket.cork();
      for (let chunk: OutputChunk | null = first; chunk !== null; chunk = chunk.next) socket.write(bytesOf(chunk));
      socket.uncork();
    }
    if (socket.writableLength === 0) return socket.errored === null; // With an error, the bytes count as unwritten until the close.
    if (!this.#isListeningForDrain) {
      this.#isListeningForDrain = true;
      socket.on("drain", () => {
        this.#output.onSent();
        if (this.#isEnding) this.#sendFinWhenWritten();
      });
    }
    return false;
  }

  /** For OutputQueue only. */
  get unsentBytes(): number {
    return unsentBytesOf(this.#socket);
  }

  /** For OutputQueue only. */
  onCutOff(cause: "slowReader" | "memory"): void {
    this.#cause ??= cause;
    this.destroy();
  }

  /** For OutputQueue only. */
  onDrained(): void {
    if (this.isOpen) this.#handler?.onDrained();
  }

  /** For OutputQueue only. */
  onWritten(): void {
    if (this.isOpen) this.#handler?.onWritten();
  }

  /** Writes out, then FIN. What still comes is read and thrown away: unread bytes would make the close a reset. */
  #finish(): void {
    if (!this.isOpen) return;
    this.#isEnding = true;
    this.#input.stop();
    this.#output.end();
    this.#socket.resume();
    this.#deadline = setTimeout(() => this.#socket.destroy(), END_DEADLINE_MS);
    this.#output.flush();
    this.#sendFinWhenWritten();
  }

  #sendFinWhenWritten(): void {
    if (this.#output.isSending || this.#socket.destroyed) return;
    this.#output.close();
    this.#socket.end();
  }

  #onClose(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#input.stop();
    this.#output.onSocketGone();
    this.#onGone(this);
    this.#handler?.onClosed(this.#cause ?? "peer");
  }
}

/** The constructor takes these too; its type does not say so. */
type SocketOptions = SocketConstructorOpts & { readonly onread: OnReadOpts; readonly writableHighWaterMark: number };

const PEER_GONE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED"]);

function bytesOf(chunk: OutputChunk): Buffer {
  return chunk.region.bytes.subarray(chunk.start, chunk.tail);
}

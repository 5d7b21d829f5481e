/**
 * A connection over a socket. Reads into the thread's read buffer, writes chunks of the thread's output arena. The socket is the client's
 * own, of TCP; or one of TLS that this thread has opened; or the inner end of a tunnel (tunnel.ts), of the Unix domain, whose other
 * end takes TLS off. On any of them the MQTT bytes may stand in the frames of a WebSocket (web-socket-end.ts).
 *
 * ```
 *   opening ── start ──► open ── end ──► ending (writes out, closes a WebSocket, FIN, reads on and discards) ──► closed
 *                         └──────── destroy, cut off, reset, deadline ─────────────────────────────────────────────►┘
 * ```
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { assert } from "../base/assert.ts";
import { END_DEADLINE_MS } from "../base/limits.ts";
import type { PeerIdentity } from "../base/peer-identity.ts";
import type { Region } from "../base/region.ts";
import type { CloseCause, Connection, ConnectionHandler } from "./connection.ts";
import { type Arrival, unsentBytesOf } from "./hand-over.ts";
import type { OutputChunk } from "./output-arena.ts";
import { type OutputOwner, OutputQueue } from "./output-queue.ts";
import type { Outputs } from "./outputs.ts";
import { PacketInput } from "./packet-input.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { WebSocketEnd } from "./web-socket-end.ts";

export class SocketConnection implements Connection, OutputOwner {
  readonly peer: string;
  readonly identity: PeerIdentity;
  readonly #socket: Socket;
  readonly #webSocket: WebSocketEnd | null;
  readonly #readBuffer: ReadBuffer;
  readonly #input: PacketInput;
  readonly #outputs: Outputs;
  readonly #output: OutputQueue;
  readonly #onGone: (connection: SocketConnection) => void;
  readonly #resume = (): void => {
    if (this.#handler !== null && !this.#input.isPaused && !this.#socket.destroyed) this.#socket.resume();
  };
  #handler: ConnectionHandler | null = null;
  #head: Uint8Array | null;
  #cause: CloseCause | null = null;
  #isEnding = false;
  #isListeningForDrain = false;
  /** The socket is one of TLS that came open. */
  readonly #isAdopted: boolean;
  #unconfirmedBatches = 0;
  #deadline: NodeJS.Timeout | null = null;

  /** `source`: a descriptor, or a socket of TLS from which nothing is read and which is paused. */
  constructor(
    readBuffer: ReadBuffer,
    outputs: Outputs,
    source: number | Socket,
    arrival: Arrival,
    packetBytesMax: number,
    onGone: (connection: SocketConnection) => void,
  ) {
    this.peer = arrival.peer;
    this.identity = arrival.identity;
    this.#head = arrival.head;
    this.#onGone = onGone;
    this.#readBuffer = readBuffer;
    this.#input = new PacketInput(readBuffer, packetBytesMax);
    this.#outputs = outputs;
    this.#output = new OutputQueue(outputs, this);
    this.#isAdopted = typeof source !== "number";
    this.#socket = typeof source === "number" ? this.#open(source) : this.#adopt(source);
    this.#socket.pause(); // Until `start`.
    this.#webSocket = arrival.frames === null ? null : new WebSocketEnd(this.#socket, arrival.frames);
    this.#socket.on("end", () => this.#onPeerClose());
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#cause ??= PEER_GONE.has(error.code ?? "") ? "peer" : "fault";
    });
    this.#socket.on("close", () => this.#onClose());
    outputs.onOpened(this.#output);
  }

  #open(fd: number): Socket {
    const options: SocketOptions = {
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: true, // The end of the stream is answered by `#finish`, after what was read before it.
      onread: { buffer: this.#readBuffer.socketBytes, callback: (byteLength) => this.#receive(byteLength) },
      writableHighWaterMark: 1, // Makes the stream tell (`drain`) when any write is done that the kernel did not take at once.
    };
    return new Socket(options);
  }

  /** What TLS has taken off has a buffer of its own. */
  #adopt(socket: Socket): Socket {
    const { socketBytes } = this.#readBuffer;
    let sinceRestBytes = 0; // It comes in smaller pieces: together they are a read.
    socket.on("data", (bytes: Buffer) => {
      let readsOn = true;
      for (let at = 0; at < bytes.length; at += socketBytes.length) {
        readsOn = this.#receive(bytes.copy(socketBytes, 0, at)) && readsOn;
      }
      sinceRestBytes += bytes.length;
      if (readsOn && sinceRestBytes >= socketBytes.length && !this.#input.isPaused) {
        this.#readBuffer.rest(this.#resume);
        readsOn = false;
      }
      if (readsOn) return;
      sinceRestBytes = 0;
      socket.pause();
    });
    return socket;
  }

  /** Takes what a read has put into the read buffer; false when the socket is to read no further for now. */
  #receive(byteLength: number): boolean {
    const readBuffer = this.#readBuffer;
    const input = this.#input;
    const payloadBytes =
      this.#webSocket === null ? byteLength : this.#webSocket.read(readBuffer.socketView, byteLength);
    if (payloadBytes > 0) input.receive(payloadBytes);
    this.#endIfOver();
    if (readBuffer.publisherPause.isOver && input.isPublishing && !input.isPaused) {
      readBuffer.publisherPause.rest(this.#resume);
      return false;
    }
    if (byteLength < readBuffer.socketBytes.length || input.isPaused) return true;
    readBuffer.rest(this.#resume); // There is more: the others' turn first.
    return false;
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
    this.#endIfOver();
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
    this.#endIfOver();
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
    return this.#webSocket === null ? this.#output.reserve(byteLength) : this.#output.reserveFramed(byteLength);
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
    if (count === 1 && !this.#isAdopted) {
      socket.write(bytesOf(first, first.tail));
    } else {
      let chunk = first;
      socket.cork();
      for (; chunk.next !== null; chunk = chunk.next) socket.write(bytesOf(chunk, chunk.tail));
      const end = this.#isAdopted ? chunk.lastStart : chunk.tail;
      if (end > chunk.start) socket.write(bytesOf(chunk, end));
      socket.uncork();
      if (this.#isAdopted) this.#writeLast(chunk);
    }
    if (socket.writableLength === 0) return socket.errored === null; // With an error, the bytes count as unwritten until the close.
    if (!this.#isListeningForDrain && !this.#isAdopted) {
      this.#isListeningForDrain = true;
      socket.on("drain", () => this.#onSent());
    }
    return false;
  }

  /**
   * A socket of TLS tells of each write, but does not say `drain` for small ones. What waits for it goes into the same records: the last
   * packet waits alone, see tls-records.ts.
   */
  #writeLast({ region: { bytes }, lastStart, tail }: OutputChunk): void {
    this.#unconfirmedBatches += 1;
    this.#socket.write(bytes.subarray(lastStart, tail), (error) => {
      this.#unconfirmedBatches -= 1;
      if (this.#unconfirmedBatches === 0 && !error) this.#onSent();
    });
  }

  /** The kernel has taken the last batch. */
  #onSent(): void {
    this.#output.onSent();
    if (this.#isEnding) this.#sendFinWhenWritten();
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

  /** The peer has closed its WebSocket, or speaks none, and every packet before that has been delivered, if any still is. */
  #endIfOver(): void {
    const input = this.#input;
    if (this.#webSocket?.isOver === true && (!input.isPaused || input.isStopped)) this.#onPeerClose();
  }

  /** As above, or it has sent FIN. */
  #onPeerClose(): void {
    this.#cause ??= "peer";
    if (this.#webSocket?.isClosing === true) this.#socket.end();
    else this.#finish();
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
    const webSocket = this.#webSocket;
    if (webSocket !== null) {
      if (!webSocket.isClosing) this.#socket.write(webSocket.close(this.#outputs.isGoingAway));
      if (!webSocket.isOver && !this.#socket.readableEnded) return; // Its answer, or its FIN, comes to `#onPeerClose`.
    }
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

function bytesOf(chunk: OutputChunk, end: number): Buffer {
  return chunk.region.bytes.subarray(chunk.start, end);
}

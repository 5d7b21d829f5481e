/**
 * Takes off what is around the MQTT bytes of a connection, on a worker's thread, as far as that is needed to read the whole CONNECT, under
 * the same bounds as the acceptor. Then the connection goes to its session:
 *
 * ```
 *   given away ──► stranger: handshakes, request, CONNECT ──┬─ a WebSocket over TCP: the socket, and where its frames are
 *                     │                                     ├─ TLS, and the session is on this thread: the stream
 *                     │                                     └─ TLS, and it is on another: one end of a tunnel
 *                     └── garbage, too large, too late, too many, gone ──► closed
 * ```
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WRAPPED_STRANGERS_MAX } from "../base/limits.ts";
import { newSocketPair } from "../base/posix.ts";
import { declaredBytes } from "../mqtt/scanner.ts";
import { type Arrival, type HandOver, stopReading, tryTakeDescriptor, type WrappedConnection } from "./hand-over.ts";
import { isTls, isWebSocket, type Listener } from "./listener.ts";
import { Stranger } from "./stranger.ts";
import { Strangers } from "./strangers.ts";
import { type TlsMaterial, TlsTerminator } from "./tls.ts";
import { Tunnel } from "./tunnel.ts";
import { Upgrader } from "./web-socket.ts";
import { WebSocketEnd } from "./web-socket-end.ts";
import { binaryFrame, sentFrameBytes } from "./web-socket-frames.ts";

export interface UnwrapperOptions {
  /** Of this thread. */
  readonly worker: number;
  /** All of the broker, as connections name them. */
  readonly listeners: readonly Listener[];
  /** By the place of their listener; null for one without TLS. */
  readonly certificates: readonly (TlsMaterial | null)[];
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly onConnect: (handOver: HandOver) => void;
  /** Whether the session of this client lives on this thread. */
  readonly isHome: (clientId: string) => boolean;
  /** The same as `onConnect` for a client whose TLS ends here and whose session is here, too: the stream is its own from then on. */
  readonly onArrived: (arrival: Arrival, stream: TLSSocket) => void;
  /** A connection of this listener is gone, and the address that it came from. Of one that was handed over as a socket, nothing is told. */
  readonly onClosed: (listener: string, address: string) => void;
  readonly onFault: (error: Error) => void;
  readonly connectDeadlineMs?: number;
  readonly strangersMax?: number;
}

export class Unwrapper {
  readonly #options: UnwrapperOptions;
  readonly #strangers: Strangers;
  readonly #upgraders: readonly (Upgrader | null)[];
  #terminators: readonly (TlsTerminator | null)[] = [];
  /** By the stream that a handshake is read from. */
  readonly #guests = new WeakMap<Duplex, Guest>();
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #open = new Set<Socket>();
  #lastId = 0;

  constructor(options: UnwrapperOptions) {
    this.#options = options;
    this.#strangers = new Strangers({
      nowMs: options.nowMs,
      deadlineMs: options.connectDeadlineMs,
      strangersMax: options.strangersMax ?? WRAPPED_STRANGERS_MAX,
    });
    this.useCertificates(options.certificates);
    this.#upgraders = options.listeners.map((listener) => (isWebSocket(listener) ? this.#newUpgrader(listener) : null));
  }

  /** Connections whose socket is not yet gone, and tunnels whose session is not. */
  get connectionCount(): number {
    return Math.max(this.#open.size, this.#tunnels.size);
  }

  get strangerCount(): number {
    return this.#strangers.count;
  }

  /** For connections that come from now on; they have been looked at. */
  useCertificates(certificates: readonly (TlsMaterial | null)[]): void {
    this.#terminators = certificates.map((material) => (material === null ? null : new TlsTerminator(material)));
  }

  /** Takes a connection, and owns its descriptor. Throws a system error when it is not a usable socket. */
  open({ fd, listener: index, peer, address, head }: WrappedConnection): void {
    const listener = this.#options.listeners[index]!;
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.setNoDelay(true);
    const guest: Guest = {
      listener,
      upgrader: this.#upgraders[index]!,
      webSocket: null,
      isHandedOver: false,
      stranger: new Stranger<Duplex>(socket, address, peer, this.#strangers.newDeadlineMs()),
      certificateCommonName: null,
    };
    this.#open.add(socket);
    socket.on("error", () => {}); // A reset: the close that follows is all there is to do.
    socket.on("close", () => {
      this.#open.delete(socket);
      this.#strangers.forget(guest.stranger);
      if (!guest.isHandedOver) this.#options.onClosed(listener.name, address);
    });
    this.#strangers.add(guest.stranger);
    if (head !== null && head.length > 0) socket.unshift(Buffer.from(head));
    const terminator = this.#terminators[index] ?? null;
    if (terminator === null) {
      this.#readRequest(guest, socket);
      return;
    }
    terminator.receive(socket, (stream, certificateCommonName) => {
      guest.certificateCommonName = certificateCommonName;
      this.#readRequest(guest, stream);
    });
  }

  /** The session at the other end of a tunnel has closed its connection. */
  sever(id: number): void {
    this.#tunnels.get(id)?.sever();
  }

  /** Sends the strangers away. */
  end(): void {
    this.#strangers.close();
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.end();
    for (const tunnel of this.#tunnels.values()) tunnel.destroy();
    for (const socket of this.#open) socket.destroy();
  }

  #newUpgrader(listener: Listener): Upgrader {
    return new Upgrader({
      path: listener.path ?? "/",
      origins: listener.origins,
      onOpened: (carrier, head) => {
        const guest = this.#guests.get(carrier);
        if (guest === undefined) carrier.destroy();
        else this.#onOpened(guest, carrier, head);
      },
    });
  }

  #readRequest(guest: Guest, stream: Duplex): void {
    guest.stranger.stream = stream;
    if (guest.upgrader === null) {
      this.#readConnect(guest, stream);
      return;
    }
    this.#guests.set(stream, guest);
    guest.upgrader.receive(stream);
  }

  #onOpened(guest: Guest, carrier: Duplex, head: Buffer): void {
    guest.webSocket = new WebSocketEnd(carrier);
    if (head.length > 0) carrier.unshift(head);
    this.#readConnect(guest, carrier);
  }

  #readConnect(guest: Guest, stream: Duplex): void {
    const { stranger, webSocket } = guest;
    const onData = (bytes: Buffer) => {
      if (stranger.isSettled) return;
      const before = stranger.receivedBytes;
      const judgement = stranger.receive(unframed(webSocket, bytes));
      this.#strangers.charge(stranger.receivedBytes - before);
      if (judgement.kind === "connect") {
        stream.off("data", onData);
        stream.pause();
        this.#handOver(guest, stream, judgement.clientId);
      } else if (judgement.kind === "refused") {
        this.#strangers.refusals.notMqtt += 1;
        this.#refuse(guest, judgement.answer);
      } else if (this.#strangers.isOverBudget) {
        this.#strangers.refusals.memory += 1;
        this.#drop(stranger);
      } else if (webSocket?.isOver === true) {
        stranger.answer(webSocket.close(false));
      }
    };
    stream.on("error", () => {});
    stream.on("data", onData);
    stream.on("end", () => {
      if (!stranger.isSettled) this.#drop(stranger);
    });
  }

  #refuse({ stranger, webSocket }: Guest, answer: Buffer | null): void {
    if (answer === null) this.#drop(stranger);
    else if (webSocket === null) stranger.answer(answer);
    else stranger.answer(Buffer.concat([binaryFrame(answer), webSocket.close(false)]));
  }

  #handOver(guest: Guest, stream: Duplex, clientId: string): void {
    if (!isTls(guest.listener)) {
      this.#handOverSocket(guest, stream as Socket, clientId);
      return;
    }
    const arrival = this.#settle(guest, clientId, null);
    if (this.#options.isHome(clientId)) this.#options.onArrived(arrival, stream as TLSSocket);
    else this.#dig(arrival, stream);
  }

  /** The socket itself, as soon as it has sent what was written to it. */
  #handOverSocket(guest: Guest, socket: Socket, clientId: string): void {
    stopReading(socket);
    if (socket.writableLength > 0) {
      socket.write("", () => {
        if (!guest.stranger.isSettled && !socket.destroyed) this.#handOverSocket(guest, socket, clientId);
      });
      return;
    }
    const arrival = this.#settle(guest, clientId, socket.read());
    let fd: number | null = null;
    try {
      fd = tryTakeDescriptor(socket);
    } catch (error) {
      this.#options.onFault(error as Error);
    }
    if (fd === null) return;
    guest.isHandedOver = true;
    this.#options.onConnect({ ...arrival, fd, tunnel: null });
  }

  /** Carries the bytes of the stream to the session's thread. */
  #dig(arrival: Arrival, stream: Duplex): void {
    let pair: readonly [number, number];
    try {
      pair = newSocketPair();
    } catch (error) {
      this.#options.onFault(error as Error);
      stream.destroy();
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const measure = arrival.frames === null ? declaredBytes : sentFrameBytes;
    this.#tunnels.set(id, new Tunnel(stream, measure, pair[0], () => this.#tunnels.delete(id)));
    this.#options.onConnect({ ...arrival, fd: pair[1], tunnel: { worker: this.#options.worker, id } });
  }

  /** It is no stranger any more. `rest`: what was read behind what it has received. */
  #settle(guest: Guest, clientId: string, rest: Buffer | null): Arrival {
    const { stranger, listener, certificateCommonName, webSocket } = guest;
    stranger.isSettled = true;
    this.#strangers.forget(stranger);
    const { peer, address } = stranger;
    const head = stranger.takeReceived(rest === null ? null : unframed(webSocket, rest));
    const identity = { address, listener: listener.name, isTls: isTls(listener), certificateCommonName };
    return { clientId, head, peer, identity, frames: webSocket?.state ?? null };
  }

  #drop(stranger: Stranger<Duplex>): void {
    this.#strangers.forget(stranger);
    stranger.drop();
  }
}

/** A connection whose session is not known yet, with what its listener has found out. */
interface Guest {
  readonly listener: Listener;
  readonly upgrader: Upgrader | null;
  readonly stranger: Stranger<Duplex>;
  /** Once it is open. */
  webSocket: WebSocketEnd | null;
  certificateCommonName: string | null;
  /** Its socket is another's. */
  isHandedOver: boolean;
}

/** The MQTT bytes in `bytes`, in the same memory, or in their own when they are the smaller part: who keeps them keeps no more. */
function unframed(webSocket: WebSocketEnd | null, bytes: Buffer): Buffer {
  if (webSocket === null) return bytes;
  const byteLength = webSocket.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length);
  const payload = bytes.subarray(0, byteLength);
  return byteLength * 2 < bytes.length ? Buffer.from(payload) : payload;
}

/**
 * Takes off what is around the MQTT bytes of a connection, on a worker's thread: TLS, WebSocket, or both. Reads up to
 * the whole CONNECT under the same bounds as the acceptor, then hands over one end of a tunnel.
 *
 * ```
 *   given away ──► stranger: handshakes, request, CONNECT ──► tunnel ──► closed
 *                     └── garbage, too large, too late, too many, gone ──►┘
 * ```
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  CONNECT_PACKET_BYTES_MAX,
  INPUT_BUDGET_BYTES,
  PART_RELIEVED,
  PART_TIGHT,
  READ_BUFFER_BYTES,
  WRAPPED_STRANGERS_MAX,
} from "../base/limits.ts";
import { newSocketPair } from "../base/posix.ts";
import { Guest } from "./guest.ts";
import type { HandOver, WrappedConnection } from "./hand-over.ts";
import { isTls, isWebSocket, type Listener } from "./listener.ts";
import { costOf, slowOf } from "./pace.ts";
import { Stranger } from "./stranger.ts";
import { Strangers } from "./strangers.ts";
import { type TlsMaterial, TlsTerminator } from "./tls.ts";
import { Tunnel } from "./tunnel.ts";
import { Upgrader } from "./web-socket.ts";

export interface UnwrapperOptions {
  /** Of this thread. */
  readonly worker: number;
  /** All of the broker, as connections name them. */
  readonly listeners: readonly Listener[];
  /** By the place of their listener; null for one without TLS. */
  readonly certificates: readonly (TlsMaterial | null)[];
  readonly packetBytesMax: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly onConnect: (handOver: HandOver) => void;
  /** A connection of this listener is gone, and the address that it came from. */
  readonly onClosed: (listener: string, address: string) => void;
  readonly onFault: (error: Error) => void;
  /** For unfinished WebSocket messages, of all connections together. */
  readonly budgetBytes?: number;
  readonly connectDeadlineMs?: number;
  readonly strangersMax?: number;
}

export class Unwrapper {
  readonly #options: UnwrapperOptions;
  readonly #strangers: Strangers;
  readonly #upgraders: readonly (Upgrader | null)[];
  #terminators: readonly (TlsTerminator | null)[] = [];
  readonly #budgetBytes: number;
  /** By the stream that a handshake is read from. */
  readonly #guestsByStream = new WeakMap<Duplex, Guest>();
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #open = new Map<Socket, Guest>();
  #lastId = 0;
  #heldBytes = 0;
  #isEnding = false;

  constructor(options: UnwrapperOptions) {
    this.#options = options;
    this.#budgetBytes = options.budgetBytes ?? INPUT_BUDGET_BYTES;
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

  /** Of WebSocket messages that are not whole. */
  get heldBytes(): number {
    return this.#heldBytes;
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
    const stranger = new Stranger<Duplex>(socket, address, peer, this.#strangers.newDeadlineMs());
    const guest = new Guest(listener, this.#upgraders[index]!, stranger);
    this.#open.set(socket, guest);
    socket.on("error", () => {}); // A reset: the close that follows is all there is to do.
    socket.on("close", () => {
      this.#open.delete(socket);
      this.#strangers.forget(guest.stranger);
      this.#options.onClosed(listener.name, address);
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

  /** Now and then (STALL_CHECK_MS), by a monotonic clock: cuts off who has sent nothing more of a message for so long. */
  endStalled(nowMs: number, stalledMs: number): void {
    for (const guest of this.#open.values()) if (guest.isStalled(nowMs, stalledMs)) this.#drop(guest.stranger);
  }

  /** Now and then (MEMORY_CHECK_MS), by the same clock: when memory is tight, cuts off who holds much of it for long. Returns how many. */
  endSlow(nowMs: number): number {
    if (this.#heldBytes === 0) return 0;
    for (const guest of this.#open.values()) guest.look(nowMs);
    if (this.#heldBytes <= this.#budgetBytes * PART_TIGHT) return 0;
    let count = 0;
    for (const guest of slowOf(this.#open.values())) {
      if (this.#heldBytes <= this.#budgetBytes * PART_RELIEVED) break;
      this.#drop(guest.stranger);
      count += 1;
    }
    return count;
  }

  /** From now on clients are told that the broker goes away. */
  end(): void {
    this.#isEnding = true;
    this.#strangers.close();
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.end();
    for (const tunnel of this.#tunnels.values()) tunnel.destroy();
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #newUpgrader(listener: Listener): Upgrader {
    return new Upgrader({
      path: listener.path ?? "/",
      origins: listener.origins,
      packetBytesMax: this.#options.packetBytesMax,
      closeCode: () => (this.#isEnding ? GOING_AWAY : NORMAL_CLOSURE),
      onOpened: (carrier, stream) => {
        const guest = this.#guestsByStream.get(carrier);
        if (guest === undefined) stream.destroy();
        else this.#readConnect(guest, stream);
      },
      onRead: (stream, readBytes, heldBytes) => this.#onRead(stream, readBytes, heldBytes),
    });
  }

  #readRequest(guest: Guest, stream: Duplex): void {
    guest.stranger.stream = stream;
    this.#guestsByStream.set(stream, guest);
    if (guest.upgrader === null) this.#readConnect(guest, stream);
    else guest.upgrader.receive(stream);
  }

  #readConnect(guest: Guest, stream: Duplex): void {
    const { stranger } = guest;
    stranger.stream = stream;
    this.#guestsByStream.set(stream, guest);
    const onData = (bytes: Buffer) => {
      if (stranger.isSettled) return;
      const before = stranger.receivedBytes;
      const judgement = stranger.receive(bytes);
      this.#strangers.charge(stranger.receivedBytes - before);
      if (judgement.kind === "connect") {
        stream.pause();
        stream.off("data", onData);
        this.#handOver(guest, stream, judgement.clientId);
      } else if (judgement.kind === "refused") {
        this.#strangers.refusals.notMqtt += 1;
        if (judgement.answer === null) this.#drop(stranger);
        else stranger.answer(judgement.answer);
      } else if (this.#strangers.isOverBudget) {
        this.#strangers.refusals.memory += 1;
        this.#drop(stranger);
      }
    };
    stream.on("error", () => {});
    stream.on("data", onData);
    stream.on("end", () => {
      if (!stranger.isSettled) this.#drop(stranger);
    });
  }

  #handOver(guest: Guest, stream: Duplex, clientId: string): void {
    const { stranger, listener, certificateCommonName } = guest;
    stranger.isSettled = true;
    this.#strangers.forget(stranger);
    const head = stranger.takeReceived(null);
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
    this.#tunnels.set(id, new Tunnel(stream, pair[0], () => this.#tunnels.delete(id)));
    const identity = {
      address: stranger.address,
      listener: listener.name,
      isTls: isTls(listener),
      certificateCommonName,
    };
    const tunnel = { worker: this.#options.worker, id };
    this.#options.onConnect({ clientId, fd: pair[1], head, peer: stranger.peer, identity, tunnel });
  }

  /** Of a stranger they count as what it has sent: it gets no more memory by frames than by packets. */
  #onRead(stream: Duplex, readBytes: number, bytes: number): void {
    const guest = this.#guestsByStream.get(stream);
    if (guest === undefined) return;
    const { stranger } = guest;
    guest.readBytes += readBytes;
    this.#heldBytes += bytes;
    stranger.framedBytes += bytes;
    let isTooMuch = false;
    if (!stranger.isSettled) {
      this.#strangers.charge(bytes);
      isTooMuch = this.#strangers.isOverBudget || stranger.framedBytes > STRANGER_MESSAGE_BYTES_MAX;
    }
    if (bytes <= 0) return;
    if (isTooMuch) this.#refuse(stranger);
    else if (this.#heldBytes > this.#budgetBytes) this.#refuse(this.#dearest().stranger);
  }

  /** Whose unfinished message costs the most; of equals, who came first. */
  #dearest(): Guest {
    let dearest: Guest | undefined;
    for (const guest of this.#open.values()) {
      if (guest.heldBytes > 0 && (dearest === undefined || costOf(guest) > costOf(dearest))) dearest = guest;
    }
    return dearest!; // Somebody holds the bytes.
  }

  #refuse(stranger: Stranger<Duplex>): void {
    this.#strangers.refusals.memory += 1;
    this.#drop(stranger);
  }

  #drop(stranger: Stranger<Duplex>): void {
    this.#strangers.forget(stranger);
    stranger.drop();
  }
}

/** A whole CONNECT and, in the same read, what comes behind it. */
const STRANGER_MESSAGE_BYTES_MAX = CONNECT_PACKET_BYTES_MAX + READ_BUFFER_BYTES;
const NORMAL_CLOSURE = 1000;
const GOING_AWAY = 1001;

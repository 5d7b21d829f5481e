/**
 * The acceptor: listens, reads each connection up to a complete CONNECT packet and hands it over. Runs on the main thread.
 *
 * ```
 *   accepted ──► stranger ── CONNECT complete ──► handed over ── released ──► forgotten
 *                   └── garbage, too large, too late, too many, gone ───────────►┘
 * ```
 *
 * What strangers may cost is bounded: each by CONNECT_PACKET_BYTES_MAX and a deadline, all of them in number and in bytes.
 * When there are too many, the oldest makes room: one that means it sends its CONNECT at once.
 */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import {
  ACCEPT_BACKLOG,
  CONNECT_DEADLINE_MS,
  END_DEADLINE_MS,
  STRANGERS_BUDGET_BYTES,
  STRANGERS_MAX,
} from "../base/limits.ts";
import { type HandOver, stopReading, tryTakeDescriptor } from "./hand-over.ts";
import { Stranger } from "./stranger.ts";

export interface AcceptorOptions {
  readonly host: string;
  /** 0 picks a free one; see `address`. */
  readonly port: number;
  /** Connections at one time, strangers and handed over together; one more is closed as it comes. */
  readonly connectionsMax: number;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** Takes over a connection: the descriptor is its own from then on. Later it says `release`, once. */
  readonly onConnect: (handOver: HandOver) => void;
  /** Connections were lost for want of something (`EMFILE`, `ENFILE`, …). Listening goes on. */
  readonly onFault: (error: Error) => void;
  readonly connectDeadlineMs?: number;
  readonly strangersMax?: number;
  readonly strangersBudgetBytes?: number;
}

/** Why strangers were sent away; each only grows. */
export interface Refusals {
  notMqtt: number;
  late: number;
  tooManyStrangers: number;
  tooManyConnections: number;
  memory: number;
}

export class Acceptor {
  readonly refusals: Refusals = { notMqtt: 0, late: 0, tooManyStrangers: 0, tooManyConnections: 0, memory: 0 };
  readonly #options: AcceptorOptions;
  readonly #connectDeadlineMs: number;
  readonly #strangersMax: number;
  readonly #strangersBudgetBytes: number;
  readonly #server: Server;
  /** Oldest first, hence by deadline. */
  readonly #strangers = new Set<Stranger>();
  #strangersBytes = 0;
  #handedOverCount = 0;
  #deadline: NodeJS.Timeout | null = null;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#connectDeadlineMs = options.connectDeadlineMs ?? CONNECT_DEADLINE_MS;
    this.#strangersMax = options.strangersMax ?? STRANGERS_MAX;
    this.#strangersBudgetBytes = options.strangersBudgetBytes ?? STRANGERS_BUDGET_BYTES;
    this.#server = createServer({ noDelay: true }, (socket) => this.#onAccepted(socket));
  }

  /** Resolves when connections are accepted; rejects with the system's error (`EADDRINUSE`, `EACCES`, …). */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port, backlog: ACCEPT_BACKLOG }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.onFault(error));
        resolve();
      });
    });
  }

  /** "host:port" as bound; null when not listening. */
  get address(): string | null {
    const address = this.#server.address();
    if (address === null || typeof address === "string") return null;
    return peerOf(address.address, address.port);
  }

  get strangerCount(): number {
    return this.#strangers.size;
  }

  /** Strangers, and connections handed over and not yet released. */
  get connectionCount(): number {
    return this.#strangers.size + this.#handedOverCount;
  }

  /** A connection that was handed over is closed. */
  release(): void {
    this.#handedOverCount -= 1;
  }

  /** Stops accepting and sends the strangers away; what was handed over stays. Resolves when the port is free. */
  close(): Promise<void> {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const stranger of this.#strangers) this.#drop(stranger);
    return closed;
  }

  #onAccepted(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy(); // Gone before we looked.
      return;
    }
    if (this.connectionCount >= this.#options.connectionsMax) {
      this.refusals.tooManyConnections += 1;
      socket.destroy();
      return;
    }
    if (this.#strangers.size >= this.#strangersMax) this.#dropOldest();

    const address = remoteAddress.startsWith(IPV4_IN_IPV6) ? remoteAddress.slice(IPV4_IN_IPV6.length) : remoteAddress;
    const deadlineMs = this.#options.nowMs() + this.#connectDeadlineMs;
    const stranger = new Stranger(socket, address, peerOf(address, remotePort), deadlineMs);
    this.#strangers.add(stranger);
    this.#armDeadline();
    socket.on("data", (bytes: Buffer) => this.#onData(stranger, bytes));
    socket.on("error", () => {}); // A reset: the close that follows is all there is to do.
    socket.on("close", () => this.#forget(stranger));
  }

  #onData(stranger: Stranger, bytes: Buffer): void {
    if (stranger.isSettled) return;
    this.#strangersBytes -= stranger.receivedBytes;
    const judgement = stranger.receive(bytes);
    this.#strangersBytes += stranger.receivedBytes;

    if (judgement.kind === "connect") {
      this.#handOver(stranger, judgement.clientId);
    } else if (judgement.kind === "refused") {
      this.refusals.notMqtt += 1;
      if (judgement.answer === null) this.#drop(stranger);
      else this.#answer(stranger, judgement.answer);
    } else if (this.#strangersBytes > this.#strangersBudgetBytes) {
      this.refusals.memory += 1;
      this.#drop(stranger);
    }
  }

  #handOver(stranger: Stranger, clientId: string): void {
    const { socket, peer, remoteAddress } = stranger;
    stopReading(socket);
    stranger.isSettled = true; // `read` below emits a data event of its own.
    const rest: Buffer | null = socket.read();
    this.#forget(stranger);
    const head = stranger.takeReceived(rest);
    let fd: number | null;
    try {
      fd = tryTakeDescriptor(socket);
    } catch (error) {
      this.#options.onFault(error as Error);
      return;
    }
    if (fd === null) return;
    this.#handedOverCount += 1;
    this.#options.onConnect({ clientId, fd, head, peer, remoteAddress });
  }

  /** Sends a last packet; the stranger counts as one until it is gone. */
  #answer(stranger: Stranger, packet: Buffer): void {
    const { socket } = stranger;
    stranger.isSettled = true;
    socket.end(packet);
    socket.setTimeout(END_DEADLINE_MS, () => socket.destroy());
  }

  #drop(stranger: Stranger): void {
    stranger.isSettled = true;
    this.#forget(stranger);
    stranger.socket.destroy();
  }

  #dropOldest(): void {
    for (const oldest of this.#strangers) {
      this.refusals.tooManyStrangers += 1;
      this.#drop(oldest);
      return;
    }
  }

  #forget(stranger: Stranger): void {
    if (this.#strangers.delete(stranger)) this.#strangersBytes -= stranger.receivedBytes;
  }

  #armDeadline(): void {
    if (this.#deadline !== null) return;
    for (const oldest of this.#strangers) {
      const waitMs = Math.max(1, oldest.deadlineMs - this.#options.nowMs());
      this.#deadline = setTimeout(() => this.#onDeadline(), waitMs);
      return;
    }
  }

  #onDeadline(): void {
    this.#deadline = null;
    const nowMs = this.#options.nowMs();
    for (const stranger of this.#strangers) {
      if (stranger.deadlineMs > nowMs) break;
      this.refusals.late += 1;
      this.#drop(stranger);
    }
    this.#armDeadline();
  }
}

const IPV4_IN_IPV6 = "::ffff:";

function peerOf(address: string, port: number): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

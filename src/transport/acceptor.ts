/**
 * The acceptor of one listener, on the main thread. Of a plain one it reads each connection up to a complete CONNECT packet and hands
 * it over; of one whose MQTT bytes are wrapped in TLS or WebSocket it gives each away before its first byte.
 *
 * ```
 *   accepted ──► stranger ── CONNECT complete ──► handed over ── released ──► forgotten
 *      │            └── garbage, too large, too late, too many, gone ───────────►┘
 *      └─ wrapped ──────────────────────────────► given away ─── released ─────►┘
 * ```
 */
import { createServer, type Server, type Socket } from "node:net";
import { ACCEPT_BACKLOG, READ_HEADROOM_BYTES } from "../base/limits.ts";
import { duplicateDescriptor, tryPeek, tryReceive } from "../base/posix.ts";
import { AddressCap } from "./address-cap.ts";
import { Admission } from "./admission.ts";
import { ConnectGate } from "./connect-gate.ts";
import { type FreshConnection, FreshConnections } from "./fresh-connections.ts";
import { type HandOver, stopReading, tryTakeDescriptor, type WrappedConnection } from "./hand-over.ts";
import { readProxyHeader } from "./proxy-header.ts";
import { judge, peerOf, Stranger } from "./stranger.ts";
import { type Refusals, Strangers } from "./strangers.ts";

export interface AcceptorOptions {
  readonly host: string;
  /** 0 picks a free one; see `address`. */
  readonly port: number;
  /** The listener's name. */
  readonly listener: string;
  /** Connections at one time, strangers and handed over together; one more is closed as it comes. */
  readonly connectionsMax: number;
  /** What this listener shares with the others, beside `strangers`. */
  readonly total?: ConnectionTotal;
  /** Shared, too; none unless given. */
  readonly addressCap?: AddressCap;
  readonly strangers?: Strangers;
  /** Open unless given. */
  readonly gate?: ConnectGate;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** Takes over a connection: the descriptor is its own from then on. Later it says `release`, once. */
  readonly onConnect: (handOver: HandOver) => void;
  /** Present: connections are wrapped and given away unread, on the same terms. */
  readonly onWrapped?: (connection: Omit<WrappedConnection, "listener">) => void;
  /** Present: every connection comes from a proxy that this trusts, and announces its client in the PROXY protocol; else it is closed. */
  readonly isTrustedProxy?: (address: string) => boolean;
  /** Connections were lost for want of something (`EMFILE`, `ENFILE`, …). Listening goes on. */
  readonly onFault: (error: Error) => void;
  readonly connectDeadlineMs?: number;
  readonly strangersMax?: number;
  readonly strangersBudgetBytes?: number;
}

/** Connections of all listeners at one time. */
export class ConnectionTotal {
  readonly connectionsMax: number;
  count = 0;

  constructor(connectionsMax: number) {
    this.connectionsMax = connectionsMax;
  }
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #total: ConnectionTotal;
  readonly #addressCap: AddressCap;
  readonly #strangers: Strangers;
  readonly #server: Server;
  readonly #own = new Set<Stranger<Socket>>();
  readonly #admission: Admission<Stranger<Socket>>;
  readonly #fresh = new FreshConnections((connection) => this.#tryTakeAtOnce(connection));
  #handedOverCount = 0;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#total = options.total ?? new ConnectionTotal(options.connectionsMax);
    this.#addressCap = options.addressCap ?? new AddressCap(Number.POSITIVE_INFINITY);
    this.#strangers =
      options.strangers ??
      new Strangers({
        nowMs: options.nowMs,
        deadlineMs: options.connectDeadlineMs,
        strangersMax: options.strangersMax,
        budgetBytes: options.strangersBudgetBytes,
      });
    const gate = options.gate ?? new ConnectGate({ nowMs: options.nowMs });
    this.#admission = new Admission(gate, (stranger) => this.#admit(stranger));
    const pauseOnConnect = options.onWrapped !== undefined && options.isTrustedProxy === undefined;
    this.#server = createServer({ noDelay: true, pauseOnConnect }, (socket) => this.#onAccepted(socket));
  }

  /** Of all listeners that share their strangers. */
  get refusals(): Refusals {
    return this.#strangers.refusals;
  }

  /** Resolves when connections are accepted; rejects with the system's error (`EADDRINUSE`, `EACCES`, …). */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port, backlog: ACCEPT_BACKLOG }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.onFault(error));
        if (this.#options.isTrustedProxy === undefined) this.#fresh.watch(this.#server);
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

  /** Of all listeners that share their strangers. */
  get strangerCount(): number {
    return this.#strangers.count;
  }

  /** Strangers, and connections handed over and not yet released. */
  get connectionCount(): number {
    return this.#own.size + this.#handedOverCount;
  }

  /** Connections that were handed over or given away are closed: the address of each. */
  release(addresses: readonly string[]): void {
    this.#handedOverCount -= addresses.length;
    this.#total.count -= addresses.length;
    for (const address of addresses) this.#addressCap.leave(address);
  }

  /** Stops accepting and sends the strangers away; what was handed over stays. Resolves when the port is free. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#admission.close();
    this.#fresh.close();
    for (const stranger of this.#own) this.#drop(stranger);
    if (this.#options.strangers === undefined) this.#strangers.close();
    return closed;
  }

  /** Hands a connection over whose CONNECT is there; false when it has to come as a stranger. */
  #tryTakeAtOnce(connection: FreshConnection): boolean {
    const { onWrapped, onConnect, listener } = this.#options;
    if (this.#isFull) return false;
    let clientId = "";
    let head: Uint8Array<ArrayBuffer> | null = null;
    if (onWrapped === undefined) {
      const byteLength = tryPeek(connection.fd, peeked);
      if (byteLength <= 0) return false;
      const judgement = judge(peeked, byteLength);
      if (judgement.kind !== "connect") return false;
      clientId = judgement.clientId;
      head = new Uint8Array(byteLength);
    }
    const name: { address?: string; port?: number } = {};
    if (connection.getpeername(name) !== 0 || name.address === undefined || name.port === undefined) return false;
    const address = plainAddressOf(name.address);
    if (this.#addressCap.isFull(address) || !this.#admission.tryPass()) return false;
    if (head !== null) tryReceive(connection.fd, head);
    connection.setNoDelay(true);
    const fd = this.#tryDuplicate(connection);
    if (fd === null) return true;
    this.#countHandedOver(address);
    const peer = peerOf(address, name.port);
    if (head === null) {
      onWrapped?.({ fd, peer, address, head });
    } else {
      const identity = { address, listener, isTls: false, certificateCommonName: null };
      onConnect({ clientId, fd, head, peer, identity, frames: null, tunnel: null });
    }
    return true;
  }

  #countHandedOver(address: string): void {
    this.#handedOverCount += 1;
    this.#total.count += 1;
    this.#addressCap.enter(address);
  }

  /** A second descriptor; the first is closed. */
  #tryDuplicate(connection: FreshConnection): number | null {
    try {
      return duplicateDescriptor(connection.fd);
    } catch (error) {
      this.#options.onFault(error as Error);
      return null;
    } finally {
      connection.close();
    }
  }

  get #isFull(): boolean {
    const { connectionsMax } = this.#options;
    return this.connectionCount >= connectionsMax || this.#total.count >= this.#total.connectionsMax;
  }

  #onAccepted(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy(); // Gone before we looked.
      return;
    }
    if (this.#isFull) {
      this.refusals.tooManyConnections += 1;
      socket.destroy();
      return;
    }
    const address = plainAddressOf(remoteAddress);
    const isAnnounced = this.#options.isTrustedProxy !== undefined;
    if (!isAnnounced && this.#addressCap.isFull(address)) {
      this.refusals.tooManyOfAddress += 1;
      socket.destroy();
      return;
    }
    const stranger = new Stranger(socket, address, peerOf(address, remotePort), this.#strangers.newDeadlineMs());
    this.#own.add(stranger);
    this.#total.count += 1;
    if (!isAnnounced) this.#count(stranger);
    this.#strangers.add(stranger);
    socket.on("error", () => {}); // A reset: the close that follows is all there is to do.
    socket.on("close", () => this.#forget(stranger));
    this.#admission.enter(stranger);
  }

  /** Its turn has come. */
  #admit(stranger: Stranger<Socket>): void {
    const { onWrapped, isTrustedProxy } = this.#options;
    if (isTrustedProxy !== undefined) this.#readProxyHeader(stranger, isTrustedProxy);
    else if (onWrapped === undefined) stranger.stream.on("data", (bytes: Buffer) => this.#onData(stranger, bytes));
    else this.#giveAway(stranger, null, onWrapped);
  }

  /** What a proxy announces takes the place of its own address; what comes behind it is its client's. */
  #readProxyHeader(stranger: Stranger<Socket>, isTrustedProxy: (address: string) => boolean): void {
    const { stream: socket } = stranger;
    let gathered: Buffer = Buffer.alloc(0);
    const onHeader = (bytes: Buffer): void => {
      if (stranger.isSettled) return;
      gathered = Buffer.concat([gathered, bytes]);
      const header = isTrustedProxy(stranger.address) ? readProxyHeader(gathered) : UNTRUSTED;
      if (header.kind === "incomplete") return;
      socket.off("data", onHeader);
      if (header.kind === "invalid") {
        this.refusals.notMqtt += 1;
        this.#drop(stranger);
        return;
      }
      if (header.source !== null) {
        stranger.announce(plainAddressOf(header.source.address), header.source.port);
        if (this.#addressCap.isFull(stranger.address)) {
          this.refusals.tooManyOfAddress += 1;
          this.#drop(stranger);
          return;
        }
        this.#count(stranger);
      }
      const rest = gathered.subarray(header.byteLength);
      const { onWrapped } = this.#options;
      if (onWrapped !== undefined) {
        stopReading(socket);
        stranger.isSettled = true; // `read` below emits a data event of its own.
        const more: Buffer | null = socket.read();
        this.#giveAway(stranger, more === null ? rest : Buffer.concat([rest, more]), onWrapped);
        return;
      }
      socket.on("data", (after: Buffer) => this.#onData(stranger, after));
      if (rest.length > 0) this.#onData(stranger, rest);
    };
    socket.on("data", onHeader);
  }

  /** `head`: what was read of it behind the header of a proxy. */
  #giveAway(
    stranger: Stranger<Socket>,
    head: Uint8Array | null,
    onWrapped: NonNullable<AcceptorOptions["onWrapped"]>,
  ): void {
    const { stream, peer, address } = stranger;
    stranger.isSettled = true;
    this.#forget(stranger);
    const fd = this.#tryTake(stream);
    if (fd === null) return;
    this.#countHandedOver(address);
    onWrapped({ fd, peer, address, head });
  }

  #onData(stranger: Stranger<Socket>, bytes: Buffer): void {
    if (stranger.isSettled) return;
    const before = stranger.receivedBytes;
    const judgement = stranger.receive(bytes);
    this.#strangers.charge(stranger.receivedBytes - before);

    if (judgement.kind === "connect") {
      this.#handOver(stranger, judgement.clientId);
    } else if (judgement.kind === "refused") {
      this.refusals.notMqtt += 1;
      if (judgement.answer === null) this.#drop(stranger);
      else stranger.answer(judgement.answer);
    } else if (this.#strangers.isOverBudget) {
      this.refusals.memory += 1;
      this.#drop(stranger);
    }
  }

  #handOver(stranger: Stranger<Socket>, clientId: string): void {
    const { stream: socket, peer, address } = stranger;
    stopReading(socket);
    stranger.isSettled = true; // `read` below emits a data event of its own.
    const rest: Buffer | null = socket.read();
    this.#forget(stranger);
    const head = stranger.takeReceived(rest);
    const fd = this.#tryTake(socket);
    if (fd === null) return;
    this.#countHandedOver(address);
    const identity = { address, listener: this.#options.listener, isTls: false, certificateCommonName: null };
    this.#options.onConnect({ clientId, fd, head, peer, identity, frames: null, tunnel: null });
  }

  #tryTake(socket: Socket): number | null {
    try {
      return tryTakeDescriptor(socket);
    } catch (error) {
      this.#options.onFault(error as Error);
      return null;
    }
  }

  #count(stranger: Stranger<Socket>): void {
    stranger.isCounted = true;
    this.#addressCap.enter(stranger.address);
  }

  #drop(stranger: Stranger<Socket>): void {
    this.#forget(stranger);
    stranger.drop();
  }

  #forget(stranger: Stranger<Socket>): void {
    this.#admission.leave(stranger);
    this.#strangers.forget(stranger);
    if (!this.#own.delete(stranger)) return;
    this.#total.count -= 1;
    if (stranger.isCounted) this.#addressCap.leave(stranger.address);
  }
}

/** What is looked at before a connection is a stranger: a longer CONNECT comes as one. */
const peeked = Buffer.alloc(READ_HEADROOM_BYTES);
const UNTRUSTED = { kind: "invalid" } as const;
const IPV4_IN_IPV6 = "::ffff:";

/** An IPv4 address as such, also where it comes as one of IPv6. */
function plainAddressOf(address: string): string {
  return address.startsWith(IPV4_IN_IPV6) && address.includes(".") ? address.slice(IPV4_IN_IPV6.length) : address;
}

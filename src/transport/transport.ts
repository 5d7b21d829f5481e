/**
 * What the connections of one thread share: the read buffer, the output and its list of connections to flush.
 */
import type { Socket } from "node:net";
import { MODEST_BUDGET_PART, PACKET_BYTES_MAX_DEFAULT, STALLED_MS_DEFAULT } from "../base/limits.ts";
import type { Arrival, HandOver } from "./hand-over.ts";
import { Outputs } from "./outputs.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { SocketConnection } from "./socket-connection.ts";

export interface TransportOptions {
  /** Called when output was reserved and no flush is due yet: the thread must call `flush` before it sleeps. */
  readonly wake: () => void;
  /** Largest packet a client may send, fixed header included. */
  readonly packetBytesMax?: number;
  readonly inputBudgetBytes?: number;
  readonly outputBudgetBytes?: number;
  /** How long a peer may leave a packet unfinished, or output untaken, before it is cut off. */
  readonly stalledMs?: number;
}

export class Transport {
  readonly readBuffer: ReadBuffer;
  readonly outputs: Outputs;
  readonly #packetBytesMax: number;
  readonly #stalledMs: number;
  readonly #memoryBudgetBytes: number;
  readonly #connections = new Set<SocketConnection>();

  constructor(options: TransportOptions) {
    this.readBuffer = new ReadBuffer(options.wake, options.inputBudgetBytes);
    this.outputs = new Outputs(options.wake, options.outputBudgetBytes);
    this.#packetBytesMax = options.packetBytesMax ?? PACKET_BYTES_MAX_DEFAULT;
    this.#memoryBudgetBytes = (options.inputBudgetBytes ?? 0) + (options.outputBudgetBytes ?? 0);
    this.#stalledMs = options.stalledMs ?? STALLED_MS_DEFAULT;
  }

  /** Connections whose socket is not yet gone. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Makes a connection of a socket that the main thread handed over; it owns the descriptor from here on. Its handler gets
   * the first packet from `start`. Throws a system error when the descriptor is not a usable socket.
   */
  open(handOver: HandOver): SocketConnection {
    return this.#open(handOver.fd, handOver);
  }

  /** The same for one whose TLS this thread has taken off: `socket`, from which nothing but `arrival.head` was read, is its own from here on. */
  adopt(socket: Socket, arrival: Arrival): SocketConnection {
    return this.#open(socket, arrival);
  }

  #open(source: number | Socket, arrival: Arrival): SocketConnection {
    const onGone = (gone: SocketConnection): void => {
      this.#connections.delete(gone);
    };
    const { readBuffer, outputs } = this;
    const connection = new SocketConnection(readBuffer, outputs, source, arrival, this.#packetBytesMax, onGone);
    this.#connections.add(connection);
    return connection;
  }

  /** The broker stops: see Outputs. */
  goAway(): void {
    this.outputs.isGoingAway = true;
  }

  /** The end of a turn: sends what was reserved since the last one (see Outputs.flush), and lets connections read on. */
  flush(): number {
    this.readBuffer.readOn();
    return this.outputs.flush();
  }

  /** Output that the kernel has not taken, and input that is not whole or not wanted yet. */
  get heldBytes(): number {
    return this.outputs.arena.usedBytes + this.readBuffer.heldBytes;
  }

  /** Now and then (STALL_CHECK_MS), by a monotonic clock: cuts off who stalls, in sending or in reading. */
  endStalled(nowMs: number, stalledMs = this.#stalledMs): void {
    this.readBuffer.endStalled(nowMs, stalledMs);
    this.outputs.cutOffStalled(nowMs, stalledMs);
  }

  /** Now and then (MEMORY_CHECK_MS), by the same clock: when memory is tight, cuts off who holds much of it and moves little. Returns how many. */
  endSlow(nowMs: number): number {
    return this.readBuffer.endSlow(nowMs) + this.outputs.cutOffSlow(nowMs);
  }

  /** The process is over its memory budget, or is not any more: at the end of every turn. */
  pausePublishers(isOver: boolean): void {
    this.readBuffer.publisherPause.look(isOver);
  }

  /** Now and then (MEMORY_CHECK_MS), by a monotonic clock: nobody is paused for longer than PUBLISHER_PAUSE_MS. */
  endPauses(nowMs: number): void {
    const modestBytes = (this.#memoryBudgetBytes * MODEST_BUDGET_PART) / Math.max(1, this.#connections.size);
    this.readBuffer.publisherPause.check(nowMs, modestBytes);
  }

  /** Closes every connection at once. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

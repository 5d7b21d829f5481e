/**
 * What a dispatcher knows of its parked messages, those too large for everybody who could take them when they were
 * offered: how small the smallest is, and how many of them somebody with room has not been offered yet.
 */
import { ASIDE_LOOK_MAX } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import type { DispatchedQueue } from "../queue/paired-queue.ts";
import type { Consumer } from "./consumer.ts";
import { publishPacketBytes } from "./packet-size.ts";

export class ParkedOffers {
  readonly #queue: DispatchedQueue;
  /** No parked message makes a smaller packet. */
  #smallestBytes = Number.POSITIVE_INFINITY;
  /** Parked messages that those with room have not been offered. */
  #unoffered = 0;
  /** No message parked since these were counted makes a smaller packet. */
  #smallestSinceBytes = Number.POSITIVE_INFINITY;

  constructor(queue: DispatchedQueue) {
    this.#queue = queue;
  }

  get smallestBytes(): number {
    return this.#smallestBytes;
  }

  /** Whether some are to be offered. */
  get isWanted(): boolean {
    return this.#unoffered > 0;
  }

  /** Puts off the message that was shown. */
  park(position: number, message: Region, offset: number): void {
    const packetBytes = publishPacketBytes(message, offset, 0, 0);
    this.#smallestBytes = Math.min(this.#smallestBytes, packetBytes);
    this.#smallestSinceBytes = Math.min(this.#smallestSinceBytes, packetBytes);
    this.#queue.park(position);
  }

  /** Somebody has room: if it may take something of what is parked, all of it will be offered again, some in each pump. */
  want(consumer: Consumer): void {
    if (consumer.packetBytesMax < this.#smallestBytes) return;
    this.#unoffered = this.#queue.parkedCount;
    this.#smallestSinceBytes = Number.POSITIVE_INFINITY;
    if (this.#unoffered === 0) this.#smallestBytes = Number.POSITIVE_INFINITY;
  }

  /** Makes some of those to be offered available. */
  unpark(consumers: Iterable<Consumer>): void {
    if (!this.#isRoom(consumers)) {
      this.#unoffered = 0; // Until somebody who takes it has room again.
      return;
    }
    const count = Math.min(this.#unoffered, ASIDE_LOOK_MAX);
    this.#queue.unpark(count);
    this.#unoffered -= count;
    if (this.#unoffered === 0) this.#smallestBytes = this.#smallestSinceBytes;
  }

  #isRoom(consumers: Iterable<Consumer>): boolean {
    for (const { room, packetBytesMax } of consumers) {
      if (room !== -1 && packetBytesMax >= this.#smallestBytes) return true;
    }
    return false;
  }
}

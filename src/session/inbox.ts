/**
 * What waits for one client with QoS 1 or 2: positions in the log for a session that outlives its connection, copies in memory for
 * one that does not. Bounded in messages and bytes; when full, the oldest goes.
 *
 * ```
 *   head ─► [position · bytes · flags (· message)] … ◄─ tail        a ring that doubles
 * ```
 */
import { Region } from "../base/region.ts";

/** Delivery flags of an entry: bits 0-1 QoS, bit 2 RETAIN of the delivery. */
export const DELIVERY_QOS_MASK = 0b11;
export const DELIVERY_RETAIN = 0b100;

/** The position of an entry whose message is in memory. */
export const IN_MEMORY = -1;

const CAPACITY_MIN = 16;

export class Inbox {
  #positions = new Float64Array(0);
  #bytes = new Uint32Array(0);
  #flags = new Uint8Array(0);
  #messages: (Region | undefined)[] = [];
  #head = 0;
  #length = 0;
  #totalBytes = 0;

  get length(): number {
    return this.#length;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  isBeyond(messagesMax: number, bytesMax: number): boolean {
    return this.#length > messagesMax || (this.#totalBytes > bytesMax && this.#length > 1);
  }

  /** Appends a stored message. */
  push(position: number, messageBytes: number, flags: number, message?: Region): void {
    if (this.#length === this.#positions.length) this.#grow();
    const place = (this.#head + this.#length) & (this.#positions.length - 1);
    this.#positions[place] = position;
    this.#bytes[place] = messageBytes;
    this.#flags[place] = flags;
    this.#messages[place] = message;
    this.#length += 1;
    this.#totalBytes += messageBytes;
  }

  /** Appends a copy of a message. */
  pushCopy(message: Region, offset: number, messageBytes: number, flags: number): void {
    const copy = Region.allocate(messageBytes);
    message.bytes.copy(copy.bytes, 0, offset, offset + messageBytes);
    this.push(IN_MEMORY, messageBytes, flags, copy);
  }

  /** Of the oldest entry; only when there is one. */
  get headPosition(): number {
    return this.#positions[this.#head]!;
  }

  get headFlags(): number {
    return this.#flags[this.#head]!;
  }

  get headMessage(): Region | undefined {
    return this.#messages[this.#head];
  }

  shift(): void {
    this.#totalBytes -= this.#bytes[this.#head]!;
    this.#messages[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#positions.length - 1);
    this.#length -= 1;
  }

  /** Every position that waits, oldest first. */
  forEach(visit: (position: number) => void): void {
    for (let index = 0; index < this.#length; index += 1) {
      visit(this.#positions[(this.#head + index) & (this.#positions.length - 1)]!);
    }
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#positions.length * 2);
    const positions = new Float64Array(capacity);
    const bytes = new Uint32Array(capacity);
    const flags = new Uint8Array(capacity);
    const messages = new Array<Region | undefined>(capacity).fill(undefined);
    for (let index = 0; index < this.#length; index += 1) {
      const place = (this.#head + index) & (this.#positions.length - 1);
      positions[index] = this.#positions[place]!;
      bytes[index] = this.#bytes[place]!;
      flags[index] = this.#flags[place]!;
      messages[index] = this.#messages[place];
    }
    this.#positions = positions;
    this.#bytes = bytes;
    this.#flags = flags;
    this.#messages = messages;
    this.#head = 0;
  }
}

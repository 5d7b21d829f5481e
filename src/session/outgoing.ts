/**
 * The QoS 1 and 2 deliveries of one session that its client has not finished: packet identifier → what it stands for.
 *
 * Identifiers count upwards from a random start and never restart with a connection, so that a late PUBACK of an earlier
 * connection cannot settle another message. An identifier is taken only while its place `packetId & mask` is free: a
 * look-up is one comparison.
 *
 * ```
 *   free ──claim──► SENT ──PUBACK──► free                         QoS 1, queue messages
 *   free ──claim──► SENT ──PUBREC──► RELEASED ──PUBCOMP──► free    QoS 2; with two states more where it is stored: exactly-once.ts
 * ```
 */
import { assert } from "../base/assert.ts";
import type { Region } from "../base/region.ts";

export const FREE = 0;
/** PUBLISH with QoS 1 sent, PUBACK awaited. */
export const SENT_QOS1 = 1;
/** PUBLISH with QoS 2 sent, PUBREC awaited. */
export const SENT_QOS2 = 2;
/** PUBREL sent, PUBCOMP awaited. */
export const RELEASED = 3;
/** QoS 2: the identifier is on its way to the disk, PUBLISH comes after. */
export const CLAIMED = 4;
/** QoS 2: PUBREC came, its release is on its way to the disk, PUBREL comes after. */
export const RELEASING = 5;

const CAPACITY_MIN = 8;

/** Shared by all that are still empty: an array of its own takes some 200 bytes. */
const NO_U16 = new Uint16Array(0);
const NO_U8 = new Uint8Array(0);
const NO_F64 = new Float64Array(0);

export class Outgoing<Owner> {
  #capacity = 0;
  #packetIds = NO_U16;
  #states = NO_U8;
  #positions = NO_F64;
  #orders = NO_F64;
  #flags = NO_U16;
  #owners: (Owner | undefined)[] = [];
  /** Only of those that lie nowhere else and outlive their connection. */
  #messages: Map<number, Region> | undefined = undefined;
  #count = 0;
  #claimed = 0;
  #order = 0;
  #lastPacketId: number;

  /** `lastPacketId`: the identifier given last to this client, 1 to 65,535; random for a client not seen before. */
  constructor(lastPacketId: number) {
    this.#lastPacketId = lastPacketId;
  }

  /** Deliveries in flight. */
  get count(): number {
    return this.#count;
  }

  /** Deliveries whose identifier is on its way to the disk, so that they are not sent yet. */
  get claimed(): number {
    return this.#claimed;
  }

  get lastPacketId(): number {
    return this.#lastPacketId;
  }

  /**
   * Takes an identifier for a delivery of `owner`; the caller has checked its window, at most 65,535. `flags` are those of the
   * delivery; `message` is kept until the delivery is finished.
   */
  claim(
    state: typeof SENT_QOS1 | typeof SENT_QOS2 | typeof CLAIMED,
    position: number,
    owner: Owner,
    flags = 0,
    message?: Region,
  ): number {
    if (this.#count * 2 >= this.#capacity && this.#capacity < 65_536) this.#grow();
    const mask = this.#capacity - 1;
    let packetId = this.#lastPacketId;
    do packetId = packetId === 65_535 ? 1 : packetId + 1;
    while (this.#states[packetId & mask] !== FREE); // [MQTT-2.2.1-3]
    this.#set(packetId, state, position, owner, flags);
    if (message !== undefined) {
      this.#messages ??= new Map();
      this.#messages.set(packetId, message);
    }
    this.#lastPacketId = packetId;
    return packetId;
  }

  /** Takes a given identifier again: a session read back from the store. */
  restore(packetId: number, state: number, position: number, owner: Owner, flags = 0): void {
    while (this.#capacity === 0 || this.#states[packetId & (this.#capacity - 1)] !== FREE) {
      assert(this.#capacity < 65_536, "two deliveries of a session never share a packet identifier");
      this.#grow();
    }
    this.#set(packetId, state, position, owner, flags);
  }

  #set(packetId: number, state: number, position: number, owner: Owner, flags: number): void {
    const place = packetId & (this.#capacity - 1);
    this.#packetIds[place] = packetId;
    this.#states[place] = state;
    this.#positions[place] = position;
    this.#owners[place] = owner;
    this.#flags[place] = flags;
    this.#orders[place] = this.#order++;
    this.#count += 1;
    if (state === CLAIMED) this.#claimed += 1;
  }

  /** The state of an identifier; FREE when this client was not sent it. */
  stateOf(packetId: number): number {
    if (this.#capacity === 0) return FREE;
    const place = packetId & (this.#capacity - 1);
    return this.#packetIds[place] === packetId ? this.#states[place]! : FREE;
  }

  /** The log position (or the queue's) that an identifier in flight stands for. */
  positionOf(packetId: number): number {
    return this.#positions[packetId & (this.#capacity - 1)]!;
  }

  ownerOf(packetId: number): Owner {
    const owner = this.#owners[packetId & (this.#capacity - 1)];
    assert(owner !== undefined, "a delivery in flight has an owner");
    return owner;
  }

  flagsOf(packetId: number): number {
    return this.#flags[packetId & (this.#capacity - 1)]!;
  }

  /** The message that was kept with the delivery; undefined when it lies elsewhere, or nowhere. */
  messageOf(packetId: number): Region | undefined {
    return this.#messages?.get(packetId);
  }

  isExactlyOnce(packetId: number): boolean {
    const state = this.stateOf(packetId);
    return state !== FREE && state !== SENT_QOS1;
  }

  /** The next state of a QoS 2 delivery in flight. */
  advance(packetId: number, state: typeof SENT_QOS2 | typeof RELEASING | typeof RELEASED): void {
    const place = packetId & (this.#capacity - 1);
    if (this.#states[place] === CLAIMED) this.#claimed -= 1;
    this.#states[place] = state;
    if (state !== SENT_QOS2) this.#messages?.delete(packetId);
  }

  /** The delivery is finished; its identifier is free. */
  finish(packetId: number): void {
    const place = packetId & (this.#capacity - 1);
    assert(this.#states[place] !== FREE && this.#packetIds[place] === packetId, "only a delivery in flight finishes");
    if (this.#states[place] === CLAIMED) this.#claimed -= 1;
    this.#states[place] = FREE;
    this.#owners[place] = undefined;
    this.#messages?.delete(packetId);
    this.#count -= 1;
  }

  /** Identifiers in flight in the order in which they were sent; for a resumed session. Not for the hot path. */
  inOrder(): number[] {
    const places: number[] = [];
    for (let place = 0; place < this.#capacity; place += 1) if (this.#states[place] !== FREE) places.push(place);
    places.sort((a, b) => this.#orders[a]! - this.#orders[b]!);
    return places.map((place) => this.#packetIds[place]!);
  }

  #grow(): void {
    const old = {
      capacity: this.#capacity,
      packetIds: this.#packetIds,
      states: this.#states,
      positions: this.#positions,
      orders: this.#orders,
      flags: this.#flags,
      owners: this.#owners,
    };
    this.#capacity = Math.max(CAPACITY_MIN, old.capacity * 2);
    this.#packetIds = new Uint16Array(this.#capacity);
    this.#states = new Uint8Array(this.#capacity);
    this.#positions = new Float64Array(this.#capacity);
    this.#orders = new Float64Array(this.#capacity);
    this.#flags = new Uint16Array(this.#capacity);
    this.#owners = new Array(this.#capacity).fill(undefined);
    for (let place = 0; place < old.capacity; place += 1) {
      if (old.states[place] === FREE) continue;
      const to = old.packetIds[place]! & (this.#capacity - 1);
      this.#packetIds[to] = old.packetIds[place]!;
      this.#states[to] = old.states[place]!;
      this.#positions[to] = old.positions[place]!;
      this.#orders[to] = old.orders[place]!;
      this.#flags[to] = old.flags[place]!;
      this.#owners[to] = old.owners[place];
    }
  }
}

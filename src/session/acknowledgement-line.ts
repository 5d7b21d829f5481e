/**
 * The acknowledgements one connection owes its publisher, in the order of its PUBLISH packets.
 *
 * ```
 *   head ─► [packet id · kind · pending · reason] [ … ] [ … ] ◄─ tail
 * ```
 *
 * An entry opens when its PUBLISH was taken, counts who still has to store the message, and leaves as PUBACK or PUBREC when
 * it is at the head and nobody is pending [MQTT-4.6.0-2], [MQTT-4.6.0-3]. A refused QoS 2 message stays until its identifier is
 * forgotten everywhere, for with PUBREC the client may use it for another message [MQTT-4.3.3-9]. Its sequence number names it to those who
 * store; it is u32 and wraps.
 */
import { assert } from "../base/assert.ts";

export type AcknowledgementKind = 0 | 1;
export const OWES_PUBACK: AcknowledgementKind = 0;
export const OWES_PUBREC: AcknowledgementKind = 1;
/** A PUBREC with an error, while its identifier is being forgotten. */
const REFUSES = 2;

/** Reason codes by how bad they are for a publisher: an error outweighs "no matching subscribers" outweighs success. */
const NO_MATCHING_SUBSCRIBERS = 0x10;

/** Forgets the identifier of a QoS 2 message that was refused; `done` when the client may use it again. */
export type ForgetRefused = (packetId: number, done: () => void) => void;
export type EmitAcknowledgement = (kind: AcknowledgementKind, packetId: number, reasonCode: number) => void;

/** Shared by all that are still empty: an array of its own takes some 200 bytes. */
const NO_U16 = new Uint16Array(0);
const NO_U8 = new Uint8Array(0);

export class AcknowledgementLine {
  #mask = 0;
  #packetIds = NO_U16;
  #kinds = NO_U8;
  #pending = NO_U16;
  #reasons = NO_U8;
  #head = 0;
  #tail = 0;
  readonly #emit: EmitAcknowledgement;
  readonly #forget: ForgetRefused;
  readonly #entriesMax: number;

  /** `entriesMax`: the Receive Maximum that was announced to this publisher. */
  constructor(entriesMax: number, emit: EmitAcknowledgement, forget: ForgetRefused) {
    this.#entriesMax = entriesMax;
    this.#emit = emit;
    this.#forget = forget;
  }

  get length(): number {
    return (this.#tail - this.#head) >>> 0;
  }

  get isFull(): boolean {
    return this.length >= this.#entriesMax;
  }

  /** Opens an entry with one pending mark of the opener's own, so that it cannot leave before `resolve`; returns its sequence. */
  open(packetId: number, kind: AcknowledgementKind): number {
    assert(!this.isFull, "a publisher's acknowledgement line never exceeds its Receive Maximum");
    if (this.length === this.#packetIds.length) this.#grow();
    const sequence = this.#tail;
    const index = sequence & this.#mask;
    this.#packetIds[index] = packetId;
    this.#kinds[index] = kind;
    this.#pending[index] = 1;
    this.#reasons[index] = NO_MATCHING_SUBSCRIBERS;
    this.#tail = (sequence + 1) >>> 0;
    return sequence;
  }

  /** Takes the newest entry back: its PUBLISH was not taken after all, and nobody knows of it. */
  withdraw(sequence: number): void {
    assert((sequence + 1) >>> 0 === this.#tail, "only the newest entry is withdrawn");
    this.#tail = sequence;
  }

  /** One more must answer for this entry. */
  expect(sequence: number): void {
    this.#pending[sequence & this.#mask]! += 1;
  }

  /** One answered. The worst reason wins: errors over success over "no matching subscribers". */
  resolve(sequence: number, reasonCode: number): void {
    if ((sequence - this.#head) >>> 0 >= this.length) return; // Answered by a late partner after the entry left: none does.
    const index = sequence & this.#mask;
    const before = this.#reasons[index]!;
    if (reasonCode >= 0x80 ? reasonCode > before : before === NO_MATCHING_SUBSCRIBERS) {
      this.#reasons[index] = reasonCode;
    }
    this.#pending[index]! -= 1;
    if (this.#pending[index] === 0 && this.#kinds[index] === OWES_PUBREC && this.#reasons[index]! >= 0x80) {
      this.#kinds[index] = REFUSES;
      this.#pending[index] = 1;
      this.#forget(this.#packetIds[index]!, () => this.resolve(sequence, NO_MATCHING_SUBSCRIBERS));
      return;
    }
    if (sequence === this.#head) this.#release();
  }

  #release(): void {
    while (this.#head !== this.#tail) {
      const index = this.#head & this.#mask;
      if (this.#pending[index] !== 0) return;
      this.#head = (this.#head + 1) >>> 0;
      this.#emit(
        this.#kinds[index] === OWES_PUBACK ? OWES_PUBACK : OWES_PUBREC,
        this.#packetIds[index]!,
        this.#reasons[index]!,
      );
    }
  }

  /** Doubles the table. Sequences stay; their places follow the new mask. */
  #grow(): void {
    const capacity = Math.max(16, this.#packetIds.length * 2);
    const mask = capacity - 1;
    const packetIds = new Uint16Array(capacity);
    const kinds = new Uint8Array(capacity);
    const pending = new Uint16Array(capacity);
    const reasons = new Uint8Array(capacity);
    for (let sequence = this.#head; sequence !== this.#tail; sequence = (sequence + 1) >>> 0) {
      const from = sequence & this.#mask;
      const to = sequence & mask;
      packetIds[to] = this.#packetIds[from]!;
      kinds[to] = this.#kinds[from]!;
      pending[to] = this.#pending[from]!;
      reasons[to] = this.#reasons[from]!;
    }
    this.#mask = mask;
    this.#packetIds = packetIds;
    this.#kinds = kinds;
    this.#pending = pending;
    this.#reasons = reasons;
  }
}

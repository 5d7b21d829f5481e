/** The partner that is this worker itself: every frame is a call. */
import type { Region } from "../base/region.ts";
import type { Partner, PartnerHandler } from "./partner.ts";

export class LocalPartner implements Partner {
  readonly worker: number;
  readonly #handler: PartnerHandler;

  constructor(worker: number, handler: PartnerHandler) {
    this.worker = worker;
    this.#handler = handler;
  }

  hasRoom(): boolean {
    return true;
  }

  publish(
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
    _messageBytes: number,
    _mark: Region | undefined,
  ): void {
    this.#handler.onPublish(this.worker, origin, sequence, flags, packetId, message, offset);
  }

  stored(origin: number, sequence: number, reason: number): void {
    this.#handler.onStored(origin, sequence, reason);
  }

  deliver(
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
    _messageBytes: number,
  ): boolean {
    this.#handler.onDeliver(this.worker, slot, generation, position, redelivered, message, offset);
    return true;
  }

  settle(slot: number, generation: number, position: number, accepted: boolean): void {
    this.#handler.onSettle(this.worker, slot, generation, position, accepted);
  }

  control(kind: number, body: object): void {
    this.#handler.onControl(this.worker, kind, body);
  }

  nudge(): void {} // Whoever changed it is in a turn of this worker, or has asked for one.

  readonly shown = 0;

  hasTaken(): boolean {
    return true;
  }

  endTurn(): void {}
}

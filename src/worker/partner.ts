/**
 * The other end of everything a worker does for another, bound locally (a call) or by ring (a frame): the worker does not
 * know which. The frames and their meaning stand in frame/kinds.ts.
 */
import type { Region } from "../base/region.ts";

/** What one worker asks of another. */
export interface Partner {
  readonly worker: number;
  /** Whether `publish` can take a message of so many bytes now. */
  hasRoom(messageBytes: number): boolean;
  /** Route this message to your own; `mark`: of a retained one, see retained-mark.ts. The caller has asked `hasRoom` for both. */
  publish(
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
    messageBytes: number,
    mark: Region | undefined,
  ): void;
  /** What you sent is on disk here, or refused. Never refused itself. */
  stored(origin: number, sequence: number, reason: number): void;
  /** Hand this message to your consumer; false: no room now. */
  deliver(
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
    messageBytes: number,
  ): boolean;
  /** Your message was acknowledged or rejected. Never refused. */
  settle(slot: number, generation: number, position: number, accepted: boolean): void;
  /** A rare frame with a structured body. Never refused; in order with settlements. */
  control(kind: number, body: object): void;
  /** Something that both see changed without a frame: the other side must come to a turn. */
  nudge(): void;
  /** Where what it has shown this worker by now ends: a mark for `hasTaken`. */
  readonly shown: number;
  /** Whether this worker has taken everything before a mark. Asked between drains. */
  hasTaken(mark: number): boolean;
  /** The end of a turn: shows the other side what was written. */
  endTurn(): void;
}

/** What a worker does when it is asked; `from` is the asking worker. */
export interface PartnerHandler {
  /** False: no room here; the message stays where it is and is offered again. */
  onPublish(
    from: number,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
  ): boolean;
  onStored(origin: number, sequence: number, reason: number): void;
  onDeliver(
    from: number,
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
  ): void;
  onSettle(from: number, slot: number, generation: number, position: number, accepted: boolean): void;
  onControl(from: number, kind: number, body: object): void;
}

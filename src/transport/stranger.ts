/**
 * A connection whose CONNECT packet is not complete: what has come of it, and whether that can still become one. Nothing is
 * allocated from a length that it declares.
 */
import type { Socket } from "node:net";
import { CONNECT_PACKET_BYTES_MAX } from "../base/limits.ts";
import { scanConnectHead } from "../mqtt/connect-head.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { connackReturnCodeOf, NO_RETURN_CODE } from "../mqtt/reason-codes.ts";
import { NEED_MORE, packetBytes } from "../mqtt/scanner.ts";

/** What a stranger's bytes amount to. `answer` is the CONNACK that the specification wants before the close, if any. */
export type Judgement =
  | { readonly kind: "incomplete" }
  | { readonly kind: "connect"; readonly clientId: string }
  | { readonly kind: "refused"; readonly answer: Buffer | null };

export class Stranger {
  readonly socket: Socket;
  /** "ip:port", and the ip; fixed at the beginning, for a socket that is gone has none. */
  readonly peer: string;
  readonly remoteAddress: string;
  readonly deadlineMs: number;
  /** Handed over or refused: its events mean nothing any more. */
  isSettled = false;
  #received: Buffer = NOTHING;

  constructor(socket: Socket, remoteAddress: string, peer: string, deadlineMs: number) {
    this.socket = socket;
    this.remoteAddress = remoteAddress;
    this.peer = peer;
    this.deadlineMs = deadlineMs;
  }

  get receivedBytes(): number {
    return this.#received.length;
  }

  /** All bytes so far, in memory of their own that can be transferred; `rest` is put behind them. */
  takeReceived(rest: Buffer | null): Uint8Array<ArrayBuffer> {
    const head = new Uint8Array(this.#received.length + (rest?.length ?? 0));
    head.set(this.#received);
    if (rest !== null) head.set(rest, this.#received.length);
    this.#received = NOTHING;
    return head;
  }

  /** Judges what has come, with `bytes` behind it. */
  receive(bytes: Buffer): Judgement {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    const received = this.#received;
    if (received[0] !== CONNECT_FIRST_BYTE) return REFUSED; // [MQTT-3.1.0-1]

    const length = packetBytes(received, 0, received.length, CONNECT_PACKET_BYTES_MAX);
    if (length === NEED_MORE) return INCOMPLETE;
    if (length < 0) return REFUSED;

    const head = scanConnectHead(received, 0, length);
    if (head.fault !== undefined) return { kind: "refused", answer: connackOf(head.fault, head.answerLevel) };
    return { kind: "connect", clientId: received.toString("utf8", head.clientIdStart, head.clientIdEnd) };
  }
}

const NOTHING = Buffer.alloc(0);
const CONNECT_FIRST_BYTE = 0x10;
const INCOMPLETE: Judgement = { kind: "incomplete" };
const REFUSED: Judgement = { kind: "refused", answer: null };

/** A CONNACK that only refuses; null when the client cannot be told in its protocol. */
function connackOf(reasonCode: number, level: number): Buffer | null {
  if (level === 0) return null;
  if (level === LEVEL_5) return Buffer.of(0x20, 3, 0, reasonCode, 0);
  const returnCode = connackReturnCodeOf(reasonCode);
  return returnCode === NO_RETURN_CODE ? null : Buffer.of(0x20, 2, 0, returnCode);
}

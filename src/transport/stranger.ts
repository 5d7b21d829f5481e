/**
 * A connection whose CONNECT packet is not complete: what has come of it, and whether that can still become one. Nothing is
 * allocated from a length that it declares.
 */
import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { CONNECT_PACKET_BYTES_MAX, END_DEADLINE_MS } from "../base/limits.ts";
import { readConnectProtocol, scanConnectHead } from "../mqtt/connect-head.ts";
import { LEVEL_5 } from "../mqtt/packet-type.ts";
import { connackReturnCodeOf, NO_RETURN_CODE, ReasonCode } from "../mqtt/reason-codes.ts";
import { NEED_MORE, PACKET_TOO_LARGE, packetBytes } from "../mqtt/scanner.ts";
import type { Bounded } from "./strangers.ts";

/** What a stranger's bytes amount to. `answer` is the CONNACK that the specification wants before the close, if any. */
export type Judgement =
  | { readonly kind: "incomplete" }
  | { readonly kind: "connect"; readonly clientId: string }
  | { readonly kind: "refused"; readonly answer: Buffer | null };

export class Stranger<Stream extends Duplex = Duplex> implements Bounded {
  /** Where its bytes come from. What is around them may be taken off meanwhile: then they come from another stream. */
  stream: Stream;
  /** "ip:port", and the ip: known from the beginning, for a socket that is gone has none; what a trusted proxy announces takes their place. */
  peer: string;
  address: string;
  readonly deadlineMs: number;
  /** Handed over or refused: its events mean nothing any more. */
  isSettled = false;
  /** Among the connections of its address. */
  isCounted = false;
  /** What has come, and room for more: doubled as it fills, so that a CONNECT in drops costs no more than one at once. */
  #received: Buffer = NOTHING;
  #receivedBytes = 0;

  constructor(stream: Stream, address: string, peer: string, deadlineMs: number) {
    this.stream = stream;
    this.address = address;
    this.peer = peer;
    this.deadlineMs = deadlineMs;
  }

  /** A proxy says whose connection it is. */
  announce(address: string, port: number): void {
    this.address = address;
    this.peer = peerOf(address, port);
  }

  drop(): void {
    this.isSettled = true;
    this.stream.destroy();
  }

  /** Sends a last packet; it counts as a stranger until it is gone. */
  answer(packet: Buffer): void {
    this.isSettled = true;
    this.stream.end(packet);
    const deadline = setTimeout(() => this.stream.destroy(), END_DEADLINE_MS);
    this.stream.once("close", () => clearTimeout(deadline));
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** All bytes so far, in memory of their own that can be transferred; `rest` is put behind them. */
  takeReceived(rest: Buffer | null): Uint8Array<ArrayBuffer> {
    const head = new Uint8Array(this.#receivedBytes + (rest?.length ?? 0));
    head.set(this.#received.subarray(0, this.#receivedBytes));
    if (rest !== null) head.set(rest, this.#receivedBytes);
    this.#received = NOTHING;
    this.#receivedBytes = 0;
    return head;
  }

  /** Judges what has come, with `bytes` behind it, which may be none. */
  receive(bytes: Buffer): Judgement {
    if (bytes.length > 0) this.#append(bytes);
    if (this.#receivedBytes === 0) return INCOMPLETE;
    return judge(this.#received, this.#receivedBytes);
  }

  #append(bytes: Buffer): void {
    const total = this.#receivedBytes + bytes.length;
    if (this.#receivedBytes === 0) {
      this.#received = bytes; // Nearly always all of it.
    } else {
      if (total > this.#received.length) {
        const larger = Buffer.alloc(Math.max(total, this.#received.length * 2));
        this.#received.copy(larger, 0, 0, this.#receivedBytes);
        this.#received = larger;
      }
      bytes.copy(this.#received, this.#receivedBytes);
    }
    this.#receivedBytes = total;
  }
}

/** What the first `receivedBytes` of a connection amount to. */
export function judge(received: Buffer, receivedBytes: number): Judgement {
  if (received[0] !== CONNECT_FIRST_BYTE) return REFUSED; // [MQTT-3.1.0-1]

  const length = packetBytes(received, 0, receivedBytes, CONNECT_PACKET_BYTES_MAX);
  if (length === NEED_MORE) return INCOMPLETE;
  if (length === PACKET_TOO_LARGE) return refuseTooLarge(received, receivedBytes);
  if (length < 0) return REFUSED;

  const head = scanConnectHead(received, 0, length);
  if (head.fault !== undefined) return { kind: "refused", answer: connackOf(head.fault, head.answerLevel) };
  return { kind: "connect", clientId: received.toString("utf8", head.clientIdStart, head.clientIdEnd) };
}

/** Tells it in its own protocol, if enough has come to know that. */
function refuseTooLarge(received: Buffer, receivedBytes: number): Judgement {
  const protocol = readConnectProtocol(received, 0, receivedBytes);
  if (protocol.fault !== undefined) return REFUSED;
  return { kind: "refused", answer: connackOf(ReasonCode.packetTooLarge, protocol.protocolLevel) };
}

/** "ip:port"; "[ip]:port" for IPv6. */
export function peerOf(address: string, port: number): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
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

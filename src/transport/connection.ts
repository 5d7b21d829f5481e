/**
 * A connection as a session sees it: the same for TCP, TLS and WebSocket.
 *
 * ```
 *   peer's bytes ─► [held back while paused] ─► split into packets ─► handler.onPacket(region, start, end)
 *   reserve(n) ─► output chunk ─► once per turn: flush ─► kernel
 *                    bytesReserved                         bytesWritten     (both only grow)
 *                    └──────────── queuedBytes ──────────────┘
 * ```
 *
 * Everything here runs on the worker's thread. A connection calls its handler only from events of its own and from
 * `start`, `resumeReading` and the thread's flush, as each method below says; `onClosed` always comes from the event loop.
 */
import type { PeerIdentity } from "../base/peer-identity.ts";
import type { Region } from "../base/region.ts";

/**
 * Why a connection ended, for logs and metrics:
 * `peer`: the other side closed or reset it; `fault`: the socket failed; `slowReader`: it read too slowly for the bound of
 * its output; `memory`: it held the most when the thread's output budget ran out; `local`: this side called `end` or
 * `destroy`.
 */
export type CloseCause = "peer" | "fault" | "slowReader" | "memory" | "local";

export interface ConnectionHandler {
  /**
   * One whole packet at [start, end) of `region`, fixed header first. The bytes are the handler's until it returns; what
   * it wants to keep it copies. After `pauseReading`, `end` or `destroy` no further packet comes.
   */
  onPacket(region: Region, start: number, end: number): void;
  /**
   * The bytes are not MQTT packets (0x81), one is too large (0x95), or the thread's budget for unfinished packets is used up
   * (0x97). No packet follows; the connection is still open for an answer, and the handler ends it.
   */
  onFault(reasonCode: number): void;
  /** Output fell below the low mark after `isWritable` had answered false. Comes from the flush or from the event loop. */
  onDrained(): void;
  /** `bytesWritten` reached the mark of `watchWritten`. Comes from the flush or from the event loop. */
  onWritten(): void;
  /** Exactly once, from the event loop, after everything else. */
  onClosed(cause: CloseCause): void;
}

export interface Connection {
  /** "ip:port" of the other side, as in the message layout. */
  readonly peer: string;
  readonly identity: PeerIdentity;
  /** False from the first `end` or `destroy`, the peer's FIN or a broken bound: what is reserved from then on goes nowhere. */
  readonly isOpen: boolean;

  /** Names the handler and hands it the packets that came with the connection. Once; calls `onPacket` before it returns. */
  start(handler: ConnectionHandler): void;

  /** Stops the delivery of packets at once, in the middle of a read too; what was read already waits. Idempotent. */
  pauseReading(): void;
  /**
   * Goes on. Delivers what waits before it returns, unless it is called from within `onPacket`, where it only takes a pause
   * back. So: call it last in what you do.
   */
  resumeReading(): void;
  readonly isReadingPaused: boolean;

  /** Bytes that have come; only grows. What a paused connection leaves with the kernel does not count. */
  readonly bytesRead: number;
  /** The beginning of a packet has come and its end has not; false while reading is paused. */
  readonly hasPartialPacket: boolean;

  /** Largest packet that is accepted from the peer, fixed header included; a larger one is a fault 0x95. */
  packetBytesMax: number;

  /** Where the bytes of the latest `reserve` belong. Read it after `reserve`: it changes with it. */
  readonly output: Region;
  /**
   * Room for a packet of exactly `byteLength` bytes; returns its offset in `output`. Write it before the next
   * `reserve` on this thread and before the turn's flush. Never refuses: beyond the bound of a slow reader the connection is destroyed and
   * the offset is one of a scratch region, as it is after `end`.
   */
  reserve(byteLength: number): number;
  /** Bytes ever reserved: after a packet was written, its mark. */
  readonly bytesReserved: number;
  /**
   * Bytes that the kernel has taken; a reservation whose mark is at or below it has left this process. What was reserved on
   * a connection that is no longer open counts as reserved and never as written.
   */
  readonly bytesWritten: number;
  /** bytesReserved - bytesWritten. */
  readonly queuedBytes: number;
  /** Whether more should be written for its own sake (deliveries). Acknowledgements may be written at any time. */
  readonly isWritable: boolean;
  /**
   * Asks for one `onWritten` as soon as bytesWritten >= mark (or at the next flush, if it already is). Of several marks the
   * smallest counts; the handler looks at `bytesWritten` then and asks again for the next.
   */
  watchWritten(mark: number): void;

  /** Writes what is reserved, then FIN; destroyed after a short deadline if the peer does not read it. Idempotent. */
  end(): void;
  /** Closes at once; what is not yet written is lost. Idempotent. */
  destroy(): void;
}

/**
 * The hand-over of a TCP socket to another thread: everything read so far and a second descriptor of the same socket. The
 * first one is closed; that sends nothing to the peer, for the socket lives as long as one descriptor does.
 *
 * ```
 *   main:    read … CONNECT complete ─ readStop ─ dup ─ close its own ─┐
 *   worker:                                     {fd, head} by message ─┴─► new Socket({fd}) ─ head first, then reads
 * ```
 */
import type { Socket } from "node:net";
import type { PeerIdentity } from "../base/peer-identity.ts";
import { duplicateDescriptor } from "../base/posix.ts";
import type { FrameState } from "./web-socket-frames.ts";

/** A connection whose CONNECT has come: plain data for `postMessage`. */
export interface Arrival {
  /** As the client gave it, possibly empty; not yet checked. */
  readonly clientId: string;
  /** Every MQTT byte read so far, the CONNECT packet first. Its memory is its own. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** "ip:port" of the other side; "[ip]:port" for IPv6. */
  readonly peer: string;
  readonly identity: PeerIdentity;
  /** Where the frames of a WebSocket are, whose payload the MQTT bytes are from here on; null without one. */
  readonly frames: FrameState | null;
}

/** One on its way to its worker. */
export interface HandOver extends Arrival {
  /** The receiver owns it: it opens a connection on it or closes it. */
  readonly fd: number;
  /** Where TLS is taken off; null when the descriptor is the client's own socket. */
  readonly tunnel: TunnelAddress | null;
}

/** A tunnel: the worker that holds the client's socket, and its number there. */
export interface TunnelAddress {
  readonly worker: number;
  readonly id: number;
}

/** A connection whose first byte has not been read, on its way to the worker that takes off what is around its MQTT bytes. */
export interface WrappedConnection {
  /** The index of its listener. */
  readonly listener: number;
  /** The receiver owns it. */
  readonly fd: number;
  readonly peer: string;
  readonly address: string;
  /** What came behind the header of a proxy; null for what is given away unread. */
  readonly head: Uint8Array | null;
}

/** libuv's handle under a socket: the members that have no public door (Node 20 to 24). */
interface SocketHandle {
  readonly fd: number;
  /** Bytes of writes that the kernel has not taken, also in the middle of one. */
  readonly writeQueueSize: number;
  readStop(): number;
}

/**
 * Stops reading at once. Inside a data callback nothing else does: `socket.pause()` lets libuv read on, into a socket that
 * is about to be given away, and those bytes are lost.
 */
export function stopReading(socket: Socket): void {
  handleOf(socket)?.readStop();
}

/**
 * Takes a second descriptor of the socket, whose reading has been stopped, and closes the first. Null when the peer is
 * gone already. Throws PosixFault (`EMFILE`); the socket is destroyed all the same.
 */
export function tryTakeDescriptor(socket: Socket): number | null {
  try {
    const fd = handleOf(socket)?.fd ?? -1;
    return fd < 0 ? null : duplicateDescriptor(fd);
  } finally {
    socket.destroy();
  }
}

/** Bytes given to the socket that the kernel has not taken. */
export function unsentBytesOf(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0;
}

function handleOf(socket: Socket): SocketHandle | null {
  return (socket as unknown as { _handle: SocketHandle | null })._handle;
}

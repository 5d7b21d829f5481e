/**
 * Connections as the kernel gives them, before Node makes a stream of each. Nearly every client sends its CONNECT behind the handshake, so it
 * is there when the events of this round of the loop are handled: who has sent one whole is handed over as a bare descriptor. All others, and
 * all where Node has no such door, come as Node's server gives them.
 *
 * ```
 *   accepted ──► fresh ── end of the round: tryTake ──┬─ true: dup, close ─► handed over
 *                                                     └─ false ────────────► Node's own way: a socket, "connection"
 * ```
 */
import type { Server } from "node:net";

/** libuv's handle of an accepted connection: members that have no public door (Node 20 to 24). */
export interface FreshConnection {
  readonly fd: number;
  /** 0 when `out` is filled. */
  getpeername(out: { address?: string; port?: number }): number;
  setNoDelay(isOn: boolean): void;
  close(): void;
}

interface ServerHandle {
  onconnection?: (this: ServerHandle, status: number, connection: FreshConnection) => void;
}

export class FreshConnections {
  readonly #tryTake: (connection: FreshConnection) => boolean;
  #fresh: FreshConnection[] = [];
  #isClosed = false;

  /** `tryTake`: true when the connection is the taker's, who closes it. */
  constructor(tryTake: (connection: FreshConnection) => boolean) {
    this.#tryTake = tryTake;
  }

  /** Stands before what a listening server does with a connection. */
  watch(server: Server): void {
    const handle = (server as unknown as { readonly _handle: ServerHandle | null })._handle;
    const ordinary = handle?.onconnection;
    if (handle === null || ordinary === undefined) return;
    handle.onconnection = (status, connection) => {
      if (status !== 0 || typeof connection?.getpeername !== "function") {
        ordinary.call(handle, status, connection);
        return;
      }
      this.#fresh.push(connection);
      if (this.#fresh.length === 1) setImmediate(() => this.#look((left) => ordinary.call(handle, 0, left)));
    };
  }

  /** Those that nobody has looked at are closed. */
  close(): void {
    this.#isClosed = true;
  }

  #look(leave: (connection: FreshConnection) => void): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const connection of fresh) {
      if (this.#isClosed) connection.close();
      else if (!this.#tryTake(connection)) leave(connection);
    }
  }
}

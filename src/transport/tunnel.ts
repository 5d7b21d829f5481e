/**
 * A tunnel: the bytes of a client whose TLS or WebSocket is taken off here, carried to the worker of its session by a pair of connected
 * sockets. That worker opens the inner end like a socket that came from the main thread.
 *
 * ```
 *   client ══ TLS, WebSocket ══ stream ◄─ pipes ─► outer ══ socketpair(2) ══ inner ── TcpConnection ── session
 * ```
 *
 * Who reads slowly is felt at the other end through the sockets themselves. The end of either side is passed on after what came before
 * it; a client that does not take its last bytes is cut off after a deadline.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { END_DEADLINE_MS } from "../base/limits.ts";
import { type Measure, recordsInto } from "./tls-records.ts";

export class Tunnel {
  readonly #stream: Duplex;
  readonly #outer: Socket;
  #deadline: NodeJS.Timeout | null = null;

  /** Owns `fd`, the outer end. `measure`: of the packets, or frames, for the client. `onClosed`: both sides are gone. */
  constructor(stream: Duplex, measure: Measure, fd: number, onClosed: () => void) {
    this.#stream = stream;
    this.#outer = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    const outer = this.#outer;
    const records = recordsInto(stream, measure);
    let openCount = 2;
    const onSideClosed = () => {
      openCount -= 1;
      if (openCount > 0) return;
      if (this.#deadline !== null) clearTimeout(this.#deadline);
      onClosed();
    };
    stream.pipe(outer);
    outer.pipe(records);
    outer.on("error", () => {}); // The session's end was closed with something unread: the close that follows says it all.
    outer.on("end", () => this.sever());
    outer.on("close", () => {
      records.end(); // Behind what it still holds.
      this.sever();
      onSideClosed();
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      outer.unpipe(records);
      outer.resume(); // What the session still writes goes nowhere.
      outer.end();
      onSideClosed();
    });
  }

  /** The session has ended: the client gets a moment to take what is left. Idempotent. */
  sever(): void {
    if (this.#deadline !== null || this.#stream.destroyed) return;
    this.#deadline = setTimeout(() => this.#stream.destroy(), END_DEADLINE_MS);
  }

  /** Closes at once. */
  destroy(): void {
    this.#stream.destroy();
    this.#outer.destroy();
  }
}

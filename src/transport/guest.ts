/**
 * A connection whose TLS or WebSocket is taken off here: what its listener has found out, and what has come of a message that is not whole.
 */
import type { Duplex } from "node:stream";
import type { Listener } from "./listener.ts";
import { type Holder, Pace } from "./pace.ts";
import type { Stranger } from "./stranger.ts";
import type { Upgrader } from "./web-socket.ts";

export class Guest implements Holder {
  readonly listener: Listener;
  readonly upgrader: Upgrader | null;
  /** Also when it is none any more. */
  readonly stranger: Stranger<Duplex>;
  certificateCommonName: string | null = null;
  /** What has come in frames. */
  readBytes = 0;
  #pace: Pace | null = null;
  /** While a message is unfinished: how much had come when it was looked at, and when. */
  #progressBytes = -1;
  #progressMs = 0;

  constructor(listener: Listener, upgrader: Upgrader | null, stranger: Stranger<Duplex>) {
    this.listener = listener;
    this.upgrader = upgrader;
    this.stranger = stranger;
  }

  get heldBytes(): number {
    return this.stranger.framedBytes;
  }

  get holdMs(): number {
    return this.#isUnfinished ? (this.#pace?.msFor(this.heldBytes) ?? 0) : 0;
  }

  /** Measures how fast its unfinished message grows. */
  look(nowMs: number): void {
    if (this.#isUnfinished) {
      this.#pace ??= new Pace();
      this.#pace.look(this.readBytes, nowMs);
    } else this.#pace?.restart();
  }

  /** Whether nothing more of a message has come for so long. */
  isStalled(nowMs: number, stalledMs: number): boolean {
    if (this.#isUnfinished && this.readBytes === this.#progressBytes) return nowMs - this.#progressMs >= stalledMs;
    this.#progressBytes = this.readBytes;
    this.#progressMs = nowMs;
    return false;
  }

  /** Nothing but the peer keeps its message: what was whole before it has been taken. A stranger has a deadline of its own. */
  get #isUnfinished(): boolean {
    const { stranger } = this;
    return stranger.isSettled && stranger.framedBytes > 0 && stranger.stream.readableLength === 0;
  }
}

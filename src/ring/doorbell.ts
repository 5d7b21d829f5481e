/**
 * Doorbells: how a worker wakes one that sleeps in its event loop. A ring says when (`RingWriter.publish`,
 * `RingReader.takeSpaceBell`); what was rung for is read from the rings, so a ring of the bell carries nothing and any
 * worker may ring any other's.
 *
 * ```
 *   worker 0 ──┐
 *   worker 1 ──┴─ one byte ─► pipe of worker 2 ─► its event loop
 * ```
 */
import { writeSync } from "node:fs";
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { closeDescriptor, openPipe, type Pipe } from "../base/posix.ts";

/** A pipe for every worker, to be closed by `closeDoorbells`; none where nobody else could ring. */
export type DoorbellPipes = readonly Pipe[];

/** Throws PosixFault (`EMFILE`). */
export const createDoorbells = (workers: number): DoorbellPipes =>
  workers === 1 ? [] : Array.from({ length: workers }, openPipe);

/** Ends what rings; the other ends are the listeners'. After the last of their threads. */
export function closeDoorbells(pipes: DoorbellPipes): void {
  for (const { writeFd } of pipes) closeDescriptor(writeFd);
}

const RING = Buffer.alloc(1);
/** Nobody rings twice before the sleeper has risen, but all may at once. */
const RINGS_AT_ONCE = 64;

/** What rings one worker. */
export class Doorbell {
  readonly #writeFd: number;

  constructor(pipe: Pipe) {
    this.#writeFd = pipe.writeFd;
  }

  ring(): void {
    try {
      writeSync(this.#writeFd, RING, 0, 1);
    } catch (error) {
      // So many rings wait to be heard that this one changes nothing; or the worker has ended.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN" && code !== "EPIPE") throw error;
    }
  }
}

/** A worker's own ear. Keeps the thread alive until `close`. */
export class DoorbellListener {
  readonly #socket: Socket;

  /** `onRing` is called from the event loop, once for all rings since the last time. */
  constructor(pipe: Pipe, onRing: () => void) {
    const callback = (): boolean => {
      onRing();
      return true;
    };
    const onread: OnReadOpts = { buffer: Buffer.alloc(RINGS_AT_ONCE), callback };
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd: pipe.readFd,
      writable: false,
      onread,
    };
    this.#socket = new Socket(options);
  }

  close(): void {
    this.#socket.destroy();
  }
}

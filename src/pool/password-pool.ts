/**
 * Passwords are verified on threads of their own: a hash takes as long as thousands of messages. The one door to piscina.
 *
 * ```
 *   verify ─► fair queue, bounded ─► a thread that is free ─► right or wrong
 *                └ no place ─► busy
 * ```
 *
 * The threads start with the first password and end when none has come for a while.
 */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import type { VerificationOutcome } from "../access/authentication.ts";
import type { PasswordHash } from "../access/password-file.ts";
import { PASSWORD_THREADS_IDLE_MS, PASSWORD_THREADS_MAX, PASSWORDS_WAITING_MAX } from "../base/limits.ts";
import { FairQueue } from "./fair-queue.ts";
import type { PasswordTask } from "./password-task.ts";

interface Waiting {
  readonly task: PasswordTask;
  readonly judged: (outcome: VerificationOutcome) => void;
}

export class PasswordPool {
  readonly #threads = Math.min(PASSWORD_THREADS_MAX, Math.max(1, availableParallelism() - 1));
  readonly #queue = new FairQueue<Waiting>(PASSWORDS_WAITING_MAX);
  readonly #onFault: (fault: Error) => void;
  #piscina: Piscina<PasswordTask, boolean> | undefined;
  #running = 0;
  #isClosed = false;

  /** `onFault` hears of a thread that failed: a bug. */
  constructor(onFault: (fault: Error) => void) {
    this.#onFault = onFault;
  }

  /** Calls back once, later. `group`: whose turn it takes up, the client's address. */
  verify(
    group: string,
    password: Uint8Array,
    against: PasswordHash,
    judged: (outcome: VerificationOutcome) => void,
  ): void {
    const { cost, salt, hash } = against;
    this.#queue.push(group, { task: { password, against: { cost, salt, hash } }, judged })?.judged("busy");
    this.#next();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#piscina?.destroy();
  }

  #next(): void {
    if (this.#running >= this.#threads || this.#isClosed) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) return;
    this.#running += 1;
    void this.#run(waiting);
  }

  async #run({ task, judged }: Waiting): Promise<void> {
    this.#piscina ??= new Piscina({
      filename: new URL("./password-task.js", import.meta.url).href,
      minThreads: 0,
      maxThreads: this.#threads,
      concurrentTasksPerWorker: 1,
      idleTimeout: PASSWORD_THREADS_IDLE_MS,
      atomics: "disabled",
      recordTiming: false,
    });
    try {
      const isRight = await this.#piscina.run(task);
      judged(isRight ? "right" : "wrong");
    } catch (error) {
      if (!this.#isClosed) this.#onFault(error as Error);
      return;
    }
    this.#running -= 1;
    this.#next();
  }
}

/**
 * Reloading on SIGHUP: every part reads and checks what it has first; only when all of them are sound does any take effect. On any fault
 * everything stays as it was.
 */
import type { Logger } from "../base/logger.ts";

/** Reads and checks; answers what puts it into effect, which does not fail. Throws when something is wrong. */
export type Prepare = () => () => void | Promise<void>;

export class Reload {
  readonly #logger: Logger;
  readonly #parts: Prepare[] = [];
  readonly #onSignal = (): void => void this.run();

  /** From here on SIGHUP ends no process. */
  constructor(logger: Logger) {
    this.#logger = logger;
    process.on("SIGHUP", this.#onSignal);
  }

  add(prepare: Prepare): void {
    this.#parts.push(prepare);
  }

  /** Null, or the fault for which everything stays as it was. */
  async run(): Promise<Error | null> {
    let effects: ReturnType<Prepare>[];
    try {
      effects = this.#parts.map((prepare) => prepare());
    } catch (error) {
      this.#logger.error({ err: error }, "not reloaded: everything stays as it was");
      return error as Error;
    }
    await Promise.all(effects.map((takeEffect) => takeEffect()));
    this.#logger.info("reloaded");
    return null;
  }

  close(): void {
    process.off("SIGHUP", this.#onSignal);
  }
}

/**
 * Reads the access files again while the broker runs: all of them, whole, before anything changes; with a fault in any, everything
 * stays as it was. One reload after the other.
 */
import { CodedError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type AccessFiles, loadAccessFiles } from "../config/access-files.ts";
import type { Settings } from "../config/settings.ts";
import type { AccessInForce, AccessSummary } from "../control/access-routes.ts";
import type { UserVerification } from "./user-verification.ts";
import type { WorkerThreads } from "./worker-threads.ts";

export class AccessReload {
  readonly #settings: Settings;
  readonly #verification: UserVerification;
  readonly #threads: WorkerThreads;
  readonly #logger: Logger;
  #files: AccessFiles;
  #last: Promise<unknown> = Promise.resolve();

  /** `files`: what is in force at the start. */
  constructor(
    settings: Settings,
    files: AccessFiles,
    verification: UserVerification,
    threads: WorkerThreads,
    logger: Logger,
  ) {
    this.#settings = settings;
    this.#files = files;
    this.#verification = verification;
    this.#threads = threads;
    this.#logger = logger;
  }

  /** Reads the files, and answers what puts them into force. Throws ACCESS_INVALID when one is not good. */
  prepare(): () => Promise<void> {
    const files = this.#load();
    return async () => {
      await this.#inTurn(() => this.#enforce(files));
    };
  }

  /** Both at once. Resolves when every worker follows; rejects with ACCESS_INVALID when a file is not good. */
  reload(): Promise<AccessSummary> {
    return this.#inTurn(() => this.#enforce(this.#load()));
  }

  #inTurn(work: () => Promise<AccessSummary>): Promise<AccessSummary> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => {});
    return next;
  }

  get inForce(): AccessInForce {
    const { users, rules } = this.#files;
    return { anonymous: this.#settings.access.allow_anonymous, users: users?.size ?? null, rules: rules ?? null };
  }

  async #enforce({ users, rules }: AccessFiles): Promise<AccessSummary> {
    const goneUsers = this.#verification.replace(users ?? new Map());
    await this.#threads.changeAccess({ rules, goneUsers });
    this.#files = { users, rules };
    const summary = summaryOf(this.#settings, this.#files);
    this.#logger.info({ ...summary, goneUsers: goneUsers.length }, "access files are read again and in force");
    return summary;
  }

  #load(): AccessFiles {
    try {
      return loadAccessFiles(this.#settings);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#logger.error(
        { code: error.code, detail: error.message },
        "access files are not good: what was in force stays",
      );
      throw error;
    }
  }
}

export function summaryOf(settings: Settings, { users, rules }: AccessFiles): AccessSummary {
  return { anonymous: settings.access.allow_anonymous, users: users?.size ?? null, rules: rules?.rules.length ?? null };
}

/**
 * New queues that every worker is to be told of: those that come while the workers are being told of others are told of together,
 * when that is through.
 */
import type { QueueRecord } from "../queue/definition.ts";

interface Waiting {
  readonly record: QueueRecord;
  readonly resolve: () => void;
  readonly reject: (fault: unknown) => void;
}

export class Announcements {
  readonly #tell: (records: readonly QueueRecord[]) => Promise<void>;
  #waiting: Waiting[] = [];
  #isTelling = false;

  /** `tell` resolves when every worker has heard of them, and rejects when one has not. */
  constructor(tell: (records: readonly QueueRecord[]) => Promise<void>) {
    this.#tell = tell;
  }

  /** Resolves when every worker has heard of the queue; rejects when one has not heard of it, or of one it was told with. */
  announce(record: QueueRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject });
      if (!this.#isTelling) void this.#tellAll();
    });
  }

  async #tellAll(): Promise<void> {
    this.#isTelling = true;
    while (this.#waiting.length > 0) {
      const told = this.#waiting;
      this.#waiting = [];
      try {
        await this.#tell(told.map(({ record }) => record));
        for (const { resolve } of told) resolve();
      } catch (fault) {
        for (const { reject } of told) reject(fault);
      }
    }
    this.#isTelling = false;
  }
}

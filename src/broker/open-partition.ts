/** A partition's log on the main thread, before any worker has it: the same log, with commits that can be awaited. */
import { LOG_BATCH_BYTES_MAX } from "../base/limits.ts";
import type { CommitFault, PartitionLog } from "../log/contract.ts";
import { openPartitionLog } from "../log/partition-log.ts";
import { partitionDirectoryOf } from "../log/partitions.ts";
import { StoreFault } from "../log/store-fault.ts";

export class OpenPartition {
  readonly number: number;
  readonly log: PartitionLog;
  readonly #directory: string;
  #fault: CommitFault | undefined;
  #onEnd: (() => void) | undefined;

  /** Opens or makes the partition. Throws StoreFault. */
  constructor(dataDirectory: string, number: number) {
    this.number = number;
    this.#directory = partitionDirectoryOf(dataDirectory, number);
    const end = (): void => this.#onEnd?.();
    this.log = openPartitionLog({
      directory: this.#directory,
      partition: number,
      readCacheBytes: LOG_BATCH_BYTES_MAX,
      events: {
        onSeal: () => undefined,
        onCommitted: end,
        onFailed: (_batch, fault) => {
          this.#fault = fault;
          end();
        },
      },
    });
  }

  /** All that gathers is on disk. Throws StoreFault when it could not be stored; then the log is only good for closing. */
  async commit(): Promise<void> {
    const { log } = this;
    const batch = log.gathering;
    log.flush();
    // A commit may be of rewrites alone, which the log starts by itself.
    while (log.isCommitting && log.committed < batch && this.#fault === undefined) {
      await new Promise<void>((resolve) => {
        this.#onEnd = resolve;
      });
    }
    this.#refuseFault();
  }

  /** Commits and closes. Throws StoreFault as `commit`. */
  async close(): Promise<void> {
    await this.log.close();
    this.#refuseFault();
  }

  #refuseFault(): void {
    const fault = this.#fault;
    if (fault === undefined) return;
    const reason = fault.kind === "disk_full" ? "the disk is full" : "the disk failed to write";
    const message = `cannot move sessions and retained messages: ${reason}, in ${this.#directory}`;
    throw new StoreFault(
      "store_unavailable",
      message,
      "make room and start again, or start with fewer workers",
      fault.cause,
    );
  }
}

/** The log of one partition on LMDB: signature first. */
import type { LogEvents, PartitionLog } from "./contract.ts";

export interface PartitionLogOptions {
  /** The partition's own directory (`DATA_DIR/partition-N`); made with mode 0700 when it is missing. */
  readonly directory: string;
  readonly partition: number;
  readonly events: LogEvents;
  /** Calls back once after `afterMs`, for the retry after a failed commit; `setTimeout` unless given (simulation). */
  readonly schedule?: (callback: () => void, afterMs: number) => void;
  /** Bytes of batches kept in memory for reading; `LOG_READ_CACHE_BYTES_DEFAULT` unless given. */
  readonly readCacheBytes?: number;
}

/** Opens or creates the log. Throws a StoreFault when the store is of a newer version or cannot be opened. */
export function openPartitionLog(_options: PartitionLogOptions): PartitionLog {
  throw new Error("not yet");
}

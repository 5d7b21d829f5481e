/** Faults of the store as refusals of the command. */
import { CodedError } from "../base/errors.ts";
import { StoreFault } from "../log/store-fault.ts";

const CODES = {
  store_newer: "STORE_DAMAGED",
  store_damaged: "STORE_DAMAGED",
  store_unavailable: "DATA_DIR_UNUSABLE",
  disk_full: "DISK_FULL",
} as const;

/** Runs an action on a store. Throws CodedError for what the store, or the file system below it, refuses. */
export async function refusingStoreFaults<T>(action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof StoreFault) {
      throw new CodedError(CODES[error.code], `${error.message}: ${error.hint}`, error);
    }
    const { syscall, code, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new CodedError(code === "ENOSPC" ? "DISK_FULL" : "DATA_DIR_UNUSABLE", message, error);
  }
}

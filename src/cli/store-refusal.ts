/** Faults of the store as refusals of the command. */
import { CodedError } from "../base/errors.ts";
import { StoreFault } from "../log/store-fault.ts";

/** Runs an action on a store. Throws CodedError for what the store, or the file system below it, refuses. */
export async function refusingStoreFaults<T>(action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof StoreFault) {
      const code = error.code === "store_unavailable" ? "DATA_DIR_UNUSABLE" : "STORE_DAMAGED";
      throw new CodedError(code, `${error.message}: ${error.hint}`, error);
    }
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new CodedError("DATA_DIR_UNUSABLE", (error as Error).message, error);
  }
}

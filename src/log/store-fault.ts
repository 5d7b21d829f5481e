/** Why a store cannot be opened or copied: expected failures at the border to the disk, each with what to do about it. */
import { statfsSync } from "node:fs";
import { LOG_EMPTY_STORE_BYTES } from "../base/limits.ts";

export type StoreFaultCode = "store_newer" | "store_damaged" | "store_unavailable" | "disk_full";

export class StoreFault extends Error {
  override readonly name = "StoreFault";
  readonly code: StoreFaultCode;
  /** One line for the operator: what to do. */
  readonly hint: string;

  constructor(code: StoreFaultCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
  }
}

/** What a copy into `directory` failed for: itself, or that its file system has no room left, or too little for `neededBytes`. */
export function faultOfCopy(error: unknown, directory: string, neededBytes = LOG_EMPTY_STORE_BYTES): unknown {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= neededBytes) return error;
  const message = `the file system of ${directory} is full`;
  return new StoreFault("disk_full", message, "nothing was changed, and the part of a copy is removed", error);
}

/** Why a store cannot be opened: expected failures at the border to the disk, each with what to do about it. */
export type StoreFaultCode = "store_newer" | "store_damaged" | "store_unavailable";

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

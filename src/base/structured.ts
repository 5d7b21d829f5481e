/**
 * Structured values as bytes: the one door to msgpackr. Owners encode what they `put` into a table with it.
 *
 * Plain records, no shared structures: a value is readable without any state beside it, by every version that follows.
 */
import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: false, copyBuffers: true });

/**
 * Encodes numbers, strings, booleans, null, arrays, plain objects and byte arrays. The buffer is the caller's own: it
 * shares no memory with later calls.
 */
export function encodeStructured(value: unknown): Buffer {
  return packr.pack(value);
}

/** Decodes what `encodeStructured` wrote; byte arrays inside are copies. Throws on bytes that are not such a value. */
export function decodeStructured<T>(bytes: Uint8Array): T {
  return packr.unpack(bytes) as T;
}

/**
 * What key expressions compute with. Strings are bytes, as in a payload; integers have no bound, so that 64-bit
 * identifiers stay apart; a map comes only out of JSON and keeps its text.
 */
import { isUtf8 } from "node:buffer";
import { KEY_ARRAY_ITEMS_MAX } from "../base/limits.ts";

/** `null`: JSON's null, or nothing found. */
export type KeyValue = Buffer | bigint | number | boolean | null | KeyMap | readonly KeyValue[];

/** A JSON object, as it was written. */
export class KeyMap {
  readonly json: string;

  constructor(json: string) {
    this.json = json;
  }
}

/**
 * Why a message has no key: a variable that it does not bind; a result that is an array or a map; an argument that its
 * function cannot take; more work, or a longer value, than the limits allow.
 */
export type KeyFault = "unbound" | "not_scalar" | "bad_argument" | "too_large";
export type KeyResult = KeyValue | KeyFault;

/** No value is a JavaScript string, so a string is a fault. */
export const isFault = (result: KeyResult): result is KeyFault => typeof result === "string";

export const isArray = (value: KeyValue): value is readonly KeyValue[] => Array.isArray(value);

export const EMPTY_BYTES = Buffer.alloc(0);

/** Nothing, the empty string, the empty array. */
export function isEmptyValue(value: KeyValue): boolean {
  if (value === null) return true;
  return Buffer.isBuffer(value) ? value.byteLength === 0 : isArray(value) && value.length === 0;
}

/** A scalar as bytes; undefined for null, arrays and maps. */
export function bytesOfScalar(value: KeyValue): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value;
  const text = textOfScalar(value);
  return text === undefined ? undefined : Buffer.from(text, "utf8");
}

/** A scalar as text; undefined for null, arrays, maps, and bytes that are not UTF-8. */
export function textOfScalar(value: KeyValue): string | undefined {
  if (Buffer.isBuffer(value)) return isUtf8(value) ? value.toString("utf8") : undefined;
  if (typeof value === "number") return floatText(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  return undefined;
}

/** An array of texts, if it is not longer than a value may be. */
export function arrayOfTexts(texts: readonly string[]): KeyResult {
  return texts.length > KEY_ARRAY_ITEMS_MAX ? "too_large" : texts.map(bytesOfText);
}

export const bytesOfText = (text: string): Buffer => Buffer.from(text, "utf8");

/** At most ten decimals, trailing zeros cut, one decimal kept: `1.50` is `1.5`, `2.0` is `2.0`. */
function floatText(value: number): string {
  if (Math.abs(value) >= 1e21) return String(value);
  return value.toFixed(FLOAT_DECIMALS).replace(/(\.\d+?)0+$/, "$1");
}

const FLOAT_DECIMALS = 10;

/** What a value costs whoever handles it, in bytes. */
export function weightOf(value: KeyValue): number {
  if (Buffer.isBuffer(value)) return value.byteLength;
  if (value instanceof KeyMap) return value.json.length;
  if (typeof value === "bigint") return value > -SMALL && value < SMALL ? SCALAR_BYTES : value.toString(16).length;
  if (!isArray(value)) return SCALAR_BYTES;
  let bytes = 0;
  for (const item of value) bytes += ITEM_BYTES + weightOf(item);
  return bytes;
}

const SMALL = 1n << 64n;
const SCALAR_BYTES = 8;
const ITEM_BYTES = 16;

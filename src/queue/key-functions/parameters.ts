/** The kinds of arguments. Numbers and booleans are texts where a text is wanted. */
import { isTopicFilter } from "../../mqtt/topics.ts";
import { bytesOfScalar, isArray, type KeyValue, textOfScalar } from "../key-value.ts";
import { cachedPattern, type LinearRegex, parsePattern } from "../linear-regex.ts";
import type { Parameter } from "./signature.ts";

export const anyValue: Parameter<KeyValue> = { wanted: "a value", read: (value) => value };
/** Bytes of any kind. */
export const bytes: Parameter<Buffer> = { wanted: "a string or a number", read: bytesOfScalar };
/** UTF-8. */
export const text: Parameter<string> = { wanted: "a string or a number", read: textOfScalar };
export const array: Parameter<readonly KeyValue[]> = {
  wanted: "an array",
  read: (value) => (isArray(value) ? value : undefined),
};
/** A boolean, also as a string. */
export const truth: Parameter<boolean> = {
  wanted: "true or false",
  read: (value) => {
    const written = textOfScalar(value);
    return written === "true" || written === "false" ? written === "true" : undefined;
  },
};
export const number: Parameter<bigint | number> = {
  wanted: "a number",
  read: (value) => (typeof value === "bigint" || typeof value === "number" ? value : undefined),
};
export const integer: Parameter<bigint> = {
  wanted: "an integer",
  read: (value) => (typeof value === "bigint" ? value : undefined),
};
/** An integer from `min` that a JavaScript number holds. */
export const count = (min: number, max = Number.MAX_SAFE_INTEGER): Parameter<number> => ({
  wanted: max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
  read: (value) => (typeof value === "bigint" && value >= min && value <= max ? Number(value) : undefined),
});
/** A position in an array, also as digits. */
export const index: Parameter<bigint> = {
  wanted: "an integer",
  read: (value) => {
    if (typeof value === "bigint") return value;
    const digits = Buffer.isBuffer(value) && value.byteLength <= INDEX_DIGITS_MAX ? value.toString("latin1") : "";
    return /^[+-]?\d+$/.test(digits) ? BigInt(digits.replace("+", "")) : undefined;
  },
};
const INDEX_DIGITS_MAX = 20;

/** One of a few words. */
export function word<const Words extends readonly string[]>(...words: Words): Parameter<Words[number]> {
  return {
    wanted: words.map((known) => `'${known}'`).join(" or "),
    read: (value) => words.find((known) => known === textOfScalar(value)),
  };
}

export const topicFilter: Parameter<string> = {
  wanted: "a topic filter",
  read: (value) => {
    const filter = textOfScalar(value);
    return filter !== undefined && isTopicFilter(filter) ? filter : undefined;
  },
};

export const pattern: Parameter<LinearRegex> = {
  wanted: "a regular expression",
  read: (value) => {
    const source = textOfScalar(value);
    return source === undefined ? undefined : cachedPattern(source);
  },
  problemOf: (value) => {
    const parsed = parsePattern(textOfScalar(value) ?? "");
    return "problem" in parsed ? parsed.problem : "is no text";
  },
};

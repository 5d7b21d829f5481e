/** Functions of text: cutting, filling, joining. Texts are UTF-8; other bytes are refused, but by `concat`. */
import { KEY_MADE_CHARACTERS_MAX, KEY_VALUE_BYTES_MAX } from "../../base/limits.ts";
import {
  arrayOfTexts,
  bytesOfScalar,
  bytesOfText,
  EMPTY_BYTES,
  isEmptyValue,
  isFault,
  type KeyFault,
  type KeyResult,
  type KeyValue,
  textOfScalar,
} from "../key-value.ts";
import { graphemeCountOf, graphemesBetween, graphemesOf } from "./graphemes.ts";
import { jsonOf } from "./json.ts";
import { anyValue, array, bytes, count, text, word } from "./parameters.ts";
import { tryPaySearch } from "./search.ts";
import { type KeyFunction, type Parameter, pure, signature } from "./signature.ts";
import { type Format, parseFormat, sprintf } from "./sprintf.ts";
import { unescaped } from "./unescape.ts";

const format: Parameter<Format> = {
  wanted: "a format",
  read: (value) => {
    const source = textOfScalar(value);
    return source === undefined ? undefined : parseFormat(source);
  },
};
const direction = word("leading", "trailing");

/** Without the characters of the set at one end or both: Unicode's pattern white space unless they are given. */
function trimmed(value: string, chars: string | undefined, ends: "start" | "end" | "both"): string {
  const set = new Set(chars ?? PATTERN_WHITE_SPACE);
  let start = 0;
  let end = value.length;
  if (ends !== "end") {
    for (const letter of value) {
      if (!set.has(letter)) break;
      start += letter.length;
    }
  }
  while (ends !== "start" && end > start) {
    const isPair = end - start > 1 && /[\udc00-\udfff]/.test(value[end - 1]!);
    const letter = value.slice(isPair ? end - 2 : end - 1, end);
    if (!set.has(letter)) break;
    end -= letter.length;
  }
  return value.slice(start, end);
}

const PATTERN_WHITE_SPACE = "\t\n\v\f\r \u0085\u200e\u200f\u2028\u2029";

const trim = (ends: "start" | "end" | "both"): KeyFunction =>
  pure(signature([text], (_evaluation, value, chars) => bytesOfText(trimmed(value, chars, ends)), [text]));

/** Where `sought` is first or last in `value`, or -1; nothing is nowhere. */
const foundAt = (value: string, sought: string, from: "leading" | "trailing"): number => {
  if (sought === "") return -1;
  return from === "trailing" ? value.lastIndexOf(sought) : value.indexOf(sought);
};

function split(value: string, separator: string, how: (typeof SPLIT_WAYS)[number]): readonly string[] {
  let parts: string[];
  if (how === "all" || how === "notrim") parts = separator === "" ? [value] : value.split(separator);
  else {
    const at = foundAt(value, separator, how.startsWith("trailing") ? "trailing" : "leading");
    parts = at < 0 ? [value] : [value.slice(0, at), value.slice(at + separator.length)];
  }
  return how.endsWith("notrim") ? parts : parts.filter((part) => part !== "");
}

const SPLIT_WAYS = ["all", "notrim", "leading", "leading_notrim", "trailing", "trailing_notrim"] as const;

function tokens(value: string, separators: string, lineEnds: "nocrlf" | undefined): readonly string[] {
  const set = new Set(lineEnds === undefined ? separators : `${separators}\r\n`);
  const found: string[] = [];
  let token = "";
  for (const letter of value) {
    if (!set.has(letter)) token += letter;
    else if (token !== "") {
      found.push(token);
      token = "";
    }
  }
  if (token !== "") found.push(token);
  return found;
}

function replaced(value: string, sought: string, by: string, which: "all" | "leading" | "trailing"): KeyResult {
  if (sought === "") return bytesOfText(value);
  if (which !== "all") {
    const at = foundAt(value, sought, which);
    return bytesOfText(at < 0 ? value : value.slice(0, at) + by + value.slice(at + sought.length));
  }
  const parts = value.split(sought);
  if (value.length + (parts.length - 1) * (by.length - sought.length) > KEY_VALUE_BYTES_MAX) return "too_large";
  return bytesOfText(parts.join(by));
}

function filled(value: string, missing: number, side: "leading" | "trailing" | "both", unit: string): KeyResult {
  if (missing <= 0) return bytesOfText(value);
  if (missing * unit.length > KEY_VALUE_BYTES_MAX) return "too_large";
  const before = side === "leading" ? missing : side === "both" ? Math.floor(missing / 2) : 0;
  return bytesOfText(unit.repeat(before) + value + unit.repeat(missing - before));
}

function joined(separator: Buffer, items: readonly KeyValue[]): KeyResult {
  const parts: Buffer[] = [];
  let bytesTotal = separator.byteLength * (items.length - 1);
  for (const item of items) {
    const part = item === null ? "bad_argument" : stringOf(item);
    if (isFault(part)) return part;
    bytesTotal += part.byteLength;
    if (bytesTotal > KEY_VALUE_BYTES_MAX) return "too_large";
    if (parts.length > 0 && separator.byteLength > 0) parts.push(separator);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const COMMA = Buffer.from(", ");

/** Any value as a string: an array or a map as JSON, nothing as "". */
function stringOf(value: KeyValue): Buffer | KeyFault {
  if (isEmptyValue(value) && !Array.isArray(value)) return EMPTY_BYTES;
  if (bytesOfScalar(value) !== undefined) return bytesOfScalar(value)!;
  const json = jsonOf(value);
  return json === undefined ? "bad_argument" : bytesOfText(json);
}

export const stringFunctions: Readonly<Record<string, KeyFunction>> = {
  lower: pure(signature([text], (_evaluation, value) => bytesOfText(value.toLowerCase()))),
  upper: pure(signature([text], (_evaluation, value) => bytesOfText(value.toUpperCase()))),
  reverse: pure(
    signature([text], (evaluation, value) => {
      const clusters = graphemesOf(value, evaluation);
      return clusters === undefined ? "too_large" : bytesOfText(clusters.toReversed().join(""));
    }),
  ),
  strlen: pure(
    signature([text], (evaluation, value) => {
      const length = graphemeCountOf(value, evaluation);
      return length === undefined ? "too_large" : BigInt(length);
    }),
  ),
  trim: trim("both"),
  ltrim: trim("start"),
  rtrim: trim("end"),
  rm_prefix: pure(
    signature([bytes, bytes], (_evaluation, value, prefix) =>
      value.subarray(0, prefix.byteLength).equals(prefix) ? value.subarray(prefix.byteLength) : value,
    ),
  ),
  substr: pure(
    signature(
      [text, count(0)],
      (evaluation, value, start, length) => {
        const end = length === undefined ? undefined : start + length;
        const part = graphemesBetween(value, start, end ?? Number.POSITIVE_INFINITY, evaluation);
        return part === undefined ? "too_large" : bytesOfText(part);
      },
      [count(0)],
    ),
  ),
  split: pure(
    signature(
      [text, text],
      (evaluation, value, separator, how) =>
        tryPaySearch(value, separator, evaluation) ? arrayOfTexts(split(value, separator, how ?? "all")) : "too_large",
      [word("notrim", "leading", "leading_notrim", "trailing", "trailing_notrim")],
    ),
  ),
  tokens: pure(
    signature(
      [text, text],
      (_evaluation, value, separators, lineEnds) => arrayOfTexts(tokens(value, separators, lineEnds)),
      [word("nocrlf")],
    ),
  ),
  concat: pure(
    signature([array], (_evaluation, items) => joined(EMPTY_BYTES, items)),
    signature([anyValue, anyValue], (_evaluation, one, other) => joined(EMPTY_BYTES, [one, other])),
  ),
  join_to_string: pure(
    signature([array], (_evaluation, items) => joined(COMMA, items)),
    signature([bytes, array], (_evaluation, separator, items) => joined(separator, items)),
  ),
  sprintf_s: pure(
    signature([format, array], (evaluation, wanted, args) => {
      const printed = sprintf(wanted, args, evaluation);
      return typeof printed === "string" ? printed : bytesOfText(printed.text);
    }),
  ),
  pad: pure(
    signature(
      [text, count(0, KEY_MADE_CHARACTERS_MAX)],
      (evaluation, value, wanted, side, unit) => {
        const length = graphemeCountOf(value, evaluation);
        return length === undefined ? "too_large" : filled(value, wanted - length, side ?? "trailing", unit ?? " ");
      },
      [word("trailing", "leading", "both"), text],
    ),
  ),
  replace: pure(
    signature(
      [text, text, text],
      (evaluation, value, sought, by, which) =>
        tryPaySearch(value, sought, evaluation) ? replaced(value, sought, by, which ?? "all") : "too_large",
      [word("all", "leading", "trailing")],
    ),
  ),
  find: pure(
    signature(
      [text, text],
      (evaluation, value, sought, from) => {
        if (!tryPaySearch(value, sought, evaluation)) return "too_large";
        if (sought === "") return bytesOfText(value);
        const at = foundAt(value, sought, from ?? "leading");
        return at < 0 ? EMPTY_BYTES : bytesOfText(value.slice(at));
      },
      [direction],
    ),
  ),
  ascii: pure(
    signature([bytes], (_evaluation, value) => (value.byteLength === 0 ? "bad_argument" : BigInt(value[0]!))),
  ),
  unescape: pure(
    signature([text], (_evaluation, value) => {
      const plain = unescaped(value);
      return plain === undefined ? "bad_argument" : bytesOfText(plain);
    }),
  ),
  any_to_str: pure(signature([anyValue], (_evaluation, value) => stringOf(value))),
};

/**
 * The door to re2js: regular expressions whose search takes time in proportion to text and pattern, whatever they are. It
 * knows no backreferences and no look-around, which is what makes that possible; such a pattern is a fault.
 *
 * https://github.com/google/re2/wiki/Syntax
 */
import { RE2JS, RE2JSException } from "re2js";
import {
  KEY_PATTERN_CHARACTERS_MAX,
  KEY_PATTERN_INSTRUCTIONS_MAX,
  KEY_PATTERNS_CACHED_MAX,
  KEY_VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { Evaluation } from "./key-evaluation.ts";

export class LinearRegex {
  readonly #compiled: RE2JS;
  readonly #instructions: number;

  constructor(compiled: RE2JS) {
    this.#compiled = compiled;
    this.#instructions = compiled.programSize();
  }

  isMatch(text: string, evaluation: Evaluation): boolean | "too_large" {
    if (!evaluation.tryPayRegex(this.#instructions, text.length)) return "too_large";
    return this.#compiled.test(text);
  }

  /** The groups of the first match, `""` for one that took no part; none without a match. Null: it cannot be paid. */
  groups(text: string, evaluation: Evaluation): readonly string[] | null {
    if (!evaluation.tryPayRegex(this.#instructions, text.length)) return null;
    const matcher = this.#compiled.matcher(text);
    if (!matcher.find()) return [];
    return Array.from({ length: matcher.groupCount() }, (_, index) => matcher.group(index + 1) ?? "");
  }

  /** Every match replaced. Each search may look at all that is left, and is paid so. Null: it cannot be, or grows too large. */
  replace(text: string, replacement: Replacement, evaluation: Evaluation): string | null {
    const matcher = this.#compiled.matcher(text);
    let result = "";
    let at = 0;
    for (;;) {
      if (!evaluation.tryPayRegex(this.#instructions, text.length - at + 1)) return null;
      if (!matcher.find()) return result + text.slice(at);
      result += text.slice(at, matcher.start());
      for (const part of replacement) {
        if (typeof part === "string") result += part;
        else if (part <= matcher.groupCount()) result += matcher.group(part) ?? "";
      }
      if (result.length > KEY_VALUE_BYTES_MAX) return null;
      at = matcher.end();
    }
  }
}

/** Text, and the numbers of groups; 0 is the whole match. */
export type Replacement = readonly (string | number)[];

/** Compiles a pattern, or says in words what is wrong with it. */
export function parsePattern(source: string): { readonly regex: LinearRegex } | { readonly problem: string } {
  if (source.length > KEY_PATTERN_CHARACTERS_MAX) {
    return { problem: `is longer than ${KEY_PATTERN_CHARACTERS_MAX} characters` };
  }
  try {
    const compiled = RE2JS.compile(source);
    if (compiled.programSize() > KEY_PATTERN_INSTRUCTIONS_MAX) return { problem: "takes too much to match" };
    return { regex: new LinearRegex(compiled) };
  } catch (error) {
    // A bad pattern; RangeError, where it is nested so deeply that the parser runs out of stack.
    if (error instanceof RE2JSException || error instanceof RangeError) return { problem: error.message };
    throw error;
  }
}

const cache = new Map<string, LinearRegex | undefined>();

/** A pattern that is computed for each message; the latest are remembered, bad ones too. Undefined: it is no pattern. */
export function cachedPattern(source: string): LinearRegex | undefined {
  const known = cache.get(source);
  if (known !== undefined || cache.has(source)) return known;
  const parsed = parsePattern(source);
  const regex = "regex" in parsed ? parsed.regex : undefined;
  if (source.length > KEY_PATTERN_CHARACTERS_MAX) return undefined;
  if (cache.size >= KEY_PATTERNS_CACHED_MAX) cache.delete(cache.keys().next().value!);
  cache.set(source, regex);
  return regex;
}

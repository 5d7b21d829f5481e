/** Regular expressions in RE2's syntax, in linear time. */
import { arrayOfTexts, bytesOfText, textOfScalar } from "../key-value.ts";
import type { Replacement } from "../linear-regex.ts";
import { pattern, text } from "./parameters.ts";
import { type KeyFunction, type Parameter, pure, signature } from "./signature.ts";

/** As PCRE's users write it: `&` is the match, `\1` or `\g{1}` a group, `\&` and `\\` themselves. */
const replacement: Parameter<Replacement> = {
  wanted: "a replacement",
  read: (value) => {
    const source = textOfScalar(value);
    if (source === undefined) return undefined;
    const parts: (string | number)[] = [];
    for (const [part, short, braced] of source.matchAll(REPLACEMENT_PART)) {
      if (part === "&") parts.push(0);
      else if (short !== undefined || braced !== undefined) parts.push(Number(short ?? braced));
      else parts.push(part.length === 2 && part.startsWith("\\") ? part.slice(1) : part);
    }
    return parts;
  },
};

const REPLACEMENT_PART = /\\g?(\d{1,3})|\\g\{(\d{1,3})\}|\\[\s\S]|&|\\|[^&\\]+/g;

export const regularExpressionFunctions: Readonly<Record<string, KeyFunction>> = {
  regex_match: pure(signature([text, pattern], (evaluation, value, regex) => regex.isMatch(value, evaluation))),
  regex_replace: pure(
    signature([text, pattern, replacement], (evaluation, value, regex, by) => {
      const result = regex.replace(value, by, evaluation);
      return result === null ? "too_large" : bytesOfText(result);
    }),
  ),
  regex_extract: pure(
    signature([text, pattern], (evaluation, value, regex) => {
      const groups = regex.groups(value, evaluation);
      return groups === null ? "too_large" : arrayOfTexts(groups);
    }),
  ),
};

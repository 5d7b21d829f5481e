/**
 * `sprintf_s`: Erlang's formats, as far as keys need them.
 *
 * ```
 *   ~ [field] [ . [precision] [ . filler ] ] letter      field below 0: filled on the right
 *
 *   s, ts   a string, cut to the precision, else to the field
 *   b, B    an integer in the base of the precision (2 to 36, else 10), in small letters or capitals
 *   f       a number with as many decimals as the precision says, else 6
 *   n, ~    a line end, a tilde; they take no argument
 * ```
 * What does not fit into a field is asterisks; a string is cut.
 */
import { KEY_MADE_CHARACTERS_MAX, KEY_VALUE_BYTES_MAX } from "../../base/limits.ts";
import type { Evaluation } from "../key-evaluation.ts";
import { type KeyFault, type KeyValue, textOfScalar } from "../key-value.ts";
import { graphemesOf } from "./graphemes.ts";

export interface Directive {
  readonly letter: "s" | "b" | "B" | "f";
  readonly width: number;
  readonly isFilledRight: boolean;
  readonly precision: number | undefined;
  readonly filler: string;
}

/** Text, and what stands for an argument. */
export type Format = readonly (string | Directive)[];

/** Reads a format; undefined for one that is not as above. */
export function parseFormat(source: string): Format | undefined {
  const parts: (string | Directive)[] = [];
  let end = 0;
  for (const match of source.matchAll(PART)) {
    if (match.index !== end) return undefined;
    end += match[0].length;
    const [text, field = "", precisionText = "", filler = " ", letter] = match;
    if (letter === undefined) parts.push(text);
    else if (letter === "n" || letter === "~") parts.push(letter === "n" ? "\n" : "~");
    else {
      const directive: Directive = {
        letter: (letter.at(-1) ?? "s") as Directive["letter"],
        width: Math.abs(Number(field)),
        isFilledRight: field.startsWith("-"),
        precision: precisionText === "" ? undefined : Number(precisionText),
        filler,
      };
      if (!isPossible(directive)) return undefined;
      parts.push(directive);
    }
  }
  return end === source.length ? parts : undefined;
}

const PART =
  /~(-?\d{1,4})?(?:\.(\d{0,4})(?:\.([^\ud800-\udfff]|[\ud800-\udbff][\udc00-\udfff]))?)?(ts|[sbBfn~])|[^~]+/g;

function isPossible({ letter, width, precision = 10 }: Directive): boolean {
  if (width > KEY_MADE_CHARACTERS_MAX) return false;
  if (letter === "f") return precision <= DECIMALS_MAX;
  return letter === "s" || (precision >= 2 && precision <= 36);
}

/** What JavaScript prints at most. */
const DECIMALS_MAX = 100;

/** The format with its arguments; each has to be taken by one directive. */
export function sprintf(
  format: Format,
  args: readonly KeyValue[],
  evaluation: Evaluation,
): { readonly text: string } | KeyFault {
  let text = "";
  let taken = 0;
  for (const part of format) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const arg = args[taken];
    taken += 1;
    const printed = arg === undefined ? undefined : printedBy(part, arg);
    if (printed === undefined) return "bad_argument";
    const letters = part.width > 0 || part.precision !== undefined ? graphemesOf(printed, evaluation) : [];
    if (letters === undefined) return "too_large";
    text += fitted(part, printed, letters);
    if (text.length > KEY_VALUE_BYTES_MAX) return "too_large";
  }
  return taken === args.length ? { text } : "bad_argument";
}

function printedBy({ letter, precision }: Directive, arg: KeyValue): string | undefined {
  if (letter === "s") return textOfScalar(arg);
  if (letter === "f") {
    if (typeof arg !== "number" && typeof arg !== "bigint") return undefined;
    const value = Number(arg);
    return Math.abs(value) < FIXED_MAX ? value.toFixed(precision ?? 6) : undefined;
  }
  if (typeof arg !== "bigint") return undefined;
  const digits = arg.toString(precision ?? 10);
  return letter === "B" ? digits.toUpperCase() : digits;
}

/** From here on JavaScript prints exponents. */
const FIXED_MAX = 1e21;

function fitted(
  { letter, width, isFilledRight, precision, filler }: Directive,
  printed: string,
  letters: readonly string[],
): string {
  if (letters.length === 0) return printed + filler.repeat(width);
  let shown = letters;
  if (letter === "s")
    shown = letters.slice(0, Math.min(precision ?? Number.POSITIVE_INFINITY, width || letters.length));
  if (width === 0) return shown.join("");
  if (shown.length > width) return "*".repeat(width);
  const fill = filler.repeat(width - shown.length);
  return isFilledRight ? shown.join("") + fill : fill + shown.join("");
}

/**
 * The kinds of field in request bodies, and the one door to zod in this room: zod gives strict objects and the path of a
 * fault, the kinds give the values and say in words what they want.
 */
import { z } from "zod";
import { BYTESIZE_FORM, parseBytesize } from "../base/bytesize.ts";
import { DURATION_FORM, parseDuration } from "../base/duration.ts";
import { CodedError } from "../base/errors.ts";
import { type Parsed, quoted } from "../base/parsed.ts";

export type Field<T> = z.ZodType<T>;

/** An object with exactly these fields; a field may be missing when it is `.optional()`. */
export const objectOf = z.strictObject;
export type ValueOf<S extends z.ZodType> = z.output<S>;

/** The value, or BAD_REQUEST with one line: the first fault, led by the name of its field. */
export function parseFields<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const outcome = schema.safeParse(body);
  if (outcome.success) return outcome.data;
  throw new CodedError("BAD_REQUEST", lineOf(outcome.error.issues[0]!));
}

export function fieldOf<T>(parse: (written: unknown) => Parsed<T>): Field<T> {
  return z.unknown().transform((written, context): T => {
    const parsed: Parsed<T> = written === undefined ? { problem: "this field is required" } : parse(written);
    if (parsed.problem === undefined) return parsed.value;
    context.issues.push({ code: "custom", message: parsed.problem, input: written });
    return z.NEVER;
  });
}

export const text = fieldOf((written) =>
  typeof written === "string" ? { value: written } : wanted("a string", written),
);

export const flag = fieldOf((written) =>
  typeof written === "boolean" ? { value: written } : wanted("true or false", written),
);

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Field<number> {
  return fieldOf((written) => {
    const isFine = typeof written === "number" && Number.isSafeInteger(written) && written >= min && written <= max;
    return isFine ? { value: written } : wanted(`an integer ${range(min, max)}`, written);
  });
}

export function oneOf<const T extends string | boolean>(...values: readonly T[]): Field<T> {
  return fieldOf((written) => {
    const value = values.find((candidate) => candidate === written);
    return value === undefined ? wanted(`one of ${values.join(", ")}`, written) : { value };
  });
}

/** Milliseconds. */
export function duration(minMs: number, maxMs: number = Number.MAX_SAFE_INTEGER): Field<number> {
  return fieldOf((written) => within(parseDuration(written), DURATION_FORM, minMs, maxMs, "ms", written));
}

/** Bytes. */
export function bytesize(minBytes: number): Field<number> {
  return fieldOf((written) =>
    within(parseBytesize(written), BYTESIZE_FORM, minBytes, Number.MAX_SAFE_INTEGER, "bytes", written),
  );
}

export function orInfinity<T>(field: Field<T>): Field<T | "infinity"> {
  return fieldOf<T | "infinity">((written) => {
    if (written === "infinity") return { value: "infinity" };
    const outcome = field.safeParse(written);
    return outcome.success
      ? { value: outcome.data }
      : { problem: `${outcome.error.issues[0]!.message}; "infinity" is allowed, too` };
  });
}

/** False, or an object with these fields, kept as written. */
export function orFalse(fields: z.ZodType): Field<false | Readonly<Record<string, unknown>>> {
  return z.unknown().transform((written, context) => {
    if (written === false) return false;
    const outcome = fields.safeParse(written);
    if (outcome.success) return written as Readonly<Record<string, unknown>>;
    const { path, problem } = faultOf(outcome.error.issues[0]!);
    const message = path.length === 0 ? wanted("false or a JSON object", written).problem : problem;
    context.issues.push({ code: "custom", path, message, input: written });
    return z.NEVER;
  });
}

export const wanted = (what: string, written: unknown): { readonly problem: string } => ({
  problem: `expected ${what}, found ${quoted(written)}`,
});

function within(
  parsed: Parsed<number>,
  form: string,
  min: number,
  max: number,
  unit: string,
  written: unknown,
): Parsed<number> {
  if (parsed.problem !== undefined) return parsed;
  if (parsed.value >= min && parsed.value <= max) return parsed;
  return wanted(`${form}, ${range(min, max)} ${unit}`, written);
}

function range(min: number, max: number): string {
  return max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
}

function lineOf(issue: z.core.$ZodIssue): string {
  const { path, problem } = faultOf(issue);
  return path.length === 0 ? `The body: ${problem}` : `${path.join(".")}: ${problem}`;
}

/** The field at fault, from the outermost on, and what is wrong with it. */
function faultOf(issue: z.core.$ZodIssue): { path: string[]; problem: string } {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") return { path: [...path, issue.keys[0]!], problem: "unknown field" };
  const problem =
    issue.code === "invalid_type" ? `expected ${TYPE_WORDS[issue.expected] ?? issue.expected}` : issue.message;
  return { path, problem };
}

const TYPE_WORDS: Readonly<Record<string, string>> = { object: "a JSON object", array: "a JSON array" };

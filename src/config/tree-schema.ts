/**
 * What a schema of settings is built from, and the one door to zod in this room: zod gives the tree (strict mappings, lists, defaults, faults
 * with their path), the kinds give the values.
 */
import { z } from "zod";
import type { Kind } from "./kinds.ts";

/** What the documentation and a fault can say of one key. */
export interface Leaf {
  readonly path: readonly string[];
  readonly expected: string;
  /** As one would write it in the file. */
  readonly byDefault: unknown;
  readonly meaning: string;
  /** A value in force as one would write it in the file. */
  readonly write: (value: never) => unknown;
}

/** A fault in a tree: where, and in words. */
export interface TreeFault {
  readonly path: readonly string[];
  /** The last part of `path` is a key that nobody knows. */
  readonly isUnknownKey: boolean;
  readonly problem: string;
}

export type OutputOf<S> = z.output<S>;

/** The value of a written one, or all faults, in the order of the schema. */
export function read<S extends z.ZodType>(
  schema: S,
  written: unknown,
): { readonly value: z.output<S> } | { readonly faults: readonly TreeFault[] } {
  const outcome = schema.safeParse(written);
  return outcome.success ? { value: outcome.data } : { faults: outcome.error.issues.flatMap(faultsOf) };
}

/** Every key that has a meaning, in the order of the schema. */
export function leavesOf(schema: z.ZodType): Leaf[] {
  return leavesBelow(schema, []);
}

/** Keys, none of which need be there: a part of the tree. */
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape).prefault({} as never);
}

/** A key with a default, and a row in the documentation. */
export function setting<T>(kind: Kind<T>, byDefault: unknown, meaning: string) {
  return checked(kind).prefault(byDefault).register(meanings, { expected: kind.expected, meaning, write: kind.write });
}

/** A key whose value is a mapping or a list of its own, or `nothing`, which is the default. */
export function structureOr<const N, S extends z.ZodType>(nothing: N, schema: S, expected: string, meaning: string) {
  return z
    .unknown()
    .transform((written, context): N | z.output<S> => {
      if (written === nothing || written === String(nothing)) return nothing;
      const outcome = read(schema, written === "{}" ? {} : written);
      if ("value" in outcome) return outcome.value;
      for (const { path, isUnknownKey, problem } of outcome.faults) {
        context.issues.push({
          code: "custom",
          message: problem,
          path: [...path],
          params: { isUnknownKey },
          input: written,
        });
      }
      return z.NEVER;
    })
    .prefault(nothing)
    .register(meanings, { expected, meaning, write: (value: unknown) => value });
}

export function mapping<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape);
}

export function optionalMapping<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape).optional();
}

export function listOf<S extends z.ZodType>(item: S) {
  return z.array(item);
}

export function required<T>(kind: Kind<T>) {
  return checked(kind);
}

export function optional<T>(kind: Kind<T>) {
  return checked(kind).optional();
}

/** A rule between the keys of what `schema` has read; it answers what is wrong, and below which key. */
export function refined<S extends z.ZodType>(
  schema: S,
  problemOf: (
    value: z.output<S>,
  ) => { readonly path: readonly (string | number)[]; readonly problem: string } | undefined,
) {
  return schema.superRefine((value, context) => {
    const fault = problemOf(value);
    if (fault === undefined) return;
    context.addIssue({ code: "custom", message: fault.problem, path: [...fault.path], input: value });
  });
}

const meanings = z.registry<Pick<Leaf, "expected" | "meaning" | "write">>();

function checked<T>(kind: Kind<T>) {
  return z.unknown().transform((written, context): T => {
    const parsed = kind.parse(written);
    if (parsed.problem === undefined) return parsed.value;
    context.issues.push({ code: "custom", message: parsed.problem, input: written });
    return z.NEVER;
  });
}

function faultsOf(issue: z.core.$ZodIssue): TreeFault[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], isUnknownKey: true, problem: "unknown key" }));
  }
  const isUnknownKey = issue.code === "custom" && issue.params?.isUnknownKey === true;
  return [{ path, isUnknownKey, problem: problemOf(issue) }];
}

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_type") return issue.message;
  return issue.expected === "array" ? "expected a list" : "expected a mapping of keys";
}

function leavesBelow(schema: z.ZodType, path: readonly string[]): Leaf[] {
  const byDefault = schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
  const about = meanings.get(schema);
  if (about !== undefined) return [{ path, byDefault, ...about }];
  const object = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape).flatMap(([key, below]) => leavesBelow(below as z.ZodType, [...path, key]));
}

/**
 * What a function of key expressions takes and gives. Arguments are read by the kinds of their parameters before the function
 * is called, constants once at creation; so a function's own code sees plain TypeScript values.
 */
import type { Evaluation } from "../key-evaluation.ts";
import type { KeyResult, KeyValue } from "../key-value.ts";

export interface Parameter<T> {
  /** What has to be there, for faults: "a text". */
  readonly wanted: string;
  /** The argument as the function wants it; undefined when it is something else. */
  read(value: KeyValue): T | undefined;
  /** More about a constant that cannot be read. */
  problemOf?(value: KeyValue): string;
}

export interface Signature {
  readonly required: readonly Parameter<unknown>[];
  readonly optional: readonly Parameter<unknown>[];
  /** Of any further arguments. */
  readonly rest?: Parameter<unknown>;
  apply(evaluation: Evaluation, args: readonly unknown[]): KeyResult;
}

/** Computes a part of an expression. */
export type Evaluator = (evaluation: Evaluation) => KeyResult;

export interface KeyFunction {
  /** One of them fits a number of arguments, or none does. */
  readonly signatures: readonly Signature[];
  /** Evaluates its arguments by itself, and may leave some out; `signatures` then only says how many there may be. */
  readonly lazily?: (args: readonly Evaluator[]) => Evaluator;
  /** Whether the same message gives the same result each time. */
  readonly isRepeatable: boolean;
}

type Read<P> = P extends Parameter<infer T> ? T : never;
type Reads<Ps extends readonly Parameter<unknown>[]> = { [Index in keyof Ps]: Read<Ps[Index]> };
type OptionalReads<Ps extends readonly Parameter<unknown>[]> = { [Index in keyof Ps]: Read<Ps[Index]> | undefined };

export function signature<
  const Required extends readonly Parameter<unknown>[],
  const Optional extends readonly Parameter<unknown>[] = [],
>(
  required: Required,
  apply: (evaluation: Evaluation, ...args: [...Reads<Required>, ...OptionalReads<Optional>]) => KeyResult,
  optional?: Optional,
): Signature {
  const call = apply as (evaluation: Evaluation, ...args: unknown[]) => KeyResult;
  return { required, optional: optional ?? [], apply: (evaluation, args) => call(evaluation, ...args) };
}

/** A function whose result depends on its arguments only. */
export const pure = (...signatures: readonly Signature[]): KeyFunction => ({ signatures, isRepeatable: true });
/** One that gives something else each time. */
export const fresh = (...signatures: readonly Signature[]): KeyFunction => ({ signatures, isRepeatable: false });

/** The signature for so many arguments. */
export function signatureFor(called: KeyFunction, count: number): Signature | undefined {
  return called.signatures.find(
    ({ required, optional, rest }) =>
      count >= required.length && (rest !== undefined || count <= required.length + optional.length),
  );
}

/** "1 or 2", "1 to 3", "at least 1". */
export function aritiesOf(called: KeyFunction): string {
  const counts = new Set<number>();
  for (const { required, optional, rest } of called.signatures) {
    if (rest !== undefined) return `at least ${required.length}`;
    for (let count = 0; count <= optional.length; count += 1) counts.add(required.length + count);
  }
  const sorted = [...counts].sort((one, other) => one - other);
  if (sorted.length <= 2) return sorted.join(" or ");
  return `${sorted[0]} to ${sorted.at(-1)}`;
}

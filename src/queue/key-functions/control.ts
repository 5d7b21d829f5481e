/** Functions that choose. Those here evaluate what they need, and take a variable that is not bound as nothing. */
import type { Evaluation } from "../key-evaluation.ts";
import { EMPTY_BYTES, isArray, isEmptyValue, isFault, type KeyResult } from "../key-value.ts";
import { anyValue, truth } from "./parameters.ts";
import { type Evaluator, type KeyFunction, pure, signature } from "./signature.ts";

/** For lazy functions: never called, it only says how many arguments there are. */
const uncalled = (): KeyResult => "bad_argument";

const lenient = (evaluate: Evaluator, evaluation: Evaluation): KeyResult => {
  const result = evaluate(evaluation);
  return result === "unbound" ? null : result;
};

function coalesce(candidates: readonly Evaluator[]): Evaluator {
  return (evaluation) => {
    for (const candidate of candidates) {
      const result = lenient(candidate, evaluation);
      if (isFault(result)) return result;
      // An array is a list of candidates when it is the only argument.
      if (candidates.length === 1 && isArray(result)) return result.find((item) => !isEmptyValue(item)) ?? EMPTY_BYTES;
      if (!isEmptyValue(result)) return result;
    }
    return EMPTY_BYTES;
  };
}

function iif([condition, then, otherwise]: readonly Evaluator[]): Evaluator {
  return (evaluation) => {
    const result = lenient(condition!, evaluation);
    if (isFault(result)) return result;
    return result === false || isEmptyValue(result) ? otherwise!(evaluation) : then!(evaluation);
  };
}

function isEmpty([value]: readonly Evaluator[]): Evaluator {
  return (evaluation) => {
    const result = lenient(value!, evaluation);
    return isFault(result) ? result : isEmptyValue(result);
  };
}

export const controlFunctions: Readonly<Record<string, KeyFunction>> = {
  coalesce: {
    signatures: [{ ...signature([anyValue], uncalled), rest: anyValue }],
    lazily: coalesce,
    isRepeatable: true,
  },
  iif: { signatures: [signature([anyValue, anyValue, anyValue], uncalled)], lazily: iif, isRepeatable: true },
  is_empty: { signatures: [signature([anyValue], uncalled)], lazily: isEmpty, isRepeatable: true },
  is_empty_val: pure(signature([anyValue], (_evaluation, value) => isEmptyValue(value))),
  not: pure(signature([truth], (_evaluation, value) => !value)),
};

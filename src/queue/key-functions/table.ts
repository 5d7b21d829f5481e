/**
 * Every function of key expressions by its name. A new one enters the file of its family and docs/key-expressions.md, where
 * a test looks for it.
 */
import { arrayFunctions, topicFunctions } from "./arrays-and-topics.ts";
import { compareFunctions } from "./compare.ts";
import { controlFunctions } from "./control.ts";
import { encodingFunctions } from "./encoding.ts";
import { hashFunctions } from "./hashes.ts";
import { regularExpressionFunctions } from "./regular-expressions.ts";
import type { KeyFunction } from "./signature.ts";
import { stringFunctions } from "./strings.ts";
import { systemFunctions } from "./system.ts";

export const KEY_FUNCTIONS: ReadonlyMap<string, KeyFunction> = new Map(
  [
    controlFunctions,
    stringFunctions,
    regularExpressionFunctions,
    arrayFunctions,
    topicFunctions,
    encodingFunctions,
    hashFunctions,
    compareFunctions,
    systemFunctions,
  ].flatMap((family) => Object.entries(family)),
);

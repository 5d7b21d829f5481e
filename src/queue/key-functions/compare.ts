/** Comparing: bytes of strings, or numbers, integers and floats alike. */
import { bytesOfText } from "../key-value.ts";
import { bytes, number } from "./parameters.ts";
import { type KeyFunction, pure, signature } from "./signature.ts";

/** What a comparison says of -1, 0 and 1. */
const VERDICTS = {
  eq: (order: number) => order === 0,
  neq: (order: number) => order !== 0,
  lt: (order: number) => order < 0,
  lte: (order: number) => order <= 0,
  gt: (order: number) => order > 0,
  gte: (order: number) => order >= 0,
  comp: (order: number) => bytesOfText(order === 0 ? "eq" : order < 0 ? "lt" : "gt"),
};

const orderOf = (one: bigint | number, other: bigint | number): number => (one < other ? -1 : one > other ? 1 : 0);

const entries = Object.entries(VERDICTS).flatMap(([name, verdict]): [string, KeyFunction][] => [
  [`str_${name}`, pure(signature([bytes, bytes], (_evaluation, one, other) => verdict(Buffer.compare(one, other))))],
  [`num_${name}`, pure(signature([number, number], (_evaluation, one, other) => verdict(orderOf(one, other))))],
]);

export const compareFunctions: Readonly<Record<string, KeyFunction>> = Object.fromEntries(entries);

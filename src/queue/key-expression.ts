/**
 * Key expressions: what tells the values of a last-value queue apart. Compiled when the queue is created, so that a
 * fault is the creator's to see; evaluated for each message. A variable is hashed where it lies in the message, without
 * a string; functions compute values.
 */
import { Region } from "../base/region.ts";
import { type Compiled, type CompileFault, compileNode, constantOf } from "./key-compiler.ts";
import { Evaluation } from "./key-evaluation.ts";
import { type ExpressionNode, parseExpression } from "./key-expression-grammar.ts";
import { type HashSeed, hashBytes, type KeyHash } from "./key-hash.ts";
import { bytesOfScalar, EMPTY_BYTES, isFault, type KeyFault, type KeyResult } from "./key-value.ts";
import { type Span, type VariableReader, variableOf } from "./message-variable.ts";

export type { KeyFault } from "./key-value.ts";

export type CompileResult =
  | { readonly ok: true; readonly expression: KeyExpression }
  | ({ readonly ok: false } & CompileFault);

/** Compiles an expression, or names the first fault. */
export function compileKeyExpression(source: string): CompileResult {
  const parsed = parseExpression(source);
  if (!parsed.ok) return parsed;
  const compiled = compileNode(parsed.node);
  if (!("evaluate" in compiled)) return { ok: false, ...compiled };
  return { ok: true, expression: new KeyExpression(source, readerOf(parsed.node, compiled), compiled.isRepeatable) };
}

/** Where the key's bytes lie, in the message or in memory of their own. */
type KeyReader = (evaluation: Evaluation, into: Span) => "ok" | KeyFault;

export class KeyExpression {
  readonly source: string;
  readonly #reader: KeyReader;
  readonly #isRepeatable: boolean;
  readonly #evaluation = new Evaluation();
  readonly #span: Span = { region: NOWHERE, offset: 0, byteLength: 0 };

  constructor(source: string, reader: KeyReader, isRepeatable: boolean) {
    this.source = source;
    this.#reader = reader;
    this.#isRepeatable = isRepeatable;
  }

  /** Writes the hash of the message's key to `out`; a fault leaves `out` alone. An empty key is a key. `random` in [0, 1). */
  hashInto(
    region: Region,
    offset: number,
    nowMs: number,
    random: () => number,
    seed: HashSeed,
    out: KeyHash,
  ): "ok" | KeyFault {
    this.#evaluation.begin(region, offset, nowMs, random);
    const result = this.#reader(this.#evaluation, this.#span);
    if (result === "ok") hashBytes(this.#span.region, this.#span.offset, this.#span.byteLength, seed, out);
    return result;
  }

  /**
   * The key as a string, for looking at a queue; undefined where `hashInto` names a fault, and for an expression that
   * gives another key each time.
   */
  keyOf(region: Region, offset: number): string | undefined {
    if (!this.#isRepeatable) return undefined;
    this.#evaluation.begin(region, offset, 0, noRandomness);
    if (this.#reader(this.#evaluation, this.#span) !== "ok") return undefined;
    const { offset: start, byteLength } = this.#span;
    return this.#span.region.bytes.toString("utf8", start, start + byteLength);
  }
}

/** An expression that gives no message a key. */
export const keyless = (source: string): KeyExpression => new KeyExpression(source, () => "unbound", true);

const NOWHERE = Region.allocate(0);
const noRandomness = (): number => 0;

function readerOf(node: ExpressionNode, { evaluate }: Compiled): KeyReader {
  if (node.kind === "variable") return inPlace(variableOf(node.path).reader);
  if (node.kind !== "constant") return (evaluation, into) => lay(evaluate(evaluation), into);
  const key = Region.over(bytesOfScalar(constantOf(node)) ?? EMPTY_BYTES);
  return (_evaluation, into) => whole(key, into);
}

const inPlace =
  (reader: VariableReader): KeyReader =>
  ({ region, offset }, into) =>
    reader(region, offset, into);

/** A result as a key: nothing is the empty key. */
function lay(result: KeyResult, into: Span): "ok" | KeyFault {
  if (isFault(result)) return result;
  const bytes = result === null ? EMPTY_BYTES : bytesOfScalar(result);
  return bytes === undefined ? "not_scalar" : whole(Region.over(bytes), into);
}

function whole(region: Region, into: Span): "ok" {
  into.region = region;
  into.offset = 0;
  into.byteLength = region.bytes.byteLength;
  return "ok";
}

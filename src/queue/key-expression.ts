/**
 * Key expressions: what tells the values of a last-value queue apart. Compiled when the queue is created, so that a
 * fault is the creator's to see; evaluated for each message, without a string for the usual keys.
 */
import { Region } from "../base/region.ts";
import { type ExpressionNode, parseExpression } from "./key-expression-grammar.ts";
import { type HashSeed, hashBytes, type KeyHash } from "./key-hash.ts";
import { type KeyFault, type Span, type VariableReader, variableReaderOf } from "./message-variable.ts";

export type { KeyFault } from "./message-variable.ts";

export type CompileResult =
  | { readonly ok: true; readonly expression: KeyExpression }
  /** `position` counts characters of the source from 0; `message` names the fault without it. */
  | { readonly ok: false; readonly message: string; readonly position: number };

/** Compiles an expression, or names the first fault. Functions are not there yet: each is an unknown one. */
export function compileKeyExpression(source: string): CompileResult {
  const parsed = parseExpression(source);
  if (!parsed.ok) return parsed;
  const { node } = parsed;
  const call = firstCallOf(node);
  if (call !== undefined)
    return { ok: false, message: `the function ${call.name} is unknown`, position: call.position };
  return { ok: true, expression: new KeyExpression(source, readerOf(node)) };
}

export class KeyExpression {
  readonly source: string;
  readonly #reader: VariableReader;
  readonly #span: Span = { region: EMPTY, offset: 0, byteLength: 0 };

  constructor(source: string, reader: VariableReader) {
    this.source = source;
    this.#reader = reader;
  }

  /** Writes the hash of the message's key to `out`; a fault leaves `out` alone. An empty key is a key. */
  hashInto(region: Region, offset: number, seed: HashSeed, out: KeyHash): "ok" | KeyFault {
    const result = this.#reader(region, offset, this.#span);
    if (result === "ok") hashBytes(this.#span.region, this.#span.offset, this.#span.byteLength, seed, out);
    return result;
  }

  /** The key as a string, for looking at a queue; undefined where `hashInto` names a fault. */
  keyOf(region: Region, offset: number): string | undefined {
    if (this.#reader(region, offset, this.#span) !== "ok") return undefined;
    const { offset: start, byteLength } = this.#span;
    return this.#span.region.bytes.toString("utf8", start, start + byteLength);
  }
}

const EMPTY = Region.allocate(0);

function readerOf(node: ExpressionNode): VariableReader {
  if (node.kind === "variable") return variableReaderOf(node.path);
  const text = Buffer.from(node.kind === "constant" ? node.text : "", "utf8");
  const region = Region.allocate(text.byteLength);
  text.copy(region.bytes);
  return (_region, _offset, into) => {
    into.region = region;
    into.offset = 0;
    into.byteLength = text.byteLength;
    return "ok";
  };
}

/** Depth first, in the order of the source. */
function firstCallOf(node: ExpressionNode): Extract<ExpressionNode, { kind: "call" }> | undefined {
  if (node.kind === "call") return node;
  if (node.kind !== "array") return undefined;
  for (const item of node.items) {
    const call = firstCallOf(item);
    if (call !== undefined) return call;
  }
  return undefined;
}

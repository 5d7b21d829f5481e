/**
 * The grammar of key expressions, read by recursive descent.
 *
 * ```
 *   expression := call | variable | string | integer | float | "true" | "false"
 *   call       := identifier "(" [ argument { "," argument } ] ")"
 *   argument   := expression | array
 *   array      := "[" argument { "," argument } "]"
 *   identifier := letter { letter | digit | "-" | "_" | "." }
 *   string     := "'" … "'" | '"' … '"'          no escapes inside
 *   integer    := [ sign ] digits
 *   float      := [ sign ] digits "." digits [ "e" [ sign ] digits ]
 * ```
 *
 * Spaces, tabs and line ends between tokens mean nothing.
 */
import { KEY_EXPRESSION_CHARACTERS_MAX, KEY_EXPRESSION_DEPTH_MAX } from "../base/limits.ts";

/** An integer is a bigint, a float is a number. */
export type Constant = string | bigint | number | boolean;

/** Positions count characters from 0. */
export type ExpressionNode =
  | { readonly kind: "constant"; readonly value: Constant; readonly position: number }
  | { readonly kind: "variable"; readonly path: string; readonly position: number }
  | { readonly kind: "array"; readonly items: readonly ExpressionNode[]; readonly position: number }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly items: readonly ExpressionNode[];
      readonly position: number;
    };

export type ParseResult =
  | { readonly ok: true; readonly node: ExpressionNode }
  | { readonly ok: false; readonly message: string; readonly position: number };

/** Reads a whole expression; whatever follows it but white space is a fault. */
export function parseExpression(source: string): ParseResult {
  if (source.length > KEY_EXPRESSION_CHARACTERS_MAX) {
    const message = `the expression is longer than ${KEY_EXPRESSION_CHARACTERS_MAX} characters`;
    return { ok: false, message, position: KEY_EXPRESSION_CHARACTERS_MAX };
  }
  const parser = new Parser(source);
  const node = parser.whole();
  if (node !== undefined) return { ok: true, node };
  return { ok: false, message: parser.message, position: parser.faultPosition };
}

const IDENTIFIER = /[a-zA-Z][-a-zA-Z0-9_.]*/y;
const NUMBER = /[+-]?[0-9]+(\.[0-9]+(?:[eE][+-]?[0-9]+)?)?/y;
const WHITE_SPACE = /[ \t\r\n]*/y;

/** Every rule returns undefined after it has noted a fault; only the first fault counts. */
class Parser {
  readonly #source: string;
  #at = 0;
  message = "";
  faultPosition = 0;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): ExpressionNode | undefined {
    this.#skip();
    if (this.#at === this.#source.length) return this.#fault("the expression is empty", this.#at);
    const node = this.#expression(0);
    if (node === undefined) return undefined;
    this.#skip();
    if (this.#at < this.#source.length) return this.#unexpected("the end");
    return node;
  }

  #expression(depth: number): ExpressionNode | undefined {
    if (depth > KEY_EXPRESSION_DEPTH_MAX) {
      return this.#fault(`the expression is nested deeper than ${KEY_EXPRESSION_DEPTH_MAX}`, this.#at);
    }
    this.#skip();
    const character = this.#source[this.#at] ?? "";
    if (character === "'" || character === '"') return this.#string(character);
    if (/[0-9+-]/.test(character)) return this.#number();
    return this.#named(depth);
  }

  #string(quote: string): ExpressionNode | undefined {
    const position = this.#at;
    const end = this.#source.indexOf(quote, position + 1);
    if (end === -1) return this.#fault("the string has no closing quote", position);
    this.#at = end + 1;
    return { kind: "constant", value: this.#source.slice(position + 1, end), position };
  }

  #number(): ExpressionNode | undefined {
    const position = this.#at;
    const match = this.#match(NUMBER);
    if (match === undefined) return this.#fault("a sign stands without digits", position);
    const value = match.includes(".") ? Number(match) : BigInt(match.replace("+", ""));
    if (value === Infinity || value === -Infinity) return this.#fault("the number is too large", position);
    return { kind: "constant", value, position };
  }

  #named(depth: number): ExpressionNode | undefined {
    const position = this.#at;
    const name = this.#match(IDENTIFIER);
    if (name === undefined) return this.#unexpected("a variable, a function, a string or a number");
    this.#skip();
    if (this.#source[this.#at] === "(") {
      this.#at += 1;
      const items = this.#list(")", depth, true);
      return items === undefined ? undefined : { kind: "call", name, items, position };
    }
    if (name === "true" || name === "false") return { kind: "constant", value: name === "true", position };
    return { kind: "variable", path: name, position };
  }

  /** Arguments up to the closing character, which is taken too. */
  #list(closing: string, depth: number, mayBeEmpty: boolean): ExpressionNode[] | undefined {
    const items: ExpressionNode[] = [];
    this.#skip();
    if (mayBeEmpty && this.#take(closing)) return items;
    for (;;) {
      const item = this.#argument(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      this.#skip();
      if (this.#take(closing)) return items;
      if (!this.#take(",")) return this.#unexpected(`"," or "${closing}"`);
    }
  }

  #argument(depth: number): ExpressionNode | undefined {
    this.#skip();
    const position = this.#at;
    if (!this.#take("[")) return this.#expression(depth);
    if (depth > KEY_EXPRESSION_DEPTH_MAX) {
      return this.#fault(`the expression is nested deeper than ${KEY_EXPRESSION_DEPTH_MAX}`, position);
    }
    const items = this.#list("]", depth, false);
    return items === undefined ? undefined : { kind: "array", items, position };
  }

  #skip(): void {
    this.#match(WHITE_SPACE);
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }

  #unexpected(wanted: string): undefined {
    const found = this.#at < this.#source.length ? `"${this.#source[this.#at]}"` : "the end";
    return this.#fault(`${wanted} is expected, ${found} found`, this.#at);
  }

  #fault(message: string, position: number): undefined {
    if (this.message !== "") return;
    this.message = message;
    this.faultPosition = position;
  }
}

/**
 * JSON inside key expressions. `JSON.parse` judges whether it is JSON; the value is then found in the text itself, so that
 * integers keep all their digits, objects are never built from names that a publisher chose, and no more than the value is
 * read.
 */
import { isUtf8 } from "node:buffer";
import { KEY_ARRAY_ITEMS_MAX, KEY_INTEGER_DIGITS_MAX, KEY_JSON_DEPTH_MAX } from "../../base/limits.ts";
import { bytesOfText, isArray, KeyMap, type KeyResult, type KeyValue, textOfScalar } from "../key-value.ts";

/** What stands at a path of names in a JSON text; null where there is nothing, or where the text is not JSON. */
export function jsonValueAt(json: Buffer, path: readonly string[]): KeyResult {
  if (!isUtf8(json)) return null;
  const text = json.toString("utf8");
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const reader = new JsonReader(text);
  for (const name of path) if (!reader.enter(name)) return null;
  return reader.value(0);
}

/** A value as JSON; undefined for bytes that are not UTF-8. */
export function jsonOf(value: KeyValue): string | undefined {
  if (value === null) return "null";
  if (value instanceof KeyMap) return value.json;
  if (!isArray(value)) {
    const text = textOfScalar(value);
    return text !== undefined && Buffer.isBuffer(value) ? JSON.stringify(text) : text;
  }
  const items: string[] = [];
  for (const item of value) {
    const json = jsonOf(item);
    if (json === undefined) return undefined;
    items.push(json);
  }
  return `[${items.join(",")}]`;
}

const WHITE_SPACE = /[ \t\r\n]*/y;
/** Up to the end of a string, or a backslash in it. */
const STRING_RUN = /[^"\\]*/y;
const LITERAL = /[-+.\w]+/y;
/** What opens or closes, and strings, in which none of them counts. */
const NEXT_BRACKET = /[^"[\]{}]*/y;

/** Steps through a text that is known to be JSON. */
class JsonReader {
  readonly #text: string;
  #at = 0;
  #items = 0;

  constructor(text: string) {
    this.#text = text;
    this.#take(WHITE_SPACE);
  }

  /** From an object to the value of a name in it, the last of them; false when there is none. */
  enter(name: string): boolean {
    if (this.#text[this.#at] !== "{") return false;
    let found = -1;
    this.#punctuation();
    while (this.#text[this.#at] !== "}") {
      const isWanted = JSON.parse(this.#string()) === name;
      this.#take(WHITE_SPACE);
      this.#punctuation(); // The colon.
      if (isWanted) found = this.#at;
      this.#skip();
      this.#take(WHITE_SPACE);
      if (this.#text[this.#at] === ",") this.#punctuation();
    }
    if (found < 0) return false;
    this.#at = found;
    return true;
  }

  value(depth: number): KeyResult {
    const start = this.#at;
    switch (this.#text[start]) {
      case '"':
        return bytesOfText(JSON.parse(this.#string()) as string);
      case "{":
        this.#skip();
        return new KeyMap(this.#text.slice(start, this.#at));
      case "[":
        return depth >= KEY_JSON_DEPTH_MAX ? "too_large" : this.#array(depth);
      default:
        return literalOf(this.#take(LITERAL));
    }
  }

  #array(depth: number): KeyResult {
    const items: KeyValue[] = [];
    this.#punctuation();
    while (this.#text[this.#at] !== "]") {
      const item = this.value(depth + 1);
      if (typeof item === "string") return item;
      items.push(item);
      this.#items += 1;
      if (this.#items > KEY_ARRAY_ITEMS_MAX) return "too_large";
      this.#take(WHITE_SPACE);
      if (this.#text[this.#at] === ",") this.#punctuation();
    }
    this.#at += 1;
    return items;
  }

  /** Past a value of any kind, however deep. */
  #skip(): void {
    const first = this.#text[this.#at];
    if (first !== "{" && first !== "[") {
      if (first === '"') this.#string();
      else this.#take(LITERAL);
      return;
    }
    let depth = 0;
    do {
      this.#take(NEXT_BRACKET);
      const character = this.#text[this.#at];
      if (character === '"') this.#string();
      else {
        depth += character === "{" || character === "[" ? 1 : -1;
        this.#at += 1;
      }
    } while (depth > 0);
  }

  /** Past a string, which is returned as it is written. */
  #string(): string {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      this.#take(STRING_RUN);
      if (this.#text[this.#at] === '"') break;
      this.#at += 2; // An escape; of four digits the rest counts as text.
    }
    this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  /** Past one character and the white space behind it. */
  #punctuation(): void {
    this.#at += 1;
    this.#take(WHITE_SPACE);
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }
}

function literalOf(text: string): KeyResult {
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  if (!/[.eE]/.test(text)) {
    return text.length > KEY_INTEGER_DIGITS_MAX ? "too_large" : BigInt(text);
  }
  const value = Number(text);
  return Number.isFinite(value) ? value : "bad_argument";
}

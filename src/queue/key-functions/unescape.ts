/** What strings of key expressions, which have no escapes, write with a backslash. */

/** The text with its escapes resolved; undefined when one is unknown. `\x` takes all hexadecimal digits that follow. */
export function unescaped(text: string): string | undefined {
  let isGood = true;
  const plain = text.replace(ESCAPE, (_escape: string, digits: string | undefined, letter: string | undefined) => {
    const known = digits === undefined ? LETTERS.get(letter ?? "") : characterOf(digits);
    if (known === undefined) isGood = false;
    return known ?? "";
  });
  return isGood ? plain : undefined;
}

const ESCAPE = /\\(?:x([0-9a-fA-F]+)|([\s\S]?))/g;

const LETTERS: ReadonlyMap<string, string> = new Map([
  ["", "\\"], // At the end of the text there is nothing to escape.
  ["\\", "\\"],
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["b", "\b"],
  ["f", "\f"],
  ["v", "\v"],
  ["'", "'"],
  ['"', '"'],
  ["?", "?"],
  ["a", "\x07"],
]);

function characterOf(digits: string): string | undefined {
  const code = Number.parseInt(digits, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return String.fromCodePoint(code);
}

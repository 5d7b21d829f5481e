/**
 * What a parser of text answers: the value, or the fault in words. A fault is a phrase that completes
 * "<name of the setting>: …" and never repeats more of the text than it needs.
 */
export type Parsed<T> =
  | { readonly value: T; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/** The text in quotes, shortened, for a fault. */
export function quoted(text: unknown): string {
  const whole = typeof text === "string" ? text : (JSON.stringify(text) ?? String(text));
  const shown = whole.length > QUOTED_CHARACTERS_MAX ? `${whole.slice(0, QUOTED_CHARACTERS_MAX)}…` : whole;
  return typeof text === "string" ? JSON.stringify(shown) : shown;
}

const QUOTED_CHARACTERS_MAX = 60;

/**
 * What a parser of text answers: the value, or the fault in words. A fault is a phrase that completes
 * "<name of the setting>: …" and never repeats more of the text than it needs.
 */
export type Parsed<T> =
  | { readonly value: T; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/** What was written, for a fault: a text in quotes and shortened, anything with parts only by what it is. */
export function quoted(written: unknown): string {
  if (Array.isArray(written)) return "a list";
  if (typeof written === "object" && written !== null) return "a mapping";
  if (typeof written !== "string") return String(written);
  return JSON.stringify(
    written.length > QUOTED_CHARACTERS_MAX ? `${written.slice(0, QUOTED_CHARACTERS_MAX)}…` : written,
  );
}

const QUOTED_CHARACTERS_MAX = 60;

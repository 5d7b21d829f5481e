/**
 * Durations as EMQX writes them: one or more `<number><unit>` in a row (`1h30m`, `1.5s`), or a bare integer in milliseconds.
 *
 * | unit | f | w | d | h | m | s | ms |
 * |---|---|---|---|---|---|---|---|
 * | is | fortnight | week | day | hour | minute | second | millisecond |
 *
 * Units in any case; no spaces, no sign. The sum is rounded to milliseconds.
 */
import { type Parsed, quoted } from "./parsed.ts";

/** What a fault says that it wanted. */
export const DURATION_FORM = "a duration such as 500ms, 1.5s or 1h30m";

/** Milliseconds, 0 to 2^53 - 1, of a text or of a bare number from JSON or YAML. */
export function parseDuration(written: unknown): Parsed<number> {
  if (typeof written === "number") {
    return Number.isSafeInteger(written) && written >= 0
      ? { value: written }
      : { problem: `expected ${DURATION_FORM}, found ${written}` };
  }
  if (typeof written !== "string" || !WHOLE.test(written)) {
    return { problem: `expected ${DURATION_FORM}, found ${quoted(written)}` };
  }
  let sumMs = 0;
  if (DIGITS.test(written)) sumMs = Number(written);
  else for (const [, number, unit] of written.matchAll(PIECE)) sumMs += Number(number) * unitMs(unit!);
  const ms = Math.round(sumMs);
  return Number.isSafeInteger(ms) ? { value: ms } : { problem: `${quoted(written)} is too long a time` };
}

/** Like `parseDuration`, and `"infinity"` for settings that allow no limit. */
export function parseDurationOrInfinity(written: unknown): Parsed<number | "infinity"> {
  if (written === "infinity") return { value: "infinity" };
  const { value, problem } = parseDuration(written);
  return problem === undefined ? { value } : { problem: problem.replace("expected", 'expected "infinity" or') };
}

/** The shortest text in whole units that `parseDuration` reads back as the same value: 5400000 is `1h30m`. */
export function formatDuration(ms: number): string {
  let restMs = ms;
  let text = "";
  for (const [unit, inMs] of FORMAT_UNITS) {
    const count = Math.floor(restMs / inMs);
    if (count === 0) continue;
    text += `${count}${unit}`;
    restMs -= count * inMs;
  }
  return text === "" ? "0s" : text;
}

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  f: 14 * 86_400_000,
  w: 7 * 86_400_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
};
const FORMAT_UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];
const DIGITS = /^\d+$/;
const WHOLE = /^(?:\d+|(?:\d+(?:\.\d+)?(?:ms|[fwdhms]))+)$/i;
const PIECE = /(\d+(?:\.\d+)?)(ms|[fwdhms])/gi;

function unitMs(unit: string): number {
  return MS_PER_UNIT[unit.toLowerCase()]!;
}

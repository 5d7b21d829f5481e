/**
 * Sizes as EMQX writes them: an integer with B, KB, MB or GB, all upper or all lower case, 1 KB being 1024 bytes; or a bare
 * integer in bytes. No decimals, no spaces, no sign.
 */
import { type Parsed, quoted } from "./parsed.ts";

/** What a fault says that it wanted. */
export const BYTESIZE_FORM = "a size such as 512KB, 1MB or 4GB";

/** Bytes, 0 to 2^53 - 1, of a text or of a bare number from JSON or YAML. */
export function parseBytesize(written: unknown): Parsed<number> {
  if (typeof written === "number") {
    return Number.isSafeInteger(written) && written >= 0
      ? { value: written }
      : { problem: `expected ${BYTESIZE_FORM}, found ${written}` };
  }
  const match = typeof written === "string" ? SIZE.exec(written) : null;
  if (match === null) return { problem: `expected ${BYTESIZE_FORM}, found ${quoted(written)}` };
  const bytes = Number(match[1]) * BYTES_PER_UNIT[(match[2] ?? "B").toUpperCase()]!;
  return Number.isSafeInteger(bytes) ? { value: bytes } : { problem: `${quoted(written)} is too large a size` };
}

/** Like `parseBytesize`, and `"infinity"` for settings that allow no limit. */
export function parseBytesizeOrInfinity(written: unknown): Parsed<number | "infinity"> {
  if (written === "infinity") return { value: "infinity" };
  const { value, problem } = parseBytesize(written);
  return problem === undefined ? { value } : { problem: problem.replace("expected", 'expected "infinity" or') };
}

/** The text in the largest whole unit, which `parseBytesize` reads back as the same value: 1048576 is `1MB`. */
export function formatBytesize(bytes: number): string {
  for (const unit of ["GB", "MB", "KB"]) {
    const inBytes = BYTES_PER_UNIT[unit]!;
    if (bytes >= inBytes && bytes % inBytes === 0) return `${bytes / inBytes}${unit}`;
  }
  return `${bytes}B`;
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };
const SIZE = /^(\d+)(B|KB|MB|GB|b|kb|mb|gb)?$/;

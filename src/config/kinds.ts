/**
 * The kinds of value that a setting can have: each reads what a file, a variable or a flag holds (numbers may come as text)
 * and says what it wants in words. No library here: the schema composes these.
 */
import { isIP } from "node:net";
import { BYTESIZE_FORM, formatBytesize, parseBytesize } from "../base/bytesize.ts";
import { DURATION_FORM, formatDuration, parseDuration } from "../base/duration.ts";
import { type Parsed, quoted } from "../base/parsed.ts";
import { compileKeyExpression } from "../queue/key-expression.ts";

export interface Kind<T> {
  /** What it wants, as a noun: "an integer from 1 to 100". */
  readonly expected: string;
  parse(written: unknown): Parsed<T>;
  /** The value as one would write it in the file; `parse` reads it back. */
  write(value: T): unknown;
}

/** `"infinity"` instead of a value: no limit. */
export function orInfinity<T>(kind: Kind<T>): Kind<T | "infinity"> {
  const expected = `${kind.expected}, or "infinity"`;
  return {
    expected,
    parse: (written) => {
      if (written === "infinity") return { value: "infinity" };
      const parsed = kind.parse(written);
      return parsed.problem === undefined ? parsed : mismatch(expected, written);
    },
    write: (value) => (value === "infinity" ? value : kind.write(value)),
  };
}

export function integer(min: number, max: number): Kind<number> {
  const expected = `an integer ${range(min, max, String)}`;
  return {
    expected,
    parse: (written) => {
      const number = typeof written === "string" && DIGITS.test(written) ? Number(written) : written;
      const isFine = typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max;
      return isFine ? { value: number } : mismatch(expected, written);
    },
    write: asItIs,
  };
}

export function duration(minMs: number, maxMs: number): Kind<number> {
  return bounded(
    `${DURATION_FORM}, ${range(minMs, maxMs, formatDuration)}`,
    parseDuration,
    formatDuration,
    minMs,
    maxMs,
  );
}

export function bytesize(minBytes: number, maxBytes: number): Kind<number> {
  return bounded(
    `${BYTESIZE_FORM}, ${range(minBytes, maxBytes, formatBytesize)}`,
    parseBytesize,
    formatBytesize,
    minBytes,
    maxBytes,
  );
}

export function choice<const T extends string>(words: readonly T[]): Kind<T> {
  const expected = `one of ${words.join(", ")}`;
  return {
    expected,
    parse: (written) => (isOneOf(words, written) ? { value: written } : mismatch(expected, written)),
    write: asItIs,
  };
}

/** true or false; beside them, the words given. */
export function flagOr<const T extends string = never>(...words: readonly T[]): Kind<boolean | T> {
  const expected = ["true", "false", ...words].join(" or ");
  return {
    expected,
    parse: (written) => {
      if (written === true || written === "true") return { value: true };
      if (written === false || written === "false") return { value: false };
      return isOneOf(words, written) ? { value: written } : mismatch(expected, written);
    },
    write: asItIs,
  };
}

/** A number of things, or `auto`: the start finds the number. */
export function integerOrAuto(min: number, max: number): Kind<number | "auto"> {
  const number = integer(min, max);
  const expected = `auto, or ${number.expected}`;
  return {
    expected,
    parse: (written) => {
      if (written === "auto") return { value: "auto" };
      const parsed = number.parse(written);
      return parsed.problem === undefined ? parsed : mismatch(expected, written);
    },
    write: asItIs,
  };
}

/** An address or a name to listen on. */
export const host: Kind<string> = {
  expected: "an IP address or a host name",
  parse: (written) =>
    typeof written === "string" && (isIP(written) !== 0 || HOST_NAME.test(written))
      ? { value: written }
      : mismatch(host.expected, written),
  write: asItIs,
};

export const path: Kind<string> = {
  expected: "a path",
  parse: (written) =>
    typeof written === "string" && written !== "" && !written.includes("\0")
      ? { value: written }
      : mismatch(path.expected, written),
  write: asItIs,
};

/** A path or nothing. */
export const optionalPath: Kind<string | null> = {
  expected: path.expected,
  parse: (written) => (written === null ? { value: null } : path.parse(written)),
  write: asItIs,
};

/** The key of a last-value queue. */
export const keyExpression: Kind<string> = {
  expected: "a key expression",
  parse: (written) => {
    if (typeof written !== "string") return mismatch(keyExpression.expected, written);
    const compiled = compileKeyExpression(written);
    return compiled.ok ? { value: written } : { problem: `${compiled.message} at position ${compiled.position}` };
  },
  write: asItIs,
};

/** What a listener is called in logs and in the list of addresses. */
export const listenerName: Kind<string> = {
  expected: "a name of up to 32 letters, digits, - and _",
  parse: (written) =>
    typeof written === "string" && /^[a-z0-9_-]{1,32}$/i.test(written)
      ? { value: written }
      : mismatch(listenerName.expected, written),
  write: asItIs,
};

/** The path of a URL. */
export const httpPath: Kind<string> = {
  expected: "a path that begins with /",
  parse: (written) =>
    typeof written === "string" && /^\/[!-~]*$/.test(written) && !/[?#]/.test(written)
      ? { value: written }
      : mismatch(httpPath.expected, written),
  write: asItIs,
};

/** A host name that may begin with `*.`. */
export const hostPattern: Kind<string> = {
  expected: "a host name, or *. and one",
  parse: (written) =>
    typeof written === "string" && HOST_NAME.test(written.replace(/^\*\./, ""))
      ? { value: written }
      : mismatch(hostPattern.expected, written),
  write: asItIs,
};

/** A version such as 1.2, which YAML takes for a number. */
export function version<const T extends string>(versions: readonly T[]): Kind<T> {
  const known = choice(versions);
  return {
    ...known,
    parse: (written) => {
      const parsed = known.parse(typeof written === "number" ? String(written) : written);
      return parsed.problem === undefined ? parsed : mismatch(known.expected, written);
    },
  };
}

/** A network such as 10.0.0.0/8, or one address. */
export const network: Kind<string> = {
  expected: "a network such as 10.0.0.0/8, or an address",
  parse: (written) => {
    const [address = "", bits, ...more] = typeof written === "string" ? written.split("/") : [];
    const bitsMax = isIP(address) === 4 ? 32 : 128;
    const isFine =
      isIP(address) !== 0 &&
      !address.includes("%") &&
      more.length === 0 &&
      (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax));
    return isFine ? { value: written as string } : mismatch(network.expected, written);
  },
  write: asItIs,
};

/** What a browser puts into the Origin header. */
export const origin: Kind<string> = {
  expected: "an origin such as https://example.org",
  parse: (written) =>
    typeof written === "string" &&
    (written === "null" || (URL.canParse(written) && new URL(written).origin === written))
      ? { value: written }
      : mismatch(origin.expected, written),
  write: asItIs,
};

/** Any text but none. */
export const text: Kind<string> = {
  expected: "a text",
  parse: (written) =>
    typeof written === "string" && written !== "" ? { value: written } : mismatch(text.expected, written),
  write: asItIs,
};

function bounded(
  expected: string,
  parse: (written: unknown) => Parsed<number>,
  format: (value: number) => string,
  min: number,
  max: number,
): Kind<number> {
  return {
    expected,
    parse: (written) => {
      const parsed = parse(written);
      const isFine = parsed.problem === undefined && parsed.value >= min && parsed.value <= max;
      return isFine ? parsed : mismatch(expected, written);
    },
    write: format,
  };
}

function asItIs(value: unknown): unknown {
  return value;
}

function mismatch(expected: string, written: unknown): { readonly problem: string } {
  return { problem: `expected ${expected}; found ${quoted(written)}` };
}

function range(min: number, max: number, format: (value: number) => string): string {
  return max === UNBOUNDED ? `of at least ${format(min)}` : `from ${format(min)} to ${format(max)}`;
}

function isOneOf<T extends string>(words: readonly T[], written: unknown): written is T {
  return words.some((word) => word === written);
}

/** No upper bound but that of exact numbers. */
export const UNBOUNDED = Number.MAX_SAFE_INTEGER;
const DIGITS = /^\d{1,16}$/;
const HOST_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

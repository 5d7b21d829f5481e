/**
 * docs/errors.md and the table of coded errors. Goal: neither says what the other does not. Method: the page's tables are read
 * back and compared row by row with the code.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CodedError, ERRORS, type ErrorCode, type ErrorDefinition } from "../../src/base/errors.ts";

interface Row extends ErrorDefinition {
  readonly code: string;
}

/** Rows of the form "| `CODE` | 400 | 0x83 | hint |"; a dash for null. */
function rowsOf(page: string): Row[] {
  return [...page.matchAll(/^\| `([A-Z_]+)` \| (\d{3}|–) \| (0x[0-9a-f]{2}|–) \| (.+) \|$/gm)].map(
    ([, code, status, reason, hint]) => ({
      code: code!,
      httpStatus: status === "–" ? null : Number(status),
      reasonCode: reason === "–" ? null : Number(reason),
      hint: hint!.replaceAll("`", ""),
    }),
  );
}

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const rows = rowsOf(page);

describe("docs/errors.md", () => {
  it("has a row for each error, in the order of the code, saying the same", () => {
    expect(rows).toEqual(Object.entries(ERRORS).map(([code, definition]) => ({ code, ...definition })));
  });

  it("has no row that the reading above would miss", () => {
    expect(page.split("\n").filter((line) => line.startsWith("| `"))).toHaveLength(rows.length);
  });
});

describe("the table", () => {
  it.each(Object.entries(ERRORS))(
    "%s has a status, a reason code and a hint that mean something",
    (code, definition) => {
      const { httpStatus, reasonCode, hint } = definition as ErrorDefinition;
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      if (httpStatus !== null) expect(httpStatus >= 400 && httpStatus <= 599).toBe(true);
      if (reasonCode !== null) expect(reasonCode >= 0x80 && reasonCode <= 0xa2).toBe(true);
      expect(hint).toMatch(/^[A-Z].*\.$/);
    },
  );

  it("survives a journey between threads", () => {
    const error = new CodedError("DISK_FULL", "no space", new Error("cause"));
    const arrived = CodedError.fromPlain(structuredClone(error.toPlain()));
    expect(arrived).toMatchObject({
      code: "DISK_FULL" satisfies ErrorCode,
      message: "no space",
      httpStatus: 503,
      reasonCode: 0x83,
    });
  });
});

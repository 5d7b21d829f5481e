/** Goal: the limits that docs/security.md names are those that hold. Method: each row of the table beside the constants it names. */
import { expect, test } from "vitest";
import * as limits from "../../src/base/limits.ts";
import { read } from "./pages.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, KiB: 1024, MiB: 1024 * 1024 };

function numberOf(text: string): number {
  const [number, unit] = text.trim().split(" ");
  return Number(number) * (unit === undefined ? 1 : UNITS[unit]!);
}

test("the table of limits says what the code says", () => {
  const section = read("docs/security.md").split("\n## Limits\n")[1]!.split("\n## ")[0]!;
  const rows = [...section.matchAll(/^\| [^|]+ \| ([^|]+) \| (`[^|]+`) \|$/gm)];
  const told = rows.map(([, values, names]) => [
    names!.replaceAll("`", "").split(", "),
    values!.split(";").map((value) => numberOf(value)),
  ]);
  const held = told.map(([names]) => [
    names,
    (names as string[]).map((name) => (limits as unknown as Record<string, number>)[name]),
  ]);
  expect(told.length).toBeGreaterThan(8);
  expect(told).toEqual(held);
});

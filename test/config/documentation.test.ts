/**
 * Goal: docs/configuration.md says of every key what the schema says, and of nothing else.
 * Method: the rows of its tables are rendered from the schema and compared, in order.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FLAGS } from "../../src/config/flags.ts";
import { type Leaf, settingsLeaves } from "../../src/config/schema.ts";

const page = readFileSync("docs/configuration.md", "utf8");

function rowOf({ path, byDefault, expected, meaning }: Leaf): string {
  const key = path.join(".");
  const flag = FLAGS.find((candidate) => candidate.path.join(".") === key)?.flag;
  const cells = [
    `\`${key}\``,
    byDefault === null ? "none" : `\`${byDefault}\``,
    expected,
    `\`RESTANTE_${path.join("__").toUpperCase()}\`${flag === undefined ? "" : `, \`${flag}\``}`,
    meaning,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

test("the tables hold exactly the keys of the schema", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  expect(rows).toEqual(settingsLeaves().map(rowOf));
});

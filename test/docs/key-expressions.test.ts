/**
 * Goal: docs/key-expressions.md names every function, and no other; its examples give what it says.
 * Method: the tables are read back, and each example is evaluated on the page's own sample message.
 */
import { describe, expect, it } from "vitest";
import * as limits from "../../src/base/limits.ts";
import { compileKeyExpression, type KeyExpression } from "../../src/queue/key-expression.ts";
import { KEY_FUNCTIONS } from "../../src/queue/key-functions/table.ts";
import { newKeyHash } from "../../src/queue/key-hash.ts";
import { message, textProperty, userProperty } from "../queue/message.ts";
import { codesOf, pages, rowsOf, sectionOf } from "./pages.ts";

const page = pages.find(({ path }) => path === "docs/key-expressions.md")!;
const sample = message({
  topic: "factory/7/temperature",
  clientId: "device-7",
  peer: "10.0.0.7:50123",
  publishedAtMs: 1_700_000_000_123,
  payload: /```json\n(.*)\n```/.exec(page.text)![1]!,
  properties: Buffer.concat([textProperty(0x03, "text/plain"), userProperty("key", "set-color")]),
});

function compiled(source: string): KeyExpression {
  const result = compileKeyExpression(source);
  if (!result.ok) throw new Error(`${source}: ${result.message} at ${result.position}`);
  return result.expression;
}
const outcome = (source: string): string =>
  compiled(source).hashInto(sample, 0, 1_700_000_000_999, () => 0.5, { high: 1, low: 2 }, newKeyHash());

const functions = rowsOf(sectionOf(page, "Functions"));

describe("docs/key-expressions.md", () => {
  it("has every function once, and no other", () => {
    const named = functions.map(([name]) => /^`(\w+)/.exec(name!)![1]!);
    expect(named.toSorted()).toEqual([...KEY_FUNCTIONS.keys()].toSorted());
  });

  it.each(functions.map(([name, , example, result]) => [name!, codesOf(example!)[0]!, result!]))(
    "%s: %s is %s",
    (name, example, result) => {
      expect(example).toContain(/^`(\w+)/.exec(name)![1]!);
      if (result === "another each time") expect(compiled(example).keyOf(sample, 0)).toBeUndefined();
      else expect(compiled(example).keyOf(sample, 0)).toBe(codesOf(result)[0]);
      expect(outcome(example)).toBe("ok");
    },
  );

  it.each(
    rowsOf(sectionOf(page, "Results")).map(([kind, , example, result]) => [kind!, codesOf(example!)[0]!, result!]),
  )("the result %s: %s is %s", (_kind, example, result) => {
    if (result === "a fault") expect(outcome(example)).toBe("not_scalar");
    else expect(compiled(example).keyOf(sample, 0)).toBe(result === "empty" ? "" : codesOf(result)[0]);
  });

  const variables = rowsOf(sectionOf(page, "Variables"));

  it.each(variables.filter(([, , example]) => example !== "").map(([name, , example]) => [name!, example!]))(
    "the variable %s is %s",
    (name, example) => {
      expect(compiled(codesOf(name)[0]!).keyOf(sample, 0)).toBe(codesOf(example)[0]);
    },
  );

  it("states the bounds as they are", () => {
    const text = sectionOf(page, "Limits");
    const said = (value: number): string => value.toLocaleString("en");
    const mebi = (value: number): string => said(value / 1024 / 1024);
    for (const bound of [
      `${said(limits.KEY_EXPRESSION_CHARACTERS_MAX)} characters, nested ${said(limits.KEY_EXPRESSION_DEPTH_MAX)} deep`,
      `${mebi(limits.KEY_WORK_BYTES_MAX)} MiB, counting`,
      `${mebi(limits.KEY_VALUE_BYTES_MAX)} MiB, ${said(limits.KEY_ARRAY_ITEMS_MAX)} items`,
      `\`sprintf_s\` | ${said(limits.KEY_MADE_CHARACTERS_MAX)} characters`,
      `${said(limits.KEY_PATTERN_CHARACTERS_MAX)} characters, compiled to ${said(limits.KEY_PATTERN_INSTRUCTIONS_MAX)}`,
      `${mebi(limits.KEY_REGEX_STEPS_MAX)} Mi instructions`,
      `${said(limits.KEY_JSON_DEPTH_MAX)} deep; other`,
      `${said(limits.KEY_INTEGER_DIGITS_MAX)} digits`,
    ]) {
      expect(text).toContain(bound);
    }
  });
});

/**
 * Goal: a file of users or rules is taken whole or stops the start, with one line that names the file, the line and the fault: also an
 * empty one, which must not mean "everybody may do everything".
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadAccessFiles, rulesOf } from "../../src/config/access-files.ts";
import { load, refusal, withFolder } from "./sources.ts";

const faultOf = (text: string): string => refusal(() => rulesOf("rules.yaml", text), "ACCESS_INVALID");

describe("a file of rules", () => {
  it("is read with its line numbers", () => {
    const rules = rulesOf("rules.yaml", "default: allow\nrules:\n  - deny: all\n    topic: a/#\n");
    expect(rules).toEqual({
      isAllowedByDefault: true,
      rules: [{ isAllowed: false, action: "all", topics: [{ filter: "a/#", isExact: false }] }],
    });
  });

  it.each([
    ["empty", "", "rules.yaml: expected a mapping"],
    ["only a comment", "# rules\n", "rules.yaml: expected a mapping"],
    ["without a default", "rules: []\n", "rules.yaml: default: expected allow or deny"],
    ["no YAML", "default: [\n", "rules.yaml:2: "],
    ["a key given twice", "default: deny\ndefault: allow\n", "rules.yaml:2: "],
    ["an unknown key", "default: deny\nrulez: []\n", "rules.yaml:2: rulez: unknown key"],
    [
      "a bad filter",
      "default: deny\nrules:\n  - allow: all\n    topic:\n      - a\n      - b#\n",
      "rules.yaml:6: rules.0.topic.1",
    ],
    ["more than one document", "default: deny\nrules: []\n---\ndefault: allow\n", "rules.yaml:3: "],
    ["an alias of nothing", "default: *nothing\n", "rules.yaml"],
  ])("that is %s is refused", (_name, text, fault) => {
    expect(faultOf(text)).toContain(fault);
  });
});

it("stops the start when it cannot be read, whichever it is", () => {
  withFolder((folder) => {
    mkdirSync(join(folder, "directory"));
    writeFileSync(join(folder, "empty"), "");
    writeFileSync(join(folder, "latin"), Buffer.from("# users\njos\xe9: x\n", "latin1"));
    for (const key of ["password_file", "rules_file"]) {
      for (const [name, fault] of [
        ["nowhere", "ENOENT"],
        ["directory", "EISDIR"],
        ["latin", "latin:2: not UTF-8"],
        ["empty", key === "rules_file" ? "expected a mapping" : "holds no user"],
      ] as const) {
        const settings = load({ file: `access:\n  ${key}: ${join(folder, name)}\n` });
        expect(refusal(() => loadAccessFiles(settings), "ACCESS_INVALID")).toContain(fault);
      }
    }
    expect(loadAccessFiles(load({}))).toEqual({ users: undefined, rules: undefined });
  });
});

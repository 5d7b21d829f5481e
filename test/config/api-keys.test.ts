/**
 * Goal: files of API keys are read as EMQX's bootstrap format, a bad line stops the start without showing a secret, and the
 * generated key is made once and is private.
 * Method: texts and real files.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ApiKey,
  concealApiKeys,
  loadApiKeys,
  parseApiKeyFile,
  parseApiKeys,
  revealApiKeys,
} from "../../src/config/api-keys.ts";
import { refusal, withFolder } from "./sources.ts";

const plain = (keys: readonly ApiKey[]) => revealApiKeys(keys);

describe("the format", () => {
  test.each([
    ["key:secret", { key: "key", secret: "secret", role: "administrator" }],
    ["  key:secret  \r", { key: "key", secret: "secret", role: "administrator" }],
    ["k:s:viewer", { key: "k", secret: "s", role: "viewer" }],
    ["k:s:publisher", { key: "k", secret: "s", role: "publisher" }],
    [
      "k:s:viewer:connections,monitoring",
      { key: "k", secret: "s", role: "viewer", scopes: ["connections", "monitoring"] },
    ],
    [
      "k:s:viewer:connections, monitoring,",
      { key: "k", secret: "s", role: "viewer", scopes: ["connections", "monitoring"] },
    ],
    ["k:s:administrator:", { key: "k", secret: "s", role: "administrator", scopes: [] }],
    ["\uFEFFk:s", { key: "k", secret: "s", role: "administrator" }],
  ])("%j", (line, key) => {
    expect(plain(parseApiKeys(line, "keys"))).toEqual([key]);
  });

  test("blank lines are skipped, and the last of several lines with one key counts", () => {
    const keys = plain(parseApiKeys("\na:1\n \nb:2\r\na:3:viewer\n", "keys"));
    expect(keys.map(({ key, secret, role }) => [key, secret, role])).toEqual([
      ["a", "3", "viewer"],
      ["b", "2", "administrator"],
    ]);
    expect(parseApiKeys("", "keys")).toEqual([]);
  });

  test.each([
    ["planted", "expected key:secret"],
    [":planted", "expected key:secret"],
    ["key:", "the secret is missing"],
    ["key:planted:chief", "the role must be one of administrator, viewer, publisher"],
    ["key:planted:", "the role must be one of"],
    ["key:planted:Viewer", "the role must be one of"],
    ["key:planted:ns:north::viewer", "keys with a namespace (key:secret:ns:…) are not supported"],
    ["key:planted:viewer:a:b", "too many colons"],
  ])("%j stops the start, and the fault does not show it", (line, problem) => {
    const fault = refusal(() => parseApiKeys(`a:b\n\n${line}\n`, "/etc/keys"), "API_KEYS_INVALID");
    expect(fault).toMatch(/^\/etc\/keys:3: /);
    expect(fault).toContain(problem);
    expect(fault).not.toContain("planted");
  });

  test("any keys that are written read back, and no fault ever holds a secret", () => {
    const name = fc.stringMatching(/^[\w!#-9;-~]{1,20}$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, name), { selector: ([key]) => key }), (pairs) => {
        const text = pairs.map(([key, secret]) => `${key}:${secret}`).join("\n");
        expect(plain(parseApiKeys(text, "keys")).map(({ key, secret }) => [key, secret])).toEqual(pairs);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("s", ":", "\n", " ", ",") }), (tail) => {
        const secret = "planted7f3a";
        try {
          parseApiKeys(`key:${secret}:${tail}`, "keys");
        } catch (error) {
          expect(String((error as Error).stack)).not.toContain(secret);
        }
      }),
    );
  });

  test("keys cross threads revealed, and are concealed again there", () => {
    const keys = parseApiKeys("k:s:viewer:monitoring", "keys");
    const arrived = concealApiKeys(structuredClone(revealApiKeys(keys)));
    expect(arrived[0]!.secret.reveal()).toBe("s");
    expect(JSON.stringify(arrived)).toBe('[{"key":"k","secret":"***","role":"viewer","scopes":["monitoring"]}]');
  });
});

describe("the file", () => {
  test("that is configured must be there", () => {
    withFolder((folder) => {
      const file = join(folder, "keys");
      expect(refusal(() => parseApiKeyFile(file), "API_KEYS_INVALID")).toBe(
        `cannot read the API keys in ${file}: ENOENT`,
      );
      expect(refusal(() => parseApiKeyFile(folder), "API_KEYS_INVALID")).toMatch(/: EISDIR$/);
      writeFileSync(file, "x:y\n".repeat(300_000));
      expect(refusal(() => parseApiKeyFile(file), "API_KEYS_INVALID")).toContain("larger than 1MB");
    });
  });

  test("that is configured is the only one: no key is generated beside it", () => {
    withFolder((folder) => {
      writeFileSync(join(folder, "keys"), "k:s\n");
      expect(plain(loadApiKeys(join(folder, "keys"), folder, () => "x")).map(({ key }) => key)).toEqual(["k"]);
      expect(existsSync(join(folder, "api-key.txt"))).toBe(false);
    });
  });

  test("that is generated is made once, private, one line, and read later", () => {
    withFolder((folder) => {
      const texts = ["generated-key", "generated-secret"];
      const first = plain(loadApiKeys(null, folder, () => texts.shift()!));
      const file = join(folder, "api-key.txt");
      expect(readFileSync(file, "utf8")).toBe("generated-key:generated-secret\n");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(first).toEqual([{ key: "generated-key", secret: "generated-secret", role: "administrator" }]);
      expect(plain(loadApiKeys(null, folder, () => "another"))).toEqual(first);
      writeFileSync(file, "mine:own:viewer\n");
      expect(plain(loadApiKeys(null, folder, () => "another"))[0]!.role).toBe("viewer");
    });
  });

  test("that a crash left half made is made anew; one emptied by hand is refused", () => {
    withFolder((folder) => {
      writeFileSync(join(folder, "api-key.txt.new"), "hal", { mode: 0o644 });
      expect(plain(loadApiKeys(null, folder, () => "whole"))[0]!.key).toBe("whole");
      expect(statSync(join(folder, "api-key.txt")).mode & 0o777).toBe(0o600);
      expect(existsSync(join(folder, "api-key.txt.new"))).toBe(false);
      writeFileSync(join(folder, "api-key.txt"), "\n");
      expect(refusal(() => loadApiKeys(null, folder, () => "x"), "API_KEYS_INVALID")).toContain("holds no key");
    });
  });
});

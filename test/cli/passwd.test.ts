/**
 * Goal: `restante passwd` writes a file that a broker takes, private and whole, and refuses what would not be one; `check-config` reads it.
 * Method: the built command as a child process.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parsePasswordFile } from "../../src/access/password-file.ts";
import { isPassword } from "../../src/pool/scrypt.ts";
import { run } from "./command.ts";

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-passwd-"));
  file = join(folder, "users");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function passwd(user: string, input: string, flags: readonly string[] = ["--stdin"]) {
  const args = [resolve("dist/cli/launch.cjs"), "passwd", file, user, ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    input,
    encoding: "utf8",
    env: { PATH: process.env.PATH },
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

it("makes, changes and deletes users in a private file, and shows no password", () => {
  expect(passwd("alice", "planted one\nnot this\n")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  chmodSync(file, 0o644);
  expect(passwd("bob", "planted two\nplanted two\n", []).status).toBe(0); // As asked for, twice.
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, "utf8")).not.toContain("planted");
  const users = parsePasswordFile(readFileSync(file, "utf8"), "users");
  expect(isPassword(Buffer.from("planted one"), users.get("alice")!)).toBe(true);
  expect(isPassword(Buffer.from("planted two"), users.get("bob")!)).toBe(true);

  expect(run(["check-config"], { RESTANTE_ACCESS__PASSWORD_FILE: file }, folder).stdout).toContain("# 2 users");
  expect(passwd("alice", "planted three\n").status).toBe(0);
  expect(passwd("bob", "", ["-D"])).toEqual({ status: 0, stdout: "", stderr: "" });
  const after = parsePasswordFile(readFileSync(file, "utf8"), "users");
  expect([...after.keys()]).toEqual(["alice"]);
  expect(isPassword(Buffer.from("planted three"), after.get("alice")!)).toBe(true);
  expect(() => statSync(`${file}.new`)).toThrow("ENOENT");
});

it("refuses what would be no user, and leaves the file as it was", () => {
  passwd("alice", "planted\n");
  const before = readFileSync(file, "utf8");
  const refusals = [
    [passwd("a:b", "planted\n"), "no colon"],
    [passwd("carol", ""), "a password is not empty"],
    [passwd("carol", "planted\nother\n", []), "the two passwords differ"],
    [passwd("carol", "", ["-D"]), "no such user"],
  ] as const;
  for (const [{ status, stdout, stderr }, fault] of refusals) {
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(fault);
    expect(stderr).not.toContain("planted");
  }
  expect(readFileSync(file, "utf8")).toBe(before);
});

it("stops a start, and a check, with one line for a file that is not whole", () => {
  const bad = join(folder, "bad");
  const environment = { RESTANTE_ACCESS__PASSWORD_FILE: bad, RESTANTE_MQTT__PORT: "0", RESTANTE_HTTP__PORT: "0" };
  const line = (problem: string) => ({ code: 1, stdout: "", stderr: `restante: ${problem} (ACCESS_INVALID)\n` });
  expect(run(["check-config"], environment, folder)).toEqual(line(`cannot read the password file ${bad}: ENOENT`));
  writeFileSync(bad, "");
  expect(run(["start"], environment, folder)).toEqual(line(`${bad}: holds no user`));
  writeFileSync(bad, `${readFileSync(file, "utf8")}mallory:planted\n`);
  const { code, stdout, stderr } = run(["start"], environment, folder);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/bad:2: expected user:\$scrypt\$[^\n]+\(ACCESS_INVALID\)\n$/);
  expect(stderr).not.toContain("planted");
});

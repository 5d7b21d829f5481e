/**
 * Goal: a password file means what it says or stops the start, with one line that shows no hash; changing one user changes no other.
 * Method: good and bad texts; random users set and deleted against a map.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodePasswordHash, parsePasswordFile, userNameFaultOf, withUser } from "../../src/access/password-file.ts";
import { CodedError } from "../../src/base/errors.ts";
import { hashPassword, isPassword } from "../../src/pool/scrypt.ts";
import { testSeed } from "../random.ts";

const COST = { ln: 10, r: 1, p: 1 };
const SALT = Buffer.alloc(16, 7);
const HASH = Buffer.alloc(32, 9);
const GOOD = encodePasswordHash({ cost: COST, salt: SALT, hash: HASH });
const [, , parameters, salt, hash] = GOOD.split("$");

function faultOf(text: string): string {
  try {
    parsePasswordFile(text, "users");
  } catch (error) {
    if (error instanceof CodedError && error.code === "ACCESS_INVALID") return error.message;
    throw error;
  }
  return "none";
}

describe("a password file", () => {
  it("is read with comments, blank lines and either end of line", () => {
    const users = parsePasswordFile(`\uFEFF# ours\r\n\r\nalice:${GOOD}\r\n__proto__:${GOOD}\n`, "users");
    expect([...users.keys()]).toEqual(["alice", "__proto__"]);
    expect(users.get("alice")).toEqual({ user: "alice", encoded: GOOD, cost: COST, salt: SALT, hash: HASH });
  });

  it.each([
    ["nothing in it", "", "users: holds no user"],
    ["only a comment", "# nobody\n", "users: holds no user"],
    ["a name alone", "alice\n", "users:1: expected user:$scrypt$"],
    ["no password", `bob:${GOOD}\nalice:\n`, "users:2: expected user:$scrypt$"],
    ["a password in the clear", "alice:planted\n", "users:1: expected user:$scrypt$"],
    ["another kind of hash", "alice:$argon2id$v=19$m=1,t=1,p=1$planted$planted", "users:1: expected user:$scrypt$"],
    ["no name", `:${GOOD}\n`, "users:1: a user's name is not empty"],
    ["white space before a name", ` alice:${GOOD}\n`, "users:1: a user's name has no colon"],
    ["a user twice", `alice:${GOOD}\nalice:${GOOD}\n`, "users:2: this user has a line already"],
    ["something behind the hash", `alice:${GOOD}:x\n`, "users:1: expected"],
    ["base64 with padding", `alice:$scrypt$${parameters}$${salt}==$${hash}`, "users:1: expected"],
    ["base64 that is not minimal", `alice:$scrypt$${parameters}$${salt!.slice(0, -1)}x$${hash}`, "users:1: expected"],
    ["a short salt", `alice:$scrypt$${parameters}$AAAA$${hash}`, "users:1: the salt is too short"],
    ["a short hash", `alice:$scrypt$${parameters}$${salt}$AAAA`, "users:1: the hash is too short"],
    [
      "a hash too cheap",
      `alice:$scrypt$ln=1,r=8,p=1$${salt}$${hash}`,
      "users:1: the cost of the hash is out of bounds",
    ],
    [
      "a hash too dear",
      `alice:$scrypt$ln=18,r=32,p=1$${salt}$${hash}`,
      "users:1: the cost of the hash is out of bounds",
    ],
  ])("with %s is refused in one line that shows no secret", (_name, text, fault) => {
    const line = faultOf(text);
    expect(line).toContain(fault);
    expect(line).not.toMatch(/\n|planted|AAAA|CQkJ/);
  });

  it("keeps every other line when a user is set or deleted", () => {
    const name = fc
      .string({ minLength: 1, maxLength: 6, unit: "grapheme" })
      .filter((text) => userNameFaultOf(text) === undefined);
    const step = fc.record({ user: fc.oneof(fc.constantFrom("a", "aa", "a.b", "A"), name), gone: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let text = "# first line\n";
        const model = new Map<string, string>();
        for (const [index, { user, gone }] of steps.entries()) {
          const encoded = encodePasswordHash({ cost: COST, salt: Buffer.alloc(16, index), hash: HASH });
          text = withUser(text, user, gone ? undefined : encoded);
          if (gone) model.delete(user);
          else model.set(user, encoded);
        }
        expect(text.startsWith("# first line\n")).toBe(true);
        const read = model.size === 0 ? new Map() : parsePasswordFile(text, "users");
        expect(new Map([...read].map(([user, { encoded }]) => [user, encoded]))).toEqual(model);
      }),
      { seed: testSeed, numRuns: 200 },
    );
  });
});

describe("a hash", () => {
  it("is salted, is read back, and knows its password and no other", () => {
    const [one, other] = [hashPassword(Buffer.from("pässword"), COST), hashPassword(Buffer.from("pässword"), COST)];
    expect(one).not.toBe(other);
    const entry = parsePasswordFile(`u:${one}`, "users").get("u")!;
    expect(isPassword(Buffer.from("pässword"), entry)).toBe(true);
    for (const wrong of ["passwort", "", "Pässword"]) expect(isPassword(Buffer.from(wrong), entry)).toBe(false);
  });
});

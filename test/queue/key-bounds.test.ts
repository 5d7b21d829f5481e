/**
 * Goal: no expression and no message can hold a worker up: what a key costs is bounded, and nothing throws.
 * Method: patterns on which a backtracking engine takes centuries, and functions fed with a megabyte made to be worst for them; each
 * has to end, within seconds where they take milliseconds. Then random expressions over random payloads.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEY_REGEX_STEPS_MAX, KEY_VALUE_BYTES_MAX, KEY_WORK_BYTES_MAX } from "../../src/base/limits.ts";
import { compileKeyExpression, type KeyExpression } from "../../src/queue/key-expression.ts";
import { KEY_FUNCTIONS } from "../../src/queue/key-functions/table.ts";
import { newKeyHash } from "../../src/queue/key-hash.ts";
import { message, userProperty } from "./message.ts";

/** Generous on any machine; what is bounded takes less than a tenth of it on an idle one, what is not takes for ever. */
const ENDED_MS = 5_000;
const MEBIBYTE = 1024 * 1024;

function compiled(source: string): KeyExpression {
  const result = compileKeyExpression(source);
  if (!result.ok) throw new Error(`${source}: ${result.message} at ${result.position}`);
  return result.expression;
}

/** The outcome of one evaluation; it fails when that does not end in time. */
function outcome(source: string, payload: string): string {
  const expression = compiled(source);
  const region = message({ payload, clientId: "c" });
  const startMs = performance.now();
  const result = expression.hashInto(region, 0, 0, () => 0.5, { high: 1, low: 2 }, newKeyHash());
  expect(performance.now() - startMs).toBeLessThan(ENDED_MS);
  return result;
}

describe("regular expressions that make others backtrack", () => {
  const patterns = [
    "(a+)+$",
    "([a-zA-Z]+)*$",
    "(a|aa)+$",
    "(a|a?)+$",
    "(.*a){12}$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(a*)*b",
    "(x+x+)+y",
    "(a?){60}a{60}b",
    "a*a*a*a*a*a*a*a*b",
    "^([a-zA-Z0-9])(([.-]|[_]+)?([a-zA-Z0-9]+))*(@)[a-z]+$",
  ];
  const text = `${"a".repeat(MEBIBYTE - 1)}!`;
  for (const call of ["regex_match(message.payload, P)", "regex_extract(message.payload, P)"]) {
    test.each(patterns)(`${call}: %s`, (pattern) => {
      const result = outcome(`any_to_str(${call.replace("P", () => `'${pattern}'`)})`, text);
      expect(["ok", "too_large"]).toContain(result);
    });
  }
  test.each([...patterns, "a.*b|a", "a", ""])("regex_replace(message.payload, P, ''): %s", (pattern) => {
    const result = outcome(`regex_replace(message.payload, '${pattern}', '')`, text);
    expect(["ok", "too_large"]).toContain(result);
  });

  test("a pattern that the message chooses is bounded too", () => {
    for (const payload of [
      "\\w{1000}".repeat(60),
      `(?i)${"\\pL{1000}".repeat(50)}`,
      "(".repeat(512),
      "(?:a*)*".repeat(70),
    ]) {
      expect(["ok", "bad_argument"]).toContain(outcome("regex_match('aaaa', message.payload)", payload));
    }
  });

  test("what is paid for is the size of the pattern times the text", () => {
    // A pattern of at least 100 instructions over a text that is too long for it, and over one that is not.
    const source = "regex_match(message.payload, 'a{100}b')";
    expect(outcome(source, "a".repeat(KEY_REGEX_STEPS_MAX / 100))).toBe("too_large");
    expect(outcome(source, "a".repeat(1_000))).toBe("ok");
  });
});

describe("large messages", () => {
  const megabyte = "a".repeat(MEBIBYTE);
  test.each([
    ["strlen(message.payload)", "é".repeat(MEBIBYTE / 2), "too_large"],
    ["strlen(message.payload)", "é".repeat(100_000), "ok"],
    ["strlen(message.payload)", `a${"\u0301".repeat(200_000)}`, "ok"],
    ["strlen(message.payload)", megabyte, "ok"],
    ["reverse(message.payload)", megabyte, "too_large"],
    ["any_to_str(split(message.payload, ',', 'notrim'))", ",".repeat(MEBIBYTE), "too_large"],
    ["any_to_str(tokens(message.payload, ','))", "a,".repeat(MEBIBYTE / 2), "too_large"],
    ["any_to_str(topic_split(message.payload))", "/".repeat(MEBIBYTE), "too_large"],
    ["replace(message.payload, 'a', 'bbbb')", megabyte, "too_large"],
    ["replace(message.payload, concat('b', substr(message.payload, 0, 500000)), '')", megabyte, "too_large"],
    ["find(message.payload, concat('b', substr(message.payload, 0, 200)))", megabyte, "ok"],
    ["pad('a', 4096, 'both', message.payload)", megabyte, "too_large"],
    ["join_to_string(message.payload, ['', '', '', '', ''])", megabyte, "too_large"],
    ["regex_replace('aaaa', 'a', message.payload)", megabyte, "too_large"],
    ["sprintf_s(message.payload, split(message.payload, '~'))", "~4096s".repeat(60_000), "too_large"],
    ["bin2hexstr(message.payload)", megabyte, "ok"],
    ["bin2hexstr(bin2hexstr(message.payload))", megabyte, "too_large"],
    ["hash('sha512', message.payload)", megabyte, "ok"],
    ["map_to_range(message.payload, 0, 9)", megabyte, "ok"],
    ["json_value(message.payload, 'b')", `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)},"b":7}`, "ok"],
    ["json_value(message.payload, 'a')", `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`, "too_large"],
    ["json_value(message.payload, 'a')", `{"a":${'{"b":'.repeat(160_000)}1${"}".repeat(160_000)}}`, "not_scalar"],
    ["json_value(message.payload, 'a')", `{"a":[${"1,".repeat(400_000)}1]}`, "too_large"],
    ["json_value(message.payload, 'a')", `{"a":"${"\\n".repeat(500_000)}"}`, "ok"],
    ["json_value(message.payload, 'a')", `{"a":${"9".repeat(MEBIBYTE - 10)}}`, "too_large"],
    ["json_value(message.payload, 'a')", "[".repeat(MEBIBYTE), "ok"],
    ["jwt_value(message.payload, 'a')", ".".repeat(MEBIBYTE), "ok"],
    ["unescape(message.payload)", `\\x${"0".repeat(MEBIBYTE - 4)}41`, "ok"],
    ["base64_decode(message.payload)", megabyte, "ok"],
  ])("%s is bounded", (source, payload, expected) => {
    expect(outcome(source, payload)).toBe(expected);
  });

  test("the purse is that of the whole expression", () => {
    expect(outcome("concat(lower(message.payload), upper(message.payload))", megabyte)).toBe("ok");
    const many = `join_to_string('', [${Array(100).fill("hash('md5', message.payload)").join()}])`;
    expect(outcome(many, "a".repeat(KEY_WORK_BYTES_MAX / 200))).toBe("ok");
    expect(outcome(many, "a".repeat(KEY_WORK_BYTES_MAX / 90))).toBe("too_large");
  });

  test("a value that a function makes is bounded, the payload as it came is not", () => {
    const huge = "a".repeat(KEY_VALUE_BYTES_MAX + 1);
    expect(outcome("message.payload", huge)).toBe("ok");
    expect(outcome("lower(message.payload)", huge)).toBe("too_large");
  });
});

describe("random expressions", () => {
  const constant = fc.oneof(
    fc.constantFrom(
      "''",
      "'a'",
      "','",
      "'(a+)+$'",
      "'a/#'",
      "'\u00e9\u{1f600}'",
      "'all'",
      "'urlsafe'",
      "'leading'",
      "'md5'",
      "'~s-~3b'",
    ),
    fc.constantFrom("0", "1", "-1", "3", "99999999999999999999", "1.5", "true", "false"),
    fc.constantFrom("message.payload", "message.from", "message.qos", "message.nope", "message.headers"),
    fc.constantFrom("message.headers.properties.User-Property.k", "message.flags.retain", "message.timestamp"),
  );
  const { expression } = fc.letrec<{ expression: string; argument: string }>((tie) => ({
    expression: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      constant,
      fc
        .tuple(fc.constantFrom(...KEY_FUNCTIONS.keys()), fc.array(tie("argument"), { minLength: 0, maxLength: 4 }))
        .map(([name, args]) => `${name}(${args.join()})`),
    ),
    argument: fc.oneof(
      { weight: 4, arbitrary: tie("expression") },
      {
        weight: 1,
        arbitrary: fc.array(tie("argument"), { minLength: 1, maxLength: 3 }).map((items) => `[${items.join()}]`),
      },
    ),
  }));
  const payload = fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array(),
    fc.json(),
    fc.constantFrom("a,b/c", "\\x41", "YWI=", "(a", "a{2,1}", "11", '{"a":{"b":[1,"x"]}}'),
  );

  test("give a key or a fault, and never throw", () => {
    let evaluated = 0;
    const keys = { ok: 0, faults: 0 };
    fc.assert(
      fc.property(expression, payload, fc.string(), (source, body, value) => {
        const result = compileKeyExpression(source);
        if (!result.ok) return;
        evaluated += 1;
        const region = message({ payload: body, properties: userProperty("k", value), clientId: "c" });
        const out = newKeyHash();
        const found = result.expression.hashInto(region, 0, 1.5e12, Math.random, { high: 1, low: 2 }, out);
        expect(["ok", "unbound", "not_scalar", "bad_argument", "too_large"]).toContain(found);
        if (found === "ok") keys.ok += 1;
        else keys.faults += 1;
      }),
      { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 100_000 : 5_000 },
    );
    expect(Math.min(keys.ok, keys.faults)).toBeGreaterThan(evaluated / 20);
  });

  test("as mutations of good ones, compile or are refused at a position inside", () => {
    const good = fc.constantFrom(
      "concat([message.from, json_value(message.payload, 'a.b')])",
      "iif(num_gt(message.qos, 0), regex_extract(message.topic, '(a+)/b'), 'x')",
      "pad('7', 3, 'leading', \"0\")",
    );
    const change = fc.tuple(fc.nat(80), fc.nat(3), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(good, fc.array(change, { minLength: 1, maxLength: 4 }), (source, changes) => {
        let text = source;
        for (const [at, removed, added] of changes) text = text.slice(0, at) + added + text.slice(at + removed);
        const result = compileKeyExpression(text);
        if (result.ok) return;
        expect(result.message).not.toBe("");
        expect(result.position).toBeGreaterThanOrEqual(0);
        expect(result.position).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

describe("memory", () => {
  test("the usual keys allocate nothing", () => {
    const region = message({ topic: "a/b", clientId: "device", properties: userProperty("key", "value") });
    const out = newKeyHash();
    const seed = { high: 1, low: 2 };
    const random = (): number => 0;
    for (const source of ["message.from", "message.topic", "message.headers.properties.User-Property.key", "'x'"]) {
      const expression = compiled(source);
      // What is allocated between two looks shows as growth, unless a collection lies between them.
      const allocated = (): number => {
        let bytes = 0;
        for (let look = 0; look < 50; look += 1) {
          const before = process.memoryUsage().heapUsed;
          for (let count = 0; count < 20_000; count += 1) expression.hashInto(region, 0, 0, random, seed, out);
          bytes += Math.max(0, process.memoryUsage().heapUsed - before);
        }
        return bytes;
      };
      allocated(); // Compiles it.
      expect(Math.min(allocated(), allocated(), allocated())).toBeLessThan(4_000_000); // One object each: 16 MB.
    }
  });
});

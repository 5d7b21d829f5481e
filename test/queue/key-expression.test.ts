/**
 * Goal: key expressions are read as their grammar says, faults are named with their position, and keys are the right
 * bytes of the message.
 * Method: examples; properties over generated syntax trees printed with random white space, and over random text.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Region } from "../../src/base/region.ts";
import { compileKeyExpression, type KeyExpression } from "../../src/queue/key-expression.ts";
import { type ExpressionNode, parseExpression } from "../../src/queue/key-expression-grammar.ts";
import { type KeyHash, newKeyHash } from "../../src/queue/key-hash.ts";
import { message, textProperty, userProperty } from "./message.ts";

const SEED = { high: 1, low: 2 };

/** Hashes as a queue does, at one moment, with one draw of chance. */
const hashInto = (expression: KeyExpression, region: Region, out: KeyHash): string =>
  expression.hashInto(region, 0, 1_700_000_000_999, () => 0.5, SEED, out);

function compiled(source: string): KeyExpression {
  const result = compileKeyExpression(source);
  if (!result.ok) throw new Error(`${result.message} at ${result.position}`);
  return result.expression;
}

describe("keys", () => {
  const sample = message({
    topic: "commands/1",
    clientId: "device-7",
    username: "ann",
    peer: "[::1]:5000",
    payload: "on",
    retain: true,
    publishedAtMs: 1_700_000_000_123,
    expiresAtMs: 1_700_000_060_123,
    properties: Buffer.concat([
      Buffer.from([0x01, 1]),
      textProperty(0x03, "text/plain"),
      userProperty("key", "first"),
      userProperty("other", "x"),
      textProperty(0x08, "reply/to"),
      userProperty("key", "last"),
      userProperty("empty", ""),
      textProperty(0x09, "correlate"),
    ]),
  });

  test.each([
    ["message.from", "device-7"],
    ["message.topic", "commands/1"],
    ["message.payload", "on"],
    ["message.qos", "1"],
    ["message.timestamp", "1700000000123"],
    ["message.flags.retain", "true"],
    ["message.headers.username", "ann"],
    ["message.headers.peername", "[::1]:5000"],
    ["message.headers.peerhost", "::1"],
    ["message.headers.proto_ver", "5"],
    ["message.headers.properties.User-Property.key", "last"],
    ["message.headers.properties.User-Property.empty", ""],
    ["message.headers.properties.Content-Type", "text/plain"],
    ["message.headers.properties.Response-Topic", "reply/to"],
    ["message.headers.properties.Correlation-Data", "correlate"],
    ["message.headers.properties.Payload-Format-Indicator", "1"],
    ["message.headers.properties.Message-Expiry-Interval", "60"],
    ["'a constant'", "a constant"],
    [" +12 ", "12"],
    ["-3", "-3"],
    ["1.50", "1.5"],
    ["2.0", "2.0"],
    ["1.5e2", "150.0"],
    ["true", "true"],
  ])("%s is %j", (source, key) => {
    const expression = compiled(source);
    expect(expression.keyOf(sample, 0)).toBe(key);
    const [one, other] = [newKeyHash(), newKeyHash()];
    expect(hashInto(expression, sample, one)).toBe("ok");
    expect(hashInto(compiled(`'${key}'`), sample, other)).toBe("ok");
    expect(one).toEqual(other);
  });

  test("an absent user name is an empty key; a message from REST has no client's headers", () => {
    expect(compiled("message.headers.username").keyOf(message({}), 0)).toBe("");
    const fromRest = message({ clientId: "http_api", protocolLevel: 0 });
    expect(compiled("message.from").keyOf(fromRest, 0)).toBe("http_api");
    expect(hashInto(compiled("message.headers.username"), fromRest, newKeyHash())).toBe("unbound");
  });

  test("what is not there is unbound, what is a map has no key, and neither writes a hash", () => {
    const out = newKeyHash();
    for (const path of ["message.headers.properties.User-Property.nope", "message.nope", "nope"]) {
      expect(hashInto(compiled(path), sample, out)).toBe("unbound");
    }
    expect(hashInto(compiled("message.headers.properties.User-Property"), sample, out)).toBe("not_scalar");
    expect(out).toEqual(newKeyHash());
  });
});

describe("faults", () => {
  test.each([
    ["", 0, "empty"],
    ["  ", 2, "empty"],
    ["a b", 2, '"b"'],
    ["'open", 0, "closing quote"],
    ["f(1,", 4, "the end"],
    ["f(1", 3, '","'],
    ["f([])", 3, '"]"'],
    ["[1]", 0, '"["'],
    ["message.headers.properties.'User-Property'.x", 27, "'"],
    ["-", 0, "digits"],
    ["1.", 1, '"."'],
    ["f(1)", 0, "f is unknown"],
    ["concat('a', upper(nosuch('b')))", 18, "nosuch is unknown"],
    ["  json_value(message.payload)", 2, "json_value takes 2 arguments, not 1"],
    ["lower()", 0, "lower takes 1 argument, not 0"],
    ["substr('a',1,2,3)", 0, "substr takes 2 or 3 arguments, not 4"],
    ["pad('a')", 0, "pad takes 2 to 4 arguments, not 1"],
    ["coalesce()", 0, "coalesce takes at least 1 argument"],
    ["pad('a', 5, 'left')", 12, "argument 3 of pad is not 'trailing' or 'leading' or 'both'"],
    ["pad('a', 5000)", 9, "from 0 to 4096"],
    ["sprintf_s('~s ~p', [1, 2])", 10, "argument 1 of sprintf_s is not a format"],
    ["sprintf_s('~', [1])", 10, "not a format"],
    ["sprintf_s('~5000s', [1])", 10, "not a format"],
    ["sprintf_s('~.37b', [1])", 10, "not a format"],
    ["hash('md4', message.payload)", 5, "argument 1 of hash is not 'md5'"],
    ["regex_match(message.topic, '(a')", 27, "missing closing"],
    ["regex_match(message.topic, '(a)\\1')", 27, "\\1"],
    ["regex_match(message.topic, '(?=a)')", 27, "Perl syntax"],
    [`regex_match(message.topic, '${"\\w{1000}".repeat(10)}')`, 27, "too much"],
    [`regex_match(message.topic, '${"a".repeat(600)}')`, 27, "longer than 512"],
    ["topic_match(message.topic, 'a/#/b')", 27, "a topic filter"],
    ["coalesce(message.id, 'x')", 9, "no identifier"],
    ["maps.size(message.headers)", 0, "maps.size is unknown"],
    ["1.5e999", 0, "too large"],
  ])("%j at %i", (source, position, part) => {
    const result = compileKeyExpression(source);
    expect(result).toMatchObject({ ok: false, position });
    expect(result.ok ? "" : result.message).toContain(part);
  });

  test("nesting and length are bounded", () => {
    expect(compileKeyExpression(`${"f(".repeat(5_000)}1${")".repeat(5_000)}`).ok).toBe(false);
    expect(compileKeyExpression(`${"f(".repeat(500)}1${")".repeat(500)}`)).toMatchObject({ ok: false });
    expect(compileKeyExpression(`f(${"[".repeat(500)}1${"]".repeat(500)})`)).toMatchObject({ ok: false });
  });
});

describe("properties", () => {
  const space = fc.constantFrom("", " ", "\n\t", "  ");
  const identifier = fc.stringMatching(/^[a-zA-Z][-a-zA-Z0-9_.]{0,8}$/).filter((name) => !/^(true|false)$/.test(name));
  type Printed = { text: string; node: unknown };
  const { expression } = fc.letrec<{ expression: Printed; argument: Printed }>((tie) => ({
    expression: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      identifier.map((path) => ({ text: path, node: { kind: "variable", path } })),
      fc.bigInt().map((value) => ({ text: String(value), node: { kind: "constant", value } })),
      fc
        .tuple(fc.integer(), fc.nat({ max: 999 }), fc.constantFrom("", "e3", "e-2", "E+1"))
        .map(([whole, decimals, exponent]) => `${whole}.${decimals}${exponent}`)
        .map((text) => ({ text, node: { kind: "constant", value: Number(text) } })),
      fc.boolean().map((value) => ({ text: String(value), node: { kind: "constant", value } })),
      fc
        .tuple(fc.constantFrom("'", '"'), fc.string())
        .filter(([quote, text]) => !text.includes(quote))
        .map(([quote, text]) => ({ text: quote + text + quote, node: { kind: "constant", value: text } })),
      fc.tuple(identifier, space, fc.array(tie("argument"), { maxLength: 3 })).map(([name, gap, items]) => ({
        text: `${name}${gap}(${items.map((item) => item.text).join(`${gap},${gap}`)}${gap})`,
        node: { kind: "call", name, items: items.map((item) => item.node) },
      })),
    ),
    argument: fc.oneof(
      tie("expression"),
      fc.tuple(space, fc.array(tie("argument"), { minLength: 1, maxLength: 3 })).map(([gap, items]) => ({
        text: `[${items.map((item) => gap + item.text).join(",")}${gap}]`,
        node: { kind: "array", items: items.map((item) => item.node) },
      })),
    ),
  }));

  test("what is printed from a tree is read as that tree", () => {
    fc.assert(
      fc.property(expression, space, ({ text, node }, gap) => {
        const result = parseExpression(gap + text + gap);
        expect(result.ok && withoutPositions(result.node)).toEqual(node);
      }),
    );
  });

  test("any text is an expression or a fault at a position inside it, never an exception", () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."ab.(),[]'\" 1-+e") }));
    fc.assert(
      fc.property(text, (source) => {
        const result = compileKeyExpression(source);
        if (result.ok) return;
        expect(result.message).not.toBe("");
        expect(result.position).toBeGreaterThanOrEqual(0);
        expect(result.position).toBeLessThanOrEqual(source.length);
      }),
    );
  });
});

function withoutPositions(node: ExpressionNode): unknown {
  const { position: _, ...rest } = node;
  return "items" in rest ? { ...rest, items: rest.items.map(withoutPositions) } : rest;
}

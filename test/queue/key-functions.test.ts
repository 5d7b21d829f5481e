/**
 * Goal: functions of key expressions give what docs/key-expressions.md says at their edges too: empty, absent, out of range,
 * bytes that are not UTF-8, numbers beyond 53 bits; and what they cannot take gives no key.
 * Method: expressions over a message with a payload of choice, and the key they give, or the fault.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Region } from "../../src/base/region.ts";
import { compileKeyExpression } from "../../src/queue/key-expression.ts";
import { newKeyHash } from "../../src/queue/key-hash.ts";
import { message, userProperty } from "./message.ts";

const NOW_MS = 1_700_000_000_999;

function keyOf(source: string, region: Region, random = (): number => 0.5): string {
  const result = compileKeyExpression(source);
  if (!result.ok) throw new Error(`${source}: ${result.message} at ${result.position}`);
  const hashes = [newKeyHash(), newKeyHash()];
  const seed = { high: 1, low: 2 };
  const outcome = result.expression.hashInto(region, 0, NOW_MS, random, seed, hashes[0]!);
  if (outcome !== "ok") return `fault: ${outcome}`;
  const key = result.expression.keyOf(region, 0);
  if (key === undefined) return "another each time";
  // The hash is that of the key that is shown, where that is a text.
  const constant = compileKeyExpression(key.includes("'") ? `"${key}"` : `'${key}'`);
  if (constant.ok && !key.includes("\ufffd")) {
    constant.expression.hashInto(region, 0, NOW_MS, random, seed, hashes[1]!);
    expect(hashes[0]).toEqual(hashes[1]);
  }
  return key;
}

const withPayload = (payload: string | Uint8Array): Region =>
  message({
    topic: "a/b",
    clientId: "c1",
    payload,
    properties: Buffer.concat([userProperty("n", "2"), userProperty("empty", ""), userProperty("__proto__", "own")]),
  });
const USER = "message.headers.properties.User-Property";

test.each([
  // Absent, empty, nothing.
  ["coalesce(message.nope, '', 'x')", "x"],
  ["coalesce(concat('a', message.nope), 'x')", "x"],
  ["coalesce(message.nope, '')", ""],
  ["coalesce([message.from, 'x'])", "c1"],
  ["coalesce(split(message.payload, 'z'))", "{}"],
  ["coalesce(lower(json_value(message.payload, 'a')), 'x')", "fault: bad_argument"],
  ["coalesce(json_value(message.payload, 'a'), 'x')", "x"],
  ["iif(message.nope, 'yes', 'no')", "no"],
  ["iif('', 'yes', 'no')", "no"],
  ["iif(0, 'yes', 'no')", "yes"],
  ["iif(true, 'yes', message.nope)", "yes"],
  ["iif(true, message.nope, 'no')", "fault: unbound"],
  ["iif(lower(topic_split(message.topic)), 'yes', 'no')", "fault: bad_argument"],
  [`is_empty(${USER}.empty)`, "true"],
  [`is_empty(${USER})`, "fault: not_scalar"],
  ["is_empty(topic_split(message.topic))", "false"],
  ["is_empty_val(message.nope)", "fault: unbound"],
  ["is_empty_val(json_value(message.payload, 'a'))", "true"],
  ["not(message.flags.retain)", "true"],
  ["not(message.topic)", "fault: bad_argument"],
  // Strings.
  ["lower(message.qos)", "1"],
  ["strlen('')", "0"],
  ["strlen('e\u0301\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\r\n')", "3"],
  ["reverse('abe\u0301')", "e\u0301ba"],
  ["substr('abc', 5)", ""],
  ["substr('abc', 1, 0)", ""],
  ["substr('abc', 1)", "bc"],
  ["substr('a\u0308bc', 0, 1)", "a\u0308"],
  ["trim('')", ""],
  ["trim('  ')", ""],
  ["trim('\u{1f600}a\u{1f600}', '\u{1f600}')", "a"],
  ["rtrim('a\u{1f600}')", "a\u{1f600}"],
  ["rm_prefix('ab', 'abc')", "ab"],
  ["join_to_string('|', split(',a,,b,', ',', 'notrim'))", "|a||b|"],
  ["join_to_string('|', split(',a,b', ',', 'leading'))", "a,b"],
  ["join_to_string('|', split(',a,b', ',', 'leading_notrim'))", "|a,b"],
  ["join_to_string('|', split('a,b,', ',', 'trailing'))", "a,b"],
  ["join_to_string('|', split('a,b,c', ',', 'trailing_notrim'))", "a,b|c"],
  ["join_to_string('|', split('abc', ''))", "abc"],
  ["join_to_string('|', tokens('a\r\nb,c', ',', 'nocrlf'))", "a|b|c"],
  ["join_to_string(['a', 'b'])", "a, b"],
  ["concat('a', 1.50)", "a1.5"],
  ["concat('a', json_value(message.payload, 'a'))", "fault: bad_argument"],
  ["pad('ab', 1)", "ab"],
  ["pad('ab', 5, 'both', '*')", "*ab**"],
  ["replace('aaa', 'a', 'bb', 'leading')", "bbaa"],
  ["replace('aaa', '', 'b')", "aaa"],
  ["find('abc', 'x')", ""],
  ["ascii('')", "fault: bad_argument"],
  ["unescape('\\\\a\\tb\\x1F600')", "\\a\tb\u{1f600}"],
  ["unescape('\\q')", "fault: bad_argument"],
  ["unescape('a\\')", "a\\"],
  ["not('false')", "true"],
  ["concat(['a', ['b', 1]])", 'a["b",1]'],
  ["concat('a', topic_split('b/c'))", 'a["b","c"]'],
  ["sprintf_s('~s-~ts~~~n', ['a', 1.5])", "a-1.5~\n"],
  ["sprintf_s('[~5s][~-5s][~.2s][~5..*s][~2s]', ['ab', 'ab', 'abc', 'ab', 'abc'])", "[   ab][ab   ][ab][***ab][ab]"],
  ["sprintf_s('[~b][~.16b][~.16B][~4..0b][~2b][~-4b]', [-7, 255, 255, 42, 12345, 7])", "[-7][ff][FF][0042][**][7   ]"],
  ["sprintf_s('~f ~.2f ~8.1f', [1, 2.345, 3.25])", "1.000000 2.35      3.3"],
  ["sprintf_s('~5s|', [''])", "     |"],
  ["sprintf_s('~.1s', ['e\u0301x'])", "e\u0301"],
  ["sprintf_s('~s', ['a', 'b'])", "fault: bad_argument"],
  ["sprintf_s('~s', [json_value(message.payload, 'a')])", "fault: bad_argument"],
  ["sprintf_s('~b', ['a'])", "fault: bad_argument"],
  ["sprintf_s('~f', ['a'])", "fault: bad_argument"],
  ["sprintf_s(concat('~', 'p'), [1])", "fault: bad_argument"],
  ["hash_to_range('', 1, 2)", "fault: bad_argument"],
  ["map_to_range(concat('', ''), 1, 2)", "fault: bad_argument"],
  ["int2hexstr(-255)", "-FF"],
  ["unescape('\\xD800')", "fault: bad_argument"],
  ["any_to_str(json_value(message.payload, 'a'))", ""],
  // Regular expressions.
  ["any_to_str(regex_extract('b', '(a)|(b)'))", '["","b"]'],
  ["is_empty(regex_extract('b', 'b'))", "true"],
  ["is_empty(regex_extract('x', '(b)'))", "true"],
  ["regex_replace('abc', 'b*', '-')", "-a--c-"],
  ["regex_replace('ab', '(a)(b)', '\\2\\g{1}\\&\\\\&')", "ba&\\ab"],
  ["regex_replace('a', 'a', '\\7')", ""],
  [`regex_match('a2', concat('a', ${USER}.n))`, "true"],
  ["regex_match('a', concat('(', 'a'))", "fault: bad_argument"],
  // Arrays and topics.
  ["nth(0, ['a'])", ""],
  ["nth(2, ['a'])", ""],
  ["nth(message.from, topic_split('a'))", "fault: bad_argument"],
  [`nth(${USER}.n, ['a', 'b'])`, "b"],
  ["topic_join('', 'a')", "a"],
  ["topic_join('a/', 'b')", "a/b"],
  ["topic_match('a', 'a/#')", "true"],
  ["topic_match('$SYS/a', '#')", "false"],
  ["topic_match('a', concat('#', '/b'))", "fault: bad_argument"],
  ["topic_split('a/b')", "fault: not_scalar"],
  // Encodings.
  ["hexstr2bin(concat('6', ''))", "fault: bad_argument"],
  ["int2hexstr(18446744073709551616)", "10000000000000000"],
  ["base64_encode('???>', 'urlsafe')", "Pz8_Pg=="],
  ["base64_encode('a', 'urlsafe', 'no_padding')", "YQ"],
  ["base64_decode('YQ')", "fault: bad_argument"],
  ["base64_decode('YQ', 'no_padding')", "a"],
  ["base64_decode('Pz8_Pg', 'no_padding', 'urlsafe')", "???>"],
  ["base64_decode('Y Q=')", "fault: bad_argument"],
  // Numbers.
  ["hash_to_range('x', 5, 5)", "5"],
  ["hash_to_range('x', 6, 5)", "fault: bad_argument"],
  ["map_to_range(-1, 0, 9)", "9"],
  ["map_to_range('\u0001\u0000', 0, 999)", "256"],
  ["num_eq(9007199254740993, 9007199254740992.0)", "false"],
  ["num_gt(message.timestamp, -1)", "true"],
  ["num_eq(message.topic, 1)", "fault: bad_argument"],
  ["num_lte(1.5, 2)", "true"],
  // Chance and time.
  ["rand_str(3)", "another each time"],
  ["timestamp_ms()", "another each time"],
  ["concat('a', timestamp_s())", "another each time"],
])("%j is %j", (source, key) => {
  expect(keyOf(source, withPayload("{}"))).toBe(key);
});

describe("time and chance", () => {
  const hashOf = (source: string, random: () => number): number[] => {
    const result = compileKeyExpression(source);
    const out = newKeyHash();
    if (result.ok) result.expression.hashInto(withPayload(""), 0, NOW_MS, random, { high: 1, low: 2 }, out);
    return [...out];
  };
  test.each([
    ["timestamp_ms()", 0, "1700000000999"],
    ["timestamp_s()", 0, "1700000000"],
    ["rand_int(6)", 0, "1"],
    ["rand_int(6)", 0.999, "6"],
    ["rand_str(3)", 0, "AAA"],
    ["rand_str(2)", 0.999_99, "99"],
  ])("%s at %d is %s: they are arguments", (source, draw, key) => {
    expect(hashOf(source, () => draw)).toEqual(hashOf(`'${key}'`, () => draw));
  });
});

describe("bytes that are not UTF-8", () => {
  const raw = Uint8Array.from([0xff, 0x00, 0x80, 0x61]);
  test.each([
    ["bin2hexstr(message.payload)", "FF008061"],
    ["base64_encode(message.payload)", "/wCAYQ=="],
    ["hash('sha256', message.payload)", createHash("sha256").update(raw).digest("hex")],
    ["bin2hexstr(concat('a', message.payload))", "61FF008061"],
    ["bin2hexstr(join_to_string('-', [message.payload, 'b']))", "FF0080612D62"],
    ["bin2hexstr(rm_prefix(message.payload, hexstr2bin('FF00')))", "8061"],
    ["bin2hexstr(base64_decode(base64_encode(message.payload)))", "FF008061"],
    ["str_eq(message.payload, hexstr2bin('ff008061'))", "true"],
    ["str_gt(message.payload, 'z')", "true"],
    ["ascii(message.payload)", "255"],
    ["map_to_range(message.payload, 0, 99999999999)", "4278222945"],
    ["lower(message.payload)", "fault: bad_argument"],
    ["regex_match(message.payload, 'a')", "fault: bad_argument"],
    ["json_value(message.payload, 'a')", ""],
  ])("%s is %s", (source, key) => {
    expect(keyOf(source, withPayload(raw))).toBe(key);
  });

  test("make different keys as they are", () => {
    const [one, other] = [newKeyHash(), newKeyHash()];
    const result = compileKeyExpression("concat(message.payload, '')");
    if (!result.ok) throw new Error(result.message);
    const hash = (payload: Uint8Array, out: Uint32Array): string =>
      result.expression.hashInto(withPayload(payload), 0, NOW_MS, () => 0, { high: 1, low: 2 }, out);
    expect([hash(Uint8Array.from([0xff]), one), hash(Uint8Array.from([0xfe]), other)]).toEqual(["ok", "ok"]);
    expect(one).not.toEqual(other);
  });
});

describe("json_value", () => {
  test.each([
    ['{"a": {"b": "x"}}', "a.b", "x"],
    [' {\n"a"\t:\r{ "b" : 1 } , "c": 2 } ', "a.b", "1"],
    ['{"a": {"b": 1}, "a": {"c": 2}}', "a.b", ""],
    ['{"a": 1, "a": 2}', "a", "2"],
    ['{"\\u0061\\n": "\\u00e9\\"}"}', "a\n", 'é"}'],
    ['{"x": "a\\\\", "y": "}{][", "z": [{"y": 1}, "]"], "a": true}', "a", "true"],
    ['{"a": 9007199254740993}', "a", "9007199254740993"],
    ['{"a": -0}', "a", "0"],
    ['{"a": 21.0}', "a", "21.0"],
    ['{"a": 1e2}', "a", "100.0"],
    ['{"a": 1e999}', "a", "fault: bad_argument"],
    ['{"a": null}', "a", ""],
    ['{"a": []}', "a", "fault: not_scalar"],
    ['{"a": {}}', "a.b.c", ""],
    ['{"a": [1]}', "a.0", ""],
    ['{"": 1}', "", "1"],
    ['{"a": 1', "a", ""],
    ["", "a", ""],
    ["[1]", "a", ""],
    ['"a"', "a", ""],
    // What JavaScript objects have of themselves is not in the text; what is in the text is.
    ["{}", "__proto__", ""],
    ["{}", "constructor.name", ""],
    ["{}", "toString", ""],
    ['{"__proto__": {"x": 1}}', "__proto__.x", "1"],
    ['{"__proto__": {"x": 1}}', "x", ""],
    ['{"constructor": {"prototype": {"polluted": 1}}}', "constructor.prototype.polluted", "1"],
  ])("of %j at %j is %j", (json, path, key) => {
    expect(keyOf(`json_value(message.payload, '${path}')`, withPayload(json))).toBe(key);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test("gives arrays and maps to functions", () => {
    const payload = withPayload('{"tags": ["a", 2, [true, null], {"k" : 1.0}], "map": { "x":1 }}');
    expect(keyOf("nth(2, json_value(message.payload, 'tags'))", payload)).toBe("2");
    expect(keyOf("any_to_str(json_value(message.payload, 'tags'))", payload)).toBe('["a",2,[true,null],{"k" : 1.0}]');
    expect(keyOf("any_to_str(json_value(message.payload, 'map'))", payload)).toBe('{ "x":1 }');
    expect(keyOf("json_value(any_to_str(json_value(message.payload, 'map')), 'x')", payload)).toBe("1");
  });
});

test("a user property may have any name that an identifier can say", () => {
  expect(keyOf(`${USER}.__proto__`, withPayload(""))).toBe("own");
  expect(keyOf(`${USER}.constructor`, withPayload(""))).toBe("fault: unbound");
  expect(keyOf("message.__proto__", withPayload(""))).toBe("fault: unbound");
  expect(compileKeyExpression("constructor()").ok).toBe(false);
  expect(compileKeyExpression("__proto__()").ok).toBe(false);
});

test("jwt_value reads the claims and nothing else", () => {
  const token = (claims: string): string => `${btoa("{}")}.${Buffer.from(claims).toString("base64url")}.s`;
  const source = "jwt_value(message.payload, 'sub.id')";
  expect(keyOf(source, withPayload(token('{"sub": {"id": "é"}}')))).toBe("é");
  for (const broken of ["", "a.b", "a.b.c.d", `a.!.c`, token("no JSON")]) {
    expect(keyOf(source, withPayload(broken))).toBe("");
  }
});

test("getenv reads variables with its prefixes, and no other", () => {
  process.env.RESTANTE_VAR_KEY_TEST = "ours";
  process.env.EMQXVAR_KEY_TEST = "theirs";
  process.env.EMQXVAR_KEY_OTHER = "theirs";
  try {
    expect(keyOf("getenv('KEY_TEST')", withPayload(""))).toBe("ours");
    expect(keyOf("getenv('KEY_OTHER')", withPayload(""))).toBe("theirs");
    expect(keyOf("getenv('PATH')", withPayload(""))).toBe("");
  } finally {
    for (const name of ["RESTANTE_VAR_KEY_TEST", "EMQXVAR_KEY_TEST", "EMQXVAR_KEY_OTHER"]) delete process.env[name];
  }
});

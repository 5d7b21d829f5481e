/**
 * Goal: topics and filters are judged and matched as section 4.7 of MQTT 5.0 says, and special filters as their users expect.
 * Method: the specification's own examples; then random topics and filters against a plain matcher over split levels, and the byte
 * forms against the string forms.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX } from "../../src/base/limits.ts";
import { ReasonCode } from "../../src/mqtt/reason-codes.ts";
import { isQueueName, parseSubscription } from "../../src/mqtt/subscription-filter.ts";
import {
  filterFaultOf,
  isMatch,
  isTopicFilter,
  isTopicName,
  publishPolicy,
  publishPolicyOf,
  topicFaultOf,
} from "../../src/mqtt/topics.ts";
import { filterArbitrary, topicArbitrary } from "./arbitraries.ts";
import { ROUNDS } from "./size.ts";

describe("matching", () => {
  test.each([
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/tennis/player1/#", "sport/tennis/player10", false],
    ["sport/#", "sport", true],
    ["#", "a/b", true],
    ["sport/tennis/+", "sport/tennis/player1", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["/+", "/finance", true],
    ["+", "/finance", false],
    ["+/+/#", "a", false],
    ["+/#", "a", true],
    ["a/+/c", "a//c", true],
    ["a", "a/", false],
    ["a/", "a", false],
    ["A", "a", false],
    ["#", "$SYS/x", false],
    ["+/monitor/Clients", "$SYS/monitor/Clients", false],
    ["$SYS/#", "$SYS/", true],
    ["$SYS/monitor/+", "$SYS/monitor/Clients", true],
    ["a/#", "a/$b", true],
  ])("%s and %s: %s", (filter, topic, expected) => {
    expect(isMatch(filter, topic)).toBe(expected);
  });

  function isMatchByLevels(filter: string, topic: string): boolean {
    if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
    const wanted = filter.split("/");
    const given = topic.split("/");
    for (const [index, level] of wanted.entries()) {
      if (level === "#") return true;
      if (index >= given.length || (level !== "+" && level !== given[index])) return false;
    }
    return wanted.length === given.length;
  }

  test("random filters and topics, many of them related", () => {
    const pairs = fc.tuple(
      filterArbitrary,
      topicArbitrary,
      fc.array(fc.nat({ max: 7 }), { maxLength: 4 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(pairs, ([filter, topic, wildcards, hasTail]) => {
        expect(isMatch(filter, topic)).toBe(isMatchByLevels(filter, topic));
        const levels = topic.split("/").map((level, index) => (wildcards.includes(index) ? "+" : level));
        const related = (hasTail ? [...levels.slice(0, -1), "#"] : levels).join("/");
        if (!isTopicFilter(related)) return;
        expect(isMatch(related, topic)).toBe(isMatchByLevels(related, topic));
      }),
      { numRuns: ROUNDS },
    );
  });
});

describe("validity", () => {
  const levels = (count: number): string => Array.from({ length: count }, () => "l").join("/");
  const cases: readonly (readonly [text: string, isName: boolean, isFilter: boolean])[] = [
    ["", false, false],
    ["/", true, true],
    ["a", true, true],
    ["a b/é/😀", true, true],
    ["$SYS/x", true, true],
    ["+", false, true],
    ["#", false, true],
    ["a/+/b/#", false, true],
    ["a+", false, false],
    ["+a", false, false],
    ["a/b+/c", false, false],
    ["a/#/b", false, false],
    ["a#", false, false],
    ["#/", false, false],
    ["##", false, false],
    ["++", false, false],
    ["a\0b", false, false],
    ["a/+\0", false, false],
    [levels(TOPIC_LEVELS_MAX), true, true],
    [levels(TOPIC_LEVELS_MAX + 1), false, false],
  ];

  test.each(cases)("%j", (text, isName, isFilter) => {
    const bytes = Buffer.from(text);
    expect(isTopicName(text)).toBe(isName);
    expect(isTopicFilter(text)).toBe(isFilter);
    expect(topicFaultOf(bytes, 0, bytes.length) === 0).toBe(isName);
    expect(filterFaultOf(bytes, 0, bytes.length) === 0).toBe(isFilter);
  });

  test("faults of the byte forms say what is wrong", () => {
    const fault = (of: typeof topicFaultOf, hex: string): number => of(Buffer.from(hex, "hex"), 0, hex.length / 2);
    expect(fault(topicFaultOf, "61ff")).toBe(ReasonCode.malformedPacket);
    expect(fault(topicFaultOf, "2bff")).toBe(ReasonCode.malformedPacket);
    expect(fault(topicFaultOf, "2b")).toBe(ReasonCode.topicNameInvalid);
    expect(fault(filterFaultOf, "61ff")).toBe(ReasonCode.malformedPacket);
    expect(fault(filterFaultOf, "612b")).toBe(ReasonCode.topicFilterInvalid);
  });

  test("the string forms know what a string has and bytes have not", () => {
    expect(isTopicName("a\ud800")).toBe(false);
    expect(isTopicFilter("\udc00/#")).toBe(false);
    expect(isTopicName("é".repeat(TOPIC_BYTES_MAX / 2))).toBe(true);
    expect(isTopicName("é".repeat(TOPIC_BYTES_MAX / 2 + 1))).toBe(false);
  });

  test("byte forms and string forms agree, at an offset and with more behind", () => {
    const texts = fc.oneof(
      topicArbitrary,
      filterArbitrary,
      fc.array(fc.constantFrom("a", "/", "+", "#", "\0", "é", "$"), { maxLength: 6 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const bytes = Buffer.from(`/${text}+`);
        expect(topicFaultOf(bytes, 1, bytes.length - 1) === 0).toBe(isTopicName(text));
        expect(filterFaultOf(bytes, 1, bytes.length - 1) === 0).toBe(isTopicFilter(text));
      }),
      { numRuns: ROUNDS },
    );
  });
});

test("subscriptions: every form, and what is malformed", () => {
  expect(parseSubscription("a/+")).toEqual({ kind: "plain", filter: "a/+" });
  expect(parseSubscription("$SYS/#")).toEqual({ kind: "plain", filter: "$SYS/#" });
  expect(parseSubscription("$sharex/g/a")).toEqual({ kind: "plain", filter: "$sharex/g/a" });
  expect(parseSubscription("$queuex")).toEqual({ kind: "plain", filter: "$queuex" });
  expect(parseSubscription("$share/g/a/#")).toEqual({ kind: "shared", group: "g", filter: "a/#" });
  expect(parseSubscription("$share/g//")).toEqual({ kind: "shared", group: "g", filter: "/" });
  expect(parseSubscription("$share/g/$SYS/#")).toEqual({ kind: "shared", group: "g", filter: "$SYS/#" });
  expect(parseSubscription("$queue/jobs")).toEqual({ kind: "queue", name: "jobs", filter: undefined });
  expect(parseSubscription("$queue/0-a.B_/t/+/#")).toEqual({ kind: "queue", name: "0-a.B_", filter: "t/+/#" });
  expect(parseSubscription("$queue/q//")).toEqual({ kind: "queue", name: "q", filter: "/" });
  expect(parseSubscription("$q/jobs")).toEqual({ kind: "legacyQueue", filter: "jobs" });
  expect(parseSubscription("$q/t/#")).toEqual({ kind: "legacyQueue", filter: "t/#" });
  expect(parseSubscription("$q//t")).toEqual({ kind: "legacyQueue", filter: "/t" });

  for (const filter of [
    "",
    "a/#/b",
    "$share",
    "$share/",
    "$share/g",
    "$share/g/",
    "$share//a",
    "$share/+/a",
    "$share/g/$share/h/a",
    "$share/g/$queue/x",
    "$share/g/$queue",
    "$share/g/$q/x",
    "$queue",
    "$queue/",
    "$queue/#",
    "$queue/+/t",
    "$queue/-x",
    "$queue/.x",
    "$queue/a b",
    "$queue/config",
    "$queue/config/t",
    "$queue/é",
    "$queue/jobs/",
    "$queue/jobs/$q/x",
    "$q",
    "$q/",
    "$q/$share/g/a",
  ]) {
    expect(parseSubscription(filter), filter).toMatchObject({ kind: "malformed", reasonCode: 0x8f });
  }
  expect(isQueueName("a\n")).toBe(false);
});

test("publishers: reserved roots are refused, by their whole first level", () => {
  const cases: readonly (readonly [string, "ordinary" | "refused"])[] = [
    ["$SYS/broker", "refused"],
    ["$SYS", "refused"],
    ["$share/g/a", "refused"],
    ["$queue/x", "refused"],
    ["$queue", "refused"],
    ["$q/x", "refused"],
    ["$queuex/y", "ordinary"],
    ["$qu", "ordinary"],
    ["$sys/x", "ordinary"],
    ["$foo/x", "ordinary"],
    ["$", "ordinary"],
    ["a/$SYS", "ordinary"],
    ["SYS", "ordinary"],
  ];
  for (const [topic, policy] of cases) {
    expect(publishPolicy(topic), topic).toBe(policy);
    const bytes = Buffer.from(`a${topic}/`);
    expect(publishPolicyOf(bytes, 1, bytes.length - 1), topic).toBe(policy);
  }
});

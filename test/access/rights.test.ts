/**
 * Goal: the first rule that speaks of a client and a topic decides; a subscription is given no topic that the rules deny, and refused only
 * when nothing covers it; a client's own name widens nothing.
 * Method: cases by hand; random rules and subscriptions, with the rules applied topic by topic as the definition.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Identity, Rights } from "../../src/access/authorization.ts";
import { RuleRights } from "../../src/access/rights.ts";
import { type Rules, writtenFormOf } from "../../src/access/rules.ts";
import { readRules } from "../../src/access/rules-reader.ts";
import { rulesOf } from "../../src/config/access-files.ts";
import { isMatch } from "../../src/mqtt/topics.ts";
import { testSeed } from "../random.ts";

function rules(written: unknown): Rules {
  const outcome = readRules(written);
  if (outcome.fault !== undefined) throw new Error(JSON.stringify(outcome.fault));
  return outcome.rules;
}

const ALICE: Identity = { clientId: "c1", user: "alice", address: "10.1.2.3" };
const rightsOf = (written: unknown, identity: Partial<Identity> = {}): Rights =>
  new RuleRights(rules(written), { ...ALICE, ...identity });

function mayPublish(rights: Rights, topic: string): boolean {
  const bytes = Buffer.from(`..${topic}..`);
  const first = rights.mayPublish(bytes, 2, bytes.length - 2);
  expect(rights.mayPublish(bytes, 2, bytes.length - 2)).toBe(first); // Remembered.
  return first;
}

function mayReceive(rights: Rights, filter: string, topic: string): boolean {
  const bytes = Buffer.from(topic);
  return rights.mayReceive(bytes, 0, bytes.length, filter);
}

describe("rules", () => {
  it("are taken in their order, and the default is last", () => {
    const written = {
      default: "deny",
      rules: [
        { deny: "publish", topic: "a/secret" },
        { allow: "publish", topic: ["a/#", "b"] },
        { allow: "subscribe", topic: "s/+" },
      ],
    };
    const rights = rightsOf(written);
    const may = ["a", "a/x", "b", "a/secret", "b/x", "s/x", "c"].filter((topic) => mayPublish(rights, topic));
    expect(may).toEqual(["a", "a/x", "b"]);
    expect(["s/+", "s/x", "s/#", "#", "a/#"].map((filter) => rights.standingOf(filter))).toEqual([
      "open",
      "open",
      "closed",
      "closed",
      "closed",
    ]);
  });

  it("speak of users that were proven, of clients, and of networks; all conditions together", () => {
    const written = {
      default: "deny",
      rules: [{ allow: "all", user: ["alice", "bob"], client: "c1", address: ["10.0.0.0/8", "::1"], topic: "t" }],
    };
    const may = (identity: Partial<Identity>) => mayPublish(rightsOf(written, identity), "t");
    expect(may({})).toBe(true);
    expect(may({ user: "bob", address: "::1" })).toBe(true);
    expect(may({ user: undefined })).toBe(false);
    expect(may({ user: "Alice" })).toBe(false);
    expect(may({ clientId: "c2" })).toBe(false);
    for (const address of ["11.0.0.1", "::2", ""]) expect(may({ address }), address).toBe(false);
  });

  it("without a topic speak of everything, queues and $SYS too", () => {
    const rights = rightsOf({ default: "deny", rules: [{ deny: "all", user: "mallory" }, { allow: "all" }] });
    expect(["#", "$SYS/#", "$queue/jobs", "$q/a/#"].map((filter) => rights.standingOf(filter))).toEqual(
      Array(4).fill("open"),
    );
    const mallorys = rightsOf({ default: "allow", rules: [{ deny: "all", user: "mallory" }] }, { user: "mallory" });
    expect([mallorys.standingOf("a"), mayPublish(mallorys, "a")]).toEqual(["closed", false]);
  });

  it("with eq speak of one filter, not of what it matches", () => {
    const everything = rightsOf({
      default: "allow",
      rules: [{ deny: "subscribe", topic: [{ eq: "#" }, { eq: "+/#" }] }],
    });
    expect(["#", "+/#", "a/#", "a"].map((filter) => everything.standingOf(filter))).toEqual([
      "closed",
      "closed",
      "open",
      "open",
    ]);
    expect(mayReceive(everything, "a/#", "a/b")).toBe(true);
    const one = rightsOf({ default: "allow", rules: [{ deny: "subscribe", topic: { eq: "a/b" } }] });
    expect(["a/b", "a/#", "b/#"].map((filter) => one.standingOf(filter))).toEqual(["closed", "guarded", "open"]);
    expect([mayReceive(one, "a/#", "a/b"), mayReceive(one, "a/#", "a/c")]).toEqual([false, true]);
    const monitor = rightsOf({ default: "deny", rules: [{ allow: "subscribe", topic: { eq: "#" } }] });
    expect([monitor.standingOf("#"), monitor.standingOf("a/#")]).toEqual(["open", "closed"]);
    expect([mayReceive(monitor, "#", "a/b"), mayReceive(monitor, "a/#", "a/b")]).toEqual([true, false]);
  });
});

it("rules are told in the words that they are read from", () => {
  const written = {
    default: "deny",
    rules: [
      { deny: "subscribe", topic: [{ eq: "#" }, "a/%u/+"] },
      { allow: "all", user: ["alice"], client: ["c1", "c2"], address: ["10.0.0.0/8"], topic: ["#"] },
      { allow: "publish" },
    ],
  };
  expect(writtenFormOf(rules(written))).toEqual(written);
  expect(rules(writtenFormOf(rules(written)))).toEqual(rules(written));
});

describe("a client's name in a rule", () => {
  const written = {
    default: "deny",
    rules: [{ allow: "all", topic: ["u/%u/#", "c/%c", "%c/own", "x-%u-%c/y"] }],
  };

  it("stands for itself", () => {
    const rights = rightsOf(written);
    expect(["u/alice/a", "c/c1", "c1/own", "x-alice-c1/y"].map((topic) => mayPublish(rights, topic))).toEqual(
      Array(4).fill(true),
    );
    expect(["u/bob/a", "c/c2", "c/c1/x", "x-c1-alice/y"].map((topic) => mayPublish(rights, topic))).toEqual(
      Array(4).fill(false),
    );
  });

  it.each(["+", "#", "a/b", "/", "a+", "", "$SYS", "%u"])("%j brings no wildcard, no level and no root", (name) => {
    const identity = { clientId: name, user: name };
    const rights = rightsOf(written, identity);
    for (const filter of ["u/#", "u/+/#", "u/bob/#", "c/+", "c/#", "#", "+/own", "$SYS/own", "a/b/own", "u/a/b/#"]) {
      expect(rights.standingOf(filter), filter).toBe("closed");
    }
    for (const topic of ["u/bob/x", "c/bob", "bob/own", "$SYS/own", "u//x", "c/"])
      expect(mayPublish(rights, topic), topic).toBe(false);
  });

  it.each(["+", "a/b", undefined])("that is %j makes a denial wider, not void", (name) => {
    const denied = { default: "allow", rules: [{ deny: "all", topic: ["devices/%u/secret", "%u/x"] }] };
    const rights = rightsOf(denied, { user: name });
    for (const topic of ["devices/a/b/secret", "devices/x", "anything"]) expect(mayPublish(rights, topic)).toBe(false);
    const one = rightsOf({ default: "allow", rules: [{ deny: "all", topic: "devices/x-%u/secret" }] }, { user: name });
    expect([mayPublish(one, "devices/x-a/secret"), mayPublish(one, "others/x")]).toEqual([false, true]);
  });
});

describe("what is no set of rules", () => {
  it.each([
    ["nothing", null, [], "expected a mapping"],
    ["a list", [], [], "expected a mapping"],
    ["no default", { rules: [] }, ["default"], "expected allow or deny"],
    ["another default", { default: "maybe" }, ["default"], "expected allow or deny"],
    ["an unknown key", { default: "deny", rule: [] }, ["rule"], "unknown key"],
    ["a rule that is a word", { default: "deny", rules: ["x"] }, ["rules", 0], "expected a mapping"],
    ["neither allow nor deny", { default: "deny", rules: [{ topic: "a" }] }, ["rules", 0], "allow or deny"],
    ["both", { default: "deny", rules: [{ allow: "all", deny: "all" }] }, ["rules", 0], "allow or deny"],
    ["another action", { default: "deny", rules: [{ allow: "read" }] }, ["rules", 0, "allow"], "expected publish"],
    [
      "a key with a typing error",
      { default: "deny", rules: [{ allow: "all", topics: "a" }] },
      ["rules", 0, "topics"],
      "unknown key",
    ],
    [
      "a bad filter",
      { default: "deny", rules: [{ allow: "all", topic: ["a", "a#"] }] },
      ["rules", 0, "topic", 1],
      "topic filter",
    ],
    [
      "a bad literal filter",
      { default: "deny", rules: [{ allow: "all", topic: { eq: "" } }] },
      ["rules", 0, "topic", 0],
      "topic filter",
    ],
    ["no topics", { default: "deny", rules: [{ allow: "all", topic: [] }] }, ["rules", 0, "topic"], "empty list"],
    [
      "a number for a user",
      { default: "deny", rules: [{ allow: "all", user: 7 }] },
      ["rules", 0, "user", 0],
      "a user's name",
    ],
    [
      "a bad network",
      { default: "deny", rules: [{ allow: "all", address: "10.0.0.0/33" }] },
      ["rules", 0, "address", 0],
      "a network",
    ],
    [
      "a name for an address",
      { default: "deny", rules: [{ allow: "all", address: "localhost" }] },
      ["rules", 0, "address", 0],
      "a network",
    ],
  ])("%s", (_name, written, path, problem) => {
    const { fault } = readRules(written);
    expect(fault?.path.slice(0, path.length)).toEqual(path);
    expect(fault?.problem).toContain(problem);
  });
});

it("of the example in the documentation are what its comments say", () => {
  const name = "docs/examples/access-rules.yaml";
  const example = rulesOf(name, readFileSync(name, "utf8"));
  const of = (identity: Partial<Identity>): Rights =>
    new RuleRights(example, { ...ALICE, user: undefined, ...identity });
  const device = of({ clientId: "d7" });
  expect([mayPublish(device, "devices/d7/state/on"), mayPublish(device, "devices/d8/state/on")]).toEqual([true, false]);
  expect(
    ["devices/d7/commands/#", "$q/commands/d7", "$q/commands/d8", "#"].map((filter) => device.standingOf(filter)),
  ).toEqual(["open", "open", "closed", "closed"]);
  expect(["$queue/jobs", "jobs/#", "jobs/a"].map((filter) => of({ user: "worker-1" }).standingOf(filter))).toEqual(
    Array(3).fill("open"),
  );
  const operator = of({ user: "operator", address: "192.168.10.9" });
  expect(["#", "+/a", "secrets/a", "a/#"].map((filter) => operator.standingOf(filter))).toEqual([
    "closed",
    "guarded",
    "closed",
    "open",
  ]);
  expect(of({ user: "operator" }).standingOf("a/#")).toBe("closed");
});

it("gives a subscription exactly what the rules allow, topic by topic", () => {
  const level = fc.constantFrom("a", "b", "$s", "");
  const topicOf = fc
    .array(level, { minLength: 1, maxLength: 3 })
    .map((levels) => levels.join("/"))
    .filter((text) => text !== "");
  const filterOf = fc
    .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 0, maxLength: 3 }), fc.boolean())
    .map(([levels, isOpen]) => [...levels, ...(isOpen || levels.length === 0 ? ["#"] : [])].join("/"))
    .filter((text) => text !== "");
  const rule = fc.record({
    verb: fc.constantFrom("allow", "deny"),
    action: fc.constantFrom("publish", "subscribe", "all"),
    topic: fc.array(filterOf, { minLength: 1, maxLength: 2 }),
  });
  const step = fc.tuple(
    fc.constantFrom("allow", "deny"),
    fc.array(rule, { maxLength: 5 }),
    filterOf,
    fc.array(topicOf, { maxLength: 12 }),
  );
  fc.assert(
    fc.property(step, ([byDefault, list, filter, topics]) => {
      const rights = rightsOf({
        default: byDefault,
        rules: list.map(({ verb, action, topic }) => ({ [verb]: action, topic })),
      });
      const truth = (topic: string, action: string): boolean => {
        const first = list.find(
          (each) =>
            each.action !== (action === "publish" ? "subscribe" : "publish") &&
            each.topic.some((each) => isMatch(each, topic)),
        );
        return (first?.verb ?? byDefault) === "allow";
      };
      const standing = rights.standingOf(filter);
      for (const topic of topics) {
        expect(mayPublish(rights, topic)).toBe(truth(topic, "publish"));
        expect(mayReceive(rights, filter, topic)).toBe(truth(topic, "subscribe"));
        if (standing === "open" && isMatch(filter, topic))
          expect(truth(topic, "subscribe"), `${filter} is open`).toBe(true);
      }
    }),
    { seed: testSeed, numRuns: 1_000 },
  );
});

/**
 * Goal: the filter index finds exactly who wants a topic, also when it remembers and subscriptions change. Method: random changes
 * and matches against a plain list with a plain matcher; 100,000 filters; single cases by hand.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MATCH_CACHE_TOPICS_MAX } from "../../src/base/limits.ts";
import { Region } from "../../src/base/region.ts";
import type { RouteState } from "../../src/frame/kinds.ts";
import { FilterIndex } from "../../src/router/filter-index.ts";
import { hashOfByte } from "../../src/router/level-trie.ts";
import { isMatch } from "./plain.ts";

const IS_FULL = process.env.RESTANTE_TEST_SIZE === "full";
const RUNS = IS_FULL ? 800 : 80;

interface Subscription {
  readonly session: object;
  readonly label: string;
}
interface Queue {
  readonly queue: string;
}

const sessionOf = (subscription: Subscription): object => subscription.session;
const newIndex = (seed = 12345): FilterIndex<Subscription, Queue> => new FilterIndex(sessionOf, seed);
const region = Region.allocate(200_000);

/** Matches a topic that lies at an odd place between other bytes. */
function match(index: FilterIndex<Subscription, Queue>, topic: string) {
  region.bytes.fill(0x2f, 0, 20);
  const topicBytes = region.bytes.write(topic, 13);
  region.bytes.write("/tail", 13 + topicBytes);
  return index.match(region, 13, topicBytes);
}
const labels = (found: { readonly subscribers: readonly Subscription[] }): string[] =>
  found.subscribers.map((each) => each.label).sort();

// Few names, so that filters and topics meet: empty levels, `$` roots, bytes above ASCII, names that begin alike.
const name = fc.constantFrom("a", "b", "ab", "", "$SYS", "é", "a b");
const topic = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(name, fc.constant("+")), { maxLength: 4 }), fc.constantFrom("#", "+", "a", "b"))
  .map(([names, last]) => [...names, last].join("/"));

const topics = fc.array(topic, { minLength: 1, maxLength: 4 });

const SESSIONS = Array.from({ length: 4 }, (_, session) => ({ session }));
const QUEUES = Array.from({ length: 3 }, (_, number) => ({ queue: `q${number}` }));
// Topics are chosen from a few a run, so that most are matched again after a change.
const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("subscribe" as const),
      filter,
      session: fc.nat(3),
      durable: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("unsubscribe" as const), pick: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("queue" as const), filter, queue: fc.nat(2), add: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("remote" as const),
      filter,
      worker: fc.nat(5),
      state: fc.constantFrom<RouteState>(0, 1, 2),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("match" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim" as const) }) },
);

describe("filter index", () => {
  test("agrees with a plain list through random changes", () => {
    fc.assert(
      fc.property(topics, fc.array(command, { maxLength: 150, size: "max" }), fc.integer(), (known, commands, seed) => {
        const index = newIndex(seed);
        const subscriptions = new Map<string, { filter: string; durable: boolean; subscription: Subscription }>();
        const queues = new Map<string, { filter: string; queue: Queue }>();
        const remotes = new Map<string, { filter: string; worker: number; state: RouteState }>();

        for (const each of commands) {
          if (each.kind === "subscribe") {
            const label = `${each.session} ${each.filter}`;
            const before = subscriptions.get(label)?.subscription;
            const subscription = before ?? { session: SESSIONS[each.session]!, label };
            expect(index.addSubscriber(each.filter, subscription, each.durable)).toBe(true);
            subscriptions.set(label, { filter: each.filter, durable: each.durable, subscription });
          } else if (each.kind === "unsubscribe") {
            const all = [...subscriptions.values()];
            const gone = all[each.pick % Math.max(1, all.length)];
            if (gone === undefined) continue;
            subscriptions.delete(gone.subscription.label);
            expect(index.removeSubscriber(gone.filter, gone.subscription)).toBe(true);
            expect(index.removeSubscriber(gone.filter, gone.subscription)).toBe(false);
          } else if (each.kind === "queue") {
            const key = `${each.queue} ${each.filter}`;
            const queue = QUEUES[each.queue]!;
            if (each.add) {
              index.addQueue(each.filter, queue);
              queues.set(key, { filter: each.filter, queue });
            } else {
              expect(index.removeQueue(each.filter, queue)).toBe(queues.delete(key));
            }
          } else if (each.kind === "remote") {
            const key = `${each.worker} ${each.filter}`;
            index.setRemote(each.filter, each.worker, each.state);
            if (each.state === 0) remotes.delete(key);
            else remotes.set(key, each);
          } else if (each.kind === "trim") {
            index.trim();
          } else {
            const topic = known[each.pick % known.length]!;
            const found = match(index, topic);
            const wanted = [...subscriptions.values()].filter((one) => isMatch(one.filter, topic));
            expect(labels(found)).toEqual(wanted.map((one) => one.subscription.label).sort());
            const runs = found.subscribers.filter(
              (one, place) => one.session !== found.subscribers[place - 1]?.session,
            );
            expect(runs).toHaveLength(new Set(wanted.map((one) => one.subscription.session)).size);
            expect(found.hasOverlap).toBe(runs.length < wanted.length);

            const taking = [...queues.values()].filter((one) => isMatch(one.filter, topic)).map((one) => one.queue);
            expect(new Set(found.queues)).toEqual(new Set(taking));
            expect(found.queues).toHaveLength(new Set(taking).size);

            const states = new Map<number, boolean>();
            for (const one of remotes.values()) {
              if (!isMatch(one.filter, topic)) continue;
              states.set(one.worker, states.get(one.worker) === true || one.state === 2);
            }
            const workers = [...states.keys()].sort((one, other) => one - other);
            expect(found.workers).toEqual(workers);
            expect(found.durable).toEqual(workers.map((worker) => states.get(worker)));
            expect(found.durableWorkers).toBe(found.durable.filter(Boolean).length);
            expect(match(index, topic)).toBe(found);
          }
          if (each.kind === "trim" || each.kind === "match" || each.kind === "unsubscribe") continue;
          const own = [...subscriptions.values()].filter((one) => one.filter === each.filter);
          const hasQueue = [...queues.values()].some((one) => one.filter === each.filter);
          const state = hasQueue || own.some((one) => one.durable) ? 2 : own.length > 0 ? 1 : 0;
          expect(index.stateOf(each.filter)).toBe(state);
        }
        const filters = [...subscriptions.values(), ...queues.values(), ...remotes.values()].map((one) => one.filter);
        expect(index.filters).toBe(new Set(filters).size);
      }),
      { numRuns: RUNS },
    );
  });

  test("many subscribers of one filter come and go, durable and not", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ who: fc.nat(79), add: fc.integer({ min: 0, max: 2 }) }), { maxLength: 400, size: "max" }),
        (steps) => {
          const index = newIndex();
          const everyone = Array.from({ length: 80 }, (_, who) => ({ session: { who }, label: `${who}` }));
          const there = new Map<number, boolean>();
          for (const { who, add } of steps) {
            if (add === 0) expect(index.removeSubscriber("t", everyone[who]!)).toBe(there.delete(who));
            else {
              index.addSubscriber("t", everyone[who]!, add === 2);
              there.set(who, add === 2);
            }
            expect(index.stateOf("t")).toBe([...there.values()].includes(true) ? 2 : there.size > 0 ? 1 : 0);
          }
          expect(labels(match(index, "t"))).toEqual([...there.keys()].map(String).sort());
        },
      ),
      { numRuns: RUNS / 2 },
    );
  });

  test("the wildcard rules of MQTT, one by one", () => {
    const index = newIndex();
    const session = {};
    for (const filter of ["#", "+/x", "a/#", "a/+", "/+", "+/+", "$SYS/#", "$SYS/+/x", "a//b", "+"]) {
      index.addSubscriber(filter, { session, label: filter }, false);
    }
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["a", ["#", "+", "a/#"]],
      ["a/b", ["#", "+/+", "a/#", "a/+"]],
      ["a/", ["#", "+/+", "a/#", "a/+"]],
      ["/x", ["#", "+/+", "+/x", "/+"]],
      ["/", ["#", "+/+", "/+"]],
      ["a//b", ["#", "a/#", "a//b"]],
      ["$SYS", ["$SYS/#"]],
      ["$SYS/x", ["$SYS/#"]],
      ["$SYS/b/x", ["$SYS/#", "$SYS/+/x"]],
      ["$SYSx", []],
    ];
    for (const [topic, wanted] of cases) expect(labels(match(index, topic)), topic).toEqual([...wanted].sort());
  });

  test("a match is a snapshot: it stays as it was while subscriptions change", () => {
    const index = newIndex();
    const one = { session: {}, label: "one" };
    const other = { session: {}, label: "other" };
    index.addSubscriber("a/b", one, false);
    const before = match(index, "a/b");
    index.addSubscriber("a/b", other, false);
    index.removeSubscriber("a/b", one);
    expect(labels(before)).toEqual(["one"]);
    expect(labels(match(index, "a/b"))).toEqual(["other"]);
  });

  test("changes elsewhere leave a remembered match alone, and the same routes share one", () => {
    const index = newIndex();
    index.addSubscriber("devices/+/state", { session: {}, label: "all" }, false);
    index.addSubscriber("devices/#", { session: {}, label: "log" }, false);
    const hot = match(index, "devices/1/state");
    expect(match(index, "devices/2/state")).toBe(hot);
    for (let device = 0; device < 10_000; device += 1) {
      const subscription = { session: {}, label: `${device}` };
      index.addSubscriber(`devices/${device + 10}/command/#`, subscription, false);
      if (match(index, "devices/1/state") !== hot) expect.fail("the match was made anew");
      index.removeSubscriber(`devices/${device + 10}/command/#`, subscription);
    }
    expect(index.filters).toBe(2);
    expect(index.trieBytes).toBeLessThan(16 * 1024);
  });

  test("what is remembered is bounded, by topics and by bytes, and is still right", () => {
    const index = newIndex();
    index.addSubscriber("+/+", { session: {}, label: "two levels" }, false);
    index.addSubscriber("long/#", { session: {}, label: "long" }, false);
    const topics = Math.floor(2.2 * MATCH_CACHE_TOPICS_MAX);
    let right = 0;
    let remembered = 0;
    for (let number = 0; number < topics; number += 1) {
      const wanted = number % 3 === 0 ? 0 : 1;
      const found = match(index, wanted === 0 ? `t/${number}/x` : `t/${number}`);
      if (found.subscribers.length === wanted) right += 1;
      remembered = Math.max(remembered, index.rememberedTopics);
    }
    expect(right).toBe(topics);
    expect(remembered).toBeGreaterThan(MATCH_CACHE_TOPICS_MAX);
    expect(remembered).toBeLessThanOrEqual(2 * MATCH_CACHE_TOPICS_MAX);
    for (let number = 0; number < 300; number += 1) {
      const long = `long/${"x".repeat(60_000)}${number}`;
      expect(labels(match(index, long))).toEqual(["long", "two levels"]);
      expect(match(index, long)).toBe(match(index, long));
    }
    index.trim();
    index.trim();
    expect(index.rememberedTopics).toBe(0);
  });

  test("topics with the same hash are told apart", () => {
    const seed = 4711;
    const byHash = new Map<number, string>();
    const pairs: (readonly [string, string])[] = [];
    // 2^18 topics of one length: by the birthday paradox some eight pairs share 32 bits.
    for (let number = 0; number < 2 ** 18; number += 1) {
      const topic = `t/${Math.imul(number, 0x9e3779b1) >>> 0}`.padEnd(12, "x");
      const hash = Buffer.from(topic).reduce((sum, byte) => hashOfByte(sum, byte), seed);
      const other = byHash.get(hash);
      if (other === undefined) byHash.set(hash, topic);
      else pairs.push([topic, other]);
    }
    expect(pairs.length).toBeGreaterThan(0);
    const index = newIndex(seed);
    for (const [one, other] of pairs) {
      index.addSubscriber(one, { session: {}, label: one }, false);
      index.addSubscriber(other, { session: {}, label: other }, false);
    }
    for (const topic of [...pairs.flat(), ...pairs.flat()]) expect(labels(match(index, topic))).toEqual([topic]);
  });

  test("ended sessions are let go by trim", async () => {
    const index = newIndex();
    index.addSubscriber("a/#", { session: {}, label: "stays" }, false);
    const reference = comeAndGo(index);
    index.trim();
    index.trim();
    // A weak reference holds its target until the end of the job that made it.
    await new Promise((resolve) => setTimeout(resolve, 0));
    collectGarbage();
    expect(reference.deref()).toBe(undefined);
  });

  test("100,000 filters: right, and small", () => {
    const count = IS_FULL ? 300_000 : 100_000;
    const shapes = ["devices/%/command", "devices/%/#", "site/+/line/%/+", "%/reply", "site/%/+/alarm/#"];
    const index = newIndex();
    const sessions = Array.from({ length: 1_000 }, () => ({}));
    const all: Subscription[] = [];
    for (let number = 0; number < count; number += 1) {
      const label = shapes[number % shapes.length]!.replace("%", `${Math.floor(number / shapes.length)}`);
      all.push({ session: sessions[number % sessions.length]!, label });
    }
    const before = process.memoryUsage();
    const startMs = performance.now();
    for (const each of all) index.addSubscriber(each.label, each, false);
    const tookMs = performance.now() - startMs;
    const after = process.memoryUsage();
    const heapBytes = after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers);
    console.log(
      `${count} filters: about ${(heapBytes / count).toFixed(0)} bytes each (trie ${(index.trieBytes / count).toFixed(0)}), ` +
        `${((tookMs * 1000) / count).toFixed(2)} us each to add`,
    );
    expect(index.filters).toBe(count);
    expect(index.trieBytes / count).toBeLessThan(250);

    for (let number = 0; number < 400; number += 1) {
      const id = Math.floor((number * count) / shapes.length / 400);
      const topics = [
        `devices/${id}/command`,
        `devices/${id}`,
        `site/${id}/line/${id}/alarm`,
        `${id}/reply`,
        `site/${id}/x/alarm`,
      ];
      const topic = topics[number % topics.length]!;
      // The filters that can match have this number in them, whatever its level.
      const wanted = shapes.map((shape) => shape.replace("%", `${id}`)).filter((filter) => isMatch(filter, topic));
      expect(labels(match(index, topic)), topic).toEqual(wanted.sort());
    }
    for (const each of all) expect(index.removeSubscriber(each.label, each)).toBe(true);
    expect(index.filters).toBe(0);
    expect(match(index, "devices/1/command").subscribers).toHaveLength(0);
  });
});

/** A function of its own, so that no variable of the caller keeps the session alive. */
function comeAndGo(index: FilterIndex<Subscription, Queue>): WeakRef<object> {
  const goes = { session: {}, label: "goes" };
  index.addSubscriber("a/+", goes, false);
  expect(match(index, "a/b").subscribers).toContain(goes);
  expect(match(index, "a/c").subscribers).toContain(goes);
  index.removeSubscriber("a/+", goes);
  return new WeakRef(goes);
}

/** Collects garbage for certain, without a flag of the process. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

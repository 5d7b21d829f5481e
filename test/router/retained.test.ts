/**
 * Goal: the retained index finds what is kept by topic and by filter, within its bounds, and a scan goes on through changes.
 * Method: random changes and scans against a plain map; scans that pause while topics come and go.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Region } from "../../src/base/region.ts";
import { RetainedIndex } from "../../src/router/retained.ts";
import type { RetainedScan } from "../../src/router/retained-scan.ts";
import { isMatch } from "./plain.ts";

const RUNS = process.env.RESTANTE_TEST_SIZE === "full" ? 1_500 : 150;
const region = Region.allocate(70_000);

const set = (index: RetainedIndex<string>, topic: string, value: string, bytes = value.length): boolean =>
  index.set(region, 5, region.bytes.write(topic, 5), value, bytes);
const get = (index: RetainedIndex<string>, topic: string): string | undefined =>
  index.get(region, 5, region.bytes.write(topic, 5));
const clear = (index: RetainedIndex<string>, topic: string): string | undefined =>
  index.clear(region, 5, region.bytes.write(topic, 5));

function collect(scan: RetainedScan<string>, stepsMax = 3): string[] {
  const found: string[] = [];
  while (!scan.isDone) {
    const value = scan.next(stepsMax);
    if (value !== undefined) found.push(value);
  }
  return found;
}

const name = fc.constantFrom("a", "b", "ab", "", "$x", "é");
const topic = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(name, fc.constant("+")), { maxLength: 3 }), fc.constantFrom("#", "+", "a", ""))
  .map(([names, last]) => [...names, last].join("/"))
  .filter((text) => text.length > 0);
// Topics are chosen from a few a run, so that most that are cleared are there.
const pool = fc.array(topic, { minLength: 1, maxLength: 20, size: "max" });
const change = fc.record({ pick: fc.nat(), isSet: fc.boolean(), bytes: fc.nat(20) });

describe("retained index", () => {
  test("agrees with a plain map", () => {
    fc.assert(
      fc.property(
        pool,
        fc.array(change, { maxLength: 80, size: "max" }),
        fc.array(filter, { maxLength: 10 }),
        (topics, changes, filters) => {
          const index = new RetainedIndex<string>(12, 150, 7);
          const plain = new Map<string, { value: string; bytes: number }>();
          const bytesOf = () => [...plain.values()].reduce((total, each) => total + each.bytes, 0);
          for (const [number, each] of changes.entries()) {
            const topic = topics[each.pick % topics.length]!;
            const before = plain.get(topic);
            if (each.isSet) {
              const fits =
                bytesOf() - (before?.bytes ?? 0) + each.bytes <= 150 && (before !== undefined || plain.size < 12);
              expect(set(index, topic, `${topic} ${number}`, each.bytes)).toBe(fits);
              if (fits) plain.set(topic, { value: `${topic} ${number}`, bytes: each.bytes });
            } else {
              expect(clear(index, topic)).toBe(before?.value);
              plain.delete(topic);
            }
            expect(get(index, topic)).toBe(plain.get(topic)?.value);
            expect([index.count, index.bytes]).toEqual([plain.size, bytesOf()]);
          }
          for (const each of filters) {
            const wanted = [...plain].filter(([known]) => isMatch(each, known)).map(([, kept]) => kept.value);
            expect(collect(index.scan(each)).sort()).toEqual(wanted.sort());
          }
          expect(index.openScans).toBe(0);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("a scan that pauses sees once what is there throughout, and nothing that does not match", () => {
    const step = fc.record({ change, steps: fc.nat(3) });
    fc.assert(
      fc.property(pool, filter, fc.array(step, { maxLength: 60, size: "max" }), (topics, each, steps) => {
        const index = new RetainedIndex<string>(1_000, 1_000, 7);
        for (const known of topics) set(index, known, known);
        const throughout = new Set(topics);
        const scan = index.scan(each);
        const found: string[] = [];
        for (const { change, steps: stepsMax } of steps) {
          const value = scan.next(stepsMax);
          if (value !== undefined) found.push(value);
          const changed = topics[change.pick % topics.length]!;
          if (change.isSet) set(index, changed, changed);
          else if (clear(index, changed) !== undefined) throughout.delete(changed);
        }
        found.push(...collect(scan));
        expect(found.filter((value) => !isMatch(each, value))).toEqual([]);
        for (const known of throughout) {
          const times = found.filter((value) => value === known).length;
          expect(times, known).toBe(isMatch(each, known) ? 1 : 0);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("a scan looks at a bounded number of levels at a time, and can be closed", () => {
    const index = new RetainedIndex<string>(10_000, 100_000, 7);
    for (let number = 0; number < 5_000; number += 1) set(index, `device/${number}/state`, "x");
    const sparse = index.scan("device/+/missing");
    let calls = 0;
    while (!sparse.isDone) {
      expect(sparse.next(100)).toBe(undefined);
      calls += 1;
    }
    expect(calls).toBeGreaterThanOrEqual(50);
    const closed = index.scan("#");
    expect(closed.next(1_000)).toBe("x");
    closed.close();
    expect(closed.next(1_000)).toBe(undefined);
    expect(index.openScans).toBe(0);
  });
});

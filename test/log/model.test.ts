/**
 * Goal: after any sequence of calls and restarts the log holds exactly what was sealed and committed, nothing else.
 * Method: random calls beside a plain model that is copied at each seal; a crash is a copy of the directory between two commits,
 * so that what gathered is lost; rewriting begins with the first dead byte, and
 * neighbours are merged as soon as there are two, or six. fast-check prints the seed.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { append, commit, isFull, MERGE_ALL, messageOf, Recorder, readMessage, temporaryPlace } from "./messages.ts";

interface Model {
  /** Position to the number and size that give its message. */
  readonly live: Map<number, readonly [number, number]>;
  readonly values: Map<string, string>;
}

const copyOf = (model: Model): Model => ({ live: new Map(model.live), values: new Map(model.values) });

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("append"), pick: fc.nat(4), size: fc.nat(2_000) }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("settle"), pick: fc.nat(), size: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("put"), pick: fc.nat(5), size: fc.nat(300) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove"), pick: fc.nat(5), size: fc.constant(0) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("flush", "commit"), pick: fc.nat(), size: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("crash", "restart"), pick: fc.nat(), size: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("read"), pick: fc.nat(), size: fc.nat() }) },
);

it("holds what was committed, through restarts and crashes", async () => {
  let rewrites = 0;
  let merges = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 20, maxLength: 80 }),
      fc.constantFrom(0, 1_000_000),
      fc.constantFrom(MERGE_ALL, { smallBytes: 5_000, mergedBytes: 3_000, batchesMin: 6 }),
      async (operations, readCacheBytes, merge) => {
        const place = temporaryPlace();
        let generation = 0;
        let now: Model = { live: new Map(), values: new Map() };
        const sealed = new Map<number, Model>();
        const ever = new Set<number>();
        let events = new Recorder();
        let log: PartitionLog;

        const open = (): void => {
          events = new Recorder();
          events.onSealed = (batch) => sealed.set(batch, copyOf(now));
          const directory = join(place.directory, `${generation}`);
          log = openPartitionLog({ directory, partition: 0, events, readCacheBytes, deadBytesFloor: 0, merge });
        };
        const check = (expected: Model): void => {
          const positions: number[] = [];
          log.recover((record) => positions.push(record.position));
          expect(positions).toEqual([...expected.live.keys()].sort((one, other) => one - other));
          for (const [position, [number, size]] of expected.live) {
            expect(readMessage(log, position)).toEqual(messageOf(number, size).bytes);
          }
          for (const position of ever) {
            if (expected.live.has(position)) continue;
            expect(readMessage(log, position)).toBe("gone");
            log.settle(position);
          }
          expect(log.stats().records).toBe(expected.live.size);
          const values = new Map<string, string>();
          log.entries("retained", (key, value) => values.set(key, value.toString()));
          expect(values).toEqual(expected.values);
          expect(log.stats().damage).toEqual([]);
          sealed.set(log.committed, copyOf(now)); // A log starts above the last number that may have been given.
        };
        const settled = async (): Promise<void> => {
          while (log.isCommitting) await events.outcomeOf(log.gathering - 1);
        };

        open();
        check(now);
        let number = 0;
        for (const { kind, pick, size } of operations) {
          const live = [...now.live.keys()];
          switch (kind) {
            case "append":
              number += 1;
              for (const position of append(log!, messageOf(number, size), Array(pick + 1).fill(number))) {
                now.live.set(position, [number, size]);
                ever.add(position);
              }
              break;
            case "settle":
              for (const position of live.slice(pick % (live.length + 1)).slice(0, size)) {
                log!.settle(position);
                now.live.delete(position);
                expect(readMessage(log!, position)).toBe("gone");
              }
              break;
            case "put":
              log!.put("retained", `key ${pick}`, Buffer.alloc(size, "v"));
              now.values.set(`key ${pick}`, "v".repeat(size));
              break;
            case "remove":
              log!.put("retained", `key ${pick}`, undefined);
              now.values.delete(`key ${pick}`);
              break;
            case "flush":
              log!.flush();
              break;
            case "commit":
              await settled();
              await commit(log!, events);
              break;
            case "read": {
              const position = live[pick % Math.max(1, live.length)];
              if (position === undefined) break;
              const [which, bytes] = now.live.get(position)!;
              expect(readMessage(log!, position)).toEqual(messageOf(which, bytes).bytes);
              break;
            }
            case "restart":
              rewrites += log!.stats().rewrites;
              merges += log!.stats().merges;
              await log!.close();
              open();
              check(now);
              break;
            default: {
              await settled();
              const before = sealed.get(log!.committed)!;
              const from = join(place.directory, `${generation}`);
              generation += 1;
              cpSync(from, join(place.directory, `${generation}`), { recursive: true });
              await log!.close();
              now = copyOf(before);
              open();
              check(now);
            }
          }
        }
        rewrites += log!.stats().rewrites;
        merges += log!.stats().merges;
        await log!.close();
        open();
        check(now);
        await log!.close();
        place.remove();
      },
    ),
    { numRuns: isFull ? 300 : 20 },
  );
  expect(rewrites).toBeGreaterThan(0);
  expect(merges).toBeGreaterThan(0);
}, 300_000);

/**
 * Goal: of merged batches a damaged value costs what it held and nothing else, and is reported with the batches it stands for and how many
 * messages; what lies there from before the merge is never taken for what is there now.
 * Method: two merged values of six batches each; their bytes are flipped, or exchanged for old ones, through a second handle, then the log is opened
 * again and the store is checked without LMDB.
 */
import { open as openStore } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { batchOf, type PartitionLog } from "../../src/log/contract.ts";
import type { MergeBounds } from "../../src/log/merger.ts";
import { checkPartition } from "../../src/log/partition-check.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { append, commit, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";
import { flip, tamper } from "./tampering.ts";

const SETTLED = [4, 20];

let place: Place;
let events: Recorder;
let log: PartitionLog;
let positions: number[];

const boundsOf = (batchesMin: number): MergeBounds => ({ smallBytes: 10_000, mergedBytes: 1, batchesMin });

const openLog = (merge = boundsOf(1_000)): number[] => {
  events = new Recorder();
  log = openPartitionLog({ directory: place.directory, partition: 0, events, merge });
  const live: number[] = [];
  log.recover((record) => live.push(record.position));
  return live;
};

/** So many batches of so many messages. */
const fill = async (batches: number, records: number, settled: readonly number[]): Promise<void> => {
  openLog();
  positions = [];
  for (let batch = 0; batch < batches; batch += 1) {
    for (let each = 0; each < records; each += 1) positions.push(...append(log, messageOf(positions.length)));
    await commit(log, events);
  }
  for (const at of settled) log.settle(positions[at]!);
  await commit(log, events);
  await log.close();
};

/** Merges all of them, `together` at a time. */
const merge = async (batches: number, together: number): Promise<void> => {
  openLog(boundsOf(together));
  for (let merged = 0; merged < batches; merged += together) {
    log.put("meta", "key", Buffer.from(`${merged}`));
    await commit(log, events);
  }
  expect(log.stats()).toMatchObject({ merges: batches / together, batches: batches / together });
  await log.close();
};

const live = (from = 0, to = positions.length, settled: readonly number[] = SETTLED): number[] =>
  positions.filter((_, at) => at >= from && at < to && !settled.includes(at));

beforeEach(async () => {
  place = temporaryPlace();
  await fill(12, 3, [SETTLED[0]!]);
  await merge(12, 6);
  openLog();
  log.settle(positions[SETTLED[1]!]!);
  await commit(log, events);
  await log.close();
});

afterEach(async () => {
  await log.close();
  place.remove();
});

it.each([0, 5, 9, 13, 14, 22, 30, 500, 1_700])(
  "a flipped bit at byte %i loses that value alone, and says whose messages",
  async (at) => {
    const [first, last] = [batchOf(positions[0]!), batchOf(positions[17]!)];
    await tamper(place.directory, "batches", (value, which) => (which === 0 ? flip(value, at) : value));
    const { findings, damage, records } = checkPartition(place.directory, 0);
    expect([damage, records]).toEqual([1, 34]);
    expect(findings[0]!.where).toBe(`batches ${first} to ${last}`);
    expect(findings[0]!.reason).toContain("; records: 17");
    expect(openLog()).toEqual(live());
    for (const [number, position] of positions.entries()) {
      const expected = number < 18 ? "damaged" : messageOf(number).bytes;
      expect(readMessage(log, position)).toEqual(SETTLED.includes(number) ? "gone" : expected);
    }
    expect(events.damage).toMatchObject([{ what: "batch", batch: first, lastBatch: last, records: 17 }]);
    // The owner drops what is damaged; the bad bytes stay aside, and nothing is reported again.
    for (const position of live(0, 18)) log.settle(position);
    await commit(log, events);
    await log.close();
    expect(openLog()).toEqual(live(18));
    expect(events.damage).toEqual([]);
    await log.close();
    expect(await tamper(place.directory, "quarantine", (value) => value)).toBe(1);
    openLog();
  },
);

it("a damaged index is made again from its value, and with it all positions", async () => {
  await tamper(place.directory, "indexes", (value) => flip(value, 77));
  expect(openLog()).toEqual(live());
  expect(events.damage).toMatchObject([
    { what: "index", records: 0 },
    { what: "index", records: 0 },
  ]);
  for (const [number, position] of positions.entries()) {
    if (!SETTLED.includes(number)) expect(readMessage(log, position)).toEqual(messageOf(number).bytes);
  }
  log.flush();
  await log.close();
  expect(checkPartition(place.directory, 0)).toMatchObject({ damage: 0, records: 34 });
  expect(openLog()).toEqual(live());
  expect(events.damage).toEqual([]);
});

it("a value whose index is damaged too goes to quarantine, and the rest is served", async () => {
  await tamper(place.directory, "indexes", (value, which) => (which === 1 ? flip(value, 40) : value));
  await tamper(place.directory, "batches", (value, which) => (which === 1 ? flip(value, 400) : value));
  expect(openLog()).toEqual(live(0, 18));
  expect(events.damage.map(({ what, records }) => [what, records])).toEqual([
    ["index", -1],
    ["batch", -1],
  ]);
  log.flush();
  await log.close();
  expect(openLog()).toEqual(live(0, 18));
  expect(events.damage).toEqual([]);
});

it("damaged settled bits bring their records again, but not those that the merge left out", async () => {
  await tamper(place.directory, "settled", (value) => flip(value, 4));
  expect(openLog()).toEqual(live(0, undefined, [SETTLED[0]!]));
  expect(events.damage).toMatchObject([{ what: "settled", records: 0 }]);
});

it("bits and batches from before a merge settle and repeat nothing", async () => {
  place.remove();
  place = temporaryPlace();
  const read = async (store: string): Promise<Map<string, Buffer>> => {
    const root = openStore({ path: place.directory, noSubdir: false, maxDbs: 32, overlappingSync: false });
    const database = root.openDB<Buffer, Buffer>(store, { encoding: "binary", keyEncoding: "binary" });
    const found = new Map<string, Buffer>();
    for (const { key, value } of database.getRange({ start: Buffer.alloc(1) })) {
      found.set(Buffer.from(key).toString("hex"), Buffer.from(value));
    }
    await root.close();
    return found;
  };
  const stores = ["settled", "batches", "indexes"] as const;
  await fill(2, 2, [1]);
  const before = await Promise.all(stores.map(read));
  await merge(2, 2);
  const merged = await Promise.all(stores.map(read));
  expect(merged.map(({ size }) => size)).toEqual([0, 1, 1]);
  const root = openStore({ path: place.directory, noSubdir: false, maxDbs: 32, overlappingSync: false });
  for (const [at, store] of stores.entries()) {
    const database = root.openDB<Buffer, Buffer>(store, { encoding: "binary", keyEncoding: "binary" });
    for (const [key, value] of before[at]!) {
      if (!merged[at]!.has(key)) await database.put(Buffer.from(key, "hex"), value);
    }
  }
  await root.close();
  expect(openLog()).toEqual(live(0, undefined, [1]));
  expect(events.damage).toMatchObject([
    { what: "settled", records: 0 },
    { what: "batch", batch: batchOf(positions[2]!), records: 0 },
  ]);
  log.flush();
  await log.close();
  expect((await Promise.all(stores.map(read))).map(({ size }) => size)).toEqual([1, 1, 1]);
  openLog();
});

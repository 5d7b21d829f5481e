/**
 * Goal: small neighbouring batches become one value, with every message at its position, in order, once; whatever is settled, read or fails
 * meanwhile; nothing is merged that does not pay.
 * Method: the real log, at its own bounds in memory's file system, or with small ones; a commit fails at the door to LMDB, after everything was
 * put into it. What lies in the store is looked at through a second handle.
 */
import { pbkdf2 } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { open as openStore } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import type { MessageLocation, PartitionLog } from "../../src/log/contract.ts";
import { type Changes, Environment } from "../../src/log/environment.ts";
import { MERGE_BOUNDS, type MergeBounds } from "../../src/log/merger.ts";
import { PageFile } from "../../src/log/page-file.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { pause } from "../harness/waiting.ts";
import {
  append,
  commit,
  fastPlace,
  isFull,
  MERGE_ALL,
  messageOf,
  type Place,
  Recorder,
  readMessage,
} from "./messages.ts";

const derive = promisify(pbkdf2);

const FIVE: MergeBounds = { smallBytes: 2_000, mergedBytes: 1, batchesMin: 5 };
const NEVER: MergeBounds = { ...MERGE_BOUNDS, smallBytes: 0 };

let place: Place;
let directory: string;
let events: Recorder;
let log: PartitionLog;
/** What should be there: the number that gives a position's message. */
let live: Map<number, number>;
let number: number;

const open = (merge?: MergeBounds, readCacheBytes = 1_000_000): number[] => {
  events = new Recorder();
  log = openPartitionLog({ directory, partition: 0, events, readCacheBytes, ...(merge && { merge }) });
  const found: number[] = [];
  log.recover(({ position }) => found.push(position));
  return found;
};

const reopen = async (merge?: MergeBounds): Promise<void> => {
  await log.close();
  expect(open(merge)).toEqual([...live.keys()]);
};

/** A batch with messages of its own. */
const store = async (records = 1, payloadBytes = 100): Promise<number[]> => {
  const positions: number[] = [];
  for (let each = 0; each < records; each += 1) {
    number += 1;
    const [position] = append(log, messageOf(number, payloadBytes + (number % 7))) as [number];
    live.set(position, number);
    positions.push(position);
  }
  await commit(log, events);
  events.outcomes.length = 0;
  return positions;
};

const settle = (position: number): void => {
  log.settle(position);
  live.delete(position);
};

const checkMessages = (payloadBytes = 100): void => {
  for (const [position, which] of live) {
    const expected = messageOf(which, payloadBytes + (which % 7)).bytes;
    if (!expected.equals(readMessage(log, position) as Buffer)) expect.unreachable(`message ${which}`);
  }
  expect(log.stats().records).toBe(live.size);
  expect(log.stats().damage).toEqual([]);
};

/** How many values each store has; the log is closed. */
async function countValues(): Promise<Record<string, number>> {
  const root = openStore({ path: directory, noSubdir: false, maxDbs: 32 });
  const counts: Record<string, number> = {};
  for (const name of ["batches", "indexes", "settled"]) {
    const values = root.openDB<Buffer, Buffer>(name, { encoding: "binary", keyEncoding: "binary" });
    counts[name] = values.getKeysCount({ start: Buffer.alloc(1) });
  }
  await root.close();
  return counts;
}

/** The newest that LMDB's file has. */
function transactionOnDisk(): number {
  const file = new PageFile(join(directory, "data.mdb"));
  const transactions = ([0, 1] as const).map((which) => {
    const meta = file.meta(which);
    return typeof meta === "string" ? 0 : meta.transaction;
  });
  file.close();
  return Math.max(...transactions);
}

beforeEach(() => {
  place = fastPlace();
  directory = place.directory;
  live = new Map();
  number = 0;
});

afterEach(async () => {
  await log.close();
  place.remove();
});

it("reads what is being merged, also when the disk has the merge already and the log has not heard of it", async () => {
  open(NEVER);
  for (let each = 0; each < 10; each += 1) await store(1 + (each % 3));
  await reopen(FIVE); // Nothing is kept in memory.
  const before = transactionOnDisk();
  log.put("meta", "key", Buffer.from("value"));
  const batch = log.gathering;
  // LMDB's thread has to wait until this turn, in which the log hears of nothing, and reads anew.
  const busy = Array.from({ length: 4 }, () => derive("", "", 300_000, 64, "sha512"));
  log.flush();
  await pause(20);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let ms = 0; ms < 10_000 && transactionOnDisk() === before; ms += 1) Atomics.wait(sleeper, 0, 0, 1);
  expect([log.isCommitting, transactionOnDisk()]).toEqual([true, before + 1]);
  checkMessages();
  expect(await events.outcomeOf(batch)).toBeUndefined();
  expect(log.stats().merges).toBe(1);
  checkMessages();
  await Promise.all(busy);
});

it("keeps what a lone publisher leaves in a value for some hundred messages, which drain in order", async () => {
  open();
  const messages = isFull ? 40_000 : 4_000;
  for (let each = 0; each < messages; each += 1) await store(1, 250);
  const { batches, merges, tableBytes } = log.stats();
  console.log(`${messages} messages, one a commit: ${batches} values, ${merges} merges, ${tableBytes} bytes of table`);
  expect(batches).toBeLessThan(messages / 150 + 200); // The last ones may still grow.
  checkMessages(250);
  await reopen();
  checkMessages(250);
  await log.close();
  const { batches: stored, indexes, settled } = await countValues();
  expect([stored, indexes, settled]).toEqual([batches, batches, 0]);
  open();
  for (const [place, position] of [...live.keys()].entries()) {
    settle(position);
    if (place % 37 === 0) await commit(log, events);
  }
  await commit(log, events);
  expect(log.stats()).toMatchObject({ batches: 0, records: 0, batchBytes: 0, deadBytes: 0 });
  await log.close();
  expect(await countValues()).toEqual({ batches: 0, indexes: 0, settled: 0 });
  open();
});

it("leaves alone what is large, what can still grow, and what lies too far apart", async () => {
  open({ ...MERGE_BOUNDS, smallBytes: 2_000 });
  for (let each = 0; each < 40; each += 1) await store(each % 5 === 4 ? 30 : 1);
  expect(log.stats()).toMatchObject({ merges: 0, batches: 40 }); // Four between two large ones.
  for (let each = 0; each < 40; each += 1) await store();
  expect(log.stats().merges).toBe(0);
  for (let each = 0; each < 3_000; each += 1) {
    const [position] = (await store()) as [number];
    if (each % 300 !== 0) settle(position);
  }
  const { merges } = log.stats();
  for (let each = 0; each < 20; each += 1) await store(30); // Now they have neighbours that stay.
  expect(log.stats().merges).toBeLessThanOrEqual(merges + 1);
  checkMessages();
  await reopen();
});

it("takes what is settled while it is merged out of the merged value, be it the first, the last, some or all", async () => {
  const choices: ((positions: readonly number[]) => readonly number[])[] = [
    (positions) => positions.slice(0, 2),
    (positions) => positions.slice(-1),
    (positions) => positions.filter((_, at) => at % 3 === 1),
    (positions) => positions,
  ];
  for (const readCacheBytes of [0, 1_000_000]) {
    for (const chosen of choices) {
      open(NEVER, readCacheBytes);
      live.clear();
      const positions: number[] = [];
      for (let each = 0; each < 5; each += 1) positions.push(...(await store(each % 2 === 0 ? 2 : 1)));
      await log.close();
      expect(open(FIVE, readCacheBytes)).toEqual(positions);
      settle(positions[4]!);
      live.set(append(log, messageOf(99, 3_000))[0]!, 99);
      log.flush();
      expect(log.isCommitting).toBe(true);
      for (const position of chosen(positions)) settle(position);
      for (const position of positions) {
        expect(readMessage(log, position) === "gone").toBe(!live.has(position));
      }
      await events.outcomeOf(log.gathering - 1);
      expect(log.stats()).toMatchObject({ merges: 1, records: live.size });
      for (const position of positions) expect(readMessage(log, position) === "gone").toBe(!live.has(position));
      await commit(log, events);
      await log.close();
      const { indexes } = await countValues();
      expect(indexes).toBe(chosen(positions) === positions ? 1 : 2);
      expect(open(NEVER, readCacheBytes)).toEqual([...live.keys()]);
      for (const position of live.keys()) settle(position);
      await commit(log, events);
      await log.close();
      expect(await countValues()).toEqual({ batches: 0, indexes: 0, settled: 0 });
    }
  }
  open();
});

it("changes nothing when the commit that merges fails, and merges again with a later one", async () => {
  open(NEVER);
  for (let each = 0; each < 6; each += 1) await store(2);
  const [first, second, third] = [...live.keys()] as [number, number, number];
  await reopen(FIVE);
  const { commit: commitNow } = Environment.prototype;
  Environment.prototype.commit = async (write: (changes: Changes) => void) => {
    const nowhere = () => undefined;
    write({ putBatch: nowhere, removeBatch: nowhere, put: nowhere, remove: nowhere });
    throw new Error("the disk does not answer");
  };
  try {
    settle(first);
    append(log, messageOf(100));
    const batch = log.gathering;
    log.flush();
    settle(second);
    settle(third);
    expect((await events.outcomeOf(batch))?.kind).toBe("io_error");
  } finally {
    Environment.prototype.commit = commitNow;
  }
  expect(log.stats()).toMatchObject({ merges: 0, batches: 5, records: 9 });
  checkMessages();
  while (log.stats().merges === 0) {
    await store(); // Until a probe has found that the disk answers.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  checkMessages();
  await reopen();
  checkMessages();
});

it("leaves what was read in place until the log is called again, also when it is merged away meanwhile", async () => {
  for (const readCacheBytes of [0, 1_000_000]) {
    open(NEVER, readCacheBytes);
    for (let each = 0; each < 6; each += 1) await store();
    await log.close();
    open(FIVE, readCacheBytes);
    append(log, messageOf(77));
    const batch = log.gathering;
    log.flush();
    const [position, which] = [...live][2]!;
    const into: MessageLocation = { region: Region.allocate(8), offset: 0 };
    expect(log.read(position, into)).toBe("found");
    await events.outcomeOf(batch);
    const expected = messageOf(which, 100 + (which % 7)).bytes;
    expect(into.region.bytes.subarray(into.offset, into.offset + expected.length)).toEqual(expected);
    expect(log.stats().merges).toBe(1);
    await log.close();
    live.clear();
    rmSync(directory, { recursive: true });
  }
  open();
});

it("merges merged values of which half is dead, and rewrites what has no neighbour", async () => {
  open({ smallBytes: 1_000, mergedBytes: 4_000, batchesMin: 4 });
  const keys = 100;
  const positions: number[] = [];
  for (let each = 0; each < 3_000; each += 1) {
    const key = (each * 37 + Math.floor(each / 11) * 13) % keys;
    const old = positions[key];
    [positions[key]] = (await store()) as [number];
    if (old !== undefined) settle(old);
  }
  const { batches, batchBytes } = log.stats();
  expect(batches).toBeLessThan(keys / 2);
  expect(batchBytes).toBeLessThan(live.size * 250 * 2.5);
  checkMessages();
  await reopen(MERGE_ALL);
  for (let each = 0; each < 10; each += 1) await store();
  checkMessages();
  await reopen();
});

it("merges what an older version stored one by one", async () => {
  open(NEVER);
  for (let each = 0; each < 300; each += 1) await store();
  await log.close();
  const root = openStore({ path: directory, noSubdir: false, maxDbs: 32, encoding: "binary", keyEncoding: "binary" });
  await root
    .openDB({ name: "log", encoding: "binary", keyEncoding: "binary" })
    .put(Buffer.from("format"), Buffer.from('{"format":2,"partition":0}'));
  await root.close();
  expect(open()).toEqual([...live.keys()]);
  await store();
  await store();
  expect(log.stats()).toMatchObject({ merges: 2, batches: 4, records: 302 }); // The numbers of a new start are far from these.
  checkMessages();
  await reopen();
  checkMessages();
});

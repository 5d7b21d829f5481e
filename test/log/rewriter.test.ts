/**
 * Goal: one queue that nobody drains does not hold the space of its neighbours, and what it holds stays readable at its positions.
 * Method: a thousand targets, all but one drained behind the writer; the pages in use and the file are compared with what was live
 * at the most. Then a lone publisher with batches of one record.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { open as openStore } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LOG_DEAD_BYTES_FLOOR } from "../../src/base/limits.ts";
import { BatchTable } from "../../src/log/batch-table.ts";
import type { PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { Rewriter } from "../../src/log/rewriter.ts";
import { append, commit, isFull, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";

let place: Place;
let events: Recorder;
let log: PartitionLog;

const open = (): void => {
  events = new Recorder();
  log = openPartitionLog({ directory: place.directory, partition: 0, events });
};

beforeEach(() => {
  place = temporaryPlace();
  open();
  log.recover(() => undefined);
});

afterEach(async () => {
  await log.close();
  place.remove();
});

it("keeps the file small when one of 1,000 targets is never drained", async () => {
  const rounds = isFull ? 400 : 60;
  const kept = new Map<number, number>();
  let waiting: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const drained = waiting;
    waiting = [];
    for (let target = 0; target < 1_000; target += 1) {
      const number = round * 1_000 + target;
      const [position] = append(log, messageOf(number, 300), [target]) as [number];
      if (target === 0) kept.set(position, number);
      else waiting.push(position);
    }
    for (const position of drained) log.settle(position);
    await commit(log, events);
  }
  while (log.isCommitting) await new Promise((resolve) => setImmediate(resolve));
  const written = rounds * 1_000 * 373;
  const { pages, freePages, pageBytes, rewrites, deadBytes, batchBytes } = log.stats();
  expect(rewrites).toBeGreaterThan(rounds / 3);
  expect(deadBytes).toBeLessThanOrEqual(Math.max(LOG_DEAD_BYTES_FLOOR, batchBytes / 4) + 400_000);
  expect((pages - freePages) * pageBytes).toBeLessThan(LOG_DEAD_BYTES_FLOOR + 3_000_000);
  expect(statSync(join(place.directory, "data.mdb")).size).toBeLessThan(written / 2);
  await log.close();
  open();
  const live: number[] = [];
  log.recover(({ position, target, messageBytes }) => {
    if (target === 0) expect(messageBytes).toBe(341);
    live.push(position);
  });
  expect(live.length).toBe(kept.size + 999);
  for (const [position, number] of kept) {
    if (!messageOf(number, 300).bytes.equals(readMessage(log, position) as Buffer)) expect.unreachable(`${number}`);
  }
  for (const position of live) log.settle(position);
  await commit(log, events);
  expect(log.stats()).toMatchObject({ batches: 0, records: 0, deadBytes: 0, batchBytes: 0 });
  await log.close();
  // Nothing of a batch stays behind, in any store.
  const root = openStore({ path: place.directory, noSubdir: false, maxDbs: 32 });
  for (const name of ["batches", "indexes", "settled"]) {
    const store = root.openDB<Buffer, Buffer>(name, { encoding: "binary", keyEncoding: "binary" });
    expect(store.getKeysCount({ start: Buffer.alloc(1) })).toBe(0);
  }
  await root.close();
  open();
}, 600_000);

it("does not rewrite what drains in order", async () => {
  for (let round = 0; round < 30; round += 1) {
    const positions: number[] = [];
    for (let index = 0; index < 1_000; index += 1) positions.push(...append(log, messageOf(index, 300)));
    await commit(log, events);
    for (const position of positions.slice(0, 700)) log.settle(position);
    await commit(log, events);
    for (const position of positions) log.settle(position);
  }
  await commit(log, events);
  expect(log.stats()).toMatchObject({ rewrites: 0, batches: 0 });
});

it("forgets batches that went before they were worth a rewrite", () => {
  const table = new BatchTable();
  const rewriter = new Rewriter(table, LOG_DEAD_BYTES_FLOOR);
  for (let batch = 1; batch <= 20_000; batch += 1) {
    table.append(batch, 4, 4, 4, undefined, 100_000);
    for (let index = 0; index < 4; index += 1) {
      table.find(batch);
      if (table.settle(index) === 0) table.remove(0);
      else rewriter.consider();
    }
  }
  expect(rewriter.waitingCount).toBeLessThan(2_000);
});

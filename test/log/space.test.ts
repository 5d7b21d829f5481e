/**
 * Goal: the store's file stays near the most that it ever held, through fills, drains and steady flow; what a last-value queue overwrites at
 * random does not make it grow.
 * Method: a log alone, in a file system of memory where there is one, with messages of 1 KB: a backlog filled and drained several times, then one message in for each out; then keys
 * overwritten in a random order of the seed. The file and the pages in use are compared with the bytes of live records.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { randomOf, testSeed } from "../random.ts";
import { append, commit, fastPlace, isFull, messageOf, type Place, Recorder } from "./messages.ts";

const PAYLOAD_BYTES = 1_000;
const MESSAGE = messageOf(1, PAYLOAD_BYTES);
/** A message with its two entries. */
const RECORD_BYTES = MESSAGE.bytes.length + 64;
const TOGETHER = isFull ? 100 : 300;

let place: Place;
let events: Recorder;
let log: PartitionLog;

beforeEach(() => {
  place = fastPlace();
  events = new Recorder();
  log = openPartitionLog({ directory: place.directory, partition: 0, events });
  log.recover(() => undefined);
});

afterEach(async () => {
  await log.close();
  place.remove();
});

const fileBytes = (): number => statSync(join(place.directory, "data.mdb")).size;
const usedBytes = (): number => {
  const { pages, freePages, pageBytes } = log.stats();
  return (pages - freePages) * pageBytes;
};
/** What it noted of earlier commits is not looked at. */
const commitAll = async (): Promise<void> => {
  await commit(log, events);
  events.outcomes.length = 0;
  events.sealed.length = 0;
};

it("keeps the file within 1.3 times the most that waited, through fills, drains and steady flow", async () => {
  const [rounds, backlog, flow] = isFull ? [6, 90_000, 300_000] : [4, 18_000, 60_000];
  const waiting: number[] = [];
  const ratios: number[] = [];
  const take = (): void => {
    for (let each = 0; each < TOGETHER; each += 1) waiting.push(...append(log, MESSAGE));
  };
  const settle = (): void => {
    for (const position of waiting.splice(0, TOGETHER)) log.settle(position);
  };
  const peakBytes = backlog * RECORD_BYTES;
  for (let round = 0; round <= rounds; round += 1) {
    while (waiting.length < backlog) {
      take();
      await commitAll();
    }
    if (round < rounds) {
      while (waiting.length > 0) {
        settle();
        await commitAll();
      }
    }
    ratios.push(fileBytes() / peakBytes);
  }
  for (let flown = 0; flown < flow; flown += TOGETHER) {
    take();
    settle();
    await commitAll();
  }
  ratios.push(fileBytes() / peakBytes);
  console.log(`file/peak after each fill, and in flow: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}`);
  expect(fileBytes()).toBeLessThan(1.3 * peakBytes);
});

/** Keys, and values written: a commit of one value takes as long as one of 500. */
const sizesOf = (together: number): readonly [number, number] => {
  if (together < 20) return isFull ? [10_000, 100_000] : [1_500, 9_000];
  return isFull ? [20_000, 400_000] : [8_000, 40_000];
};

for (const together of isFull ? [1, 3, 20, 500] : [1, 50, 500]) {
  it(`uses at most 3 times the live bytes of a last-value queue, ${together} values a commit`, async () => {
    const random = randomOf(testSeed);
    const [keys, overwritten] = sizesOf(together);
    const positions = new Float64Array(keys);
    let live = 0;
    let worst = 0;
    for (let written = 0; written < overwritten; written += together) {
      const older: number[] = [];
      for (let each = 0; each < together; each += 1) {
        const key = Math.floor(random() * keys);
        if (positions[key] === 0) live += 1;
        else older.push(positions[key]!);
        [positions[key]] = append(log, MESSAGE) as [number];
      }
      await commitAll();
      for (const position of older) log.settle(position); // They go with the next commit.
      const isLooked = together >= 20 || written % 20 === 0; // A look walks the list of free pages.
      if (isLooked && live > keys * 0.9) worst = Math.max(worst, usedBytes() / (live * RECORD_BYTES));
    }
    const file = fileBytes() / (live * RECORD_BYTES);
    console.log(`used/live at most ${worst.toFixed(2)}, file/live ${file.toFixed(2)}`);
    expect(worst).toBeGreaterThan(1);
    expect(worst).toBeLessThan(3);
  });
}

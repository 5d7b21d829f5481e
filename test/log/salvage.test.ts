/**
 * Goal: of a damaged partition every whole batch is rescued, nothing that was removed or settled comes back where that can be read, the
 * source does not change, and the log opens what was rescued.
 * Method: a store with settled, rewritten and removed batches, and one with merged ones; pages of its trees are overwritten one at a time, every page once; what is
 * rescued is compared with what was live.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MergeBounds } from "../../src/log/merger.ts";
import { kindOf, LEAF, PageFile } from "../../src/log/page-file.ts";
import { walkPages } from "../../src/log/page-walk.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { salvagePartition } from "../../src/log/salvage.ts";
import { append, commit, isFull, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";

const MERGING: MergeBounds = { smallBytes: 4_000, mergedBytes: 6_000, batchesMin: 4 };
const ALONE: MergeBounds = { ...MERGING, smallBytes: 0 };

describe.each([
  ["batches alone", ALONE],
  ["merged batches", MERGING],
])("a store of %s", (_, merge) => {
  const isMerged = merge === MERGING;
  let place: Place;
  let source: string;
  const live = new Map<number, readonly [number, number]>();
  const settled = new Set<number>();

  beforeAll(async () => {
    place = temporaryPlace();
    source = join(place.directory, "whole");
    const events = new Recorder();
    const log = openPartitionLog({ directory: source, partition: 0, events, deadBytesFloor: 10_000, merge });
    log.recover(() => undefined);
    for (let number = 0; number < 300; number += 1) {
      const bytes = number % 40 === 0 ? 30_000 : number % 5 === 0 ? 3_000 : (number * 37) % 500;
      const [position] = append(log, messageOf(number, bytes)) as [number];
      live.set(position, [number, bytes]);
      log.put("sessions", `session ${number % 60}`, Buffer.alloc(number));
      if (number % 3 === 2) await commit(log, events);
    }
    for (const [position, [number]] of [...live]) {
      if (number % 2 !== 0 && Math.floor(number / 30) % 3 !== 0) continue;
      log.settle(position);
      live.delete(position);
      settled.add(position);
      if (number % 11 === 0) await commit(log, events);
    }
    await commit(log, events);
    expect(log.stats().merges > 0).toBe(isMerged);
    // Until the newest commit has a batch of its own, and a merged value where there are any.
    const { merges } = log.stats();
    for (let number = 300; number === 300 || (isMerged && log.stats().merges === merges); number += 1) {
      const [last] = append(log, messageOf(number, 300)) as [number];
      live.set(last, [number, 300]);
      await commit(log, events);
    }
    await log.close();
  }, 60_000);

  afterAll(() => {
    place.remove();
  });

  it("rescues everything but what the damaged page itself held", async () => {
    const whole = new PageFile(join(source, "data.mdb"));
    const { owners } = walkPages(whole);
    const pages = [...owners.keys()].filter((page) => page < 2 || [1, LEAF].includes(kindOf(whole.page(page))));
    whole.close();
    let rescuedAll = 0;
    const looked = pages.filter((page) => page < 2 || owners[page] === 1).filter((_, at) => isFull || at % 3 === 0);
    for (const page of looked) {
      const from = join(place.directory, "from");
      const to = join(place.directory, "to");
      for (const directory of [from, to]) rmSync(directory, { recursive: true, force: true });
      mkdirSync(from);
      copyFileSync(join(source, "data.mdb"), join(from, "data.mdb"));
      const bytes = readFileSync(join(from, "data.mdb"));
      bytes.fill(0xa5, page * 4096 + 8, page * 4096 + 4096);
      writeFileSync(join(from, "data.mdb"), bytes);

      const rescued = await salvagePartition(from, to, 0);
      expect(readFileSync(join(from, "data.mdb")).equals(bytes)).toBe(true);
      const events = new Recorder();
      const log = openPartitionLog({ directory: to, partition: 0, events });
      const found: number[] = [];
      log.recover(({ position }) => found.push(position));
      expect(log.hasDamage).toBe(true);
      expect(new Set(found).size).toBe(found.length);
      const back = found.filter((position) => !live.has(position));
      expect(
        back.every((position) => settled.has(position)),
        `page ${page}`,
      ).toBe(true);
      if (rescued.unsettled === 0 && !rescued.isStalePossible) expect(back, `page ${page}`).toEqual([]);
      let missing = live.size;
      for (const position of found) {
        const known = live.get(position);
        const message = readMessage(log, position);
        if (known === undefined || message === "damaged") continue;
        if (!messageOf(...known).bytes.equals(message as Buffer))
          expect.unreachable(`page ${page}, position ${position}`);
        missing -= 1;
      }
      // Whole batches are lost only with a leaf that held them, and none with a meta page.
      expect(missing, `page ${page}: ${JSON.stringify(rescued)}`).toBeLessThanOrEqual(page < 2 ? 0 : 40);
      if (missing === 0) rescuedAll += 1;
      await log.close();
    }
    expect(rescuedAll).toBeGreaterThan(looked.length / 2);
  }, 600_000);
});

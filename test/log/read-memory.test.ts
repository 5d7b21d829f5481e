/** Goal: memory of values read from the disk is used again, and never while somebody still holds it. Method: random takes and returns. */
import { expect, test } from "vitest";
import { LOG_READ_MEMORIES_FREE_MAX, LOG_READ_MEMORY_BYTES_MIN } from "../../src/base/limits.ts";
import type { Region } from "../../src/base/region.ts";
import { ReadMemory } from "../../src/log/read-memory.ts";
import { randomOf, testSeed } from "../random.ts";

test("a region that was given back is the next one's memory, with that one's length", () => {
  const memory = new ReadMemory();
  const first = memory.take(LOG_READ_MEMORY_BYTES_MIN + 10);
  memory.giveBack(first);
  const second = memory.take(LOG_READ_MEMORY_BYTES_MIN);
  expect(second.memory).toBe(first.memory);
  expect(second.bytes.length).toBe(LOG_READ_MEMORY_BYTES_MIN);
});

test("small values are the collector's, and few large ones are kept", () => {
  const memory = new ReadMemory();
  const small = memory.take(100);
  memory.giveBack(small);
  expect(memory.take(100).memory).not.toBe(small.memory);

  const large = Array.from({ length: LOG_READ_MEMORIES_FREE_MAX + 3 }, () => memory.take(LOG_READ_MEMORY_BYTES_MIN));
  for (const region of large) memory.giveBack(region);
  const known = new Set(large.map((region) => region.memory));
  const again = large.map(() => memory.take(LOG_READ_MEMORY_BYTES_MIN));
  expect(again.filter((region) => known.has(region.memory))).toHaveLength(LOG_READ_MEMORIES_FREE_MAX);
});

test("no two regions that are held share memory", () => {
  const random = randomOf(testSeed);
  const memory = new ReadMemory();
  const held: Region[] = [];
  for (let step = 0; step < 2_000; step += 1) {
    if (held.length < 6 && random() < 0.6) {
      held.push(memory.take(1 + Math.floor(random() * 8 * LOG_READ_MEMORY_BYTES_MIN)));
    } else if (held.length > 0) {
      memory.giveBack(held.splice(Math.floor(random() * held.length), 1)[0]!);
    }
    expect(new Set(held.map((region) => region.memory)).size).toBe(held.length);
  }
});

/**
 * Goal: the indexes by position and by key find what is there and nothing else, while their tables grow and are divided. Method: random
 * additions and removals beside a `Map`.
 */
import { expect, it } from "vitest";
import { INDEX_TABLE_PLACES_MAX } from "../../src/base/limits.ts";
import { LastValues, NO_POSITION } from "../../src/queue/last-values.ts";
import { PositionIndex } from "../../src/queue/position-index.ts";
import { SlotHeap } from "../../src/queue/slot-heap.ts";
import { randomOf, testSeed as seed } from "../random.ts";

const COUNT = 6 * INDEX_TABLE_PLACES_MAX;

it(`by position, seed ${seed}`, () => {
  const random = randomOf(seed);
  const index = new PositionIndex();
  const model = new Map<number, number>();
  expect(index.find(0)).toBe(-1);
  for (let slot = 0; slot < COUNT; slot += 1) {
    // As a log gives them: runs within batches, with gaps.
    const position = (1 + Math.floor(slot / 5_000)) * 65_536 + (slot % 5_000) * (1 + (slot % 3));
    if (model.has(position)) continue;
    index.add(position, slot);
    model.set(position, slot);
    if (random() < 0.4) {
      const [gone] = model.keys();
      index.remove(gone!);
      model.delete(gone!);
      expect(index.find(gone!)).toBe(-1);
    }
  }
  for (const [position, slot] of model) expect(index.find(position)).toBe(slot);
  expect(index.find(64 * 65_536)).toBe(-1);
  for (const position of model.keys()) index.remove(position);
  for (const position of model.keys()) expect(index.find(position)).toBe(-1);
});

it(`by key, seed ${seed}`, () => {
  const random = randomOf(seed);
  const values = new LastValues();
  const keys = Array.from({ length: COUNT }, () => [(random() * 2 ** 32) >>> 0, (random() * 2 ** 32) >>> 0] as const);
  const model = new Map<number, number>();
  for (let position = 1; position < 3 * COUNT; position += 1) {
    const key = Math.floor(random() * COUNT);
    const [high, low] = keys[key]!;
    const known = model.get(key) ?? NO_POSITION;
    if (random() < 0.3) {
      values.forget(high, low, random() < 0.5 ? known : known + 1);
      if (values.find(high, low) === NO_POSITION) model.delete(key);
      else expect(values.find(high, low)).toBe(known);
    } else {
      values.set(high, low, position);
      model.set(key, position);
    }
  }
  for (const [key, [high, low]] of keys.entries()) {
    if (values.find(high, low) !== (model.get(key) ?? NO_POSITION)) expect.unreachable(`key ${key}`);
  }
  values.clear();
  expect(keys.every(([high, low]) => values.find(high, low) === NO_POSITION)).toBe(true);
});

it(`a heap of slots gives the lowest first, whichever leave before, seed ${seed}`, () => {
  const random = randomOf(seed);
  const keys = Array.from({ length: 2_000 }, () => Math.floor(random() * 500));
  const places = new Array<number>(keys.length).fill(-1);
  const heap = new SlotHeap({
    keyOf: (slot) => keys[slot]!,
    placeOf: (slot) => places[slot]!,
    setPlace: (slot, place) => {
      places[slot] = place;
    },
  });
  const here = new Set<number>();
  for (let slot = 0; slot < keys.length; slot += 1) {
    heap.add(slot);
    here.add(slot);
    if (random() > 0.4) continue;
    const gone = [...here][Math.floor(random() * here.size)]!;
    heap.remove(gone);
    here.delete(gone);
  }
  expect(heap.count).toBe(here.size);
  const left = [...here].map((slot) => keys[slot]!).sort((one, other) => one - other);
  for (const key of left) {
    expect(keys[heap.peek()]).toBe(key);
    heap.remove(heap.peek());
  }
  expect(heap.count).toBe(0);
});

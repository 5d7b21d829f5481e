/**
 * Goal: whatever goes wrong, nothing acknowledged is lost, nothing invented, nothing repeated without cause, each publisher's
 * messages come in order, every ledger adds up, and an empty broker leaves no record.
 * Method: several workers in one thread, with faults (see ordeal.ts), in an order drawn from a seed; at the end all is consumed and
 * counted. A seed with its moves is the whole test: RESTANTE_TEST_SEEDS=FROM-TO runs others, by hand; RESTANTE_TEST_MOVES more of each.
 */
import { describe, expect, it } from "vitest";
import { Ordeal } from "./ordeal.ts";

const isFullSize = process.env.RESTANTE_TEST_SIZE === "full";
const [FROM, TO] = (process.env.RESTANTE_TEST_SEEDS ?? (isFullSize ? "1-1000" : "1-200")).split("-").map(Number);
const MOVES = Number(process.env.RESTANTE_TEST_MOVES ?? (isFullSize ? 200 : 100));
/** Seeds in one test: as many lines as one reads. */
const SEEDS_PER_TEST = 50;

async function run(seed: number, moves: number): Promise<Ordeal> {
  const ordeal = await Ordeal.begin(seed);
  for (let left = moves; left > 0; left -= 1) await ordeal.move();
  await ordeal.end();
  expect(ordeal.judge(), `seed ${seed}, ${moves} moves`).toEqual([]);
  ordeal.rig.kill();
  return ordeal;
}

const groups: [number, number][] = [];
for (let first = FROM!; first <= TO!; first += SEEDS_PER_TEST)
  groups.push([first, Math.min(TO!, first + SEEDS_PER_TEST - 1)]);

describe("an ordeal", () => {
  it.each(groups)(
    "seeds %i to %i",
    async (first, last) => {
      let crashes = 0;
      for (let seed = first; seed <= last; seed += 1) crashes += (await run(seed, MOVES)).counts.crashes;
      expect(crashes).toBeGreaterThan(0);
    },
    600_000,
  );
});

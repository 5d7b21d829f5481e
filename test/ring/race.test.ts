/**
 * Goal: going to sleep and publishing at the same moment never lose a wake-up; nor do waiting for space and releasing it. Method:
 * two threads meet before every round, act at once and compare afterwards (race-worker.mjs); as many rounds as the time allows, and no fewer than some.
 * The stress of mesh.test.ts goes through the event loop and meets this moment seldom; this one meets nothing else.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { RING_BYTES_MIN } from "../../src/base/limits.ts";
import { createRing } from "../../src/ring/layout.ts";
import { compileRing } from "./compiled.ts";

const RUN_MS = process.env.RESTANTE_TEST_SIZE === "full" ? 20_000 : 1_000;
/** Where both ends have to wait for a processor at every meeting, the time alone would not do. */
const ROUNDS_MIN = 100;
const compiled = compileRing();
afterAll(compiled.remove);

interface Seen {
  readonly rounds: number;
  readonly lost: number;
  readonly waited: number;
}

async function race(name: "sleep" | "space"): Promise<Seen[]> {
  const shared = { ring: createRing(RING_BYTES_MIN), meeting: new SharedArrayBuffer(1024) };
  const ends = (["writer", "reader"] as const).map((end) => {
    const workerData = { ...shared, folder: compiled.folder, end, race: name, runMs: RUN_MS, roundsMin: ROUNDS_MIN };
    return new Worker(join(import.meta.dirname, "race-worker.mjs"), { workerData });
  });
  try {
    return await Promise.all(
      ends.map(
        (thread) =>
          new Promise<Seen>((resolve, reject) => {
            thread.once("message", resolve);
            thread.once("error", reject);
          }),
      ),
    );
  } finally {
    await Promise.all(ends.map((thread) => thread.terminate()));
  }
}

describe("a race of both ends of a ring", () => {
  test.each(["sleep", "space"] as const)("no wake-up is lost: %s", async (name) => {
    const [writer, reader] = await race(name);
    expect(writer!.lost + reader!.lost).toBe(0);
    expect(writer!.rounds).toBe(reader!.rounds);
    expect(writer!.rounds).toBeGreaterThanOrEqual(ROUNDS_MIN);
    console.log(
      `${name}: ${writer!.rounds} rounds; the writer rang or waited in ${writer!.waited}, the reader in ${reader!.waited}`,
    );
  });
});

/**
 * Goal: no bytes that a stranger or a client sends end the broker, harm another client, or stay in its memory.
 * Method: see fuzzing.ts. The seed is printed; `npm run fuzz -- --seconds N --seed S` goes on for longer.
 */
import { expect, it } from "vitest";
import { describeWorkers } from "../harness/servers.ts";
import { isFullSize } from "../harness/waiting.ts";
import { testSeed } from "../random.ts";
import { fuzz } from "./fuzzing.ts";

/** For each number of workers, without what starting and settling take. */
const SECONDS = isFullSize ? 24 : 7;

describeWorkers("fuzzed connections", (workers) => {
  it("harm nobody and leave nothing", async () => {
    const seed = testSeed * 1_000 + workers;
    process.stdout.write(`seed ${seed}\n`);
    const report = await fuzz({ seed, seconds: SECONDS, workers });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report.scripts).toBeGreaterThan(100);
    expect(report.witnessed).toBeGreaterThan(50);
  }, 180_000);
});

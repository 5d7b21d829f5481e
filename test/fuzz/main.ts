/**
 * npm run fuzz -- [--seconds 60] [--seed N] [--workers 1,3]
 *
 * Fuzzes a broker of its own for each number of workers. Without a seed the time of day is one. A failure names the seed and the bytes.
 */
import { parseArgs } from "node:util";
import { missingLines } from "../harness/needs.ts";
import { fuzz } from "./fuzzing.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "1,3" },
  },
});
const missing = missingLines(["broker"]);
if (missing.length > 0) throw new Error(missing.join("\n"));
const runs = values.workers.split(",").map(Number);
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
if (![seconds, seed, ...runs].every((number) => Number.isInteger(number) && number > 0)) {
  throw new Error("--seconds, --seed and --workers want whole numbers above 0");
}
for (const workers of runs) {
  process.stdout.write(`seed ${seed}, workers ${workers}\n`);
  const report = await fuzz({ seed, seconds: seconds / runs.length, workers });
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/**
 * npm run perf [-- small]: the micro benchmarks, each a file `NAME.bench.ts` beside this one that exports a function
 * `NAMEBench(size)` answering rows of a name and nanoseconds per operation. Prints them as one table.
 */
import { readdir } from "node:fs/promises";
import { alignedTable } from "./bench/table.ts";

export type Size = "small" | "real";

export interface Row {
  readonly name: string;
  readonly nsPerOp: number;
}

type Bench = (size: Size) => readonly Row[] | Promise<readonly Row[]>;

/** Runs every micro benchmark there is, in the order of their names. @throws when a file exports none. */
export async function runMicroBenchmarks(size: Size): Promise<Row[]> {
  const rows: Row[] = [];
  const files = (await readdir(new URL(".", import.meta.url))).filter((file) => /[.]bench[.](ts|js)$/.test(file));
  for (const file of files.toSorted()) {
    const room = (await import(new URL(file, import.meta.url).href)) as Readonly<Record<string, unknown>>;
    const benches = Object.entries(room).filter(
      ([name, value]) => name.endsWith("Bench") && typeof value === "function",
    );
    if (benches.length === 0) throw new Error(`${file} exports no function whose name ends with Bench`);
    for (const [, bench] of benches) {
      for (const { name, nsPerOp } of await (bench as Bench)(size)) {
        rows.push({ name: `${file.slice(0, file.indexOf("."))}: ${name}`, nsPerOp });
      }
    }
  }
  return rows;
}

export function microTable(rows: readonly Row[]): string {
  const line = ({ name, nsPerOp }: Row): string[] => [name, nsPerOp.toFixed(1), (1e3 / nsPerOp).toFixed(3)];
  return alignedTable([["benchmark", "ns/op", "M/s"], ...rows.map(line)]);
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const size = process.argv[2] === "small" ? "small" : "real";
  process.stdout.write(`${microTable(await runMicroBenchmarks(size))}\n`);
}

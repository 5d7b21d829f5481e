/**
 * npm run bench -- [--peers mosquitto,rabbitmq,memory] [--workers 1,3] [--scenarios enqueue,drain] [--windows default,100]
 *                  [--repeat 3] [--size small|real] [--directory DIR] [--out FILE]
 *
 * Restante is always measured, with each number of workers; the peers come first and the first of them is the base of the
 * ratios, repeat by repeat; `memory` is Restante with one worker and a queue of `durability: memory`. `--directory` chooses the disk. The table
 * goes to stdout, every measurement to the file.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { missingLines } from "../../test/harness/needs.ts";
import { type ConsumerWindow, mosquitto, type Peer, rabbitmq, restante } from "./peers.ts";
import { measureAll } from "./runner.ts";
import { scenarios } from "./scenarios.ts";
import { benchTable } from "./table.ts";

const known: Readonly<Record<string, Peer>> = { mosquitto, rabbitmq, memory: restante(1, "memory") };

const { values } = parseArgs({
  options: {
    peers: { type: "string", default: "" },
    workers: { type: "string", default: "1" },
    scenarios: { type: "string", default: scenarios.map(({ name }) => name).join(",") },
    windows: { type: "string", default: "default,100" },
    repeat: { type: "string", default: "3" },
    size: { type: "string", default: "real" },
    directory: { type: "string", default: tmpdir() },
    out: { type: "string", default: "perf/results/bench.json" },
  },
});

const listOf = (text: string): string[] => text.split(",").filter((word) => word !== "");

/** @throws naming what is known. */
function chosen<T>(what: string, table: Readonly<Record<string, T>>, names: readonly string[]): T[] {
  return names.map((name) => {
    const value = table[name];
    if (value === undefined) throw new Error(`unknown ${what} ${name}; known: ${Object.keys(table).join(", ")}`);
    return value;
  });
}

/** @throws when it is not a whole number above 0. */
function positive(what: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${what} ${text}: wants a whole number above 0`);
  return value;
}

const byName = Object.fromEntries(scenarios.map((scenario) => [scenario.name, scenario]));
const ours = listOf(values.workers).map((text) => restante(positive("workers", text)));
const windows: Readonly<Record<string, ConsumerWindow>> = { default: "default", 100: 100 };

const peers = chosen("peer", known, listOf(values.peers));
const missing = missingLines(["broker", "compiler", ...peers.flatMap(({ needs }) => needs)]);
if (missing.length > 0) {
  process.stderr.write(`${missing.join("\n")}\n`);
  process.exit(1);
}

const measurements = await measureAll({
  peers: [...peers, ...ours],
  scenarios: chosen("scenario", byName, listOf(values.scenarios)),
  consumerWindows: chosen("window", windows, listOf(values.windows)),
  repeats: positive("repeat", values.repeat),
  size: chosen("size", { small: "small", real: "real" } as const, [values.size])[0]!,
  directory: values.directory,
  onMeasurement: ({ scenario, peer, consumerWindow, repeat, perS, result }) => {
    const remarks = [
      ...(result.ok ? [] : ["NOT OK"]),
      ...(result.lost > 0 ? [`lost ${result.lost}`] : []),
      ...(result.duplicates > 0 ? [`again ${result.duplicates}`] : []),
      ...((result.other_cpus ?? 0) > 0.5 ? [`noisy: ${result.other_cpus} other processors busy`] : []),
    ];
    const name = `${repeat + 1} ${scenario} ${peer} window ${consumerWindow}`;
    process.stderr.write(`${name}: ${perS.toFixed(0)}/s ${remarks.join(", ")}\n`);
  },
});

process.stdout.write(`${benchTable(measurements)}\n`);
const machine = { processors: cpus().length, model: cpus()[0]?.model ?? "", node: process.version };
await mkdir(dirname(values.out), { recursive: true });
await writeFile(values.out, `${JSON.stringify({ machine, size: values.size, measurements }, null, 1)}\n`);

/**
 * npm run bench:strangers -- [--workers 1] [--seconds 20] [--directory DIR]
 *
 * What strangers cost: a witness pair alone, then with a thousand connections that open and stall, three hundred that send garbage and come
 * back a second after each close, two that announce 256 MB, before and after CONNECT, and one that asks for a flood and never reads. The
 * resident memory before, at its most and after; the pair's p99 with them against its p99 without.
 *
 * The strangers are a process of their own (strangers-crowd.ts), so that the pair's clock is not theirs.
 */
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { Broker } from "../../test/harness/broker.ts";
import { Child } from "../../test/harness/process.ts";
import { pause } from "../../test/harness/waiting.ts";
import { type Testimony, Witness } from "../../test/harness/witness.ts";
import type { CrowdCounts, CrowdOptions } from "./strangers-crowd.ts";
import { alignedTable } from "./table.ts";

export interface StrangersOptions {
  readonly workers: number;
  /** Alone, and as long among the strangers. */
  readonly seconds: number;
  readonly stalled: number;
  readonly garbage: number;
  readonly directory: string;
  /** Before memory is looked at again. */
  readonly settleMs: number;
  /** Lets the strangers come, and go when their time is over. */
  readonly crowd: (options: CrowdOptions) => Promise<CrowdCounts>;
}

export interface StrangersReport {
  readonly beforeBytes: number;
  readonly mostBytes: number;
  readonly afterBytes: number;
  readonly alone: Testimony;
  readonly among: Testimony;
  readonly crowd: CrowdCounts;
}

const SAMPLE_MS = 100;

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

export async function measureStrangers(options: StrangersOptions): Promise<StrangersReport> {
  const broker = await Broker.start({ workers: options.workers, directory: options.directory });
  try {
    const witness = await Witness.start(broker.mqttPort);
    await pause(500);
    witness.testify(); // What was cold.
    await pause(options.seconds * 1_000);
    const alone = witness.testify();
    const beforeBytes = residentBytes(broker.pid);

    let mostBytes = beforeBytes;
    const sample = setInterval(() => {
      mostBytes = Math.max(mostBytes, residentBytes(broker.pid));
    }, SAMPLE_MS);
    const { stalled, garbage, seconds } = options;
    const crowd = await options
      .crowd({ port: broker.mqttPort, stalled, garbage, seconds })
      .finally(() => clearInterval(sample));
    const among = witness.testify();

    await pause(options.settleMs);
    const afterBytes = residentBytes(broker.pid);
    await witness.stop();
    await broker.stop();
    return { beforeBytes, mostBytes, afterBytes, alone, among, crowd };
  } finally {
    await broker.remove();
  }
}

export function strangersTable({ beforeBytes, mostBytes, afterBytes, alone, among, crowd }: StrangersReport): string {
  const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MB`;
  const row = (name: string, { witnessed, p99Ms, slowestMs }: Testimony): string[] => [
    name,
    `${witnessed}`,
    p99Ms.toFixed(2),
    slowestMs.toFixed(2),
  ];
  return [
    alignedTable([
      ["witness pair, QoS 1", "messages", "p99 ms", "slowest ms"],
      row("alone", alone),
      row("among strangers", among),
    ]),
    `p99 ${(among.p99Ms / alone.p99Ms).toFixed(2)} times as long among strangers`,
    `resident ${megabytes(beforeBytes)} before, ${megabytes(mostBytes)} at most, ${megabytes(afterBytes)} after`,
    `${crowd.opened} connections opened, ${crowd.closed} of them closed by the broker, ${crowd.flooded} messages to who never reads`,
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({
    options: {
      workers: { type: "string", default: "1" },
      seconds: { type: "string", default: "20" },
      directory: { type: "string", default: tmpdir() },
    },
  });
  const [workers, seconds] = [Number(values.workers), Number(values.seconds)];
  if (![workers, seconds].every((value) => Number.isInteger(value) && value > 0)) {
    throw new Error("--workers and --seconds want whole numbers above 0");
  }
  const { directory } = values;
  const program = import.meta.filename.replace(/strangers\.js$/, "strangers-crowd.js");
  const crowd = async ({ port, stalled, garbage, seconds }: CrowdOptions): Promise<CrowdCounts> => {
    const words = [port, stalled, garbage, seconds].map(String);
    const { code, stdout, stderr } = await new Child(process.execPath, [program, ...words]).ended;
    if (code !== 0) throw new Error(`the crowd ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as CrowdCounts;
  };
  const options = { workers, seconds, stalled: 1_000, garbage: 300, directory, settleMs: 15_000, crowd };
  process.stdout.write(`${strangersTable(await measureStrangers(options))}\n`);
}

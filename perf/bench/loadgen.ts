/** Runs the load generator of native-bench and reads its line of JSON. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "../../test/harness/process.ts";

export interface Latency {
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
}

/** What the generator says of a run, as far as it is read here; the names are its own. Latencies in microseconds. */
export interface LoadgenResult {
  readonly ok: boolean;
  readonly published: number;
  readonly acked: number;
  readonly received: number;
  readonly duplicates: number;
  readonly lost: number;
  readonly out_of_order: number;
  readonly pub_per_s: number;
  readonly ack_per_s: number;
  readonly recv_per_s: number;
  readonly window_s: number;
  readonly e2e_us: Latency | null;
  readonly ack_us: Latency | null;
  readonly cpu_server_s: number;
  readonly rss_peak_kb: number;
  /** Connections that the server closed. */
  readonly disconnects: number;
  /** In mode `connect`. */
  readonly connect_per_s?: number;
  readonly bytes_per_conn?: number;
  /** How many processors everything else on the machine kept busy: a run with much of it says little. */
  readonly other_cpus?: number;
}

const LOADGEN = resolve("native-bench/bin/loadgen");
const RUN_MS_MAX = 900_000;

/**
 * One run, to its end.
 * @throws when it could not measure; what it measured, lost connections included, is in the result.
 */
export async function loadgen(
  mode: string,
  options: Readonly<Record<string, string | number>>,
): Promise<LoadgenResult> {
  if (!existsSync(LOADGEN)) throw new Error("the load generator is missing; run: make -C native-bench");
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, stdout, stderr } = await run(LOADGEN, [mode, ...args], { timeoutMs: RUN_MS_MAX });
  if (code === 1 || stdout === "") throw new Error(`loadgen ${mode} ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as LoadgenResult;
}

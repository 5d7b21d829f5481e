/**
 * npm run bench:backlog -- [--messages 10000000] [--workers 1] [--directory DIR]
 *
 * A backlog, from its making to its end: what a waiting message costs in memory and on disk, how long a start takes after
 * `kill -9` with all of it there, whether draining it is as fast at its end as at its beginning, and whether the memory
 * comes back. Then the same broker with consumers that never acknowledge and publishers that never rest, on a queue with a limit: what
 * memory does once the queue is full.
 */
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Broker } from "../../test/harness/broker.ts";
import { createQueue, type Ledger, ledgerOf } from "../../test/harness/rest.ts";
import { pause } from "../../test/harness/waiting.ts";
import { loadgen } from "./loadgen.ts";
import { alignedTable } from "./table.ts";

export interface BacklogOptions {
  readonly messages: number;
  readonly workers: number;
  /** The broker's directory is made below it: it says which disk is measured. */
  readonly directory: string;
  /** Before memory is looked at: garbage is collected meanwhile, and what is free goes back to the system. */
  readonly settleMs: number;
}

/** Bytes of the process, from /proc: all that is resident, and the part that is no file. */
export interface Memory {
  readonly residentBytes: number;
  readonly anonymousBytes: number;
}

export interface BacklogReport {
  readonly stored: number;
  readonly enqueuedPerS: number;
  readonly empty: Memory;
  readonly full: Memory;
  /** After kill -9 and the start with the whole backlog. */
  readonly restarted: Memory;
  readonly drained: Memory;
  readonly diskBytes: number;
  readonly restartS: number;
  /** Messages a second in the first tenth, the tenth in the middle, and the last tenth. */
  readonly drainPerS: readonly [number, number, number];
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly ledger: Ledger;
}

export interface PressureReport {
  readonly acknowledged: number;
  readonly limit: number;
  readonly ledger: Ledger;
  /** In equal steps, from the first message on. */
  readonly anonymousBytes: readonly number[];
}

const FILTER = "jobs/#";
const QUEUE_NAME = `/${FILTER}`;
const QUEUE_FILTER = `$q/${FILTER}`;
const TOPIC = "jobs/%i";
const PAYLOAD_BYTES = 256;
const PUBLISHERS = 4;
const WINDOW = 1_000;
const SAMPLE_MS = 50;
const PRESSURE_SAMPLES = 10;

/** @throws when a broker or the generator fails; what was lost or repeated is in the report. */
export async function measureBacklog(options: BacklogOptions): Promise<BacklogReport> {
  const directory = await mkdtemp(join(options.directory, "restante-backlog-"));
  const broker = await Broker.start({ workers: options.workers, directory });
  try {
    await createQueue(broker, { topic_filter: FILTER, local_max_inflight: 100 });
    const state = join(directory, "state");
    const common = { size: PAYLOAD_BYTES, time: 3_600, state };
    const empty = await memoryOf(broker.pid);

    const filled = await loadgen("enqueue", {
      ...common,
      port: broker.mqttPort,
      topic: TOPIC,
      pubs: PUBLISHERS,
      inflight: WINDOW,
      count: options.messages,
    });
    await pause(options.settleMs);
    const full = await memoryOf(broker.pid);
    const diskBytes = await allocatedBytesOf(broker.dataDirectory);

    await broker.kill();
    const killedMs = performance.now();
    await broker.restart();
    const restartS = (performance.now() - killedMs) / 1_000;
    await pause(options.settleMs);
    const restarted = await memoryOf(broker.pid);

    const progress = new Progress(broker);
    const taken = await loadgen("drain", {
      ...common,
      port: broker.mqttPort,
      topic: TOPIC,
      filter: QUEUE_FILTER,
      "sub-qos": 1,
      count: filled.acked,
      idle: 20,
    });
    const drainPerS = await progress.end(filled.acked);
    await pause(options.settleMs);
    const drained = await memoryOf(broker.pid);
    const ledger = await ledgerOf(broker, QUEUE_NAME);
    await broker.stop();
    return {
      stored: filled.acked,
      enqueuedPerS: filled.ack_per_s,
      empty,
      full,
      restarted,
      drained,
      diskBytes,
      restartS,
      drainPerS,
      received: taken.received,
      lost: taken.lost,
      duplicates: taken.duplicates,
      ledger,
    };
  } finally {
    await broker.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Publishers as fast as they can for `seconds`, consumers that take their windows and say nothing, a queue of at most `limit`. */
export async function measurePressure(
  options: BacklogOptions,
  limit: number,
  seconds: number,
): Promise<PressureReport> {
  const directory = await mkdtemp(join(options.directory, "restante-backlog-"));
  const broker = await Broker.start({ workers: options.workers, directory });
  try {
    await createQueue(broker, { topic_filter: FILTER, limits: { max_shard_message_count: limit } });
    const load = loadgen("live", {
      port: broker.mqttPort,
      size: PAYLOAD_BYTES,
      topic: TOPIC,
      filter: QUEUE_FILTER,
      pubs: PUBLISHERS,
      subs: 4,
      inflight: WINDOW,
      delay: 1e9,
      warmup: 0,
      time: seconds,
      linger: 1,
      idle: 0.5,
    });
    const anonymousBytes: number[] = [];
    for (let sample = 0; sample < PRESSURE_SAMPLES; sample += 1) {
      await pause((seconds * 1_000) / PRESSURE_SAMPLES);
      anonymousBytes.push((await memoryOf(broker.pid)).anonymousBytes);
    }
    const { acked } = await load;
    const ledger = await ledgerOf(broker, QUEUE_NAME);
    await broker.stop();
    return { acknowledged: acked, limit, ledger, anonymousBytes };
  } finally {
    await broker.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Watches how many of a queue's messages are acknowledged, while somebody drains it. */
class Progress {
  readonly #broker: Broker;
  readonly #samples: { readonly atMs: number; readonly acknowledged: number }[] = [];
  readonly #watching: Promise<void>;
  #isOver = false;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#watching = this.#watch();
  }

  /** The rates in the first tenth, the middle one and the last. */
  async end(messages: number): Promise<[number, number, number]> {
    this.#isOver = true;
    await this.#watching;
    const rate = (from: number, to: number): number =>
      ((to - from) * messages * 1_000) / (this.#whenMs(to * messages) - this.#whenMs(from * messages));
    return [rate(0.01, 0.1), rate(0.45, 0.55), rate(0.9, 0.99)];
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const { acknowledged } = await ledgerOf(this.#broker, QUEUE_NAME);
      this.#samples.push({ atMs: performance.now(), acknowledged });
      await pause(SAMPLE_MS);
    }
  }

  /** When so many were acknowledged, as the line between two looks says. */
  #whenMs(count: number): number {
    const samples = this.#samples;
    const after = samples.findIndex(({ acknowledged }) => acknowledged >= count);
    if (after < 1) return samples.at(after < 0 ? -1 : 0)?.atMs ?? 0;
    const one = samples[after - 1]!;
    const other = samples[after]!;
    const part = (count - one.acknowledged) / (other.acknowledged - one.acknowledged);
    return one.atMs + part * (other.atMs - one.atMs);
  }
}

export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytesOf = (field: string): number =>
    Number(new RegExp(`^${field}: *(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) * 1_024;
  return { residentBytes: bytesOf("Rss"), anonymousBytes: bytesOf("Anonymous") };
}

/** What the files of a directory take on the disk. */
async function allocatedBytesOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).blocks * 512;
  }
  return bytes;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

export function backlogTable(report: BacklogReport): string {
  const { empty, full, restarted, drained, stored } = report;
  const row = (name: string, { residentBytes, anonymousBytes }: Memory): string[] => [
    name,
    megabytes(residentBytes),
    megabytes(anonymousBytes),
    ((anonymousBytes - empty.anonymousBytes) / stored).toFixed(1),
  ];
  const memory = alignedTable([
    ["memory", "resident", "anonymous", "bytes a message"],
    row("empty", empty),
    row(`${stored} wait`, full),
    row("after kill -9 and restart", restarted),
    row("drained", drained),
  ]);
  const [first, middle, last] = report.drainPerS.map((perS) => perS.toFixed(0));
  return [
    memory,
    `enqueued ${report.enqueuedPerS.toFixed(0)}/s; on disk ${megabytes(report.diskBytes)}`,
    `kill -9 to ready ${report.restartS.toFixed(2)} s`,
    `drained at ${first}/s first, ${middle}/s in the middle, ${last}/s last`,
    `received ${report.received}, lost ${report.lost}, again ${report.duplicates}, difference ${report.ledger.difference}`,
  ].join("\n");
}

export function pressureTable({ acknowledged, limit, ledger, anonymousBytes }: PressureReport): string {
  const { waiting, dropped, in_flight } = ledger;
  return [
    `${acknowledged} published into a queue of at most ${limit}: ${waiting} wait, ${in_flight} in flight, ${dropped} dropped`,
    `anonymous memory in equal steps: ${anonymousBytes.map(megabytes).join(", ")}`,
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({
    options: {
      messages: { type: "string", default: "10000000" },
      workers: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
    },
  });
  const messages = Number(values.messages);
  const workers = Number(values.workers);
  if (![messages, workers].every((value) => Number.isInteger(value) && value > 0)) {
    throw new Error("--messages and --workers want whole numbers above 0");
  }
  const options = { messages, workers, directory: values.directory, settleMs: 15_000 };
  process.stdout.write(`${backlogTable(await measureBacklog(options))}\n`);
  process.stdout.write(`${pressureTable(await measurePressure(options, Math.ceil(messages / 20), 30))}\n`);
}

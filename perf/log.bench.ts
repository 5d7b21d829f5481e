/**
 * One partition's log on the real disk, one thread, no sockets: what a message of 256 B payload costs from `stage` until it is on
 * disk, read, settled and recovered. Rows are nanoseconds of wall clock a message unless they say CPU (all threads of the process).
 *
 * Every row counts what it did, and a message too few or a wrong one ends the run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../src/base/assert.ts";
import { Region } from "../src/base/region.ts";
import { MESSAGE_HEADER_BYTES, messageBytesOf, publishedAtMsOf, writeMessageHeader } from "../src/frame/message.ts";
import { type MessageLocation, NO_ROOM, type PartitionLog } from "../src/log/contract.ts";
import { openPartitionLog } from "../src/log/partition-log.ts";

interface LogRow {
  readonly name: string;
  readonly nsPerOp: number;
}

const PARTS = {
  topicBytes: 16,
  propertiesBytes: 0,
  payloadBytes: 256,
  clientIdBytes: 8,
  usernameBytes: 0,
  peerBytes: 0,
};
/** What a worker takes in during one turn. */
const MESSAGES_PER_TURN = 500;

/** Runs all rows; `small` only proves that they run. @throws when a message is missing or wrong. */
export async function logBench(size: "small" | "real"): Promise<readonly LogRow[]> {
  const messages = size === "small" ? 5_000 : 1_000_000;
  return [
    ...(await stored(messages)),
    await oneByOne(messages / 500),
    await storedReadSettled(messages),
    ...(await settled(messages / 2)),
    ...(await readBack(messages / 2)),
  ];
}

async function stored(messages: number): Promise<LogRow[]> {
  return withLog(async (bench) => {
    const before = process.cpuUsage();
    const started = performance.now();
    await bench.append(messages);
    const { user, system } = process.cpuUsage(before);
    const { commits, records } = bench.log.stats();
    assert(records === messages, "every message is stored");
    return [
      row(`append and commit, ${Math.round(messages / commits)} a batch`, messages, started),
      { name: "append and commit, CPU", nsPerOp: ((user + system) * 1e3) / messages },
    ];
  });
}

async function oneByOne(messages: number): Promise<LogRow> {
  return withLog(async (bench) => {
    const started = performance.now();
    for (let number = 0; number < messages; number += 1) {
      bench.add();
      await bench.committed();
    }
    assert(bench.log.stats().commits === messages, "every message has its commit");
    return row("append and commit, one a batch, each awaited", messages, started);
  });
}

async function storedReadSettled(messages: number): Promise<LogRow> {
  return withLog(async (bench) => {
    const into = location();
    let consumed = 0;
    bench.onBatch = (positions) => {
      for (const position of positions) {
        assert(bench.log.read(position, into) === "found", "what is committed can be read");
        bench.log.settle(position);
      }
      consumed += positions.length;
      bench.log.flush();
    };
    const started = performance.now();
    await bench.append(messages);
    await bench.committed();
    assert(consumed === messages && bench.log.stats().records === 0, "every message is consumed");
    return row("append, commit, read, settle", messages, started);
  });
}

async function settled(messages: number): Promise<LogRow[]> {
  return withLog(async (bench) => {
    await bench.append(messages);
    const positions = bench.positions.slice();
    const inOrder = positions.splice(0, messages / 2);
    const rows: LogRow[] = [];
    for (const [name, those] of [
      ["settle in order", inOrder],
      ["settle at random", shuffled(positions)],
    ] as const) {
      const started = performance.now();
      for (const position of those) bench.log.settle(position);
      rows.push(row(name, those.length, started));
      const committing = performance.now();
      await bench.committed();
      rows.push(row(`${name}: the commit`, those.length, committing));
    }
    assert(bench.log.stats().records === 0, "every message is settled");
    return rows;
  });
}

async function readBack(messages: number): Promise<LogRow[]> {
  return withLog(async (bench) => {
    await bench.append(messages);
    const { positions } = bench;
    await bench.log.close();
    const log = bench.open();
    const recovering = performance.now();
    let recovered = 0;
    log.recover(({ position }) => {
      assert(position === positions[recovered], "records are recovered in order");
      recovered += 1;
    });
    assert(recovered === messages, "every record is recovered");
    const rows = [row("recover", messages, recovering)];
    for (const [name, count] of [
      ["read in order from disk", messages],
      ["read in order from memory", messages],
    ] as const) {
      // The last positions are those that memory still holds.
      const from = name.endsWith("memory") ? Math.max(0, messages - 20_000) : 0;
      const into = location();
      const started = performance.now();
      let sum = 0;
      for (let done = 0; done < count; ) {
        for (let place = from; place < messages && done < count; place += 1, done += 1) {
          assert(log.read(positions[place]!, into) === "found", "every message is found");
          sum += publishedAtMsOf(into.region, into.offset) === place ? 1 : 0;
        }
      }
      rows.push(row(name, count, started));
      assert(sum === count, "every message is the right one");
    }
    return rows;
  });
}

/** A log in a directory of its own, its publisher and its events. */
class LogBench {
  log: PartitionLog;
  readonly positions: number[] = [];
  onBatch: (positions: readonly number[]) => void = () => undefined;
  readonly #directory: string;
  readonly #message = Region.allocate(messageBytesOf(PARTS));
  readonly #messageBytes = messageBytesOf(PARTS);
  #batch: number[] = [];
  #sealed: number[][] = [];
  #wake = (): void => undefined;
  #number = 0;

  constructor(directory: string) {
    this.#directory = directory;
    writeMessageHeader(this.#message, 0, PARTS, 1, false, 5, 0, 0);
    this.#message.bytes.fill(0x61, MESSAGE_HEADER_BYTES);
    this.log = this.open();
    this.log.recover(() => undefined);
  }

  open(): PartitionLog {
    this.log = openPartitionLog({
      directory: this.#directory,
      partition: 0,
      events: {
        onSeal: () => {
          this.#sealed.push(this.#batch);
          this.#batch = [];
        },
        onCommitted: () => {
          this.onBatch(this.#sealed.shift()!);
          this.#wake();
        },
        onFailed: (_, fault) => {
          throw fault.cause;
        },
      },
    });
    return this.log;
  }

  /** Adds one message with the next number; false when there is no room. */
  add(): boolean {
    this.#message.view.setFloat64(8, this.#number, true); // publishedAtMs
    const staged = this.log.stage(this.#message, 0, this.#messageBytes);
    if (staged === NO_ROOM) return false;
    const position = this.log.add(1, staged, 0, 0, 0, 0);
    if (position === NO_ROOM) return false;
    this.#number += 1;
    this.positions.push(position);
    this.#batch.push(position);
    return true;
  }

  /** Adds messages turn by turn as a worker does, and waits until all are on disk. */
  async append(messages: number): Promise<void> {
    for (let added = 0; added < messages; ) {
      let isFull = false;
      for (let count = 0; count < MESSAGES_PER_TURN && added < messages && !isFull; count += 1) {
        isFull = !this.add();
        if (!isFull) added += 1;
      }
      this.log.flush();
      if (isFull) await this.#event();
      else await new Promise((resolve) => setImmediate(resolve));
    }
    await this.committed();
  }

  /** Flushes until nothing is under way. */
  async committed(): Promise<void> {
    this.log.flush();
    while (this.log.isCommitting) {
      await this.#event();
      this.log.flush();
    }
  }

  async #event(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

async function withLog<T>(work: (bench: LogBench) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "restante-log-bench-"));
  const bench = new LogBench(directory);
  try {
    return await work(bench);
  } finally {
    await bench.log.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const row = (name: string, operations: number, startedMs: number): LogRow => ({
  name,
  nsPerOp: ((performance.now() - startedMs) * 1e6) / operations,
});

const location = (): MessageLocation => ({ region: Region.allocate(8), offset: 0 });

/** The same order in every run. */
function shuffled(positions: number[]): number[] {
  let seed = 1;
  for (let place = positions.length - 1; place > 0; place -= 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const other = seed % (place + 1);
    const kept = positions[place]!;
    positions[place] = positions[other]!;
    positions[other] = kept;
  }
  return positions;
}

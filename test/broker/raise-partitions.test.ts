/**
 * Goal: a start with more workers raises the number of partitions; sessions with their messages, deliveries in flight and QoS 2
 * identifiers, and retained messages are then at home under the new number, once and complete, and queues have not moved;
 * a SIGKILL at any moment changes none of that for the next start.
 * Method: real stores, with batches that were merged, read before and after as plain values; for the crashes a child process that is killed after its commits, at
 * the steps of the raise and at random moments, several times in a row, before a start that is let through.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RaiseBounds, raisePartitions } from "../../src/broker/raise-partitions.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { openStore, partitionDirectoryOf, readStoreDescriptor } from "../../src/log/partitions.ts";
import { writeScript } from "../log/built.ts";
import { isFull, type Place, Recorder, temporaryPlace } from "../log/messages.ts";
import { randomOf, testSeed } from "../random.ts";
import { buildStore, readStore, type Shape } from "./store-model.ts";

const SMALL: Shape = {
  partitions: 1,
  sessions: [0, 1, 2, 60, 0, 1, 30, 3, 0, 12, 40, 7, 25, 18],
  payloadBytes: 200,
  retained: 40,
  retainedBytes: 300,
};

/** Bounds under which that takes tens of commits. */
const TIGHT: RaiseBounds = { batchBytes: 1_000, retainedBytes: 2_000, settledRecords: 5 };

let place: Place;

beforeEach(() => {
  place = temporaryPlace();
});

afterEach(() => place.remove());

const quiet = (): void => undefined;
const run = (command: string, ...flags: string[]): Buffer => execFileSync(command, flags, { stdio: "pipe" });

describe("raising", () => {
  it.each([
    [1, 2],
    [1, 3],
    [2, 3],
    [3, 4],
    [2, 8],
  ])("from %i to %i moves what has a new home", async (from, to) => {
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: from }, randomOf(testSeed));
    const before = await readStore(directory);
    expect(Object.values(before.model.sessions).some(({ inFlight }) => inFlight.some(([, , at]) => at >= 0))).toBe(
      true,
    );
    const lines: string[] = [];
    expect(await raisePartitions(directory, to, (_fields, line) => lines.push(line))).toBe(to);
    expect(lines).toHaveLength(4);
    expect(await readStore(directory)).toEqual({ partitions: to, model: before.model });
    expect(readdirSync(directory).sort()).toEqual([...partitionNames(to), "store.json"]);
    for (const name of partitionNames(to)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o700);
    expect(await raisePartitions(directory, to, () => expect.unreachable("nothing is left to do"))).toBe(to);
  });

  it("goes on from one raise to the next", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, SMALL, randomOf(testSeed));
    const { model } = await readStore(directory);
    for (const workers of [2, 3, 5, 4, 6]) {
      const partitions = Math.max(workers, readStoreDescriptor(directory)!.partitions);
      expect(await raisePartitions(directory, workers, quiet)).toBe(partitions);
      expect(await readStore(directory)).toEqual({ partitions, model });
    }
  });

  it("changes nothing for fewer workers, and makes a new store at once", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: 3 }, randomOf(testSeed));
    const before = await readStore(directory);
    const unexpected = (): void => expect.unreachable("nothing is to be done");
    for (const workers of [1, 2, 3]) expect(await raisePartitions(directory, workers, unexpected)).toBe(3);
    expect(await readStore(directory)).toEqual(before);
    expect(await raisePartitions(join(place.directory, "new"), 5, unexpected)).toBe(5);
    expect(readStoreDescriptor(join(place.directory, "new"))?.partitions).toBe(5);
  });

  it("moves sessions of thousands of messages, batch by batch", async () => {
    const directory = join(place.directory, "data");
    const sessions = [5_000, 1, 0, 5_000, 5_000];
    const merges = await buildStore(directory, { ...SMALL, sessions, payloadBytes: 1_200 }, randomOf(testSeed));
    expect(merges).toBeGreaterThan(10);
    const { model } = await readStore(directory);
    let moved: Record<string, number> = {};
    await raisePartitions(directory, 3, (fields) => {
      moved = { ...(fields as Record<string, number>), ...moved };
    });
    expect(moved.records).toBeGreaterThan(4_900);
    expect(moved.damaged).toBe(0);
    expect(await readStore(directory)).toEqual({ partitions: 3, model });
  });

  it("stores a message once for all sessions that share it", async () => {
    const directory = join(place.directory, "data");
    await buildStore(
      directory,
      { ...SMALL, sessions: new Array<number>(40).fill(20), payloadBytes: 20_000 },
      randomOf(testSeed),
    );
    const { model } = await readStore(directory);
    const before = await batchBytes(directory);
    await raisePartitions(directory, 2, quiet);
    expect(await readStore(directory)).toEqual({ partitions: 2, model });
    // At most one copy in each of the two partitions, and what was there already.
    expect(await batchBytes(directory)).toBeLessThan(before * 2.2);
  });

  it("takes many steps when the bounds of one are small", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: 2 }, randomOf(testSeed));
    const { model } = await readStore(directory);
    expect(await raisePartitions(directory, 4, quiet, TIGHT)).toBe(4);
    expect(await readStore(directory)).toEqual({ partitions: 4, model });
  });

  it("keeps QoS 2 identifiers where they were, too", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: 2 }, randomOf(testSeed));
    const before = await inboundOf(directory, 2);
    await raisePartitions(directory, 5, quiet);
    expect(await inboundOf(directory, 5)).toEqual(expect.arrayContaining(before));
  });
});

describe("refusing", () => {
  it("a store whose descriptor does not fit its partitions", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: 3 }, randomOf(testSeed));
    const before = await readStore(directory);
    const refusal = expect.objectContaining({ code: "store_damaged" });
    rmSync(join(directory, "store.json"));
    await expect(raisePartitions(directory, 2, quiet)).rejects.toEqual(refusal);
    writeFileSync(join(directory, "store.json"), '{"format":1,"partitions":2}\n');
    await expect(raisePartitions(directory, 3, quiet)).rejects.toEqual(refusal);
    writeFileSync(join(directory, "store.json"), '{"format":1,"partitions":3}\n');
    for (const text of ["", "{}", '{"from":3,"to":3}', '{"from":1,"to":2}', '{"from":4,"to":6}']) {
      writeFileSync(join(directory, "raising.json"), text);
      await expect(raisePartitions(directory, 3, quiet)).rejects.toEqual(refusal);
    }
    rmSync(join(directory, "raising.json"));
    expect(await readStore(directory)).toEqual(before);
  });

  it("to go on when a destination cannot be opened, and the store is as before", async () => {
    const directory = join(place.directory, "data");
    await buildStore(directory, SMALL, randomOf(testSeed));
    const before = await readStore(directory);
    const obstacle = partitionDirectoryOf(directory, 2);
    const raise = raisePartitions(directory, 3, (_fields, line) => {
      if (line.startsWith("raising")) writeFileSync(obstacle, "");
    });
    await expect(raise).rejects.toEqual(expect.objectContaining({ code: "store_unavailable" }));
    expect(existsSync(join(directory, "raising.json"))).toBe(true);
    expect(await raisePartitions(directory, 1, quiet)).toBe(1);
    expect(await readStore(directory)).toEqual(before);
    expect(readdirSync(directory).sort()).toEqual(["partition-0", "store.json"]);
  });

  it("to go on when the disk is full, and goes on when there is room", async ({ skip }) => {
    const origin = join(place.directory, "origin");
    await buildStore(origin, { ...SMALL, sessions: [60, 60, 60, 60], payloadBytes: 30_000 }, randomOf(testSeed));
    const { model } = await readStore(origin);
    const mounted = join(place.directory, "small");
    mkdirSync(mounted);
    try {
      run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mounted);
    } catch (cause) {
      console.log(`skipped, a tmpfs cannot be mounted here: ${(cause as Error).message.trim()}`);
      skip();
    }
    try {
      const directory = join(mounted, "data");
      cpSync(origin, directory, { recursive: true });
      const { bavail, bsize } = statfsSync(mounted);
      writeFileSync(join(mounted, "filler"), Buffer.alloc(bavail * bsize - 1_500_000));
      const bounds = { ...TIGHT, batchBytes: 100_000 };
      const script = writeScript(place.directory, "full-child.mjs", FULL_CHILD);
      for (const workers of [3, 1, 5, 3]) {
        const { stdout, stderr } = spawnSync(process.execPath, [
          script,
          directory,
          `${workers}`,
          JSON.stringify(bounds),
        ]);
        const outcome = workers === 1 ? /^1$/ : /^store_unavailable: .*the disk is full/;
        expect(stdout.toString(), stderr.toString()).toMatch(outcome);
        expect(readStoreDescriptor(directory)!.partitions).toBe(1);
      }
      rmSync(join(mounted, "filler"));
      expect(await raisePartitions(directory, 3, quiet, bounds)).toBe(3);
      expect(await readStore(directory)).toEqual({ partitions: 3, model });
    } finally {
      run("umount", "-l", mounted);
    }
  });
});

/** Says what became of a raise. */
const FULL_CHILD = `
import { raisePartitions } from "./broker/raise-partitions.js";
const [directory, workers, bounds] = process.argv.slice(2);
const raise = raisePartitions(directory, Number(workers), () => undefined, JSON.parse(bounds));
await raise.then(
  (partitions) => process.stdout.write(String(partitions)),
  (fault) => process.stdout.write(fault.code + ": " + fault.message),
);
`;

/** Arguments: directory, workers, and after which line or which commit it kills itself. */
const CHILD = `
import { writeSync } from "node:fs";
import { OpenPartition } from "./broker/open-partition.js";
import { raisePartitions } from "./broker/raise-partitions.js";
const [directory, workers, bounds, killAtLine, killAtCommit] = process.argv.slice(2);
let lines = 0;
let commits = 0;
const kill = () => process.kill(process.pid, "SIGKILL");
const { commit } = OpenPartition.prototype;
OpenPartition.prototype.commit = async function () {
  await commit.call(this);
  commits += 1;
  if (commits === Number(killAtCommit)) kill();
};
writeSync(1, JSON.stringify({ commits }) + "\\n");
await raisePartitions(directory, Number(workers), () => {
  lines += 1;
  writeSync(1, JSON.stringify({ commits }) + "\\n");
  if (lines === Number(killAtLine)) kill();
}, JSON.parse(bounds));
`;

interface Kill {
  /** Kills itself when it says this line of the log, or after this commit. */
  readonly line?: number;
  readonly commit?: number;
  /** Is killed so long after it began. */
  readonly afterMs?: number;
}

/** Raises in a child: the commits made when it said each line, how long it took, and whether it was killed. */
async function raiseInChild(script: string, directory: string, workers: number, kill: Kill) {
  const bounds = JSON.stringify(TIGHT);
  const child = spawn(
    process.execPath,
    [script, directory, `${workers}`, bounds, `${kill.line ?? 0}`, `${kill.commit ?? 0}`],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let timer: NodeJS.Timeout | undefined;
  let begunMs = 0;
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (text === "") begunMs = performance.now();
    if (text === "" && kill.afterMs !== undefined) timer = setTimeout(() => child.kill("SIGKILL"), kill.afterMs);
    text += chunk.toString();
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  clearTimeout(timer);
  expect(signal === "SIGKILL" || code === 0).toBe(true);
  const commitsAtLine = text
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { commits: number }).commits);
  return { commitsAtLine, ms: performance.now() - begunMs, isKilled: signal === "SIGKILL" };
}

describe("being killed", () => {
  it.each([1, 3])(
    "at any moment of a raise from %i loses and doubles nothing",
    async (from) => {
      const script = writeScript(place.directory, "raise-child.mjs", CHILD);
      const random = randomOf(testSeed);
      const origin = join(place.directory, "origin");
      await buildStore(origin, { ...SMALL, partitions: from }, randomOf(testSeed));
      const { model } = await readStore(origin);
      const whole = join(place.directory, "whole");
      cpSync(origin, whole, { recursive: true });
      const { commitsAtLine, ms } = await raiseInChild(script, whole, 4, {});
      expect(await readStore(whole)).toEqual({ partitions: 4, model });
      const copied = commitsAtLine[2]!;
      const all = commitsAtLine[4]!;
      expect(Math.min(copied, all - copied)).toBeGreaterThan(8);

      const found = { atRest: 0, copying: 0, sweeping: 0 };
      const killed = async (directory: string, workers: number, kill: Kill): Promise<void> => {
        await raiseInChild(script, directory, workers, kill);
        if (!existsSync(join(directory, "raising.json"))) found.atRest += 1;
        else if (readStoreDescriptor(directory)!.partitions === from) found.copying += 1;
        else found.sweeping += 1;
      };
      const rounds = isFull ? Math.ceil(all / 2) : 8;
      for (let round = 0; round < rounds; round += 1) {
        const directory = join(place.directory, `round-${round}`);
        cpSync(origin, directory, { recursive: true });
        // Spread over the commits of copying and of removing; then, half of the time, again at some other moment.
        const share = (Math.floor(round / 2) + random()) / (rounds / 2);
        const commit =
          round % 2 === 0 ? 1 + Math.floor(share * copied) : copied + 1 + Math.floor(share * (all - copied));
        await killed(directory, 4, { commit });
        if (random() < 0.25) await killed(directory, 4 + Math.floor(random() * 3), { afterMs: random() * ms });
        else if (random() < 0.33) {
          await killed(directory, 4 + Math.floor(random() * 3), { commit: 1 + Math.floor(random() * all) });
        }
        const workers = [1, from, 4, 5, 7][Math.floor(random() * 5)]!;
        const partitions = Math.max(workers, readStoreDescriptor(directory)!.partitions);
        expect(await raisePartitions(directory, workers, quiet, TIGHT)).toBe(partitions);
        expect(await readStore(directory)).toEqual({ partitions, model });
        const names = readdirSync(directory).filter((name) => !name.endsWith(".next")); // Half-written, and never read.
        expect(names.sort()).toEqual([...partitionNames(partitions), "store.json"]);
        rmSync(directory, { recursive: true });
      }
      console.log(found, { copied, all });
      expect(found.copying).toBeGreaterThan(0);
      expect(found.sweeping).toBeGreaterThan(0);
    },
    600_000,
  );

  it.each([
    [2, 1],
    [2, 3],
    [3, 4],
    [3, 1],
  ])("at line %i, before a start with %i workers", async (line, workers) => {
    const script = writeScript(place.directory, "raise-child.mjs", CHILD);
    const directory = join(place.directory, "data");
    await buildStore(directory, { ...SMALL, partitions: 2 }, randomOf(testSeed));
    const { model } = await readStore(directory);
    expect((await raiseInChild(script, directory, 3, { line })).isKilled).toBe(true);
    expect(existsSync(join(directory, "raising.json"))).toBe(true);
    // Both the original and the copy of something are there.
    await expect(readStore(directory)).rejects.toThrow("is in partition");
    const partitions = Math.max(workers, line === 2 ? 2 : 3);
    expect(await raisePartitions(directory, workers, quiet)).toBe(partitions);
    expect(await readStore(directory)).toEqual({ partitions, model });
  });
});

const partitionNames = (partitions: number): string[] =>
  Array.from({ length: partitions }, (_, number) => `partition-${number}`);

async function batchBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (let number = 0; number < openStore(directory, 1).partitions; number += 1) {
    const log = openPartitionLog({
      directory: partitionDirectoryOf(directory, number),
      partition: number,
      events: new Recorder(),
    });
    log.recover(quiet);
    bytes += log.stats().batchBytes;
    await log.close();
  }
  return bytes;
}

async function inboundOf(directory: string, partitions: number): Promise<string[]> {
  const keys: string[] = [];
  for (let number = 0; number < partitions; number += 1) {
    const log = openPartitionLog({
      directory: partitionDirectoryOf(directory, number),
      partition: number,
      events: new Recorder(),
    });
    log.entries("inbound", (key) => keys.push(`${number}: ${key}`));
    await log.close();
  }
  return keys;
}

/**
 * Goal: a store keeps its number of partitions, refuses newer versions and foreign directories with one clear line, and several
 * environments commit at once without waiting for each other's turn.
 * Method: real directories; environments in worker threads of one process, and eight in one thread.
 */
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { open } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import {
  openPartitions,
  openStore,
  partitionDirectoryOf,
  partitionsOf,
  readStoreDescriptor,
  writeStoreDescriptor,
} from "../../src/log/partitions.ts";
import { STORE_FORMAT } from "../../src/log/store-format.ts";
import { writeScript } from "./built.ts";
import { append, commit, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";

let place: Place;

beforeEach(() => {
  place = temporaryPlace();
});

afterEach(() => place.remove());

const NEWER = STORE_FORMAT + 1;

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

it("records the partitions once, with files only the owner can read", async () => {
  const data = join(place.directory, "data");
  expect(readStoreDescriptor(data)).toBeUndefined();
  expect(openStore(data, 3)).toEqual({ format: STORE_FORMAT, partitions: 3 });
  expect(openStore(data, 8)).toEqual({ format: STORE_FORMAT, partitions: 3 });
  writeStoreDescriptor(data, { format: 1, partitions: 4 });
  expect(readStoreDescriptor(data)?.partitions).toBe(4);
  expect(partitionsOf(1, 3, 4)).toEqual([1]);
  expect(partitionsOf(0, 3, 4)).toEqual([0, 3]);
  const logs = await openPartitions(data, [0, 3], () => new Recorder());
  await Promise.all(logs.map((log) => log.close()));
  expect(readdirSync(data).sort()).toEqual(["partition-0", "partition-3", "store.json"]);
  expect(modeOf(data)).toBe("700");
  expect(modeOf(join(data, "store.json"))).toBe("600");
  expect(modeOf(partitionDirectoryOf(data, 3))).toBe("700");
  for (const name of readdirSync(partitionDirectoryOf(data, 3))) {
    expect(modeOf(join(partitionDirectoryOf(data, 3), name))).toBe("600");
  }
});

it("refuses a newer or broken descriptor with one line", () => {
  const path = join(place.directory, "store.json");
  writeFileSync(path, `{"format":${NEWER},"partitions":"some new idea"}`);
  expect(() => openStore(place.directory, 1)).toThrow(expect.objectContaining({ code: "store_newer" }));
  writeFileSync(path, `{"format":${NEWER},"partitions":3}`);
  expect(() => openStore(place.directory, 1)).toThrow(expect.objectContaining({ code: "store_newer" }));
  try {
    openStore(place.directory, 1);
  } catch (fault) {
    expect((fault as Error).message).toMatch(
      new RegExp(`^the store in .* has format ${NEWER}, this version reads up to ${STORE_FORMAT}$`),
    );
  }
  for (const text of [
    "",
    "{",
    "null",
    '{"format":1}',
    '{"format":1,"partitions":0}',
    '{"format":1,"partitions":1e9}',
  ]) {
    writeFileSync(path, text);
    expect(() => openStore(place.directory, 1)).toThrow(expect.objectContaining({ code: "store_damaged" }));
  }
});

it("refuses an environment of a newer version or of another partition", async () => {
  const { directory } = place;
  const events = new Recorder();
  const log = openPartitionLog({ directory, partition: 0, events });
  append(log, messageOf(1));
  await commit(log, events);
  await log.close();
  expect(() => openPartitionLog({ directory, partition: 1, events })).toThrow(
    expect.objectContaining({ code: "store_damaged" }),
  );
  const root = open({ path: directory, noSubdir: false, maxDbs: 32, encoding: "binary", keyEncoding: "binary" });
  const store = root.openDB<Buffer, Buffer>("log", { encoding: "binary", keyEncoding: "binary" });
  await store.put(Buffer.from("format"), Buffer.from(`{"format":${NEWER},"partition":0}`));
  await root.close();
  expect(() => openPartitionLog({ directory, partition: 0, events })).toThrow(
    expect.objectContaining({ code: "store_newer" }),
  );
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect(() => openPartitionLog({ directory: file, partition: 0, events })).toThrow(
    expect.objectContaining({ code: "store_unavailable" }),
  );
});

it("commits in eight environments of one thread at once", async () => {
  const events = Array.from({ length: 8 }, () => new Recorder());
  const logs = await openPartitions(place.directory, [0, 1, 2, 3, 4, 5, 6, 7], (partition) => events[partition]!);
  for (let round = 0; round < 10; round += 1) {
    for (const [partition, log] of logs.entries()) append(log, messageOf(partition * 100 + round));
    for (const log of logs) log.flush();
    expect(logs.every((log) => log.isCommitting)).toBe(true);
    await Promise.all(logs.map((log, partition) => events[partition]!.outcomeOf(log.gathering - 1)));
  }
  for (const [partition, log] of logs.entries()) {
    expect(readMessage(log, 65_536)).toEqual(messageOf(partition * 100).bytes);
    expect(log.stats()).toMatchObject({ records: 10, commits: 10 });
    await log.close();
  }
});

const WORKER = `
import { parentPort, workerData } from "node:worker_threads";
import { openPartitionLog } from "./log/partition-log.js";
import { Region } from "./base/region.js";
import { writeMessageHeader } from "./frame/message.js";
const { directory, partition, commits } = workerData;
const region = Region.allocate(240);
writeMessageHeader(region, 0,
  { topicBytes: 0, propertiesBytes: 0, payloadBytes: 200, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 }, 1, false, 4, 1, 0);
region.bytes.fill(partition + 1, 40);
const kept = [];
let done = 0;
const turn = () => {
  for (let count = 0; count < 50; count += 1) {
    const position = log.add(1, log.stage(region, 0, 240), 0, 0, 0, 0);
    if (count % 10 === 0) kept.push(position); else log.settle(position);
  }
  log.flush();
};
const log = openPartitionLog({ directory, partition, events: {
  onSeal() {},
  onFailed(batch, fault) { throw fault.cause; },
  onCommitted() { done += 1; if (done < commits) turn(); else void log.close().then(() => parentPort.postMessage(kept)); },
} });
log.recover(() => {});
turn();
`;

it.each([1, 2, 4, 8])("commits in %i environments of as many threads at once", async (threads) => {
  const script = writeScript(place.directory, "worker.mjs", WORKER);
  const kept = await Promise.all(
    Array.from({ length: threads }, (_, partition) => {
      const directory = partitionDirectoryOf(place.directory, partition);
      const worker = new Worker(script, { workerData: { directory, partition, commits: 25 } });
      return new Promise<number[]>((resolve, reject) => {
        worker.once("error", reject);
        worker.once("message", (positions: number[]) => worker.once("exit", () => resolve(positions)));
      });
    }),
  );
  for (const [partition, positions] of kept.entries()) {
    const directory = partitionDirectoryOf(place.directory, partition);
    const log = openPartitionLog({ directory, partition, events: new Recorder() });
    const live: number[] = [];
    log.recover((record) => live.push(record.position));
    expect(live).toEqual(positions);
    for (const position of live) expect((readMessage(log, position) as Buffer)[40]).toBe(partition + 1);
    await log.close();
  }
});

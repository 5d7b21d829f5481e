/**
 * Goal: `restante compact` makes the files of a drained store small, and what waits is served exactly; it refuses, and changes nothing,
 * while a broker runs, without a store, for a newer or damaged one, and without space for the copy; killed at any moment it leaves a whole
 * store.
 * Method: the built broker with three partitions, filled and mostly drained; the command, killed at random moments of the seed;
 * copies of the store for the refusals, one of them on a tmpfs of its size, which needs the right to mount.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compactPartition, surveyPartition } from "../../src/log/compaction.ts";
import { PageFile } from "../../src/log/page-file.ts";
import { walkPages } from "../../src/log/page-walk.ts";
import { Broker, ENTRY } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";
import { run } from "./command.ts";

const PARTITIONS = 3;
const QUEUES = ["one", "two", "three"] as const;
const MESSAGES = 500;
const DRAINED = 450;
const MESSAGE_BYTES = 20_000;
const KILLS = isFullSize ? 60 : 6;
const TOGETHER = 50;

let broker: Broker;

const fileOf = (directory: string, partition: number): string => join(directory, `partition-${partition}`, "data.mdb");
const bytesOf = (directory: string): number =>
  QUEUES.reduce((bytes, _, partition) => bytes + statSync(fileOf(directory, partition)).size, 0);
const system = (command: string, ...flags: string[]): Buffer => execFileSync(command, flags, { stdio: "pipe" });
const compactOf = (directory: string): ReturnType<typeof run> => run(["compact", "--data-dir", directory]);
/** Every file but the lock of an LMDB environment, with what it holds. */
const contentOf = (directory: string): Map<string, string> => {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(directory, name)).isFile());
  const kept = files.filter((name) => !name.endsWith("lock.mdb") && !name.endsWith("broker.lock"));
  return new Map(kept.map((name) => [name, readFileSync(join(directory, name)).toString("base64")]));
};
const copyOf = (name: string): string => {
  const directory = join(broker.directory, name);
  cpSync(broker.dataDirectory, directory, { recursive: true });
  return directory;
};
const textOf = (queue: string, number: number): string => `${queue} ${number}`.padEnd(MESSAGE_BYTES);

beforeAll(async () => {
  broker = await Broker.start({ workers: PARTITIONS });
  for (const queue of QUEUES) {
    await createQueue(broker, { name: queue, topic_filter: `${queue}/#` });
    const client = await RawClient.connected(broker.mqttPort, `publisher ${queue}`);
    for (let number = 0; number < MESSAGES; number += TOGETHER) {
      for (let each = 0; each < TOGETHER; each += 1) client.publish(queue, textOf(queue, number + each), { qos: 1 });
      for (let each = 0; each < TOGETHER; each += 1) expect((await client.take("puback")).reasonCode ?? 0).toBe(0);
    }
    await client.end();
    const consumer = await RawClient.connected(broker.mqttPort, `consumer ${queue}`);
    await consumer.subscribe(`$queue/${queue}`, { qos: 1 });
    await consumer.receiveTexts(DRAINED);
    await consumer.ping();
    await consumer.cut();
    await eventually("most is acknowledged", async () => {
      const { acknowledged, in_flight } = await ledgerOf(broker, queue);
      return acknowledged === DRAINED && in_flight === 0;
    });
  }
});

afterAll(async () => {
  await broker.remove();
});

it("refuses while a broker runs, and names it", async () => {
  const { code, stderr } = compactOf(broker.dataDirectory);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^restante: .* broker with process id ${broker.pid} \\(DATA_DIR_IN_USE\\)\n$`));
  await broker.stop();
});

it("refuses without a store, and for a newer or a damaged one, and changes nothing", () => {
  const empty = join(broker.directory, "empty");
  mkdirSync(empty);
  expect(compactOf(empty)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^restante: there is no store in /),
  });
  expect(readdirSync(empty)).toEqual([]);
  expect(compactOf(join(empty, "absent")).code).toBe(1);
  expect(existsSync(join(empty, "absent"))).toBe(false);

  const copy = copyOf("refused");
  const descriptor = readFileSync(join(copy, "store.json"));
  writeFileSync(join(copy, "store.json"), JSON.stringify({ format: 99, partitions: PARTITIONS }));
  const newer = contentOf(copy);
  expect(compactOf(copy)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^restante: [^\n]* format 99, [^\n]*\n$/),
  });
  expect(contentOf(copy)).toEqual(newer);

  writeFileSync(join(copy, "store.json"), descriptor);
  const file = new PageFile(fileOf(copy, 2));
  const { root } = walkPages(file).trees.get("batches")!;
  file.close();
  const bytes = readFileSync(fileOf(copy, 2));
  bytes[root * 4096 + 20]! ^= 4;
  writeFileSync(fileOf(copy, 2), bytes);
  const damaged = contentOf(copy);
  const { code, stdout, stderr } = compactOf(copy);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(
    /^restante: the store of partition 2, [^\n]* is damaged: page \d+ of [^\n]*restante fsck[^\n]*\n$/,
  );
  expect(contentOf(copy)).toEqual(damaged);
  rmSync(copy, { recursive: true });
});

it("refuses without space for the copy, and changes nothing; with space it goes on", async ({ skip }) => {
  const mounted = join(broker.directory, "small");
  mkdirSync(mounted);
  const size = bytesOf(broker.dataDirectory) + 1024 * 1024;
  try {
    system("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", mounted);
  } catch (cause) {
    console.log(`skipped, a tmpfs cannot be mounted here: ${(cause as Error).message.trim()}`);
    skip();
  }
  try {
    const copy = join(mounted, "data");
    cpSync(broker.dataDirectory, copy, { recursive: true });
    const before = contentOf(copy);
    const { code, stdout, stderr } = compactOf(copy);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /^restante: the copy of partition \d needs up to \d+ bytes, [^\n]* has \d+ \(DISK_FULL\)\n$/,
    );
    expect(contentOf(copy)).toEqual(before);

    // Another program takes the room in the middle of a copy, that of a compaction and that of a rescue.
    const filler = join(mounted, "filler");
    writeFileSync(filler, Buffer.alloc(600_000));
    const directory = join(copy, "partition-0");
    const full = expect.objectContaining({ code: "disk_full" });
    await expect(compactPartition(directory, 0, surveyPartition(directory)!)).rejects.toEqual(full);
    expect(contentOf(copy)).toEqual(before);
    rmSync(filler);
    system("mount", "-o", `remount,size=${size + 4 * 1024 * 1024}`, mounted);
    const rescued = join(mounted, "rescued");
    const rescue = run(["fsck", "--data-dir", copy, "--salvage", rescued]);
    expect(rescue.code).toBe(1);
    expect([1, 2]).toContain(rescue.stdout.match(/rescued/g)?.length); // Of three partitions.
    expect(rescue.stderr).toMatch(/^restante: the file system of [^\n]* is full: [^\n]* \(DISK_FULL\)\n$/);
    expect(readdirSync(rescued)).toEqual([]);
    expect(contentOf(copy)).toEqual(before);

    system("mount", "-o", `remount,size=${size + 8 * 1024 * 1024}`, mounted);
    const { partitions, ...all } = JSON.parse(run(["compact", "--data-dir", copy, "--json"]).stdout);
    expect(partitions).toHaveLength(PARTITIONS);
    expect(partitions[2]).toEqual({ partition: 2, before: expect.any(Number), after: statSync(fileOf(copy, 2)).size });
    expect(all).toEqual({ before: bytesOf(broker.dataDirectory), after: bytesOf(copy) });
  } finally {
    system("umount", mounted);
  }
});

it("leaves a whole store when it is killed at any moment", async () => {
  const random = randomOf(testSeed);
  const directory = copyOf("killed");
  const asideOf = (partition: number): string => join(directory, `partition-${partition}`, "compact");
  const isCopying = (): boolean => QUEUES.some((_, partition) => existsSync(asideOf(partition)));
  const started = (): ChildProcess =>
    spawn(process.execPath, [ENTRY, "compact", "--data-dir", directory], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { PATH: process.env.PATH }, // RESTANTE_TEST_SIZE is no setting.
    });
  const copying = async (child: ChildProcess): Promise<void> => {
    while (!isCopying() && child.exitCode === null) await pause(0);
  };

  // One that is left alone tells how long it takes to its first copy, and from there to its end.
  const whole = started();
  const end = once(whole, "exit");
  const beganMs = performance.now();
  await copying(whole);
  const copyMs = performance.now() - beganMs;
  while (!existsSync(join(directory, "clean")) && whole.exitCode === null) await pause(0);
  const markedMs = performance.now() - beganMs;
  await end;
  expect(whole.exitCode).toBe(0);

  let killed = 0;
  let amid = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    rmSync(directory, { recursive: true });
    copyOf("killed");
    const child = started();
    const ended = once(child, "exit");
    if (kill % 3 === 0) await pause(random() * markedMs);
    else {
      await copying(child);
      await pause(random() * (markedMs - copyMs));
    }
    child.kill("SIGKILL");
    await ended;
    if (child.signalCode === "SIGKILL") killed += 1;
    if (isCopying()) amid += 1;
    const { code, stdout } = run(["fsck", "--data-dir", directory]);
    expect(stdout.match(/with 50 messages that wait/g), stdout).toHaveLength(PARTITIONS);
    expect(code).toBe(0);
  }
  console.log(`${killed} of ${KILLS} were killed, ${amid} of them amid a copy`);
  expect(killed).toBeGreaterThan(0);
  // The next one takes away what a killed one left.
  const leftover = asideOf(0);
  mkdirSync(leftover, { recursive: true });
  writeFileSync(join(leftover, "data.mdb"), "a part of a copy");
  expect(compactOf(directory).code).toBe(0);
  expect(existsSync(leftover)).toBe(false);
});

it("makes the files small, and what waited is served exactly; also beside a leftover, and after a kill", async () => {
  const before = bytesOf(broker.dataDirectory);
  const { code, stdout, stderr } = compactOf(broker.dataDirectory);
  expect([code, stderr]).toEqual([0, ""]);
  const after = bytesOf(broker.dataDirectory);
  const line = (partition: number): string => `partition ${partition}: \\d+ bytes -> \\d+\n`;
  expect(stdout).toMatch(
    new RegExp(`^${QUEUES.map((_, partition) => line(partition)).join("")}all: ${before} bytes -> ${after}\n$`),
  );
  const live = PARTITIONS * (MESSAGES - DRAINED) * MESSAGE_BYTES;
  console.log(`${before} bytes -> ${after}, live ${live}`);
  expect(after).toBeLessThan(before / 4);
  expect(after).toBeLessThan(live * 1.3);
  expect(existsSync(join(broker.dataDirectory, "clean"))).toBe(true);
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    expect(statSync(fileOf(broker.dataDirectory, partition)).mode & 0o777).toBe(0o600);
  }

  mkdirSync(join(broker.dataDirectory, "partition-1", "compact"));
  writeFileSync(join(broker.dataDirectory, "partition-1", "compact", "data.mdb"), "a part of a copy");
  await broker.restart();
  await broker.kill();
  await broker.restart(); // After a page check, which the new meta pages have to pass.
  await broker.kill();
  expect(compactOf(broker.dataDirectory).code).toBe(0); // Without the mark of a clean stop.
  await broker.restart();
  expect(broker.logs.some((text) => text.includes("the last stop was not clean"))).toBe(false);
  for (const queue of QUEUES) {
    expect(await ledgerOf(broker, queue)).toMatchObject({ waiting: MESSAGES - DRAINED, difference: 0 });
    const consumer = await RawClient.connected(broker.mqttPort, `consumer ${queue}`);
    await consumer.subscribe(`$queue/${queue}`, { qos: 1 });
    const texts = await consumer.receiveTexts(MESSAGES - DRAINED);
    const expected = Array.from({ length: MESSAGES - DRAINED }, (_, each) => textOf(queue, DRAINED + each));
    expect(texts).toEqual(expected);
    await eventually("all is acknowledged", async () => (await ledgerOf(broker, queue)).acknowledged === MESSAGES);
    expect(await ledgerOf(broker, queue)).toMatchObject({ stored: MESSAGES, waiting: 0, difference: 0 });
    await consumer.end();
  }
});

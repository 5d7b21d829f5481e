/**
 * Goal: a damaged store is refused by a start after an unclean stop with one line that names the partition and what to do, and is not
 * looked at after a clean one; `restante fsck` says what is there and what is damaged, and changes nothing; with `--salvage` a new
 * directory holds what was readable.
 * Method: the built broker and command on a real store with messages; bits are flipped in pages of its file.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PageFile } from "../../src/log/page-file.ts";
import { walkPages } from "../../src/log/page-walk.ts";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { eventually } from "../harness/waiting.ts";
import { run } from "./command.ts";

let broker: Broker;
let path: string;

beforeAll(async () => {
  broker = await Broker.start({ isTampered: true });
  path = join(broker.dataDirectory, "partition-0", "data.mdb");
  await createQueue(broker, { name: "jobs", topic_filter: "jobs/#" });
  const client = await RawClient.connected(broker.mqttPort, "publisher");
  for (let number = 0; number < 50; number += 1) {
    expect(await client.publishSettled(`jobs/${number}`, `${number}`.padEnd(3_000), { qos: 1 })).toBe(0);
  }
  expect(await client.publishSettled("kept", "retained", { qos: 1, retain: true })).toBe(0);
  await client.end();
});

afterAll(async () => {
  await broker.remove();
});

const fsckOf = (directory: string): ReturnType<typeof run> => run(["fsck", "--data-dir", directory]);
const fsck = (): ReturnType<typeof run> => fsckOf(broker.dataDirectory);
const flipBit = (at: number): void => {
  const bytes = readFileSync(path);
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
};
/** Where the tree of batches has its root. */
const rootOfBatches = (): number => {
  const file = new PageFile(path);
  const root = walkPages(file).trees.get("batches")!.root;
  file.close();
  return root;
};

it("refuses while a broker runs", () => {
  const { code, stderr } = fsck();
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^restante: the data directory .* is in use by the broker with process id \d+ \(DATA_DIR_IN_USE\)\n$/,
  );
});

it("says what is in a sound store, after a clean stop and after a kill, and changes nothing", async () => {
  await broker.stop();
  expect(existsSync(join(broker.dataDirectory, "clean"))).toBe(true);
  const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
  const { code, stdout } = fsck();
  expect(stdout).toMatch(
    /^partition 0: \d+ bytes, \d+ batches with 50 messages that wait, 1 queues, 0 sessions, 1 retained messages\nsound\n$/,
  );
  expect(code).toBe(0);
  expect(createHash("sha256").update(readFileSync(path)).digest("hex")).toBe(hash);
  await broker.restart();
  expect(broker.logs.some((line) => line.includes("the last stop was not clean"))).toBe(false);
  expect(existsSync(join(broker.dataDirectory, "clean"))).toBe(false);
  await broker.kill();
  await broker.restart();
  expect(broker.logs.some((line) => line.includes("the last stop was not clean"))).toBe(true);
  await broker.kill();
  expect(fsck().code).toBe(0);
});

it("reports a damaged page, and a start is refused with one line", async () => {
  const root = rootOfBatches();
  flipBit(root * 4096 + 20);
  const { code, stdout } = fsck();
  expect(code).toBe(1);
  expect(stdout).toContain(`partition 0: damaged: page ${root} of batches: `);
  expect(stdout).toMatch(/\ndamaged: \d+ findings?\n$/);
  const start = run(["start", "--data-dir", broker.dataDirectory, "--mqtt-port", "0", "--http-port", "0"]);
  expect(start.code).toBe(1);
  expect(start.stderr).toMatch(
    /^restante: the store of partition 0, [^\n]* is damaged: page \d+ of batches: [^\n]*restante fsck[^\n]*\n$/,
  );

  // What is readable goes into a new directory, and a broker serves all of it.
  const rescued = join(broker.directory, "rescued");
  const salvage = run(["fsck", "--data-dir", broker.dataDirectory, "--salvage", rescued]);
  expect([salvage.code, salvage.stderr]).toEqual([0, ""]);
  expect(salvage.stdout).toMatch(
    /^partition 0: rescued: \d+ batches, \d+ of them outside of the damaged trees, .*1 queues.*\n/,
  );
  expect(fsckOf(rescued)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("50 messages that wait, 1 queues"),
  });
  expect(run(["fsck", "--data-dir", broker.dataDirectory, "--salvage", rescued]).stderr).toContain("is not empty");
  const whole = broker.dataDirectory;
  renameSync(whole, `${whole}.damaged`);
  renameSync(rescued, whole);
  await broker.restart();
  const { waiting, difference } = await ledgerOf(broker, "jobs");
  expect([waiting, difference]).toEqual([50, 0]);
  const consumer = await RawClient.connected(broker.mqttPort, "consumer");
  await consumer.subscribe("$queue/jobs", { qos: 1 });
  expect(new Set((await consumer.receiveTexts(50)).map((text) => text.trimEnd())).size).toBe(50);
  await consumer.cut();
  await broker.kill();
  rmSync(whole, { recursive: true });
  renameSync(`${whole}.damaged`, whole);
  flipBit(root * 4096 + 20);
});

it("reports a damaged value, and a start serves the rest", async () => {
  const at = readFileSync(path).indexOf("49".padEnd(3_000));
  flipBit(at);
  const { code, stdout } = fsck();
  expect(code).toBe(1);
  expect(stdout).toMatch(/partition 0: damaged: batch \d+: checksum does not match; records: 1\ndamaged: 1 finding\n/);
  await broker.restart();
  const consumer = await RawClient.connected(broker.mqttPort, "consumer");
  await consumer.subscribe("$queue/jobs", { qos: 1 });
  expect((await consumer.receiveTexts(49)).map((text) => text.trimEnd())).not.toContain("49");
  await eventually("all is accounted for", async () => (await ledgerOf(broker, "jobs")).acknowledged === 49);
  expect(await ledgerOf(broker, "jobs")).toMatchObject({ stored: 50, dropped: 1, waiting: 0, difference: 0 });
  const status = await fetch(`${broker.url}/status?format=json`);
  expect(await status.json()).toMatchObject({
    app_status: "running",
    damage: [{ partition: 0, values: 1, messages: 1 }],
  });
  await consumer.end();
});

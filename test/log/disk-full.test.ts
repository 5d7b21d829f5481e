/**
 * Goal: a full disk is an answer, not a crash: the owner is told, what was stored stays readable, settlements made meanwhile are not
 * forgotten, settling makes room although no byte of the disk is free, and the log works again by itself once there is space.
 * Method: a child process on a tmpfs of a few megabytes, filled for real; this needs the right to mount. The child has no handler for
 * unhandled rejections, so a stray one ends it. LMDB writes a line to stderr when it meets a full disk: it must never meet it, so
 * nothing may stand there.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeScript } from "./built.ts";
import { type Place, temporaryPlace } from "./messages.ts";

const CHILD = `
import { execFileSync } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { openPartitionLog } from "./log/partition-log.js";
import { Region } from "./base/region.js";
import { writeMessageHeader } from "./frame/message.js";

const directory = process.argv[2];
const alive = setInterval(() => {}, 1_000); // As the ports of a worker do: the log's own timer does not keep a process alive.
const payloadBytes = 300_000;
const message = (number) => {
  const region = Region.allocate(40 + payloadBytes);
  writeMessageHeader(region, 0,
    { topicBytes: 0, propertiesBytes: 0, payloadBytes, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 }, 1, false, 4, number, 0);
  region.bytes.fill(number, 40);
  return region;
};
const outcomes = new Map();
let wake = () => {};
let isHeavy = false;
let wasReadable = true;
let failing = 0;
let failingNumber = 0;
const into = { region: undefined, offset: 0 };
const events = {
  onSeal() { if (isHeavy) log.put("ledgers", "heavy", Buffer.alloc(9_000_000)); },
  onCommitted(batch) { outcomes.set(batch, "committed"); wake(); },
  onFailed(batch, fault) {
    outcomes.set(batch, fault.kind);
    if (failing !== 0) wasReadable &&= log.read(failing, into) === "found" && into.region.bytes[into.offset + 40] === failingNumber;
    wake();
  },
};
const open = () => openPartitionLog({ directory: directory + "/store", partition: 0, events });
let log = open();
const until = async (condition) => { while (!condition()) await new Promise((resolve) => { wake = resolve; }); };
let second = 0; // Another record of the first batch, which outlives it.
const store = async (number) => {
  const region = message(number);
  const staged = log.stage(region, 0, region.bytes.length);
  const position = log.add(1, staged, 0, 0, 0, 0);
  if (number === 1) second = log.add(2, staged, 0, 0, 0, 0);
  const batch = log.gathering;
  failing = position;
  failingNumber = number;
  log.flush();
  await until(() => outcomes.has(batch));
  failing = 0;
  return { position, number, outcome: outcomes.get(batch) };
};
const stored = [];
const refused = [];
for (let number = 1; refused.length < 3; number += 1) {
  const result = await store(number);
  (result.outcome === "committed" ? stored : refused).push(result);
}
const readable = () => stored.every(({ position, number }) =>
  log.read(position, into) === "found" && into.region.bytes[into.offset + 40 + payloadBytes - 1] === number
    && into.region.bytes[into.offset + 40] === number);
const report = { stored: stored.length, kinds: refused.map(({ outcome }) => outcome) };
report.readableWhileFull = readable();
report.refusedWereReadable = wasReadable;
report.refusedAreGone = refused.every(({ position }) => log.read(position, into) === "gone");
// Another program takes what is left: now only what the log kept for itself is there.
let filler = openSync(directory + "/filler", "w");
try { for (;;) writeSync(filler, Buffer.alloc(4096)); } catch (error) { report.isFilled = error.code === "ENOSPC"; }
// Settled one by one, while new records fail: each is forgotten all the same, and then there is room for new ones.
const commitsWhileFull = log.stats().commits;
report.stillFull = (await store(100)).outcome;
while (stored.length > 6) {
  const [gone] = stored.splice(4, 1);
  log.settle(gone.position);
  const again = await store(101);
  if (again.outcome === "committed") stored.push(again), log.settle(stored.splice(4, 1)[0].position);
}
log.flush();
await until(() => !log.isCommitting);
report.settledWhileFull = log.stats().commits > commitsWhileFull;
const roomy = await store(102);
report.drainMakesRoom = roomy.outcome;
if (roomy.outcome === "committed") stored.push(roomy);
report.readableAfterDrain = readable();
// What the owner puts at the seal does not fit: the commit of the settlements fails, and is tried again.
isHeavy = true;
const settled = stored.splice(1, 2);
for (const { position } of settled) log.settle(position);
log.settle(second);
const failedBefore = log.stats().failedCommits;
log.flush();
await until(() => log.stats().failedCommits >= failedBefore + 2);
report.settlementFailed = true;
execFileSync("mount", ["-o", "remount,size=64m", directory]);
// Nobody calls flush: the log does it by itself.
const commitsBefore = log.stats().commits;
await until(() => log.stats().commits > commitsBefore);
report.retriedByItself = true;
const after = await store(200);
report.after = after.outcome;
stored.push(after);
report.readableAfter = readable();
await log.close();
log = open();
const live = [];
log.recover((record) => live.push(record.position));
report.liveAfterReopen = JSON.stringify(live) === JSON.stringify(stored.map(({ position }) => position));
report.readableAfterReopen = readable();
report.damage = log.stats().damageCount;
await log.close();
console.log(JSON.stringify(report));
clearInterval(alive);
`;

const run = (command: string, ...flags: string[]): Buffer => execFileSync(command, flags, { stdio: "pipe" });

let place: Place;

beforeAll(() => {
  place = temporaryPlace();
});

afterAll(() => {
  place.remove();
});

it("answers a full disk and goes on when there is space", ({ skip }) => {
  const mounted = join(place.directory, "small");
  mkdirSync(mounted);
  try {
    run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mounted);
  } catch (cause) {
    console.log(`skipped, a tmpfs cannot be mounted here: ${(cause as Error).message.trim()}`);
    skip();
  }
  try {
    const script = writeScript(place.directory, "disk-full-child.mjs", CHILD);
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, mounted], { timeout: 25_000 });
    expect(status, stderr.toString()).toBe(0);
    expect(stderr.toString()).toBe("");
    const { stored, ...report } = JSON.parse(stdout.toString()) as Record<string, unknown>;
    expect(stored).toBeGreaterThan(4);
    expect(report).toEqual({
      kinds: ["disk_full", "disk_full", "disk_full"],
      readableWhileFull: true,
      refusedWereReadable: true,
      refusedAreGone: true,
      isFilled: true,
      stillFull: "disk_full",
      settledWhileFull: true,
      drainMakesRoom: "committed",
      readableAfterDrain: true,
      settlementFailed: true,
      retriedByItself: true,
      after: "committed",
      readableAfter: true,
      liveAfterReopen: true,
      readableAfterReopen: true,
      damage: 0,
    });
  } finally {
    run("umount", "-l", mounted);
  }
});

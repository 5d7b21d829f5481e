/**
 * Goal: SIGKILL at any moment loses nothing that was committed and tears no batch; what was not committed exists wholly or not at all.
 * Method: a child process writes, settles, rewrites and merges at random and says on a pipe what it seals and what is committed; it is
 * killed at a random moment, and its store is opened here. The number of the last batch is stored with each batch, so the store
 * itself says up to which seal it must agree with the child's reports. The same store goes through several kills, and a walk over its
 * pages finds no fault in it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PageFile } from "../../src/log/page-file.ts";
import { walkPages } from "../../src/log/page-walk.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { randomOf, testSeed } from "../random.ts";
import { writeScript } from "./built.ts";
import { isFull, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";

const CHILD = `
import { writeSync } from "node:fs";
import { openPartitionLog } from "./log/partition-log.js";
import { Region } from "./base/region.js";
import { writeMessageHeader } from "./frame/message.js";

const [directory, seedText, numberText] = process.argv.slice(2);
let seed = Number(seedText);
const random = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 2 ** 32; };
let number = Number(numberText);
let changes = [];
const say = (what) => writeSync(1, JSON.stringify(what) + "\\n");
const live = [];
const log = openPartitionLog({
  directory, partition: 0, deadBytesFloor: 100_000, merge: { smallBytes: 4_000, mergedBytes: 8_000, batchesMin: 3 },
  events: {
    onSeal(batch) { log.put("meta", "last", Buffer.from(String(batch))); say({ sealed: batch, changes }); changes = []; },
    onCommitted(batch) { say({ committed: batch, merges: log.stats().merges }); setImmediate(turn); },
    onFailed(batch, fault) { console.error(batch, fault); process.exit(3); },
    onDamage(damage) { console.error(damage); process.exit(4); },
  },
});
log.recover((record) => live.push(record.position));
function message(payloadBytes) {
  number += 1;
  const region = Region.allocate(41 + payloadBytes);
  writeMessageHeader(region, 0,
    { topicBytes: 1, propertiesBytes: 0, payloadBytes, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 }, 1, false, 4, number, 0);
  region.bytes[40] = 0x74;
  for (let index = 0; index < payloadBytes; index += 1) region.bytes[41 + index] = (number * 31 + index * 7) & 0xff;
  return region;
}
function turn() {
  for (let adds = Math.floor(random() * 20); adds > 0; adds -= 1) {
    const region = message(Math.floor(random() * (random() < 0.05 ? 60_000 : 600)));
    const staged = log.stage(region, 0, region.bytes.length);
    if (staged < 0) break;
    for (let targets = random() < 0.1 ? 3 : 1; targets > 0; targets -= 1) {
      const position = log.add(1, staged, 0, 0, 0, 0);
      live.push(position);
      changes.push([position, number, region.bytes.length - 41]);
    }
  }
  for (let settles = Math.floor(random() * (live.length > 300 ? 60 : 18)); settles > 0 && live.length > 0; settles -= 1) {
    const place = Math.floor(random() * live.length);
    const position = live[place];
    live[place] = live[live.length - 1];
    live.pop();
    log.settle(position);
    changes.push([position]);
  }
  log.flush();
  if (!log.isCommitting) setImmediate(turn);
}
say({ ready: number });
turn();
`;

interface Report {
  readonly sealed?: number;
  readonly committed?: number;
  readonly merges?: number;
  /** Added: position, number, payload bytes. Settled: position alone. */
  readonly changes?: readonly (readonly number[])[];
}

let place: Place;

beforeAll(() => {
  place = temporaryPlace();
});

afterAll(() => {
  place.remove();
});

it("keeps what was committed and tears nothing, kill after kill", async () => {
  const script = writeScript(place.directory, "crash-child.mjs", CHILD);
  const random = randomOf(testSeed);
  const live = new Map<number, readonly [number, number]>();
  let number = 0;
  let commits = 0;
  let merges = 0;
  for (let kill = 0; kill < (isFull ? 60 : 6); kill += 1) {
    const child = spawn(
      process.execPath,
      [script, join(place.directory, "store"), `${Math.floor(random() * 2 ** 32)}`, `${number}`],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = once(child, "close");
    await once(child.stdout, "data");
    setTimeout(() => child.kill("SIGKILL"), 20 + Math.floor(random() * 200) + kill * 7);
    const [code, signal] = (await ended) as [number | null, string | null];
    expect([code, signal]).toEqual([null, "SIGKILL"]);

    const reports = Buffer.concat(chunks)
      .toString()
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Report);
    const file = new PageFile(join(place.directory, "store", "data.mdb"));
    expect(walkPages(file).faults).toEqual([]);
    file.close();
    const events = new Recorder();
    const log = openPartitionLog({ directory: join(place.directory, "store"), partition: 0, events });
    let last = 0;
    log.entries("meta", (_, value) => {
      last = Number(value);
    });
    const committed = Math.max(0, ...reports.map((report) => report.committed ?? 0));
    expect(last).toBeGreaterThanOrEqual(committed);
    commits += reports.filter((report) => report.committed !== undefined).length;
    merges += Math.max(0, ...reports.map((report) => report.merges ?? 0));

    for (const { sealed, changes = [] } of reports) {
      for (const [position, added, bytes] of changes) {
        number = Math.max(number, added ?? 0);
        if (sealed! > last) continue;
        if (added === undefined) live.delete(position!);
        else live.set(position!, [added, bytes!]);
      }
    }
    const found: number[] = [];
    log.recover((record) => found.push(record.position));
    expect(found).toEqual([...live.keys()].sort((one, other) => one - other));
    for (const [position, [which, bytes]] of live) {
      if (!messageOf(which, bytes).bytes.equals(readMessage(log, position) as Buffer)) {
        expect.unreachable(`position ${position} is not message ${which}`);
      }
    }
    expect(log.stats().damage).toEqual([]);
    await log.close();
  }
  expect(commits).toBeGreaterThan(20);
  expect(merges).toBeGreaterThan(0);
}, 600_000);

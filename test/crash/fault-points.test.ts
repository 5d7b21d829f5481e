/**
 * Goal: a kill at any step of a commit, a recovery or a close loses nothing that was committed, brings back nothing that was settled
 * with a commit, tears no batch, gives no position twice, and leaves ledgers that agree with the records.
 * Method: a child process runs queues of every kind on the real log and kills itself at a named fault point; it says what it
 * tells the log until each seal. The number of the last batch is stored with each batch, so a copy of the store says which seals
 * are on disk. That copy must then hold exactly what they say, page by page and message by message; its queues are
 * recovered and drained. One store goes through all points, one after another. A failing run is repeated with
 * RESTANTE_TEST_SEED; where the kill meets LMDB's own thread, it may take several.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { PartitionLog } from "../../src/log/contract.ts";
import { checkPartition } from "../../src/log/partition-check.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import type { Offer } from "../../src/queue/hand-out.ts";
import { PartitionQueues } from "../../src/queue/partition-queues.ts";
import type { Queue } from "../../src/queue/queue.ts";
import { writeScript } from "../log/built.ts";
import { isFull, type Place, Recorder, readMessage, temporaryPlace } from "../log/messages.ts";
import { record } from "../queue/definitions.ts";
import { message } from "../queue/message.ts";
import { randomOf, testSeed } from "../random.ts";
import { CHILD } from "./fault-point-child.ts";
import { type Report, StoreModel } from "./store-model.ts";

/** A fault point, the highest of its comings at which to kill, and how many turns the child may take to get there. */
const POINTS: readonly (readonly [string, number, number])[] = [
  ["commit stored", 12, 500],
  ["sealing", 12, 500],
  ["sealed", 12, 500],
  ["commit given", 12, 500],
  ["queue told", 40, 500],
  ["told", 12, 500],
  ["settled", 200, 500],
  ["rewrites given", 3, 500],
  ["rewrites stored", 3, 500],
  ["merges given", 6, 500],
  ["merges stored", 6, 500],
  ["recovering", 60, 20],
  ["recovered", 1, 20],
  ["repairs given", 1, 20],
  ["repairs stored", 1, 20],
  ["closing", 1, 20],
  ["last commit given", 1, 20],
  ["last commit stored", 1, 20],
  ["environment closing", 1, 20],
  ["environment closed", 1, 20],
];
const KILLS = 2;
const STORES = isFull ? 6 : 1;
/** Lives that end before they get to their point, at most; each is one more clean start. */
const TRIES_MAX = 20;
const lastValue = { is_lastvalue: true, key_expression: "message.clientid" } as const;
const limitsOf = (count: number) =>
  ({ limits: { max_shard_message_count: count, max_shard_message_bytes: "infinity" } }) as const;
const RECORDS = [
  record({}, 1),
  record(lastValue, 2),
  record(limitsOf(40), 3),
  record({ durability: "memory" }, 4),
  record({ ...lastValue, ...limitsOf(12), durability: "memory" }, 5),
];

let place: Place;

beforeEach(() => {
  place = temporaryPlace();
});

afterEach(() => place.remove());

it.each(Array.from({ length: STORES }, (_, store) => testSeed + store))(
  "a store survives every fault point, seed %i",
  async (seed) => {
    process.stdout.write(`fault points: seed ${seed}\n`);
    const random = randomOf(seed);
    const script = writeScript(place.directory, "fault-point-child.mjs", CHILD);
    const directory = join(place.directory, "store");
    const model = new StoreModel(lastValueKeyOf);
    const kills = new Map<string, number>();
    for (const [point, comings, turns] of shuffled(random)) {
      for (let tries = 0; tries < TRIES_MAX; tries += 1) {
        const coming = tries < 2 ? 1 + Math.floor(random() * comings) : 1;
        const isKilled = await live(script, directory, model, random, point, coming, turns);
        if (!isKilled) continue;
        kills.set(point, (kills.get(point) ?? 0) + 1);
        break;
      }
    }
    process.stdout.write(`fault points: seed ${seed}, ${model.number} messages, ${model.batches} batches\n`);
    expect(Object.fromEntries(kills)).toEqual(Object.fromEntries(POINTS.map(([point]) => [point, KILLS])));
  },
  600_000,
);

/** Every point, as often as it is to kill; the first one makes a store. */
function shuffled(random: () => number): (typeof POINTS)[number][] {
  const [first, ...others] = Array.from({ length: KILLS }, () => POINTS).flat();
  const ranked = others.map((point) => [random(), point] as const).sort(([one], [other]) => one - other);
  return [first!, ...ranked.map(([, point]) => point)];
}

/** One life of the child and a look at what it left; whether it was killed at the point. */
async function live(
  script: string,
  directory: string,
  model: StoreModel,
  random: () => number,
  point: string,
  coming: number,
  turns: number,
): Promise<boolean> {
  const seed = Math.floor(random() * 2 ** 32);
  const child = spawn(
    process.execPath,
    [script, directory, JSON.stringify(RECORDS), `${seed}`, `${model.number}`, point, `${coming}`, `${turns}`],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  const lines = Buffer.concat(chunks).toString().split("\n").slice(0, -1);
  const reports = lines.map((line) => JSON.parse(line) as Report);
  const isKilled = reports.at(-1)?.killedAt === point;
  const what = `kill at "${point}", coming ${coming}`;
  expect([code, signal], what).toEqual(isKilled ? [null, "SIGKILL"] : [0, null]);

  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  const log = openPartitionLog({ directory: copy, partition: 0, events: new Recorder() });
  const stored = readValues(log);
  model.endLife(reports, Number(Buffer.from(stored.get("meta/last") ?? "", "base64")));
  expect(model.faults, what).toEqual([]);
  expect(stored, what).toEqual(model.values);
  expect(model.stale(), what).toEqual([]);
  const { findings, records } = checkPartition(directory, 0);
  expect([findings, records], what).toEqual([[], model.live.size]);
  checkRecords(log, model, what);
  await log.close();
  await checkQueues(copy, model, what);
  rmSync(copy, { recursive: true });
  return isKilled;
}

function readValues(log: PartitionLog): Map<string, string> {
  const values = new Map<string, string>();
  for (const table of ["ledgers", "meta", "sessions"] as const) {
    log.entries(table, (key, value) => values.set(`${table}/${key}`, value.toString("base64")));
  }
  return values;
}

/** The records are those of the model, byte by byte. */
function checkRecords(log: PartitionLog, model: StoreModel, what: string): void {
  const found: (readonly [number, number])[] = [];
  log.recover(({ position, target }) => found.push([position, target]));
  const expected = model.records().map(({ position, target }) => [position, target]);
  expect(found, what).toEqual(expected);
  for (const { position, number } of model.records()) {
    if (!messageOf(number).equals(readMessage(log, position) as Buffer)) {
      expect.unreachable(`${what}: position ${position} is not message ${number}`);
    }
  }
  expect(log.stats().damage, what).toEqual([]);
}

/** The queues, recovered and drained, give what is owed, in order; their ledgers agree before and after. */
async function checkQueues(directory: string, model: StoreModel, what: string): Promise<void> {
  const nowMs = timeOf(model.number);
  const log = openPartitionLog({
    directory,
    partition: 0,
    events: {
      onSeal: (batch) => queues.onSeal(batch),
      onCommitted: (batch) => queues.onCommitted(batch, nowMs),
      onFailed: (batch) => expect.unreachable(`batch ${batch} failed`),
    },
  });
  const queues = new PartitionQueues(log, Math.random);
  for (const each of RECORDS) queues.open(each, () => undefined);
  queues.recover(() => undefined);
  for (const queue of queues.all()) {
    const { target } = queue.record;
    const { waiting, in_flight, difference } = queue.counts(nowMs);
    const owed = owedBy(queue, model, nowMs);
    expect([target, in_flight, difference], what).toEqual([target, 0, 0]);
    const drained = drain(queue, nowMs);
    expect(drained, what).toEqual(owed);
    expect(waiting, what).toBe(owed.length);
    const after = queue.counts(nowMs);
    expect([target, after.waiting, after.difference], what).toEqual([target, 0, 0]);
  }
  await log.close();
}

/** Positions of the messages that a queue has to give, oldest first. */
function owedBy(queue: Queue, model: StoreModel, nowMs: number): number[] {
  const { target, definition } = queue.record;
  let records = model.records().filter((each) => each.target === target);
  if (definition.is_lastvalue) {
    const newest = new Map(records.map(({ position, number }) => [keyOf(number), position]));
    records = records.filter(({ position, number }) => newest.get(keyOf(number)) === position);
  }
  // Over its limit after a kill it drops the oldest, and asks no more.
  const most = definition.limits.max_shard_message_count;
  if (most !== "infinity") records = records.slice(-most);
  return records.filter(({ number }) => !isExpired(number, nowMs)).map(({ position }) => position);
}

function drain(queue: Queue, nowMs: number): number[] {
  const offer = {} as Offer;
  const positions: number[] = [];
  while (queue.hasAvailable) {
    if (!queue.peek(nowMs, offer)) continue;
    positions.push(offer.position);
    queue.handOut(offer.position, 0, nowMs);
    expect(queue.settle(0, offer.position, true, nowMs)).toBe("acknowledged");
  }
  return positions;
}

// Everything about a message follows from its number, here as in the child.

const timeOf = (number: number): number => 1_000_000_000_000 + number;
const keyOf = (number: number): string => `k${(number * 7) % 23}`;
const lastValueKeyOf = (target: number, number: number): string | undefined =>
  target === 2 || target === 5 ? `${target}/${keyOf(number)}` : undefined;
const expiryOf = (number: number): number => (number % 4 === 0 ? timeOf(number) + 40 + (number % 50) : 0);
const isExpired = (number: number, nowMs: number): boolean => number % 4 === 0 && expiryOf(number) <= nowMs;

const messageOf = (number: number): Buffer =>
  message({
    topic: "t",
    payload: `${number}:`.padEnd(number % 41 === 0 ? 30_000 : 20 + ((number * 37) % 900), "x"),
    clientId: keyOf(number),
    publishedAtMs: timeOf(number),
    expiresAtMs: expiryOf(number),
  }).bytes;

/**
 * Goal: damaged values cost what they held and nothing else, are reported with counts and set aside, and never crash.
 * Method: bytes of stored values are flipped or cut through a second handle on the same environment, then the log is opened again.
 */
import { open } from "lmdb";
import { afterEach, beforeEach, expect, it } from "vitest";
import { checksumOf } from "../../src/log/checksum.ts";
import type { PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { append, commit, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";
import { flip, tamper } from "./tampering.ts";

let place: Place;
let events: Recorder;
let log: PartitionLog;
let positions: number[];

const openLog = (): number[] => {
  events = new Recorder();
  log = openPartitionLog({ directory: place.directory, partition: 0, events });
  const live: number[] = [];
  log.recover((record) => live.push(record.position));
  return live;
};

beforeEach(async () => {
  place = temporaryPlace();
  openLog();
  positions = [];
  for (let batch = 0; batch < 4; batch += 1) {
    for (let index = 0; index < 10; index += 1) positions.push(...append(log, messageOf(batch * 10 + index)));
    await commit(log, events);
  }
  log.settle(positions[5]!);
  log.settle(positions[15]!);
  await commit(log, events);
  await log.close();
});

afterEach(async () => {
  await log.close();
  place.remove();
});

const isLive = (_: number, at: number): boolean => at !== 5 && at !== 15;

it.each([0, 5, 9, 13, 17, 22, 30, 100, 500, 1_200])(
  "a flipped bit at byte %i of a batch loses that batch alone",
  async (at) => {
    await tamper(place.directory, "batches", (value, which) => (which === 1 ? flip(value, at) : value));
    expect(openLog()).toEqual(positions.filter(isLive));
    for (const [number, position] of positions.entries()) {
      if (!isLive(position, number)) continue;
      const expected = number >= 10 && number < 20 ? "damaged" : messageOf(number).bytes;
      expect(readMessage(log, position)).toEqual(expected);
    }
    expect(events.damage).toHaveLength(1);
    expect(events.damage[0]).toMatchObject({ what: "batch", records: 9 });
    expect(log.stats().damageCount).toBe(1);
    // The owner drops what is damaged; the bad bytes stay aside, and nothing is reported again.
    for (const position of positions.slice(10, 20)) log.settle(position);
    await commit(log, events);
    await log.close();
    expect(openLog()).toEqual(
      positions.filter((position, number) => isLive(position, number) && (number < 10 || number >= 20)),
    );
    expect(events.damage).toEqual([]);
    await log.close();
    expect(await tamper(place.directory, "quarantine", (value) => value)).toBe(1);
    openLog();
  },
);

it.each([0, 31, 200])("a batch cut to %i bytes, or lost, is damage and no crash", async (bytes) => {
  await tamper(place.directory, "batches", (value, which) =>
    which === 0 ? (bytes === 0 ? undefined : value.subarray(0, bytes)) : value,
  );
  openLog();
  expect(readMessage(log, positions[0]!)).toBe("damaged");
  expect(readMessage(log, positions[10]!)).toEqual(messageOf(10).bytes);
  expect(events.damage[0]).toMatchObject({ what: "batch", records: 9 });
});

it("a damaged index is made again from its batch, and stays so", async () => {
  await tamper(place.directory, "indexes", (value) => flip(value, 77));
  expect(openLog()).toEqual(positions.filter(isLive));
  expect(events.damage).toHaveLength(4);
  for (const damage of events.damage) expect(damage).toMatchObject({ what: "index", records: 0 });
  expect(readMessage(log, positions[25]!)).toEqual(messageOf(25).bytes);
  log.flush();
  await log.close();
  expect(openLog()).toEqual(positions.filter(isLive));
  expect(events.damage).toEqual([]);
});

it("a batch whose index is damaged too goes to quarantine, and the rest is served", async () => {
  await tamper(place.directory, "indexes", (value, which) => (which === 2 ? flip(value, 40) : value));
  await tamper(place.directory, "batches", (value, which) => (which === 2 ? flip(value, 400) : value));
  const rest = positions.filter((position, number) => isLive(position, number) && (number < 20 || number >= 30));
  expect(openLog()).toEqual(rest);
  expect(events.damage.map(({ what, records }) => [what, records])).toEqual([
    ["index", -1],
    ["batch", -1],
  ]);
  for (const position of rest) expect(readMessage(log, position)).not.toBe("damaged");
  log.flush();
  await log.close();
  expect(openLog()).toEqual(rest);
  expect(events.damage).toEqual([]);
  await log.close();
  expect(await tamper(place.directory, "quarantine", (value) => value)).toBe(2);
  openLog();
});

it("damaged settled bits bring their records again", async () => {
  await tamper(place.directory, "settled", (value, which) => (which === 0 ? flip(value, 4) : value));
  expect(openLog()).toEqual(positions.filter((_, number) => number !== 15));
  expect(events.damage).toMatchObject([{ what: "settled", records: 0 }]);
});

it("a damaged keyed value is left out and reported, the others are visited", async () => {
  openLog();
  for (const key of ["one", "two", "three"]) log.put("sessions", key, Buffer.from(`value of ${key}`));
  await commit(log, events);
  await log.close();
  await tamper(place.directory, "sessions", (value, which) => (which === 1 ? flip(value, 10) : value));
  openLog();
  const found: string[] = [];
  log.entries("sessions", (key, value) => found.push(`${key}: ${value}`));
  expect(found).toEqual(["one: value of one", "two: value of two"]);
  expect(events.damage).toMatchObject([{ what: "table", key: "sessions/three" }]);
});

it("bits under another batch's key settle nothing there", async () => {
  const root = open({ path: place.directory, noSubdir: false, maxDbs: 32, encoding: "binary", keyEncoding: "binary" });
  const settled = root.openDB<Buffer, Buffer>("settled", { encoding: "binary", keyEncoding: "binary" });
  const [first] = [...settled.getRange({ start: Buffer.alloc(1) })].map(({ value }) => Buffer.from(value));
  const other = Buffer.alloc(8);
  other.writeUInt32BE(Math.floor(positions[35]! / 65_536), 4);
  await settled.put(other, first!);
  await root.close();
  expect(openLog()).toEqual(positions.filter(isLive));
  expect(events.damage).toMatchObject([{ what: "settled" }]);
});

it("reads what store format 1 has written, and raises it with the next commit", async () => {
  openLog();
  log.put("sessions", "one", Buffer.from("value"));
  await commit(log, events);
  await log.close();
  // As format 1 had them: checksums without the key.
  const uncovered = (value: Buffer): Buffer => {
    value.writeUInt32LE(checksumOf(value.subarray(4)));
    return value;
  };
  expect(await tamper(place.directory, "settled", uncovered)).toBe(2);
  expect(await tamper(place.directory, "sessions", uncovered)).toBe(1);
  const format = (value: Buffer): Buffer =>
    value.toString().startsWith("{") ? Buffer.from('{"format":1,"partition":0}') : value;
  expect(await tamper(place.directory, "log", format)).toBe(2);
  expect(openLog()).toEqual(positions.filter(isLive));
  const found: string[] = [];
  log.entries("sessions", (key, value) => found.push(`${key}: ${value}`));
  expect(found).toEqual(["one: value"]);
  expect(events.damage).toEqual([]);
  log.settle(positions[0]!);
  await commit(log, events);
  await log.close();
  const formats: string[] = [];
  await tamper(place.directory, "log", (value) => {
    formats.push(value.toString());
    return value;
  });
  expect(formats).toContain('{"format":3,"partition":0}');
  openLog();
});

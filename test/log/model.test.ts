/**
 * Goal: after any sequence of calls, failures and restarts the log holds exactly what was sealed and committed, nothing else, and reads it at
 * every moment of a commit: not on disk yet, on disk long before the log hears of it, failed, refused for want of room.
 * Method: random calls beside a plain model, which is copied at each seal; a door before LMDB keeps commits. A crash is a copy of the
 * directory at any moment, also between two steps of a commit. Rewriting begins with the first dead byte, and neighbours are merged
 * as soon as there are two, or six. fast-check prints the seed; RESTANTE_TEST_RUNS sets how many lists.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import { totalBytes } from "../../src/frame/message.ts";
import { batchOf, type LogEvents, type MessageLocation, type PartitionLog } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { testSeed } from "../random.ts";
import { Door } from "./door.ts";
import { append, fastPlace, isFull, MERGE_ALL, messageOf, type Place } from "./messages.ts";

const runs = Number(process.env.RESTANTE_TEST_RUNS ?? (isFull ? 2_000 : 200));

interface Model {
  /** Position to the number and size that give its message. */
  readonly live: Map<number, readonly [number, number]>;
  readonly values: Map<string, string>;
}

const copyOf = (model: Model): Model => ({ live: new Map(model.live), values: new Map(model.values) });

type Kind =
  | "append"
  | "settle"
  | "put"
  | "flush"
  | "read"
  | "look"
  | "door"
  | "store"
  | "answer"
  | "refuse"
  | "rest"
  | "crash"
  | "restart";

interface Operation {
  readonly kind: Kind;
  readonly pick: number;
  readonly size: number;
}

const operation = (weight: number, kind: Kind, pick: fc.Arbitrary<number>, size: fc.Arbitrary<number>) => ({
  weight,
  arbitrary: fc.record<Operation>({ kind: fc.constant(kind), pick, size }),
});
const messageBytes = fc.oneof(
  { weight: 20, arbitrary: fc.nat(2_000) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 90_000 }) },
);
const records = fc.oneof({ weight: 12, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.constant(40) });
const anyOperation = fc.oneof(
  operation(8, "append", records, messageBytes),
  operation(6, "settle", fc.nat(), fc.integer({ min: 1, max: 12 })),
  operation(2, "put", fc.nat(5), fc.nat(300)),
  operation(8, "flush", fc.nat(), fc.nat(7)),
  operation(1, "read", fc.nat(), fc.nat()),
  operation(1, "look", fc.nat(), fc.nat()),
  operation(2, "door", fc.nat(), fc.nat(2)),
  operation(3, "store", fc.nat(), fc.nat()),
  operation(3, "answer", fc.nat(), fc.nat(3)),
  operation(1, "refuse", fc.nat(), fc.nat(5)),
  operation(6, "rest", fc.nat(), fc.nat()),
  operation(1, "crash", fc.nat(), fc.nat()),
  operation(1, "restart", fc.nat(), fc.nat()),
);

const door = new Door();
const counts = { rewrites: 0, merges: 0, failures: 0, crashes: 0 };
const messages = new Map<string, Buffer>();

function bytesOf([number, size]: readonly [number, number]): Buffer {
  const name = `${number} ${size}`;
  const known = messages.get(name) ?? messageOf(number, size).bytes;
  messages.set(name, known);
  return known;
}

class World {
  readonly #place: Place;
  readonly #options: { readonly readCacheBytes: number; readonly merge: typeof MERGE_ALL };
  #generation = 0;
  #log!: PartitionLog;
  /** The log tells of its commits only while it is this one. */
  #isHeard = { now: true };
  #timers: (() => void)[] = [];
  #now: Model = { live: new Map(), values: new Map() };
  #stored: Model = copyOf(this.#now);
  #sealed: Model = copyOf(this.#now);
  readonly #ever = new Set<number>();
  readonly #found: MessageLocation = { region: Region.allocate(8), offset: 0 };
  /** Keys put since the seal before, and with the commit under way. */
  #keys = new Set<string>();
  #sealedKeys = new Set<string>();
  #number = 0;
  #failures = 0;

  constructor(readCacheBytes: number, merge: typeof MERGE_ALL) {
    this.#place = fastPlace();
    this.#options = { readCacheBytes, merge };
    door.onDisk = () => {
      this.#stored = copyOf(this.#sealed);
    };
    this.#open();
  }

  get #directory(): string {
    return join(this.#place.directory, `${this.#generation}`);
  }

  async apply({ kind, pick, size }: Operation): Promise<void> {
    const log = this.#log;
    const live = [...this.#now.live.keys()];
    switch (kind) {
      case "append":
        this.#number += 1;
        this.#added(append(log, messageOf(this.#number, size), Array(pick + 1).fill(1)), [this.#number, size]);
        break;
      case "settle":
        for (const position of live.slice(pick % (live.length + 1)).slice(0, size)) {
          log.settle(position);
          this.#now.live.delete(position);
          if (log.read(position, this.#found) !== "gone") expect.unreachable(`${position} is not gone`);
        }
        break;
      case "put":
        this.#put(`key ${pick}`, size % 4 === 0 ? undefined : "v".repeat(size));
        break;
      case "flush":
        log.flush(size === 0 ? "mayWait" : "now");
        break;
      case "read":
        for (const position of live.slice(pick % (live.length + 1)).slice(0, 3)) this.#read(position);
        break;
      case "look":
        this.#look();
        break;
      case "door":
        door.isClosed = size > 0;
        break;
      case "store":
        await door.store();
        this.#look();
        break;
      case "answer":
        if (size > 0) await door.store(); // Else it fails, unless it is on disk.
        door.answer();
        await this.#turn();
        this.#look();
        break;
      case "refuse":
        door.refused = size === 0 ? "all" : size === 1 ? "merges" : "none";
        break;
      case "rest":
        await this.#rest();
        break;
      case "restart":
        await this.#restart();
        break;
      default:
        await this.#crash();
    }
  }

  async end(): Promise<void> {
    await this.#rest();
    await this.#restart();
    for (const position of [...this.#now.live.keys()]) this.#log.settle(position);
    this.#now.live.clear();
    await this.#restart();
    expect(this.#log.stats()).toMatchObject({ batches: 0, records: 0, batchBytes: 0 });
    await this.#close();
    this.#place.remove();
  }

  #added(positions: readonly number[], message: readonly [number, number]): void {
    for (const position of positions) {
      this.#now.live.set(position, message);
      this.#ever.add(position);
    }
  }

  #put(key: string, value: string | undefined): void {
    this.#log.put("retained", key, value === undefined ? undefined : Buffer.from(value));
    this.#keys.add(key);
    if (value === undefined) this.#now.values.delete(key);
    else this.#now.values.set(key, value);
  }

  #read(position: number): void {
    const found = this.#found;
    const read = this.#log.read(position, found);
    const expected = bytesOf(this.#now.live.get(position)!);
    const { region, offset } = found;
    if (read === "found" && expected.compare(region.bytes, offset, offset + expected.length) === 0) return;
    expect.unreachable(`${position} (batch ${batchOf(position)}): ${read === "found" ? "another" : read}`);
  }

  /** Everything is there, and nothing else. */
  #look(): void {
    for (const position of this.#now.live.keys()) this.#read(position);
    for (const position of this.#ever) {
      if (!this.#now.live.has(position) && this.#log.read(position, this.#found) !== "gone") {
        expect.unreachable(`${position} (batch ${batchOf(position)}) is not gone`);
      }
    }
    expect(this.#log.stats().damage).toEqual([]);
  }

  #open(): void {
    const isHeard = { now: true };
    this.#isHeard = isHeard;
    this.#timers = [];
    this.#keys.clear();
    const events: LogEvents = {
      onSeal: () => {
        if (!isHeard.now) return;
        this.#sealed = copyOf(this.#now);
        this.#sealedKeys = this.#keys;
        this.#keys = new Set();
      },
      onCommitted: () => undefined,
      onFailed: (batch) => {
        if (isHeard.now) this.#onFailed(batch);
      },
    };
    this.#log = openPartitionLog({
      directory: this.#directory,
      partition: 0,
      events,
      schedule: (callback) => this.#timers.push(callback),
      deadBytesFloor: 0,
      ...this.#options,
    });
    const found: number[] = [];
    this.#log.recover(({ position }) => found.push(position));
    expect(found).toEqual([...this.#now.live.keys()].sort((one, other) => one - other));
    const values = new Map<string, string>();
    this.#log.entries("retained", (key, value) => values.set(key, value.toString()));
    expect(values).toEqual(this.#now.values);
    expect(this.#log.stats().records).toBe(this.#now.live.size);
    for (const position of this.#ever) if (!this.#now.live.has(position)) this.#log.settle(position);
    this.#look();
  }

  /** The owner repeats its keyed values, and adds every other message again. */
  #onFailed(batch: number): void {
    this.#failures += 1;
    const into = this.#found;
    for (const [position, message] of [...this.#now.live]) {
      if (batchOf(position) !== batch) continue;
      this.#read(position);
      this.#now.live.delete(position);
      if (position % 2 === 0) continue;
      expect(this.#log.read(position, into)).toBe("found");
      const staged = this.#log.stage(into.region, into.offset, totalBytes(into.region, into.offset));
      this.#added([this.#log.add(1, staged, 0, 0, 0, 0)], message);
    }
    for (const key of this.#sealedKeys) this.#put(key, this.#now.values.get(key));
  }

  /** Ends of commits reach the log, and times come. */
  async #turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    for (const callback of this.#timers.splice(0)) callback();
  }

  /** Everything gets to the disk. */
  async #rest(): Promise<void> {
    const { isClosed } = door;
    Object.assign(door, { isClosed: false, refused: "none" });
    await door.store();
    door.answer();
    this.#log.flush();
    for (let quiet = 0; quiet < 3; quiet = this.#log.isCommitting ? 0 : quiet + 1) await this.#turn();
    door.isClosed = isClosed;
  }

  async #restart(): Promise<void> {
    const { isClosed, refused } = door;
    await this.#close();
    if (refused !== "all") expect(this.#stored).toEqual(this.#now);
    Object.assign(door, { isClosed, refused });
    this.#now = copyOf(this.#stored);
    this.#open();
  }

  async #close(): Promise<void> {
    const { rewrites, merges } = this.#log.stats();
    counts.rewrites += rewrites;
    counts.merges += merges;
    door.isClosed = false;
    const closing = this.#log.close();
    door.answer();
    await closing;
  }

  async #crash(): Promise<void> {
    counts.crashes += 1;
    await door.quiet();
    const from = this.#directory;
    this.#generation += 1;
    cpSync(from, this.#directory, { recursive: true });
    const left = copyOf(this.#stored);
    this.#isHeard.now = false;
    const { isClosed, refused } = door;
    await this.#close();
    Object.assign(door, { isClosed, refused });
    this.#stored = copyOf(left);
    this.#now = left;
    this.#open();
  }

  get failures(): number {
    return this.#failures;
  }
}

beforeAll(() => door.install());
afterAll(() => door.remove());

it(`holds what was committed, through failures, restarts and crashes: ${runs} lists of operations`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyOperation, { minLength: 20, maxLength: 100, size: "max" }),
      fc.constantFrom(0, 1_000_000),
      fc.constantFrom(MERGE_ALL, { smallBytes: 5_000, mergedBytes: 3_000, batchesMin: 6 }),
      async (operations, readCacheBytes, merge) => {
        Object.assign(door, { isClosed: false, refused: "none" });
        messages.clear();
        const world = new World(readCacheBytes, merge);
        for (const each of operations) await world.apply(each);
        await world.end();
        counts.failures += world.failures;
      },
    ),
    { numRuns: runs, ...(process.env.RESTANTE_TEST_SEED !== undefined && { seed: testSeed }) },
  );
  console.log(`log model: ${JSON.stringify(counts)}`);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(runs / 10);
}, 1_800_000);

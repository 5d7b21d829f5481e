/**
 * The contract of a partition log, as tests that run on any implementation.
 *
 * Method: the real store in a directory of its own, driven by one owner as a worker would.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf, indexOf, type LogEvents, NO_ROOM, type PartitionLog } from "../../src/log/contract.ts";
import { append, commit, messageOf, type Place, Recorder, readMessage, temporaryPlace } from "./messages.ts";

export type OpenLog = (directory: string, events: LogEvents) => PartitionLog;

export function contractSuite(name: string, open: OpenLog): void {
  describe(`the log's contract: ${name}`, () => {
    let place: Place;
    let events: Recorder;
    let log: PartitionLog;

    const reopen = async (): Promise<number[]> => {
      await log.close();
      events = new Recorder();
      log = open(place.directory, events);
      const live: number[] = [];
      log.recover((record) => live.push(record.position));
      return live;
    };

    beforeEach(() => {
      place = temporaryPlace();
      events = new Recorder();
      log = open(place.directory, events);
      log.recover(() => expect.unreachable("a new log is empty"));
    });

    afterEach(async () => {
      await log.close();
      place.remove();
    });

    it("reads a message while it gathers, while it commits and afterwards", async () => {
      const message = messageOf(1);
      const [position] = append(log, message) as [number];
      expect(readMessage(log, position)).toEqual(message.bytes);
      const batch = log.gathering;
      log.flush();
      expect(log.isCommitting).toBe(true);
      expect(log.gathering).toBe(batch + 1);
      expect(readMessage(log, position)).toEqual(message.bytes);
      expect(await events.outcomeOf(batch)).toBeUndefined();
      expect(log.committed).toBe(batch);
      expect(readMessage(log, position)).toEqual(message.bytes);
      expect(await reopen()).toEqual([position]);
      expect(readMessage(log, position)).toEqual(message.bytes);
    });

    it("says whether the next commit has anything to carry: records, settlements, values", async () => {
      expect(log.isGathering).toBe(false);
      const [position] = append(log, messageOf(1)) as [number];
      expect(log.isGathering).toBe(true);
      log.flush();
      expect([log.isCommitting, log.isGathering]).toEqual([true, false]);
      log.settle(position); // Of the batch under way: the next one carries it.
      expect(log.isGathering).toBe(true);
      await commit(log, events);
      await events.outcomeOf(log.gathering - 1);
      expect(log.isGathering).toBe(false);
      log.put("meta", "key", Buffer.from("value"));
      expect(log.isGathering).toBe(true);
      await commit(log, events);
      expect(log.isGathering).toBe(false);
    });

    it("stores a message once for all its targets, and settles each by itself", async () => {
      const message = messageOf(2, 100_000);
      const before = log.gatheringBytes;
      const positions = append(log, message, [1, 2, 3]);
      expect(log.gatheringBytes - before).toBeLessThan(101_000);
      await commit(log, events);
      log.settle(positions[1]!);
      expect(readMessage(log, positions[1]!)).toBe("gone");
      expect(readMessage(log, positions[2]!)).toEqual(message.bytes);
      await commit(log, events);
      expect(await reopen()).toEqual([positions[0], positions[2]]);
    });

    it("gives rising positions and keeps every field of a record", async () => {
      const message = messageOf(3);
      const staged = log.stage(message, 0, message.bytes.length);
      const first = log.add(4_000_000_000, staged, 65_535, 1.7e12 + 0.5, 0xdeadbeef, 0xfffffffe);
      const second = log.add(0, staged, 0, 0, 0, 0);
      expect(second).toBe(first + 1);
      expect(batchOf(first)).toBe(log.gathering);
      expect(indexOf(second)).toBe(1);
      await commit(log, events);
      await log.close();
      log = open(place.directory, events);
      const records: unknown[] = [];
      log.recover((record) => records.push({ ...record }));
      const messageBytes = message.bytes.length;
      expect(records).toEqual([
        {
          position: first,
          target: 4_000_000_000,
          flags: 65_535,
          messageBytes,
          expiresAtMs: 1.7e12 + 0.5,
          keyHashHigh: 0xdeadbeef,
          keyHashLow: 0xfffffffe,
        },
        { position: second, target: 0, flags: 0, messageBytes, expiresAtMs: 0, keyHashHigh: 0, keyHashLow: 0 },
      ]);
    });

    it("never gives a position twice, although an emptied store remembers no batch", async () => {
      const seen = new Set<number>();
      for (let round = 0; round < 3; round += 1) {
        const [position] = append(log, messageOf(round)) as [number];
        expect(seen.has(position)).toBe(false);
        seen.add(position);
        await commit(log, events);
        log.settle(position);
        await commit(log, events);
        expect(await reopen()).toEqual([]);
      }
    });

    it("settles before the seal, during the commit and after it, and twice without harm", async () => {
      const [early, during, late, kept] = [1, 2, 3, 4].map((number) => append(log, messageOf(number))[0]!);
      log.settle(early!);
      log.settle(early!);
      expect(readMessage(log, early!)).toBe("gone");
      const batch = log.gathering;
      log.flush();
      log.settle(during!);
      expect(await events.outcomeOf(batch)).toBeUndefined();
      log.settle(late!);
      log.settle(late!);
      await commit(log, events);
      expect(await reopen()).toEqual([kept]);
      log.settle(early!);
      log.settle(kept!);
      await commit(log, events);
      expect(await reopen()).toEqual([]);
      expect(log.stats().batches).toBe(0);
    });

    it("commits a batch whose records were all settled before the seal", async () => {
      const [position] = append(log, messageOf(1)) as [number];
      log.settle(position);
      await commit(log, events);
      expect(log.committed).toBe(batchOf(position));
      expect(readMessage(log, position)).toBe("gone");
      append(log, messageOf(2));
      log.settle(position + 65_536);
      await commit(log, events);
      expect(await reopen()).toEqual([]);
    });

    it("puts, overwrites and removes keyed values with the batch, of every table and any key", async () => {
      const long = "é".repeat(3_000);
      log.put("queues", "b", Buffer.from("2"));
      log.put("queues", "a", Buffer.from("x"));
      log.put("queues", "a", Buffer.from("1"));
      log.put("sessions", long, Buffer.from("long"));
      log.put("sessions", `${long}2`, Buffer.from("longer"));
      log.put("meta", "gone", Buffer.alloc(0));
      await commit(log, events);
      log.put("meta", "gone", undefined);
      log.put("meta", "empty", Buffer.alloc(0));
      log.put("queues", "c", Buffer.alloc(100_000, 3));
      await commit(log, events);
      await reopen();
      const values = (table: "queues" | "sessions" | "meta"): [string, string][] => {
        const found: [string, string][] = [];
        log.entries(table, (key, value) =>
          found.push([key, value.length > 100 ? `${value.length}` : value.toString()]),
        );
        return found;
      };
      expect(values("queues")).toEqual([
        ["a", "1"],
        ["b", "2"],
        ["c", "100000"],
      ]);
      expect(new Map(values("sessions"))).toEqual(
        new Map([
          [long, "long"],
          [`${long}2`, "longer"],
        ]),
      );
      expect(values("meta")).toEqual([["empty", ""]]);
    });

    it("copies what it is given: the owner may reuse its bytes at once", async () => {
      const message = messageOf(5);
      const expected = Buffer.from(message.bytes);
      const value = Buffer.from("first");
      const [position] = append(log, message) as [number];
      log.put("meta", "key", value);
      message.bytes.fill(0);
      value.fill(0);
      await commit(log, events);
      expect(await reopen()).toEqual([position]);
      expect(readMessage(log, position)).toEqual(expected);
      log.entries("meta", (_, stored) => expect(stored.toString()).toBe("first"));
    });

    it("lets the owner put at the seal, into the batch that is sealed", async () => {
      events.onSealed = (batch) => log.put("ledgers", "seal", Buffer.from(`${batch}`));
      append(log, messageOf(1));
      const batch = log.gathering;
      await commit(log, events);
      events.onSealed = undefined;
      await reopen();
      let found = "";
      log.entries("ledgers", (_, value) => {
        found = value.toString();
      });
      expect(found).toBe(`${batch}`);
    });

    it("starts the next commit by itself when one was asked for meanwhile, in order", async () => {
      append(log, messageOf(1));
      const first = log.gathering;
      log.flush();
      append(log, messageOf(2));
      log.flush();
      expect(log.gathering).toBe(first + 1);
      await events.outcomeOf(first + 1);
      expect(events.outcomes.map(({ batch }) => batch)).toEqual([first, first + 1]);
      expect(events.sealed).toEqual([first, first + 1]);
    });

    it("lets settlements alone wait a little, not for ever, and not once a record, a keyed value or a plain flush is there", async () => {
      const positions = [1, 2, 3, 4, 5].map((number) => append(log, messageOf(number))[0]!);
      await commit(log, events);
      const joins = [() => append(log, messageOf(6)), () => log.put("meta", "key", Buffer.from("value")), undefined];
      for (const [place, join] of joins.entries()) {
        const batch = log.gathering;
        log.settle(positions[place]!);
        log.flush("mayWait");
        expect([log.isCommitting, log.gathering]).toEqual([false, batch]);
        join?.();
        log.flush(join === undefined ? "now" : "mayWait");
        expect([log.isCommitting, log.gathering]).toEqual([true, batch + 1]);
        expect(await events.outcomeOf(batch)).toBeUndefined();
      }
      const batch = log.gathering;
      log.settle(positions[3]!);
      log.flush("mayWait");
      expect(await events.outcomeOf(batch)).toBeUndefined(); // By itself.
      log.settle(positions[4]!);
      log.flush("mayWait");
      const live = await reopen(); // Closing does not wait.
      expect(live.length).toBe(1);
    });

    it("lets settlements wait also behind a commit under way", async () => {
      const [first] = append(log, messageOf(1)) as [number];
      await commit(log, events);
      append(log, messageOf(2));
      const batch = log.gathering;
      log.flush("mayWait");
      log.settle(first);
      log.flush("mayWait");
      expect(await events.outcomeOf(batch)).toBeUndefined();
      expect(log.isCommitting).toBe(false);
      expect(await events.outcomeOf(batch + 1)).toBeUndefined();
    });

    it("does nothing when there is nothing to commit", () => {
      const batch = log.gathering;
      log.flush();
      expect(log.isCommitting).toBe(false);
      expect(log.gathering).toBe(batch);
      expect(events.sealed).toEqual([]);
    });

    it("says NO_ROOM when a batch is full of bytes, takes one message of any size alone, and goes on after a commit", async () => {
      const message = messageOf(6, 1_000_000);
      let stored = 0;
      while (log.stage(message, 0, message.bytes.length) !== NO_ROOM) {
        stored += 1;
        log.add(1, 32, 0, 0, 0, 0);
      }
      expect(stored).toBeGreaterThan(3);
      await commit(log, events);
      const huge = messageOf(7, 20_000_000);
      const [position] = append(log, huge) as [number];
      expect(log.stage(message, 0, message.bytes.length)).toBe(NO_ROOM);
      await commit(log, events);
      const [after] = append(log, message) as [number];
      await commit(log, events);
      expect((await reopen()).length).toBe(stored + 2);
      expect(huge.bytes.equals(readMessage(log, position) as Buffer)).toBe(true);
      expect(message.bytes.equals(readMessage(log, after) as Buffer)).toBe(true);
    });

    it("says NO_ROOM when a batch is full of records", async () => {
      const message = messageOf(8);
      const staged = log.stage(message, 0, message.bytes.length);
      let added = 0;
      while (log.add(added, staged, 0, 0, 0, 0) !== NO_ROOM) added += 1;
      expect(added).toBe(65_536);
      await commit(log, events);
      const live = await reopen();
      expect(live.length).toBe(65_536);
      for (const position of live) if (indexOf(position) !== 40_000) log.settle(position);
      await commit(log, events);
      expect((await reopen()).map(indexOf)).toEqual([40_000]);
    });

    it("answers gone for positions that never were", async () => {
      append(log, messageOf(1));
      await commit(log, events);
      for (const position of [0, 1, log.committed * 65_536 + 1, log.gathering * 65_536, 9_999 * 65_536]) {
        expect(readMessage(log, position)).toBe("gone");
        log.settle(position);
      }
      expect(log.stats().records).toBe(1);
    });

    it("commits what gathers when it is closed", async () => {
      const [position] = append(log, messageOf(1)) as [number];
      log.put("meta", "last", Buffer.from("word"));
      expect(await reopen()).toEqual([position]);
    });
  });
}

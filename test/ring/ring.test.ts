/**
 * Goal: what is written to a ring is read from it: same bytes, same order, nothing before it is published, no space lost.
 * Method: random interleavings of both ends in one thread against a plain list, and single cases by hand.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RING_BYTES_MAX, RING_BYTES_MIN } from "../../src/base/limits.ts";
import { createRing, maxBodyBytesOf, recordBytesOf, reservedBytesOf } from "../../src/ring/layout.ts";
import { createMesh, ringBytesOf, ringOf } from "../../src/ring/mesh.ts";
import { RingReader } from "../../src/ring/reader.ts";
import { RING_FULL, RingWriter } from "../../src/ring/writer.ts";

const RUNS = process.env.RESTANTE_TEST_SIZE === "full" ? 1_000 : 60;
const DATA_BYTES = RING_BYTES_MIN;
const MAX_BODY_BYTES = maxBodyBytesOf(DATA_BYTES);

interface Sent {
  readonly kind: number;
  readonly bodyBytes: number;
  readonly mark: number;
}

/** Marks both ends of a body: enough to see a record that overlaps another. */
function mark(writer: RingWriter, offset: number, sent: Sent): void {
  writer.region.bytes.fill(sent.mark & 0xff, offset, offset + Math.min(64, sent.bodyBytes));
  writer.region.bytes.fill(sent.mark & 0xff, offset + Math.max(0, sent.bodyBytes - 64), offset + sent.bodyBytes);
}

function expectMarked(bytes: Buffer, offset: number, sent: Sent): void {
  for (let index = 0; index < Math.min(64, sent.bodyBytes); index += 1) {
    if (bytes[offset + index] !== (sent.mark & 0xff)) expect.fail("a body has other bytes at its start");
    if (bytes[offset + sent.bodyBytes - 1 - index] !== (sent.mark & 0xff))
      expect.fail("a body has other bytes at its end");
  }
}

const bodyBytes = fc.oneof(fc.nat(100), fc.nat(5_000), fc.nat(MAX_BODY_BYTES), fc.constant(MAX_BODY_BYTES));
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      bodyBytes,
      reserved: fc.boolean(),
      times: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("abandon" as const), bodyBytes }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("publish" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("drain" as const), limit: fc.nat(50), stopAfter: fc.nat(60) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sleep" as const) }) },
);

describe("ring", () => {
  test("random interleavings of writer and reader agree with a plain list", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120, size: "max" }), (commands) => {
        const memory = createRing(DATA_BYTES);
        const writer = new RingWriter(memory);
        const reader = new RingReader(memory);
        const committed: Sent[] = [];
        let published = 0;
        let sequence = 0;
        let isAsleep = false;
        let isRung = false;

        const usedBytes = () => committed.reduce((total, sent) => total + recordBytesOf(sent.bodyBytes), 0);
        for (const each of commands) {
          if (each.kind === "write") {
            for (let time = 0; time < each.times; time += 1) {
              sequence += 1;
              const sent = { kind: 1 + (sequence % 9), bodyBytes: each.bodyBytes, mark: sequence };
              const offset = each.reserved
                ? writer.tryClaimReserved(sent.kind, sent.bodyBytes)
                : writer.tryClaim(sent.kind, sent.bodyBytes);
              const bound = each.reserved ? DATA_BYTES : DATA_BYTES - reservedBytesOf(DATA_BYTES);
              const recordBytes = recordBytesOf(sent.bodyBytes);
              if (offset === RING_FULL) {
                // Padding takes less than one record before this one, and less than one of the largest before those in the ring.
                expect(usedBytes() + 2 * recordBytes + DATA_BYTES / 4).toBeGreaterThan(bound);
                break;
              }
              expect(offset % 8).toBe(0);
              expect(usedBytes() + recordBytes).toBeLessThanOrEqual(bound);
              mark(writer, offset, sent);
              writer.commit();
              committed.push(sent);
            }
          } else if (each.kind === "abandon") {
            writer.tryClaim(1, each.bodyBytes);
          } else if (each.kind === "publish") {
            const mustRing = writer.publish();
            expect(mustRing).toBe(isAsleep && !isRung && committed.length > published);
            isRung ||= mustRing;
            published = committed.length;
          } else if (each.kind === "drain") {
            if (isAsleep) reader.wake();
            isAsleep = false;
            let taken = 0;
            const count = reader.drain(each.limit, (kind, region, offset, length) => {
              if (taken === each.stopAfter) return false;
              const sent = committed[taken]!;
              expect([kind, length]).toEqual([sent.kind, sent.bodyBytes]);
              expectMarked(region.bytes, offset, sent);
              taken += 1;
              return true;
            });
            expect(count).toBe(taken);
            expect(count).toBe(Math.min(published, each.limit, each.stopAfter));
            expect(reader.isStalled).toBe(count === each.stopAfter && count < Math.min(published, each.limit));
            committed.splice(0, taken);
            published -= taken;
          } else if (!isAsleep) {
            isAsleep = reader.armSleep();
            isRung = false;
            expect(isAsleep).toBe(published === 0 || reader.isStalled);
          }
          expect(writer.freeBytes).toBeLessThanOrEqual(
            Math.max(0, DATA_BYTES - reservedBytesOf(DATA_BYTES) - usedBytes()),
          );
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("an empty ring takes the largest record wherever its tail stands, also past 2^32 bytes", () => {
    const memory = createRing(RING_BYTES_MAX);
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory);
    const largest = writer.maxBodyBytes;
    let bytes = 0;
    for (let round = 0; bytes < 2 ** 32 + 2 ** 31; round += 1) {
      for (const bodyBytes of [largest, round % 5_000, largest - 16 * (round % 99)]) {
        const offset = writer.tryClaim(7, bodyBytes);
        expect(offset).not.toBe(RING_FULL);
        writer.region.view.setUint32(offset, round);
        writer.commit();
        bytes += recordBytesOf(bodyBytes);
      }
      writer.publish();
      expect(
        reader.drain(10, (_kind, region, offset, length) => length < 4 || region.view.getUint32(offset) === round),
      ).toBe(3);
    }
  });

  test("reserved records pass when ordinary ones have filled the rest, wherever the tail stands", () => {
    for (let start = 0; start < DATA_BYTES; start += 1_008) {
      const memory = createRing(DATA_BYTES);
      const writer = new RingWriter(memory);
      const reader = new RingReader(memory);
      for (let moved = 0; moved < start; moved += 1_008) {
        writer.tryClaim(1, 1_000);
        writer.commit();
        writer.publish();
        reader.drain(1, () => true);
      }
      while (writer.tryClaim(1, 1_000) !== RING_FULL) writer.commit();
      expect(writer.freeBytes).toBeLessThan(2 * 1_008);
      expect(writer.tryClaimReserved(2, reservedBytesOf(DATA_BYTES) / 2 - 8)).not.toBe(RING_FULL);
      let settlements = 0;
      while (writer.tryClaimReserved(2, 20) !== RING_FULL) {
        writer.commit();
        settlements += 1;
      }
      expect(settlements).toBeGreaterThanOrEqual(reservedBytesOf(DATA_BYTES) / 32);
      writer.publish();
      let seen = 0;
      reader.drain(Number.POSITIVE_INFINITY, (kind) => {
        if (kind === 2) seen += 1;
        return true;
      });
      expect(seen).toBe(settlements);
    }
  });

  test("data from before the first arming counts as a wake-up", () => {
    const memory = createRing(DATA_BYTES);
    const writer = new RingWriter(memory);
    writer.tryClaim(1, 8);
    writer.commit();
    expect(writer.publish()).toBe(false);
    const reader = new RingReader(memory);
    expect(reader.armSleep()).toBe(false);
    expect(reader.drain(9, () => true)).toBe(1);
    expect(reader.armSleep()).toBe(true);
  });

  test("a sleeper is rung once per sleep", () => {
    const memory = createRing(DATA_BYTES);
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory);
    const send = (): boolean => {
      writer.tryClaim(1, 8);
      writer.commit();
      return writer.publish();
    };
    for (let round = 0; round < 3; round += 1) {
      expect(reader.armSleep()).toBe(true);
      expect([send(), send(), writer.publish()]).toEqual([true, false, false]);
      reader.wake();
      expect(send()).toBe(false);
      reader.drain(9, () => true);
    }
  });

  test("a writer that waits for space is rung once per wait, and not when there is space already", () => {
    const memory = createRing(DATA_BYTES);
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory);
    for (let round = 0; round < 3; round += 1) {
      while (writer.tryClaim(1, 1_000) !== RING_FULL) writer.commit();
      writer.publish();
      expect(writer.awaitSpace(1_000)).toBe(true);
      reader.drain(1, () => true);
      expect([reader.takeSpaceBell(), reader.takeSpaceBell()]).toEqual([true, false]);
      // Rung, but somebody else's record took the space: waiting again is a new wait.
      writer.tryClaim(1, 1_000);
      writer.commit();
      writer.publish();
      expect(writer.awaitSpace(1_000)).toBe(true);
      reader.drain(3, () => true);
      expect(reader.takeSpaceBell()).toBe(true);
      expect(writer.awaitSpace(1_000)).toBe(false);
      expect(reader.takeSpaceBell()).toBe(false);
    }
  });

  test("a record above a quarter of its ring, and a kind that means padding, are bugs", () => {
    const writer = new RingWriter(createRing(DATA_BYTES));
    expect(() => writer.tryClaim(1, writer.maxBodyBytes + 1)).toThrow("a quarter");
    expect(() => writer.tryClaim(0, 1)).toThrow("padding");
    expect(() => writer.commit()).toThrow("a commit follows a claim");
    expect(() => createRing(DATA_BYTES + 1)).toThrow("power of two");
  });
});

describe("mesh", () => {
  test("rings share the budget, within the limits of one", () => {
    const mebibytes = 1024 * 1024;
    expect(ringBytesOf(2, 256 * mebibytes)).toBe(RING_BYTES_MAX);
    expect(ringBytesOf(8, 256 * mebibytes)).toBe(4 * mebibytes);
    expect(ringBytesOf(32, 256 * mebibytes)).toBe(256 * 1024);
    expect(ringBytesOf(64, 1)).toBe(RING_BYTES_MIN);
    const mesh = createMesh(3, 3 * mebibytes);
    expect(mesh.rings.filter((ring) => ring !== undefined)).toHaveLength(6);
    expect(ringOf(mesh, 2, 1)).not.toBe(ringOf(mesh, 1, 2));
    expect(() => ringOf(mesh, 1, 1)).toThrow("two different workers");
    expect(createMesh(1, mebibytes).rings).toEqual([undefined]);
  });
});

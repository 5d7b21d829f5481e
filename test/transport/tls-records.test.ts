/**
 * Goal: of the packets, or frames, that a piece of a stream brings, the last one is found, however the pieces are cut.
 * Method: property test against the places where they begin; what is written to the stream is looked at piece by piece.
 */
import { once } from "node:events";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { declaredBytes } from "../../src/mqtt/scanner.ts";
import { LastUnit, recordsInto } from "../../src/transport/tls-records.ts";
import { binaryFrame, sentFrameBytes } from "../../src/transport/web-socket-frames.ts";
import { testSeed } from "../random.ts";
import { numberedPacket, size } from "./fixture.ts";

const sizes = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 4, max: 300 }) },
    { arbitrary: fc.integer({ min: 4, max: 20_000 }), weight: 1 },
  ),
  { minLength: 1, maxLength: 30 },
);
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5_000 })), { minLength: 1 });

test.each(["packets", "frames"])("the last of %s in every piece", (kind) => {
  const isFramed = kind === "frames";
  fc.assert(
    fc.property(sizes, cuts, (lengths, pieces) => {
      const units = lengths.map((length, number) => {
        const packet = numberedPacket(number, length);
        return isFramed ? binaryFrame(packet) : packet;
      });
      const stream = Buffer.concat(units);
      let sum = 0;
      const starts = units.map((unit) => {
        sum += unit.length;
        return sum - unit.length;
      });
      const last = new LastUnit(isFramed ? sentFrameBytes : declaredBytes);
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const end = Math.min(stream.length, at + pieces[turn % pieces.length]!);
        const begun = starts.findLast((start) => start >= at && start < end) ?? at;
        expect(last.startIn(stream.subarray(at, end))).toBe(begun - at);
        at = end;
      }
    }),
    { numRuns: 25 * size, seed: testSeed },
  );
});

test("the last packet is written for itself, and the end is passed on", async () => {
  const written: number[] = [];
  const stream = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      written.push(bytes.length);
      setImmediate(done);
    },
    writev: (parts, done) => {
      written.push(parts.reduce((sum, { chunk }) => sum + (chunk as Buffer).length, 0));
      setImmediate(done);
    },
  });
  const packets = [1, 2, 3].map((number) => numberedPacket(number, 10));
  const finished = once(stream, "finish");
  const pieces = [Buffer.concat(packets), packets[0]!, Buffer.concat(packets)];
  await pipeline(pieces, recordsInto(stream as never, declaredBytes));
  await finished;
  const [bytes] = packets.map(({ length }) => length);
  expect(written).toEqual([bytes! * 2, bytes, bytes, bytes! * 2, bytes]);
});

/**
 * Goal: a line keeps its messages in order whatever leaves from where, finds them, sweeps what is due, and frees its memory.
 * Method: random appends and removals beside a sorted array; and a line of which one message in a thousand stays.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { WaitingLine } from "../../src/queue/waiting.ts";

interface Message {
  readonly position: number;
  expiresAtMs: number;
  readonly bytes: number;
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant("append" as const), count: fc.integer({ min: 1, max: 900 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("shift" as const), count: fc.integer({ min: 1, max: 900 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("thin" as const), keepOneIn: fc.integer({ min: 2, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("due" as const), nowMs: fc.integer({ min: 0, max: 1_000 }) }) },
);

test("beside a sorted array", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25, size: "max" }), fc.boolean(), (steps, isKeyed) => {
      const line = new WaitingLine(isKeyed);
      let model: Message[] = [];
      let position = 65_536;
      for (const next of steps) {
        if (next.op === "append") {
          for (let count = 0; count < next.count; count += 1) {
            position += 1 + ((position * 7) % 3);
            const message = { position, expiresAtMs: (position * 31) % 1_009, bytes: 40 + (position % 9) };
            line.append(position, message.expiresAtMs, message.bytes, position & 0xff, position & 0xffff);
            model.push(message);
          }
        } else if (next.op === "shift") {
          for (const message of model.splice(0, next.count)) {
            expect(line.first(Number.POSITIVE_INFINITY)).toBe(true);
            expect(line.position).toBe(message.position);
            line.remove();
          }
        } else if (next.op === "thin") {
          const gone = model.filter((_, index) => index % next.keepOneIn !== 0);
          model = model.filter((_, index) => index % next.keepOneIn === 0);
          for (const message of gone.toReversed()) {
            expect(line.find(message.position)).toBe(true);
            line.remove();
          }
        } else {
          const due = new Float64Array(2_048);
          for (let count = line.collectDue(next.nowMs, due); count > 0; count = line.collectDue(next.nowMs, due)) {
            for (const found of due.slice(0, count)) {
              expect(line.find(found)).toBe(true);
              expect(line.expiresAtMs).toBeLessThanOrEqual(next.nowMs);
              line.remove();
            }
          }
          model = model.filter((message) => message.expiresAtMs > next.nowMs);
          const earliestMs = Math.min(Number.POSITIVE_INFINITY, ...model.map((message) => message.expiresAtMs));
          expect(line.earliestMs).toBeLessThanOrEqual(earliestMs);
          expect(line.earliestMs).toBeGreaterThan(next.nowMs);
        }
        expect([line.count, line.bytes]).toEqual([model.length, model.reduce((sum, { bytes }) => sum + bytes, 0)]);
        const seen: number[] = [];
        for (let more = line.from(0); more; more = line.from(line.position + 1)) {
          seen.push(line.position);
          expect(line.keyHashLow).toBe(isKeyed ? line.position & 0xffff : 0);
        }
        expect(seen).toEqual(model.map((message) => message.position));
        expect(line.first(model[0]?.position ?? 0)).toBe(false);
      }
    }),
    { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 500 : 15 },
  );
});

test("a line of which one message in a thousand stays takes a fiftieth of the chunks it went through", () => {
  const line = new WaitingLine(true);
  for (let position = 1; position <= 1_000_000; position += 1) {
    line.append(position, 0, 40, 0, 0);
    const behind = position - 5_000;
    if (behind > 0 && behind % 1_000 !== 0 && line.find(behind)) line.remove();
  }
  expect(line.count).toBe(995 + 5_000);
  expect(line.chunkCount).toBeLessThan(20);
});

/**
 * Goal: the timer wheel fires exactly what is due, in order, and says when to come back. Method: random commands on the wheel
 * and on a plain list of deadlines, which must agree after every command; and single cases by hand.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TimerEntry, TimerWheel } from "../../src/base/timer-wheel.ts";

const RUNS = process.env.RESTANTE_TEST_SIZE === "full" ? 1_500 : 200;
const START_MS = 1_700_000_000_123;
const ENTRIES = 12;

/** Delays of every magnitude: each level of the wheel, and the borders of its slots. */
const delay = fc.oneof(
  fc.integer({ min: -5, max: 130 }),
  fc.integer({ min: 0, max: 10_000 }),
  fc.integer({ min: 0, max: 35 }).map((bits) => 2 ** bits),
  fc.integer({ min: 1, max: 35 }).map((bits) => 2 ** bits - 1),
);
const command = fc.oneof(
  fc.record({ kind: fc.constant("schedule" as const), entry: fc.nat(ENTRIES - 1), delay }),
  fc.record({ kind: fc.constant("cancel" as const), entry: fc.nat(ENTRIES - 1) }),
  fc.record({ kind: fc.constant("advance" as const), delay, limit: fc.oneof(fc.constant(1_000), fc.nat(3)) }),
  fc.record({ kind: fc.constant("sleep" as const) }),
);

describe("timer wheel", () => {
  test("agrees with a plain list", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: "max" }), (commands) => {
        const wheel = new TimerWheel(START_MS);
        const plain = new Map<number, number>();
        const fired: number[] = [];
        const entries = Array.from({ length: ENTRIES }, (_, index) => new TimerEntry(() => void fired.push(index)));
        let nowMs = START_MS;
        // Up to where the wheel has come: behind `nowMs` after an advance that met its limit.
        let reachedMs = START_MS;

        const advance = (to: number, limit: number): void => {
          fired.length = 0;
          const due = [...plain].filter(([, deadline]) => deadline <= to).sort((one, other) => one[1] - other[1]);
          const count = wheel.advance(to, limit);
          expect(count).toBe(fired.length);
          expect(count).toBe(Math.min(limit, due.length));
          const deadlines = fired.map((index) => plain.get(index)!);
          expect(deadlines).toEqual(due.slice(0, count).map(([, deadline]) => deadline));
          for (const index of fired) plain.delete(index);
          nowMs = Math.max(nowMs, to);
          if (count < limit) reachedMs = nowMs;
          else if (count > 0) reachedMs = deadlines[count - 1]!;
        };

        for (const each of commands) {
          if (each.kind === "schedule") {
            // What has passed is due with the next advance that moves: model it as the next millisecond.
            const deadline = Math.max(nowMs + each.delay, reachedMs + 1);
            wheel.schedule(entries[each.entry]!, nowMs + each.delay);
            plain.set(each.entry, deadline);
          } else if (each.kind === "cancel") {
            wheel.cancel(entries[each.entry]!);
            plain.delete(each.entry);
          } else if (each.kind === "advance") {
            advance(nowMs + Math.max(0, each.delay), each.limit);
          } else if (wheel.nextDeadlineMs() !== Number.POSITIVE_INFINITY) {
            advance(Math.max(nowMs, wheel.nextDeadlineMs()), 1_000);
          }
          expect(wheel.count).toBe(plain.size);
          entries.forEach((entry, index) => {
            expect(entry.isScheduled).toBe(plain.has(index));
          });
          const earliest = Math.min(...plain.values());
          expect(wheel.nextDeadlineMs()).toBeLessThanOrEqual(earliest);
          if (plain.size > 0) expect(wheel.nextDeadlineMs()).toBeGreaterThanOrEqual(reachedMs);
          else expect(wheel.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("reaches any deadline in at most seven advances to nextDeadlineMs", () => {
    for (let bits = 0; bits < 42; bits += 1) {
      for (const offset of [-1, 0, 1]) {
        const wheel = new TimerWheel(START_MS);
        wheel.advance(START_MS + 77);
        const deadline = START_MS + 77 + Math.max(1, 2 ** bits + offset);
        let firedAt = 0;
        const entry = new TimerEntry((nowMs) => {
          firedAt = nowMs;
        });
        wheel.schedule(entry, deadline);
        let advances = 0;
        while (firedAt === 0 && advances < 8) {
          wheel.advance(wheel.nextDeadlineMs());
          advances += 1;
        }
        expect(firedAt).toBe(deadline);
        expect(advances).toBeLessThanOrEqual(7);
      }
    }
  });

  test("onDue may schedule itself, and cancel and schedule others that are due at the same time", () => {
    const wheel = new TimerWheel(0);
    const log: string[] = [];
    const keepAlive = new TimerEntry((nowMs) => {
      log.push(`keepAlive@${nowMs}`);
      if (log.length < 4) wheel.schedule(keepAlive, keepAlive.deadlineMs + 10);
    });
    const victim = new TimerEntry(() => void log.push("victim"));
    const killer = new TimerEntry(() => {
      log.push("killer");
      wheel.cancel(victim);
    });
    wheel.schedule(keepAlive, 10);
    wheel.schedule(killer, 20);
    wheel.schedule(victim, 20);
    expect(wheel.advance(25)).toBe(3);
    expect(log).toEqual(["keepAlive@25", "killer", "keepAlive@25"]);
    expect(wheel.count).toBe(1);
  });

  test("an entry that reschedules itself into the past does not hold the wheel", () => {
    const wheel = new TimerWheel(0);
    let fired = 0;
    const entry = new TimerEntry(() => {
      fired += 1;
      wheel.schedule(entry, -1_000);
    });
    wheel.schedule(entry, 0);
    wheel.advance(50);
    expect(fired).toBe(50);
  });

  test("a fraction of a millisecond never fires early", () => {
    const wheel = new TimerWheel(0);
    let fired = 0;
    const entry = new TimerEntry(() => {
      fired += 1;
    });
    wheel.schedule(entry, 10.5);
    wheel.advance(10.4);
    expect(fired).toBe(0);
    wheel.advance(11);
    expect(fired).toBe(1);
  });

  test("a hundred thousand entries come in bounded turns, and a wheel at the end of its range holds", () => {
    const wheel = new TimerWheel(0);
    let fired = 0;
    const onDue = () => {
      fired += 1;
    };
    for (let index = 0; index < 100_000; index += 1) wheel.schedule(new TimerEntry(onDue), 60_000 + (index % 100));
    expect(wheel.advance(59_999)).toBe(0);
    while (wheel.count > 0) expect(wheel.advance(100_000, 1_000)).toBe(1_000);
    expect(fired).toBe(100_000);

    wheel.schedule(new TimerEntry(onDue), Number.MAX_SAFE_INTEGER);
    wheel.schedule(new TimerEntry(onDue), Number.POSITIVE_INFINITY);
    expect(wheel.count).toBe(1);
    expect(wheel.advance(2 ** 41)).toBe(0);
    expect(wheel.advance(2 ** 43)).toBe(1);
  });
});

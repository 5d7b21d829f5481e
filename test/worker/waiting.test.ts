/**
 * Goal: the small things that remember who waits for what: waiters and joins of a batch, origins of publishers, announcements of
 * routes. Method: property tests beside plain collections; the announcer with partners that answer when told.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ROUTE, ROUTE_DURABLE, ROUTE_NONE, ROUTE_VOLATILE, type RouteBody } from "../../src/frame/kinds.ts";
import { type Origin, Origins } from "../../src/worker/origins.ts";
import type { Partner } from "../../src/worker/partner.ts";
import { RouteAnnouncer } from "../../src/worker/route-announcer.ts";
import { Joins, Waiters } from "../../src/worker/waiters.ts";

const u32 = fc.nat(0xffff_ffff);

describe("waiters", () => {
  it("are told in order, once", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(fc.nat(0xffff), u32, u32), { maxLength: 700 }), { maxLength: 4 }),
        (batches) => {
          const waiters = new Waiters();
          for (const batch of batches) {
            for (const [worker, origin, sequence] of batch) waiters.add(worker, origin, sequence);
            expect(waiters.length).toBe(batch.length);
            const told: [number, number, number][] = [];
            waiters.drain((...waiter) => told.push(waiter));
            expect(told).toEqual(batch);
            expect(waiters.length).toBe(0);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("joins", () => {
  it("answer once, with the worst reason, when the last is done", () => {
    const errors = fc.constantFrom(0, 0x83, 0x97);
    const join = fc.record({
      answers: fc.array(errors, { minLength: 1, maxLength: 5 }),
      reason: errors,
      sequence: u32,
    });
    fc.assert(
      fc.property(fc.array(join, { maxLength: 30 }), fc.infiniteStream(fc.nat()), (all, draws) => {
        const joins = new Joins();
        const open = all.map(({ answers, reason, sequence }) => ({
          place: joins.open(3, 7, sequence, answers.length, reason),
          left: [...answers],
          sequence,
          worst: Math.max(reason, ...answers),
        }));
        expect(new Set(open.map(({ place }) => place)).size).toBe(open.length);
        while (open.length > 0) {
          const at = draws.next().value % open.length;
          const { place, left, sequence, worst } = open[at]!;
          const told: unknown[] = [];
          joins.resolve(place, left.pop()!, (...answer) => told.push(answer));
          expect(told).toEqual(left.length > 0 ? [] : [[3, 7, sequence, worst]]);
          if (left.length === 0) open.splice(at, 1);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("origins", () => {
  it("are found by their number until they are closed, and never by an older one", () => {
    const step = fc.oneof(fc.constant("open" as const), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const origins = new Origins();
        const open = new Map<number, Origin>();
        const closed: number[] = [];
        for (const each of steps) {
          if (each === "open") {
            const origin: Origin = { expect: () => {}, resolve: () => {} };
            const number = origins.open(origin);
            expect(number).toBeLessThan(2 ** 32);
            expect(open.has(number)).toBe(false);
            open.set(number, origin);
          } else if (open.size > 0) {
            const number = [...open.keys()][each % open.size]!;
            origins.close(number);
            origins.close(number);
            open.delete(number);
            closed.push(number);
          }
          for (const [number, origin] of open) expect(origins.find(number)).toBe(origin);
          for (const number of closed) if (!open.has(number)) expect(origins.find(number)).toBeUndefined();
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("a route announcer", () => {
  const begun = (
    others: number,
  ): { announcer: RouteAnnouncer; sent: RouteBody[][]; answer: (from: number) => void } => {
    const sent: RouteBody[][] = Array.from({ length: others }, () => []);
    const partners = sent.map((bodies, worker) => {
      const control = (kind: number, body: object): void => {
        expect(kind).toBe(ROUTE);
        bodies.push(body as RouteBody);
      };
      return { worker, control } as unknown as Partner;
    });
    const announcer = new RouteAnnouncer(partners);
    const applied = sent.map(() => 0);
    const answer = (from: number): void => {
      const body = sent[from]![applied[from]!];
      applied[from]! += 1;
      if (body !== undefined) announcer.onRouted(body.token);
    };
    return { announcer, sent, answer };
  };

  it("tells everything of before its start at once, and answers then and there", () => {
    const { announcer, sent } = begun(2);
    let done = 0;
    announcer.tell("a", ROUTE_VOLATILE, () => (done += 1));
    announcer.tell("b", ROUTE_DURABLE, () => (done += 1));
    announcer.tell("a", ROUTE_NONE, () => (done += 1));
    expect(done).toBe(3);
    expect(announcer.start()).toEqual([{ filter: "b", state: ROUTE_DURABLE }]);
    expect(sent).toEqual([[], []]);
  });

  it("goes on when everyone has applied what was newest when it was asked", () => {
    const states = fc.constantFrom(ROUTE_NONE, ROUTE_VOLATILE, ROUTE_DURABLE);
    const step = fc.oneof(
      fc.record({ kind: fc.constant("tell" as const), filter: fc.constantFrom("a", "b"), state: states }),
      fc.record({ kind: fc.constant("answer" as const), from: fc.nat(1) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { announcer, sent, answer } = begun(2);
        announcer.start();
        const applied = [0, 0];
        const asked: { filter: string; state: number; isDone: boolean }[] = [];
        /** What a partner knows of a filter. */
        const known = (partner: number, filter: string): number =>
          sent[partner]!.slice(0, applied[partner]).findLast((body) => body.filter === filter)?.state ?? ROUTE_NONE;
        for (const each of steps) {
          if (each.kind === "tell") {
            const ask = { filter: each.filter, state: each.state, isDone: false };
            asked.push(ask);
            announcer.tell(each.filter, each.state, () => {
              ask.isDone = true;
              const later = asked.slice(asked.indexOf(ask) + 1).some(({ filter }) => filter === ask.filter);
              for (const partner of [0, 1]) if (!later) expect(known(partner, ask.filter)).toBe(ask.state);
            });
          } else if (applied[each.from]! < sent[each.from]!.length) {
            applied[each.from]! += 1;
            answer(each.from);
          }
        }
        for (const from of [0, 1]) {
          while (applied[from]! < sent[from]!.length) {
            applied[from]! += 1;
            answer(from);
          }
        }
        expect(asked.every(({ isDone }) => isDone)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

/**
 * Goal: packet identifiers of deliveries: never two in flight alike, never 0, counting upwards from where the client was left, and
 * each finds what it stands for. Method: random claims, ends and restores beside a Map.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import { FREE, Outgoing, RELEASED, SENT_QOS1, SENT_QOS2 } from "../../src/session/outgoing.ts";

interface InFlight {
  state: number;
  readonly position: number;
  readonly owner: string;
  readonly flags: number;
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("claim" as const), qos2: fc.boolean(), flags: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("finish" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), at: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("restore" as const), packetId: fc.integer({ min: 1, max: 65_535 }) }),
  },
);

describe("deliveries in flight", () => {
  it("are what a Map says", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.integer({ min: 1, max: 65_535 }), (steps, start) => {
        const outgoing = new Outgoing<string>(start);
        const model = new Map<number, InFlight>();
        let last = start;
        let position = 0;
        for (const each of steps) {
          if (each.kind === "claim") {
            position += 1;
            const state = each.qos2 ? SENT_QOS2 : SENT_QOS1;
            const packetId = outgoing.claim(state, position, `owner ${position}`, each.flags);
            expect(packetId).toBeGreaterThan(0);
            expect(packetId).toBeLessThan(65_536);
            expect(model.has(packetId)).toBe(false);
            // Upwards, and not far: only identifiers whose place is taken are passed over.
            const advance = (packetId - last + 65_535) % 65_535;
            expect(advance).toBeLessThanOrEqual(4 * (model.size + 8));
            last = packetId;
            model.set(packetId, { state, position, owner: `owner ${position}`, flags: each.flags });
          } else if (each.kind === "restore") {
            if (model.has(each.packetId)) continue;
            position += 1;
            outgoing.restore(each.packetId, SENT_QOS1, position, "restored", 1);
            model.set(each.packetId, { state: SENT_QOS1, position, owner: "restored", flags: 1 });
          } else {
            const packetIds = [...model.keys()];
            const packetId = packetIds[each.at % Math.max(1, packetIds.length)];
            if (packetId === undefined) continue;
            const entry = model.get(packetId)!;
            if (each.kind === "finish") {
              outgoing.finish(packetId);
              model.delete(packetId);
              expect(outgoing.stateOf(packetId)).toBe(FREE);
            } else if (entry.state === SENT_QOS2) {
              outgoing.advance(packetId, RELEASED);
              entry.state = RELEASED;
            }
          }
          expect(outgoing.count).toBe(model.size);
          expect(outgoing.lastPacketId).toBe(last);
        }
        expect(outgoing.inOrder()).toEqual([...model.keys()]);
        for (const [packetId, { state, position: at, owner, flags }] of model) {
          expect(outgoing.stateOf(packetId)).toBe(state);
          expect(outgoing.positionOf(packetId)).toBe(at);
          expect(outgoing.ownerOf(packetId)).toBe(owner);
          expect(outgoing.flagsOf(packetId)).toBe(flags);
          expect(outgoing.isExactlyOnce(packetId)).toBe(state !== SENT_QOS1);
        }
      }),
    );
  });

  it("may be all identifiers but 0", () => {
    const outgoing = new Outgoing<string>(60_000);
    const seen = new Set<number>();
    for (let count = 0; count < 65_535; count += 1) seen.add(outgoing.claim(SENT_QOS1, count, "o"));
    expect(seen.size).toBe(65_535);
    outgoing.finish(12_345);
    expect(outgoing.claim(SENT_QOS1, 1, "o")).toBe(12_345);
  });

  it("keep a message until PUBREL or the end", () => {
    const outgoing = new Outgoing<string>(1);
    const message = Region.allocate(1);
    const one = outgoing.claim(SENT_QOS2, -1, "o", 0, message);
    const other = outgoing.claim(SENT_QOS1, -1, "o", 0, message);
    expect(outgoing.messageOf(one)).toBe(message);
    outgoing.advance(one, RELEASED);
    expect(outgoing.messageOf(one)).toBeUndefined();
    outgoing.finish(other);
    expect(outgoing.messageOf(other)).toBeUndefined();
  });
});

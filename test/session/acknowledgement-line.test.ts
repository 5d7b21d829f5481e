/**
 * Goal: a publisher's acknowledgements leave in the order of its PUBLISH packets, each once, when all have answered, with the worst
 * reason. Method: random openings, expectations, answers, withdrawals and forgotten identifiers, beside an array of plain objects.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AcknowledgementLine, OWES_PUBACK, OWES_PUBREC } from "../../src/session/acknowledgement-line.ts";

interface Entry {
  readonly sequence: number;
  readonly packetId: number;
  readonly kind: 0 | 1;
  pending: number;
  readonly reasons: number[];
  isForgetting: boolean;
}

/** Errors over success over "no matching subscribers"; the largest of several errors. */
function worst(reasons: readonly number[]): number {
  const errors = reasons.filter((reason) => reason >= 0x80);
  if (errors.length > 0) return Math.max(...errors);
  return reasons.includes(0) ? 0 : 0x10;
}

const step = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), qos2: fc.boolean() }),
  fc.record({ kind: fc.constant("expect" as const), at: fc.nat() }),
  fc.record({ kind: fc.constant("resolve" as const), at: fc.nat(), reason: fc.constantFrom(0, 0, 0x10, 0x83, 0x97) }),
  fc.record({ kind: fc.constant("withdraw" as const) }),
  fc.record({ kind: fc.constant("forgotten" as const), at: fc.nat() }),
);

describe("an acknowledgement line", () => {
  it("emits what a plain list says", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (steps, entriesMax) => {
        const emitted: unknown[] = [];
        const forgetting: { readonly packetId: number; readonly done: () => void }[] = [];
        const emit = (...entry: unknown[]): void => void emitted.push(entry);
        const line = new AcknowledgementLine(entriesMax, emit, (refused, done) => {
          forgetting.push({ packetId: refused, done });
        });
        const model: Entry[] = [];
        let packetId = 0;
        const expected: unknown[] = [];
        const leave = (): void => {
          while (model[0]?.pending === 0 && !model[0].isForgetting) {
            const entry = model.shift()!;
            expected.push([entry.kind, entry.packetId, worst(entry.reasons)]);
          }
        };
        for (const each of steps) {
          if (each.kind === "open") {
            expect(line.isFull).toBe(model.length === entriesMax);
            if (line.isFull) continue;
            const kind = each.qos2 ? OWES_PUBREC : OWES_PUBACK;
            packetId += 1;
            const sequence = line.open(packetId, kind);
            model.push({ sequence, packetId, kind, pending: 1, reasons: [], isForgetting: false });
          } else if (each.kind === "withdraw") {
            const last = model.at(-1);
            if (last === undefined || last.pending !== 1 || last.reasons.length > 0) continue;
            line.withdraw(last.sequence);
            model.pop();
          } else if (each.kind === "forgotten") {
            const [next] = forgetting.splice(each.at % Math.max(1, forgetting.length), 1);
            const entry = model.find((one) => one.isForgetting && one.packetId === next?.packetId);
            if (entry === undefined) continue;
            entry.isForgetting = false;
            next!.done();
            leave();
          } else {
            const entry = model[each.at % Math.max(1, model.length)];
            if (entry === undefined || entry.pending === 0) continue;
            if (each.kind === "expect") {
              line.expect(entry.sequence);
              entry.pending += 1;
            } else {
              line.resolve(entry.sequence, each.reason);
              entry.pending -= 1;
              entry.reasons.push(each.reason);
              // A refused QoS 2 message leaves when its identifier is forgotten.
              entry.isForgetting = entry.pending === 0 && entry.kind === OWES_PUBREC && worst(entry.reasons) >= 0x80;
              leave();
            }
          }
          expect(line.length).toBe(model.length);
        }
        expect(emitted).toEqual(expected);
      }),
    );
  });

  it("passes over an answer to an entry that has left", () => {
    const emitted: number[] = [];
    const line = new AcknowledgementLine(
      4,
      (_kind, packetId) => emitted.push(packetId),
      (_packetId, done) => done(),
    );
    const first = line.open(7, OWES_PUBACK);
    line.resolve(first, 0);
    line.resolve(first, 0x83);
    line.resolve(line.open(8, OWES_PUBACK), 0);
    expect(emitted).toEqual([7, 8]);
  });
});

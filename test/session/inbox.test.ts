/**
 * Goal: the inbox is a queue of positions and copies, with their bytes counted, whatever pages the copies lie in.
 * Method: random appends and removals of several inboxes (they share spare pages) beside plain arrays; the bytes are compared.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INBOX_PAGE_BYTES } from "../../src/base/limits.ts";
import { Region } from "../../src/base/region.ts";
import { IN_MEMORY, Inbox } from "../../src/session/inbox.ts";

interface Entry {
  readonly position: number;
  readonly bytes: Buffer;
  readonly flags: number;
}

const inboxes = fc.nat(2);
const step = fc.oneof(
  fc.record({
    kind: fc.constant("copy" as const),
    inbox: inboxes,
    isSparing: fc.boolean(),
    byteLength: fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: INBOX_PAGE_BYTES * 2 })),
  }),
  fc.record({ kind: fc.constant("position" as const), inbox: inboxes, position: fc.nat() }),
  fc.record({ kind: fc.constant("shed" as const), inbox: inboxes, part: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ kind: fc.constant("shift" as const), inbox: inboxes, count: fc.nat(6) }),
);

describe("inboxes", () => {
  it("are what arrays say", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const all = [new Inbox(), new Inbox(), new Inbox()];
        const models: Entry[][] = [[], [], []];
        let serial = 0;
        for (const each of steps) {
          const inbox = all[each.inbox]!;
          const model = models[each.inbox]!;
          serial += 1;
          const flags = serial % 8;
          if (each.kind === "copy") {
            const bytes = Buffer.alloc(each.byteLength, serial % 251);
            const source = Region.allocate(each.byteLength + 3);
            bytes.copy(source.bytes, 3);
            inbox.pushCopy(source, 3, each.byteLength, flags, each.isSparing);
            source.bytes.fill(0xff); // A copy does not follow its source.
            model.push({ position: IN_MEMORY, bytes, flags });
          } else if (each.kind === "position") {
            inbox.push(each.position, 10, flags);
            model.push({ position: each.position, bytes: Buffer.alloc(10), flags });
          } else if (each.kind === "shed") {
            const bytesMax = (inbox.copiedBytes * each.part) / 4;
            const lengthBefore = model.length;
            let copiedBytes = inbox.copiedBytes;
            for (let at = 0; at < model.length && copiedBytes > bytesMax; ) {
              if (model[at]!.position === IN_MEMORY) copiedBytes -= model.splice(at, 1)[0]!.bytes.length;
              else at += 1;
            }
            expect(inbox.dropCopies(bytesMax)).toBe(lengthBefore - model.length);
            expect(inbox.copiedBytes).toBe(copiedBytes);
          } else {
            for (let count = 0; count < each.count && model.length > 0; count += 1) {
              const { position, bytes, flags: known } = model.shift()!;
              expect(inbox.headPosition).toBe(position);
              expect(inbox.headFlags).toBe(known);
              const { headRegion, headOffset } = inbox;
              expect(headRegion === undefined).toBe(position !== IN_MEMORY);
              inbox.shift();
              // Read after the shift, as `pump` does.
              if (headRegion !== undefined) {
                expect(headRegion.bytes.subarray(headOffset, headOffset + bytes.length).equals(bytes)).toBe(true);
              }
            }
          }
          expect(inbox.length).toBe(model.length);
          expect(inbox.totalBytes).toBe(model.reduce((sum, { bytes }) => sum + bytes.length, 0));
        }
        for (const [number, inbox] of all.entries()) {
          const positions: number[] = [];
          for (; inbox.length > 0; inbox.shift()) positions.push(inbox.headPosition);
          expect(positions).toEqual(models[number]!.map(({ position }) => position));
        }
      }),
    );
  });

  it("are beyond their bounds by messages, or by bytes unless one message alone is", () => {
    const inbox = new Inbox();
    inbox.push(1, 500, 1);
    expect(inbox.isBeyond(1, 100)).toBe(false);
    inbox.push(2, 10, 1);
    expect(inbox.isBeyond(1, 1_000)).toBe(true);
    expect(inbox.isBeyond(2, 100)).toBe(true);
    expect(inbox.isBeyond(2, 510)).toBe(false);
  });
});

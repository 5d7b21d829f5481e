/**
 * Goal: everything one worker asks of another arrives once and whole, reserved frames in their order among themselves, messages in
 * theirs, whatever the sizes and however slowly the other drains; whoever sleeps is rung, also who was refused.
 * Method: two partners over rings of the smallest size, driven in an order drawn by fast-check, beside lists of what was asked.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Region } from "../../src/base/region.ts";
import { DETACH } from "../../src/frame/kinds.ts";
import { payloadBytesOf, payloadOffset, totalBytes } from "../../src/frame/message.ts";
import { RETAINED_MARK_BYTES } from "../../src/frame/retained-mark.ts";
import { createMesh, ringOf } from "../../src/ring/mesh.ts";
import type { PartnerHandler } from "../../src/worker/partner.ts";
import { RingPartner } from "../../src/worker/ring-partner.ts";
import { storedMessage } from "../mqtt/stored-message.ts";

type Heard = readonly [kind: string, ...values: unknown[]];

class Listener implements PartnerHandler {
  readonly messages: Heard[] = [];
  readonly reserved: Heard[] = [];
  /** Refuse so many publishes: no room in the log. */
  refusals = 0;

  onPublish(
    from: number,
    origin: number,
    sequence: number,
    flags: number,
    packetId: number,
    message: Region,
    offset: number,
  ): boolean {
    if (this.refusals > 0) {
      this.refusals -= 1;
      return false;
    }
    const end = offset + totalBytes(message, offset);
    const mark = message.bytes.subarray(end, end + packetId * RETAINED_MARK_BYTES);
    const marked = mark.length === 0 ? 0 : mark.every((byte) => byte === mark[0]) ? mark[0] : "torn";
    this.messages.push(["publish", from, origin, sequence, flags, packetId, tellingOf(message, offset), marked]);
    return true;
  }

  onStored(origin: number, sequence: number, reason: number): void {
    this.reserved.push(["stored", origin, sequence, reason]);
  }

  onDeliver(
    from: number,
    slot: number,
    generation: number,
    position: number,
    redelivered: boolean,
    message: Region,
    offset: number,
  ): void {
    this.messages.push(["deliver", from, slot, generation, position, redelivered, tellingOf(message, offset)]);
  }

  onSettle(from: number, slot: number, generation: number, position: number, accepted: boolean): void {
    this.reserved.push(["settle", from, slot, generation, position, accepted]);
  }

  onControl(from: number, kind: number, body: object): void {
    this.reserved.push(["control", from, kind, JSON.stringify(body)]);
  }
}

/** Length and a few bytes of a payload: enough to notice that one byte is another's. */
function tellingOf(message: Region, offset: number): string {
  const at = payloadOffset(message, offset);
  const bytes = message.bytes.subarray(at, at + payloadBytesOf(message, offset));
  return `${totalBytes(message, offset)}/${bytes[0] ?? "-"}/${bytes[bytes.length >> 1] ?? "-"}/${bytes.at(-1) ?? "-"}`;
}

const size = fc.oneof(
  { weight: 5, arbitrary: fc.nat(3_000) },
  { weight: 2, arbitrary: fc.nat(40_000) },
  { weight: 1, arbitrary: fc.nat(1024 * 1024) },
);
const step = fc.oneof(
  fc.record({ kind: fc.constant("publish" as const), payloadBytes: size }),
  fc.record({ kind: fc.constant("deliver" as const), payloadBytes: size }),
  fc.record({ kind: fc.constant("settle" as const), count: fc.integer({ min: 1, max: 600 }) }),
  fc.record({ kind: fc.constant("stored" as const), count: fc.integer({ min: 1, max: 600 }) }),
  fc.record({ kind: fc.constant("control" as const), textBytes: fc.oneof(fc.nat(300), fc.nat(40_000)) }),
  fc.record({ kind: fc.constant("end" as const) }),
  fc.record({ kind: fc.constant("drain" as const), frames: fc.integer({ min: 1, max: 200 }), refusals: fc.nat(2) }),
);

describe("a partner by ring", () => {
  it("shows what it announces at once, and rings at the end of the turn", () => {
    const mesh = createMesh(2, 0);
    const heard = new Listener();
    const nobody = { ring: () => expect.unreachable("nobody has sent to this one") };
    let rung = 0;
    const bell = { ring: () => (rung += 1) };
    const speaker = new RingPartner(1, new Listener(), ringOf(mesh, 0, 1), ringOf(mesh, 1, 0), bell, 1_000);
    const hearer = new RingPartner(0, heard, ringOf(mesh, 1, 0), ringOf(mesh, 0, 1), nobody, 1_000);
    expect(hearer.armSleep()).toBe(true);
    const before = hearer.shown;
    speaker.control(DETACH, { slot: 7 });
    expect([hearer.shown > before, hearer.hasTaken(hearer.shown), rung]).toEqual([true, false, 0]);
    speaker.endTurn();
    expect(rung).toBe(1);
    hearer.wake();
    hearer.drain(10);
    expect(heard.reserved).toEqual([["control", 0, DETACH, JSON.stringify({ slot: 7 })]]);
    expect(hearer.hasTaken(hearer.shown)).toBe(true);
  });

  it("hears what was said, in order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const mesh = createMesh(2, 0);
        const listener = new Listener();
        const silent = new Listener();
        const bells = { sender: 0, receiver: 0 };
        const max = 2 * 1024 * 1024;
        const [there, back] = [ringOf(mesh, 0, 1), ringOf(mesh, 1, 0)];
        const sender = new RingPartner(1, silent, there, back, { ring: () => (bells.receiver += 1) }, max);
        const receiver = new RingPartner(0, listener, back, there, { ring: () => (bells.sender += 1) }, max);
        const messages: Heard[] = [];
        const reserved: Heard[] = [];
        const refused: { kind: "publish" | "deliver"; serial: number; payloadBytes: number }[] = [];
        const trySend = (kind: "publish" | "deliver", number: number, payloadBytes: number): boolean => {
          const message = storedMessage("t", Buffer.alloc(0), Buffer.alloc(payloadBytes, number), 8);
          const bytes = totalBytes(message, 8);
          if (kind === "publish") {
            const mark = number % 3 === 0 ? Region.allocate(RETAINED_MARK_BYTES) : undefined;
            mark?.bytes.fill(number);
            if (!sender.hasRoom(bytes + RETAINED_MARK_BYTES)) return false;
            const isMarked = mark === undefined ? 0 : 1;
            sender.publish(number, number + 1, 3, isMarked, message, 8, bytes, mark);
            messages.push([
              "publish",
              0,
              number,
              number + 1,
              3,
              isMarked,
              tellingOf(message, 8),
              number & (255 * isMarked),
            ]);
            return true;
          }
          const position = number * 2 ** 30;
          if (!sender.deliver(number, 2, position, number % 2 === 0, message, 8, bytes)) return false;
          messages.push(["deliver", 0, number, 2, position, number % 2 === 0, tellingOf(message, 8)]);
          return true;
        };
        let serial = 0;
        for (const each of steps) {
          serial += 1;
          if (each.kind === "publish" || each.kind === "deliver") {
            const { kind, payloadBytes } = each;
            if (!trySend(kind, serial, payloadBytes)) refused.push({ kind, serial, payloadBytes });
          } else if (each.kind === "settle") {
            for (let count = 0; count < each.count; count += 1) {
              sender.settle(serial, count, count * 2 ** 21, count % 3 === 0);
              reserved.push(["settle", 0, serial, count, count * 2 ** 21, count % 3 === 0]);
            }
          } else if (each.kind === "stored") {
            for (let count = 0; count < each.count; count += 1) {
              sender.stored(serial, count, 0x83);
              reserved.push(["stored", serial, count, 0x83]);
            }
          } else if (each.kind === "control") {
            const body = { serial, text: "x".repeat(each.textBytes) };
            sender.control(DETACH, body);
            reserved.push(["control", 0, DETACH, JSON.stringify(body)]);
          } else if (each.kind === "end") {
            sender.endTurn();
          } else {
            listener.refusals = each.refusals;
            receiver.drain(each.frames);
            receiver.endTurn();
          }
        }
        // To the end, and by the bells alone: each side sleeps unless it has something to do. What was refused is tried again.
        listener.refusals = 0;
        let isSenderAwake = true;
        let isReceiverAwake = true;
        for (let rounds = 0; isSenderAwake || isReceiverAwake; rounds += 1) {
          expect(rounds).toBeLessThan(10_000);
          const before = { ...bells };
          if (isSenderAwake) {
            sender.wake();
            sender.drain(256);
            for (let first = refused[0]; first !== undefined; first = refused[0]) {
              if (!trySend(first.kind, first.serial, first.payloadBytes)) break;
              refused.shift();
            }
            sender.endTurn();
            isSenderAwake = sender.awaitSpace() || !sender.armSleep();
          }
          if (isReceiverAwake) {
            receiver.wake();
            const taken = receiver.drain(64);
            receiver.endTurn();
            isReceiverAwake = taken > 0 || receiver.awaitSpace() || !receiver.armSleep();
          }
          if (bells.sender > before.sender) isSenderAwake = true;
          if (bells.receiver > before.receiver) isReceiverAwake = true;
        }
        expect(refused).toEqual([]);
        expect(listener.messages).toEqual(messages);
        expect(listener.reserved).toEqual(reserved);
      }),
      { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 500 : 60 },
    );
  });
});

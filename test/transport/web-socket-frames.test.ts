/**
 * Goal: whatever frames a client sends, cut wherever the network cuts them, their payload comes out byte for byte, pings are heard, and what
 * RFC 6455 forbids is answered with its code; a reader can go on where another one stopped.
 * Method: random messages framed by the ws library, read in random pieces, by a new reader with the state of the last one now and then; a
 * table of bad frames; what the broker frames is read by the ws library.
 */
import type { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as ws from "ws";
import { binaryFrame, closeFrame, FIRST_FRAME, FrameReader, pongFrame } from "../../src/transport/web-socket-frames.ts";

/** The types of the library do not know it. */
const { Sender } = ws as unknown as {
  Sender: { frame(data: Buffer, options: Record<string, unknown>): Buffer[] };
};

const BINARY = 2;
const PING = 9;
const PONG = 10;
const CLOSE = 8;

/** A client's frame, masked at random. */
function frame(opcode: number, payload: Buffer, fin = true): Buffer {
  const options = { fin, opcode, mask: true, readOnly: true, rsv1: false };
  return Buffer.concat(Sender.frame(Buffer.from(payload), options));
}

/** Reads `bytes` in pieces of these lengths, each by a new reader where `moves` says so. */
function readAll(bytes: Buffer, cuts: readonly number[], moves: readonly boolean[] = []) {
  const pings: string[] = [];
  const payload: Buffer[] = [];
  const open = (state = FIRST_FRAME) => new FrameReader((ping) => pings.push(Buffer.from(ping).toString("hex")), state);
  let reader = open();
  let at = 0;
  for (let piece = 0; at < bytes.length; piece += 1) {
    const length = Math.min(cuts.length === 0 ? bytes.length : cuts[piece % cuts.length]!, bytes.length - at);
    const view = Buffer.from(bytes.subarray(at, at + length));
    const taken = reader.read(new DataView(view.buffer, view.byteOffset, length), length);
    payload.push(Buffer.from(view.subarray(0, taken)));
    at += length;
    if (moves[piece % moves.length] === true) reader = open(structuredClone(reader.state));
  }
  return { payload: Buffer.concat(payload), pings, closeCode: reader.closeCode };
}

const messages = fc.array(
  fc.record({
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 125, maxLength: 128 }),
      fc.constant(new Uint8Array(70_000).map((_, index) => index * 7)),
    ),
    fragments: fc.integer({ min: 1, max: 4 }),
    ping: fc.option(fc.uint8Array({ maxLength: 125 })),
    pong: fc.boolean(),
  }),
  { maxLength: 6 },
);

describe("frames of a client", () => {
  test("come out as they went in, cut anywhere, also with a new reader for the rest", () => {
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), {
      maxLength: 8,
    });
    const moves = fc.array(fc.boolean(), { maxLength: 5 });
    fc.assert(
      fc.property(messages, cuts, moves, (sent, cut, moved) => {
        const frames: Buffer[] = [];
        for (const { payload, fragments, ping, pong } of sent) {
          const part = Math.ceil(payload.length / fragments);
          for (let index = 0; index < fragments; index += 1) {
            const bytes = Buffer.from(payload.subarray(index * part, (index + 1) * part));
            frames.push(frame(index === 0 ? BINARY : 0, bytes, index === fragments - 1));
            if (ping !== null) frames.push(frame(PING, Buffer.from(ping))); // Also between fragments.
            if (pong) frames.push(frame(PONG, Buffer.from("unasked")));
          }
        }
        const read = readAll(Buffer.concat(frames), cut, moved);
        expect(read.payload.equals(Buffer.concat(sent.map(({ payload }) => payload)))).toBe(true);
        const pings = sent.flatMap(({ ping, fragments }) =>
          ping === null ? [] : Array.from({ length: fragments }, () => Buffer.from(ping).toString("hex")),
        );
        expect([read.pings, read.closeCode]).toEqual([pings, 0]);
      }),
      { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 2_000 : 150 },
    );
  });

  const data = frame(BINARY, Buffer.from("data"));
  const begun = frame(BINARY, Buffer.from("data"), false);
  const close = (...payload: number[]) => frame(CLOSE, Buffer.from(payload));
  const header = (...bytes: number[]) => Buffer.of(...bytes);
  test.each([
    ["a close without a code", close(), 1000],
    ["a close with a code", close(0x03, 0xe9), 1001],
    ["a close with a code of an application, and a reason", close(0x0f, 0xa1, 0x62, 0x79, 0x65), 4001],
    ["a close with half a code", close(3), 1002],
    ["a close with a code that is for nobody", close(0x03, 0xed), 1002],
    ["a close with a code below 1000", close(0x03, 0xe7), 1002],
    ["a close with a code of nobody yet", close(0x07, 0xd0), 1002],
    ["a close with a reason that is not UTF-8", close(0x03, 0xe8, 0xff), 1007],
    ["text", frame(1, Buffer.from("text")), 1003],
    ["an empty text", frame(1, Buffer.alloc(0)), 1003],
    ["text within a message", Buffer.concat([begun, frame(1, Buffer.from("text"))]), 1002],
    ["a message within a message", Buffer.concat([begun, data]), 1002],
    ["a fragment of nothing", frame(0, Buffer.from("data")), 1002],
    ["a frame without a mask", header(0x82, 4, 1, 2, 3, 4), 1002],
    ["a control frame without a mask", header(0x89, 0), 1002],
    ["a compressed frame", header(0xc2, 0x80, 0, 0, 0, 0), 1002],
    ["another reserved bit", header(0x92, 0x80, 0, 0, 0, 0), 1002],
    ["an opcode of nobody", header(0x83, 0x80, 0, 0, 0, 0), 1002],
    ["a control opcode of nobody", header(0x8b, 0x80, 0, 0, 0, 0), 1002],
    ["a ping in fragments", header(0x09, 0x80, 0, 0, 0, 0), 1002],
    ["a ping of 126 bytes", header(0x89, 0xfe, 0, 126, 0, 0, 0, 0), 1002],
    ["a length beyond 2^53", header(0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1009],
    ["a length with its highest bit", header(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1009],
  ] as const)("%s", (_name, bytes, code) => {
    const before = frame(BINARY, Buffer.from("before"));
    const isFragment = bytes.includes(begun);
    for (const cuts of [[], [1], [3, 2]]) {
      const read = readAll(Buffer.concat([before, bytes, data, close()]), cuts, [true, false]);
      expect([read.payload.toString(), read.closeCode]).toEqual([isFragment ? "beforedata" : "before", code]);
    }
  });
});

test("two bytes are enough to see that it is no frame", () => {
  for (const bytes of [Buffer.of(0x83, 0x80), Buffer.of(0xc2, 0x83), Buffer.of(0x82, 4), Buffer.of(0x89, 0xfe)]) {
    expect(readAll(bytes, [1]).closeCode).toBe(1002);
  }
  expect(readAll(Buffer.of(0x81, 0x84), []).closeCode).toBe(1003);
  expect(readAll(Buffer.of(0x82, 0xff), []).closeCode).toBe(0);
});

test("frames of the broker are read by others", async () => {
  const { Receiver } = ws as unknown as { Receiver: new (options: object) => PassThrough };
  const receiver = new Receiver({ isServer: false, maxPayload: 0 });
  const heard: unknown[] = [];
  receiver.on("message", (bytes: Buffer, isBinary: boolean) => heard.push([bytes.length, isBinary]));
  receiver.on("pong", (bytes: Buffer) => heard.push(bytes.toString()));
  receiver.on("conclude", (code: number) => heard.push(code));
  const lengths = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];
  for (const length of lengths) receiver.write(binaryFrame(Buffer.alloc(length)));
  receiver.write(pongFrame(Buffer.from("here")));
  await new Promise((resolve) => receiver.end(closeFrame(1001), () => resolve(null)));
  expect(heard).toEqual([...lengths.map((length) => [length, true]), "here", 1001]);
});

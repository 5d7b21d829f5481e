/**
 * Goal: whatever way a stream of packets is cut into reads, and wherever the reader pauses, it gets exactly those packets
 * in order, and nothing stays held afterwards.
 * Method: property test against the list of packets itself; a "read" copies bytes to where a socket would put them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { READ_BUFFER_BYTES, READ_HEADROOM_BYTES } from "../../src/base/limits.ts";
import type { Region } from "../../src/base/region.ts";
import { PacketInput, type PacketReader } from "../../src/transport/packet-input.ts";
import { ReadBuffer } from "../../src/transport/read-buffer.ts";
import { numberedPacket, packetOf, size } from "./fixture.ts";

class Reader implements PacketReader {
  readonly packets: Buffer[] = [];
  readonly faults: number[] = [];
  onEach: () => void = () => {};

  onPacket(region: Region, start: number, end: number): void {
    this.packets.push(Buffer.from(region.bytes.subarray(start, end)));
    this.onEach();
  }
  onFault(reasonCode: number): void {
    this.faults.push(reasonCode);
  }
}

function inputOf(packetBytesMax = 1024 * 1024, budgetBytes?: number) {
  return inputOn(new ReadBuffer(() => {}, budgetBytes), packetBytesMax);
}

function inputOn(readBuffer: ReadBuffer, packetBytesMax: number) {
  const input = new PacketInput(readBuffer, packetBytesMax);
  const reader = new Reader();
  const read = (bytes: Buffer) => {
    bytes.copy(readBuffer.socketBytes);
    input.receive(bytes.length);
    readBuffer.region.bytes.fill(0xee); // The next read of another socket overwrites all of it.
  };
  return { readBuffer, input, reader, read };
}

const packetSizes = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 4, max: 300 }) },
    { weight: 2, arbitrary: fc.integer({ min: READ_HEADROOM_BYTES - 20, max: READ_HEADROOM_BYTES + 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 5_000, max: 200_000 }) },
  ),
  { minLength: 1, maxLength: 30 },
);
const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9_000 }), fc.constant(READ_BUFFER_BYTES)),
  { minLength: 1, maxLength: 50 },
);

describe("packet input", () => {
  test("gives the same packets however they are cut and whenever it is paused", () => {
    fc.assert(
      fc.property(
        packetSizes,
        cuts,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.nat(),
        (sizes, parts, pauses, headShare) => {
          const packets = sizes.map((byteLength, number) => numberedPacket(number, byteLength));
          const stream = Buffer.concat(packets);
          const { readBuffer, input, reader, read } = inputOf();
          let turn = 0;
          reader.onEach = () => {
            if (pauses[turn++ % pauses.length]) input.pause();
          };
          let at = headShare % (stream.length + 1);
          input.start(reader, Uint8Array.from(stream.subarray(0, at)));
          for (let round = 0; at < stream.length; round += 1) {
            while (input.isPaused) input.resume(); // A paused connection reads nothing.
            const part = Math.min(parts[round % parts.length]!, READ_BUFFER_BYTES);
            read(stream.subarray(at, at + part));
            at += part;
          }
          while (input.isPaused) input.resume();

          expect(reader.faults).toEqual([]);
          expect(reader.packets.length).toBe(packets.length);
          for (const [index, packet] of packets.entries()) expect(reader.packets[index]!.equals(packet)).toBe(true);
          expect(input.waitingBytes).toBe(0);
          expect(readBuffer.heldBytes).toBe(0);
        },
      ),
      { numRuns: 150 * size },
    );
  });

  test("takes a stream cut at every single byte", () => {
    const packets = [5, 127, 128, 4_090, 4_100, 9_000].map((byteLength, number) => numberedPacket(number, byteLength));
    const stream = Buffer.concat(packets);
    for (let cut = 1; cut < stream.length; cut += cut < 600 ? 1 : 37) {
      const { input, reader, read } = inputOf();
      input.start(reader, new Uint8Array(0));
      read(stream.subarray(0, cut));
      read(stream.subarray(cut));
      expect(Buffer.concat(reader.packets).equals(stream), `cut at ${cut}`).toBe(true);
      expect(input.waitingBytes).toBe(0);
    }
  });

  test("a pause taken back within the same packet goes on by itself", () => {
    const { input, reader, read } = inputOf();
    input.start(reader, new Uint8Array(0));
    reader.onEach = () => {
      input.pause();
      input.resume();
    };
    read(Buffer.concat([numberedPacket(0, 10), numberedPacket(1, 10)]));
    expect(reader.packets.length).toBe(2);
  });

  test("names a malformed length and a packet that is too large before it is there, once, and holds nothing", () => {
    for (const [bytes, reasonCode] of [
      [Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 1), 0x81],
      [packetOf(0x30, Buffer.alloc(1_001)).subarray(0, 3), 0x95],
    ] as const) {
      const { readBuffer, input, reader, read } = inputOf(1_003);
      input.start(reader, new Uint8Array(0));
      read(Buffer.concat([numberedPacket(0, 8), bytes]));
      read(numberedPacket(1, 8));
      expect(reader.packets.length).toBe(1);
      expect(reader.faults).toEqual([reasonCode]);
      expect(readBuffer.heldBytes).toBe(0);
    }
  });

  test("holds memory by what came, not by what a length promises, and never beyond the thread's budget", () => {
    const { readBuffer, input, reader, read } = inputOf(8 * 1024 * 1024, 256 * 1024);
    input.start(reader, new Uint8Array(0));
    const packet = numberedPacket(0, 6 * 1024 * 1024);
    read(packet.subarray(0, 10_000));
    expect(readBuffer.heldBytes).toBeLessThanOrEqual(20_000);
    for (let at = 10_000; reader.faults.length === 0 && at < packet.length; at += READ_BUFFER_BYTES) {
      read(packet.subarray(at, at + READ_BUFFER_BYTES));
      expect(readBuffer.heldBytes).toBeLessThanOrEqual(256 * 1024);
    }
    expect(reader.faults).toEqual([0x97]);
    expect(readBuffer.heldBytes).toBe(0);
  });

  test("when the budget is used up, the packet that has been unfinished for longest makes room, but not one that we do not read", () => {
    const budget = new ReadBuffer(() => {}, 200 * 1024);
    const [paused, oldest, second, asker] = Array.from({ length: 4 }, () => inputOn(budget, 1024 * 1024));
    for (const { input, reader } of [paused!, oldest!, second!, asker!]) input.start(reader, new Uint8Array(0));
    paused!.reader.onEach = () => paused!.input.pause();
    paused!.read(Buffer.concat([numberedPacket(0, 8), numberedPacket(1, 50_000)]));
    for (const { read } of [oldest!, second!]) read(numberedPacket(2, 500_000).subarray(0, 60_000));
    asker!.read(numberedPacket(3, 500_000).subarray(0, 60_000));
    expect([paused!, oldest!, second!, asker!].map(({ reader }) => reader.faults)).toEqual([[], [0x97], [], []]);
    expect(budget.heldBytes).toBeLessThanOrEqual(200 * 1024);
    paused!.reader.onEach = () => {};
    paused!.input.resume();
    expect(paused!.reader.packets.length).toBe(2);
    for (const { input } of [paused!, second!, asker!]) input.stop();
    expect(budget.heldBytes).toBe(0);
  });

  test("who sends nothing more of a packet is given up in time, who sends a little is not", () => {
    const { readBuffer, input, reader, read } = inputOf();
    input.start(reader, new Uint8Array(0));
    const packet = numberedPacket(0, 10_000);
    read(packet.subarray(0, 10));
    for (const [at, nowMs] of [0, 900, 1_800].entries()) {
      readBuffer.endStalled(nowMs, 1_000);
      read(packet.subarray(10 + at, 11 + at));
    }
    readBuffer.endStalled(2_000, 1_000);
    readBuffer.endStalled(2_999, 1_000);
    expect(reader.faults).toEqual([]);
    readBuffer.endStalled(3_000, 1_000);
    expect([reader.faults, readBuffer.heldBytes]).toEqual([[0x97], 0]);
    readBuffer.endStalled(9_000, 1_000);
    expect(reader.faults).toEqual([0x97]);
  });

  test("with room, a packet may come as slowly as it likes: 100 kB at 1 kB a second", () => {
    const { readBuffer, input, reader, read } = inputOf();
    input.start(reader, new Uint8Array(0));
    const packet = numberedPacket(0, 100_000);
    for (let at = 0, nowMs = 0; at < packet.length; at += 100, nowMs += 100) {
      read(packet.subarray(at, at + 100));
      readBuffer.endSlow(nowMs);
      readBuffer.endStalled(nowMs, 60_000);
    }
    expect([reader.faults, reader.packets.length]).toEqual([[], 1]);
  });

  test("when more than half of the budget is in use, who holds much and sends little is given up, the dearest first", () => {
    const budget = new ReadBuffer(() => {}, 3 * 1024 * 1024);
    const inputs = Array.from({ length: 6 }, () => inputOn(budget, 1024 * 1024));
    const [paused, fast, little, ...tricklers] = inputs;
    const packet = numberedPacket(0, 1_000_000);
    for (const { input, reader } of inputs) input.start(reader, new Uint8Array(0));
    paused!.reader.onEach = () => paused!.input.pause();
    paused!.read(Buffer.concat([numberedPacket(1, 8), packet.subarray(0, 60_000)]));
    little!.read(packet.subarray(0, 3_000));
    for (const { read } of tricklers) {
      for (let at = 0; at < 500_000; at += 50_000) read(packet.subarray(at, at + 50_000));
    }
    expect(budget.heldBytes).toBeGreaterThan(1.5 * 1024 * 1024);
    let cutOff = 0;
    let fastBytes = 0;
    for (let nowMs = 0; nowMs <= 6_000; nowMs += 100) {
      const each = Math.min(nowMs < 2_000 ? 5_000 : 10_000, packet.length - fastBytes);
      fast!.read(packet.subarray(fastBytes, fastBytes + each));
      fastBytes += each;
      for (const { input, read } of tricklers) if (!input.isStopped) read(Buffer.of(0));
      if (nowMs % 1_000 === 0) little!.read(Buffer.alloc(500));
      cutOff += budget.endSlow(nowMs);
      if (nowMs < 2_000) expect(cutOff).toBe(0); // Too early to say how fast they are.
    }
    expect(tricklers.map(({ reader }) => reader.faults)).toEqual([[0x97], [0x97], []]);
    expect([cutOff, fast!.reader.faults, little!.reader.faults, paused!.reader.faults]).toEqual([2, [], [], []]);
  });

  test("stopping in the middle of a read delivers nothing more", () => {
    const { readBuffer, input, reader, read } = inputOf();
    input.start(reader, new Uint8Array(0));
    reader.onEach = () => input.stop();
    read(Buffer.concat([numberedPacket(0, 8), numberedPacket(1, 8), numberedPacket(2, 8).subarray(0, 5)]));
    read(numberedPacket(3, 8));
    expect(reader.packets.length).toBe(1);
    expect(readBuffer.heldBytes).toBe(0);
  });
});

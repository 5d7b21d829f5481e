/**
 * Goal: a connection keeps the order and the bytes both ways, pauses in the middle of a read, tells of completed writes,
 * ends cleanly, and cuts off a peer that does not read while others do not notice.
 * Method: real sockets on loopback; acceptor and connections on the test's thread.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OUTPUT_CONNECTION_BYTES_MAX, OUTPUT_HIGH_BYTES } from "../../src/base/limits.ts";
import type { Connection } from "../../src/transport/connection.ts";
import { Bench, collect, connectPacket, numberedPacket, pause, Recorder, size, until, write } from "./fixture.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.start();
});
afterEach(async () => {
  await bench.stop();
});

const streamOf = (count: number, byteLength: (number: number) => number): Buffer[] =>
  Array.from({ length: count }, (_, number) => numberedPacket(number, byteLength(number)));

describe("reading", () => {
  test("delivers 400 kB sent right behind CONNECT intact", async () => {
    for (let round = 0; round < 20 * size; round += 1) {
      const packets = [connectPacket("c"), ...streamOf(400, (number) => 900 + (number % 200))];
      const { recorder } = await bench.pair(Buffer.concat(packets));
      await until(() => recorder.packets.length >= packets.length);
      expect(Buffer.concat(recorder.packets).equals(Buffer.concat(packets))).toBe(true);
    }
  });

  test("delivers packets of 1 MiB between small ones", async () => {
    const { client, connection, recorder } = await bench.pair();
    connection.packetBytesMax = 1_048_576 + 10;
    const packets = streamOf(8, (number) => (number % 2 === 0 ? 1_048_576 : 20));
    client.write(Buffer.concat(packets));
    await until(() => recorder.packets.length === 9);
    expect(Buffer.concat(recorder.packets.slice(1)).equals(Buffer.concat(packets))).toBe(true);
    expect(bench.transport.readBuffer.heldBytes).toBe(0);
  });

  test("a client that dribbles a byte at a time is understood, others in between too", async () => {
    const slow = await bench.pair();
    const fast = await bench.pair();
    slow.client.setNoDelay(true);
    const packet = numberedPacket(7, 300);
    for (const byte of packet) {
      slow.client.write(Buffer.of(byte));
      fast.client.write(numberedPacket(byte, 50));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => slow.recorder.packets.length === 2 && fast.recorder.packets.length === packet.length + 1);
    expect(slow.recorder.packets[1]!.equals(packet)).toBe(true);
  });

  test("a pause in the middle of a read stops at that packet; resuming goes on with the next, nothing lost or doubled", async () => {
    const { client, connection, recorder } = await bench.pair();
    recorder.onEach = (packet) => {
      if (packet.readUInt32BE(3) % 37 === 0) connection.pauseReading();
    };
    const packets = streamOf(2_000, (number) => 200 + (number % 50));
    client.write(Buffer.concat(packets));
    let pauses = 0;
    while (recorder.packets.length < 2_001) {
      await until(() => connection.isReadingPaused || recorder.packets.length === 2_001);
      if (!connection.isReadingPaused) break;
      const seen = recorder.packets.length;
      if (pauses++ % 10 === 0) await pause(1);
      expect(recorder.packets.length).toBe(seen);
      connection.resumeReading();
    }
    expect(pauses).toBeGreaterThan(50);
    expect(Buffer.concat(recorder.packets.slice(1)).equals(Buffer.concat(packets))).toBe(true);
  });

  test("a paused reader pushes back: the client's send buffer fills and stays full until it resumes", async () => {
    const { client, connection, recorder } = await bench.pair();
    connection.pauseReading();
    const packets = streamOf(16_000, () => 1_000);
    client.write(Buffer.concat(packets));
    await pause(50);
    expect(recorder.packets.length).toBe(1);
    expect(client.writableLength).toBeGreaterThan(0);
    connection.resumeReading();
    await until(() => recorder.packets.length === packets.length + 1);
  });

  test("a framing fault is told once; the answer still goes out, then FIN", async () => {
    const { client, connection, recorder } = await bench.pair();
    const seen = collect(client);
    client.write(Buffer.concat([Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x7f), numberedPacket(1, 10)]));
    await until(() => recorder.faults.length > 0);
    write(connection, Buffer.of(0xe0, 1, 0x81));
    connection.end();
    await until(() => seen.ended);
    client.end();
    await until(() => recorder.closed.length > 0);
    expect(seen.bytes()).toEqual(Buffer.of(0xe0, 1, 0x81));
    expect(recorder.faults).toEqual([0x81]);
    expect(recorder.packets.length).toBe(1);
    expect(recorder.closed).toEqual(["local"]);
  });

  test("ends and resets of the peer are ordinary closes, each told once", async () => {
    const ended = await bench.pair();
    const reset = await bench.pair();
    ended.client.end();
    reset.client.resetAndDestroy();
    await until(() => ended.recorder.closed.length + reset.recorder.closed.length === 2);
    await pause(10);
    expect(ended.recorder.closed).toEqual(["peer"]);
    expect(reset.recorder.closed).toEqual(["peer"]);
    expect(bench.transport.connectionCount).toBe(0);
  });

  test("a peer that resets before its connection is opened here is an ordinary close", async () => {
    const client = await bench.dial();
    client.write(connectPacket("c"));
    await until(() => bench.arrived.length === 1);
    client.resetAndDestroy();
    await pause(10);
    const connection = bench.transport.open(bench.arrived[0]!);
    const recorder = new Recorder();
    connection.start(recorder);
    await until(() => recorder.closed.length > 0);
    expect(recorder.packets.length).toBe(1);
    expect(recorder.closed).toEqual(["peer"]);
  });

  test("what came before the peer's FIN is delivered and its answer sent", async () => {
    const { client, connection, recorder } = await bench.pair();
    const seen = collect(client);
    recorder.onEach = (packet) => write(connection, packet);
    client.end(numberedPacket(3, 100));
    await until(() => seen.ended);
    expect(seen.bytes().equals(numberedPacket(3, 100))).toBe(true);
    await until(() => recorder.closed.length > 0);
  });
});

describe("writing", () => {
  test("keeps the order of small, chunk-sized and larger packets and counts them", async () => {
    const { client, connection } = await bench.pair();
    const seen = collect(client);
    const packets = streamOf(3_000, (number) => [20, 300, 16_380, 40_000, 5][number % 5]! + (number % 7));
    let total = 0;
    for (const [index, packet] of packets.entries()) {
      write(connection, packet);
      total += packet.length;
      expect(connection.bytesReserved).toBe(total);
      if (index % 40 === 39) await new Promise((resolve) => setImmediate(resolve));
      while (!connection.isWritable) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => seen.byteLength() >= total);
    expect(seen.bytes().equals(Buffer.concat(packets))).toBe(true);
    await until(() => connection.bytesWritten === total);
    expect(connection.queuedBytes).toBe(0);
    expect(bench.transport.outputs.arena.usedBytes).toBe(0);
  });

  test("tells when a mark is written, also when it already was, and only when the kernel has it", async () => {
    const { client, connection, recorder } = await bench.pair();
    write(connection, numberedPacket(0, 100));
    const mark = connection.bytesReserved;
    connection.watchWritten(mark);
    expect(recorder.written).toBe(0);
    await until(() => recorder.written === 1);
    expect(connection.bytesWritten).toBe(mark);
    connection.watchWritten(mark);
    await until(() => recorder.written === 2);

    client.pause();
    fillKernel(connection, recorder);
    await pause(20);
    const later = connection.bytesReserved;
    expect(connection.bytesWritten).toBeLessThan(later);
    connection.watchWritten(later);
    await pause(20);
    expect(recorder.written).toBe(2);
    client.resume();
    await until(() => recorder.written === 3);
    expect(connection.bytesWritten).toBe(later);
  });

  test("a session that writes only while writable is told when to go on, and everything arrives", async () => {
    const { client, connection, recorder } = await bench.pair();
    const packets = streamOf(10_000, () => 1_000);
    let next = 0;
    let mostQueued = 0;
    const pump = () => {
      while (next < packets.length && connection.isWritable) {
        write(connection, packets[next]!);
        next += 1;
        mostQueued = Math.max(mostQueued, connection.queuedBytes);
      }
    };
    recorder.onDrainedDo = pump;
    client.pause();
    pump();
    await pause(30);
    expect(next).toBeLessThan(packets.length);
    const seen = collect(client);
    client.resume();
    await until(() => seen.byteLength() === Buffer.concat(packets).length);
    expect(seen.bytes().equals(Buffer.concat(packets))).toBe(true);
    expect(mostQueued).toBeLessThanOrEqual(OUTPUT_HIGH_BYTES + 1_010);
    expect(recorder.drained).toBeGreaterThan(1);
  });

  test("a peer that never reads is cut off at the bound; another gets every byte meanwhile", async () => {
    const stuck = await bench.pair();
    const good = await bench.pair();
    stuck.client.pause();
    const seen = collect(good.client);
    const expected: Buffer[] = [];
    let mostQueued = 0;
    for (let number = 0; stuck.recorder.closed.length === 0; number += 1) {
      const packet = numberedPacket(number, 3_000);
      write(stuck.connection, packet);
      if (stuck.connection.isOpen) mostQueued = Math.max(mostQueued, stuck.connection.queuedBytes);
      if (number % 10 === 0) {
        write(good.connection, packet);
        expected.push(packet);
      }
      if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(number).toBeLessThan(100_000);
    }
    expect(stuck.recorder.closed).toEqual(["slowReader"]);
    expect(mostQueued).toBeGreaterThan(OUTPUT_CONNECTION_BYTES_MAX);
    expect(mostQueued).toBeLessThan(OUTPUT_CONNECTION_BYTES_MAX + 16_384);
    await until(() => seen.byteLength() === Buffer.concat(expected).length);
    expect(seen.bytes().equals(Buffer.concat(expected))).toBe(true);
    await until(() => bench.transport.outputs.arena.usedBytes === 0);
  });

  test("when the budget of the thread is used up, the largest holder goes and the others stay", async () => {
    await bench.stop();
    bench = await Bench.start({ transport: { outputBudgetBytes: 2 * 1024 * 1024 } });
    const pairs = [];
    for (let index = 0; index < 5; index += 1) pairs.push(await bench.pair());
    for (const { client } of pairs) client.pause();
    const [big, ...others] = pairs;
    fillKernel(big!.connection, big!.recorder);
    for (let number = 0; number < 50_000 && big!.recorder.closed.length === 0; number += 1) {
      write(big!.connection, numberedPacket(number, 1_000));
      if (number % 3 === 0) write(others[number % 4]!.connection, numberedPacket(number, 1_000));
      if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => big!.recorder.closed.length > 0);
    expect(big!.recorder.closed).toEqual(["memory"]);
    for (const { connection } of others) expect(connection.isOpen).toBe(true);
  });

  test("when more than half of the budget is in use, who reads nothing of much is cut off, who reads and who holds little is not", async () => {
    await bench.stop();
    bench = await Bench.start({ transport: { outputBudgetBytes: 8 * 1024 * 1024 } });
    const [stuck, sipping, little, reading] = [
      await bench.pair(),
      await bench.pair(),
      await bench.pair(),
      await bench.pair(),
    ];
    const { transport } = bench;
    const seen = collect(reading.client);
    for (const { client, connection, recorder } of [stuck, sipping, little]) {
      client.pause();
      fillKernel(connection, recorder);
    }
    const packet = numberedPacket(1, 1_000_000);
    write(little.connection, numberedPacket(1, 1_000));
    transport.flush();
    for (const nowMs of [0, 2_000, 4_000, 8_000, 16_000]) transport.endSlow(nowMs);
    expect([stuck, sipping, little].every(({ connection }) => connection.isOpen)).toBe(true); // There is room.

    for (const { connection } of [stuck, sipping]) write(connection, packet);
    write(reading.connection, packet);
    transport.flush();
    await until(() => seen.byteLength() >= packet.length);
    // Time passes for the test alone: in two seconds `sipping` takes more than a fifth of what it holds, `stuck` nothing.
    const before = sipping.connection.bytesWritten;
    sipping.client.resume();
    await until(() => sipping.connection.bytesWritten > before || sipping.connection.queuedBytes === 0);
    sipping.client.pause();
    while (!transport.outputs.arena.isTight) write(stuck.connection, numberedPacket(1, 100_000));
    expect(transport.endSlow(18_000)).toBe(1);
    await until(() => stuck.recorder.closed.length > 0);
    expect(stuck.recorder.closed).toEqual(["memory"]);
    expect([sipping, little, reading].map(({ recorder }) => recorder.closed)).toEqual([[], [], []]);
  });

  test("sessions that write only while writable never use the budget up, however many peers are stuck", async () => {
    await bench.stop();
    const outputBudgetBytes = 4 * 1024 * 1024;
    bench = await Bench.start({ transport: { outputBudgetBytes } });
    const pairs = [];
    for (let index = 0; index < 20; index += 1) pairs.push(await bench.pair());
    const { arena } = bench.transport.outputs;
    const packet = numberedPacket(0, 5_000);
    let mostUsed = 0;
    for (const { client, connection } of pairs) {
      client.pause();
      while (connection.isWritable) {
        write(connection, packet);
        mostUsed = Math.max(mostUsed, arena.usedBytes);
        if (connection.queuedBytes > 14_000) bench.transport.flush();
      }
    }
    expect(mostUsed).toBeGreaterThan(outputBudgetBytes / 2);
    expect(mostUsed).toBeLessThan(outputBudgetBytes);
    for (const { connection } of pairs) expect(connection.isOpen).toBe(true);
  });

  test("what is reserved after the end goes nowhere and harms nobody", async () => {
    const { client, connection, recorder } = await bench.pair();
    const seen = collect(client);
    write(connection, numberedPacket(1, 50));
    connection.end();
    connection.end();
    write(connection, numberedPacket(2, 50));
    write(connection, numberedPacket(2, 200_000));
    await until(() => seen.ended);
    expect(seen.bytes().equals(numberedPacket(1, 50))).toBe(true);
    expect(connection.isOpen).toBe(false);
    expect(connection.isWritable).toBe(false);
    expect(connection.bytesWritten).toBe(numberedPacket(1, 50).length);
    expect(connection.bytesReserved).toBeGreaterThan(200_100); // So that nothing behind the end passes for written.
    client.destroy();
    await until(() => recorder.closed.length > 0);
    write(connection, numberedPacket(3, 50));
    expect(recorder.closed).toEqual(["local"]);
    expect(bench.transport.outputs.arena.usedBytes).toBe(0);
  });

  test("an end to a peer that reads nothing is over at the deadline", async () => {
    const { client, connection, recorder } = await bench.pair();
    client.pause();
    fillKernel(connection, recorder);
    await pause(10);
    connection.end();
    await until(() => recorder.closed.length > 0);
    expect(recorder.closed).toEqual(["local"]);
    expect(bench.transport.outputs.arena.usedBytes).toBe(0);
  });

  test("destroying from within a packet stops everything behind it", async () => {
    const { client, connection, recorder } = await bench.pair();
    recorder.onEach = () => connection.destroy();
    client.write(Buffer.concat(streamOf(50, () => 100)));
    await until(() => recorder.closed.length > 0);
    expect(recorder.packets.length).toBe(2);
    expect(recorder.closed).toEqual(["local"]);
  });

  test("a handler that answers every completed write with a new one does not hold the flush forever", async () => {
    const { client, connection, recorder } = await bench.pair();
    const seen = collect(client);
    let rounds = 0;
    recorder.onWrittenDo = () => {
      if (rounds++ >= 100) return;
      write(connection, Buffer.of(0xd0, 0));
      connection.watchWritten(connection.bytesReserved);
    };
    connection.watchWritten(0);
    expect(bench.transport.flush()).toBe(1);
    expect(rounds).toBe(1);
    await until(() => seen.byteLength() === 200);
  });
});

/** Writes until the kernel's buffers are full and some is queued. */
function fillKernel(connection: Connection, recorder: Recorder): void {
  for (
    let number = 0;
    connection.queuedBytes < 200_000 || connection.bytesWritten === connection.bytesReserved;
    number += 1
  ) {
    write(connection, numberedPacket(number, 10_000));
    if (connection.queuedBytes > 190_000) bench.transport.flush();
    expect(recorder.closed.length).toBe(0);
  }
}

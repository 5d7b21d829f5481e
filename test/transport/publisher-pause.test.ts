/**
 * Goal: while the process is over its memory budget, who publishes is read a little at a time, everybody else as ever, and nobody rests for
 * longer than its time or when the pressure is gone.
 * Method: real sockets; the test says when the budget is exceeded, and what time it is.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PUBLISHER_PAUSE_MS, PUBLISHERS_RESUMED_PER_TURN, READ_BUFFER_BYTES } from "../../src/base/limits.ts";
import { Bench, connectPacket, numberedPacket, packetOf, size, until } from "./fixture.ts";

const PINGREQ = Buffer.of(0xc0, 0);
const PUBACK = Buffer.of(0x40, 2, 0, 1);
const PACKET_BYTES = 10_000;
const COUNT = 200;

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.start();
});
afterEach(async () => {
  await bench.stop();
});

/** Long enough for whatever is readable to have been read. */
async function settled(): Promise<void> {
  const other = await bench.pair();
  for (let round = 0; round < 5; round += 1) {
    const before = other.recorder.packets.length;
    other.client.write(PINGREQ);
    await until(() => other.recorder.packets.length > before);
  }
  other.client.destroy();
}

describe("while the budget is exceeded", () => {
  test("a publisher is read once in its time, nothing is lost; who acknowledges is read as ever", async () => {
    const publisher = await bench.pair();
    const acknowledger = await bench.pair();
    const { publisherPause } = bench.transport.readBuffer;
    const packets = Array.from({ length: COUNT }, (_, number) => numberedPacket(number, PACKET_BYTES));
    bench.transport.endPauses(1_000);
    bench.transport.pausePublishers(true);
    publisher.client.write(Buffer.concat(packets));
    await until(() => publisherPause.restingCount === 1);

    let nowMs = 1_000;
    for (let round = 1; round <= 3; round += 1) {
      for (let time = 0; time < 100; time += 1) acknowledger.client.write(PUBACK);
      await until(() => acknowledger.recorder.packets.length === 1 + round * 100);
      await settled();
      expect(publisher.connection.bytesRead).toBeLessThanOrEqual(round * READ_BUFFER_BYTES);
      expect(publisherPause.restingCount).toBe(1);

      const before = publisher.connection.bytesRead;
      nowMs += PUBLISHER_PAUSE_MS - 1;
      bench.transport.endPauses(nowMs);
      await settled();
      expect(publisher.connection.bytesRead).toBe(before);
      nowMs += 1;
      bench.transport.endPauses(nowMs);
      await until(() => publisher.connection.bytesRead > before && publisherPause.restingCount === 1);
    }

    bench.transport.pausePublishers(false);
    await until(() => publisher.recorder.packets.length === COUNT + 1);
    expect(Buffer.concat(publisher.recorder.packets.slice(1)).equals(Buffer.concat(packets))).toBe(true);
    expect(publisherPause.restingCount).toBe(0);
  });

  test("a large PUBLISH comes on piece by piece, and other large packets at once", async () => {
    const publisher = await bench.pair();
    const subscriber = await bench.pair();
    const publish = numberedPacket(1, 300_000);
    bench.transport.pausePublishers(true);
    publisher.client.write(publish);
    subscriber.client.write(packetOf(0x82, Buffer.alloc(300_000)));
    await until(() => subscriber.recorder.packets.length === 2);
    let pauses = 0;
    for (let nowMs = 1_000; publisher.recorder.packets.length < 2; nowMs += PUBLISHER_PAUSE_MS) {
      await until(() => bench.transport.readBuffer.publisherPause.restingCount === 1);
      pauses += 1;
      bench.transport.endPauses(nowMs);
      await settled();
    }
    expect(pauses).toBeGreaterThanOrEqual(Math.floor(publish.length / READ_BUFFER_BYTES));
    expect(publisher.recorder.packets[1]!.equals(publish)).toBe(true);
  });

  test("who is ended is read to its own end, in no rests: what is left unread would make a reset of the end", async () => {
    const publisher = await bench.pair();
    bench.transport.pausePublishers(true);
    const packets = Array.from({ length: COUNT }, (_, number) => numberedPacket(number, PACKET_BYTES));
    publisher.client.end(Buffer.concat(packets));
    await until(() => bench.transport.readBuffer.publisherPause.restingCount === 1);
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((run: () => void) => setTimeout(run, 3_600_000)) as typeof setTimeout; // No deadline helps.
    publisher.connection.end();
    globalThis.setTimeout = setTimeout;
    publisher.client.resume();
    await until(() => publisher.recorder.closed.length === 1 && publisher.client.readableEnded);
    expect(publisher.client.errored).toBeNull();
  });

  test("who rests is forgotten with its connection", async () => {
    const publisher = await bench.pair();
    bench.transport.pausePublishers(true);
    publisher.client.write(numberedPacket(1, 100));
    await until(() => bench.transport.readBuffer.publisherPause.restingCount === 1);
    publisher.connection.destroy();
    await until(() => publisher.recorder.closed.length === 1);
    bench.transport.endPauses(10_000);
    expect(bench.transport.readBuffer.publisherPause.restingCount).toBe(0);
  });
});

test("when it holds again, more than go on in one turn all go on", async () => {
  const count = PUBLISHERS_RESUMED_PER_TURN + 20;
  let isOver = false;
  await bench.stop();
  bench = await Bench.start({
    transport: {
      wake: () =>
        setImmediate(() => {
          bench.transport.flush();
          bench.transport.pausePublishers(isOver);
        }),
    },
  });
  const publishers: Awaited<ReturnType<Bench["pair"]>>[] = [];
  for (let each = 0; each < count; each += 1) publishers.push(await bench.pair(connectPacket(`c${each}`)));
  for (let round = 1; round <= 3 * size; round += 1) {
    isOver = true;
    bench.transport.pausePublishers(true);
    for (const { client } of publishers)
      client.write(Buffer.concat([numberedPacket(round, 10), numberedPacket(round, 10)]));
    await until(() => bench.transport.readBuffer.publisherPause.restingCount === count);
    isOver = false;
    bench.transport.pausePublishers(false);
    await until(() => bench.transport.readBuffer.publisherPause.restingCount === 0);
    for (const { client } of publishers) client.write(numberedPacket(round, 10));
    await until(() => publishers.every(({ recorder }) => recorder.packets.length === 1 + 3 * round));
  }
});

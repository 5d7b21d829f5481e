/**
 * Goal: what a session writes before it ends reaches a client that takes it slowly, also when that client has ended its own side.
 * Method: a tunnel over a real pair of sockets, to a stream whose writes are done when the test says so.
 */
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { newSocketPair } from "../../src/base/posix.ts";
import { declaredBytes } from "../../src/mqtt/scanner.ts";
import { Tunnel } from "../../src/transport/tunnel.ts";
import { numberedPacket, until } from "./fixture.ts";

test("small packets that wait for a slow client stand before the end", async () => {
  const taken: Buffer[] = [];
  let isSlow = true;
  let next = (): void => {};
  const stream = new Duplex({
    read: () => {},
    write: (bytes: Buffer, _encoding, done) => {
      taken.push(bytes);
      if (isSlow) next = done;
      else done();
    },
  });
  const [outer, inner] = newSocketPair();
  let isClosed = false;
  new Tunnel(stream, declaredBytes, outer, () => {
    isClosed = true;
  });
  const session = new Socket({ fd: inner, allowHalfOpen: true });
  session.resume();
  const packets = [1, 2, 3].map((number) => numberedPacket(number, 100));
  session.write(packets[0]!);
  await until(() => taken.length === 1); // And is not done.
  for (const packet of packets.slice(1)) session.write(packet);
  stream.push(null);
  await until(() => session.readableEnded);
  session.end();
  await until(() => session.destroyed);
  await new Promise((resolve) => setTimeout(resolve, 50)); // The tunnel has heard of it, or else it is even easier.
  isSlow = false;
  next();
  await until(() => isClosed);
  expect(Buffer.concat(taken)).toEqual(Buffer.concat(packets));
});

/**
 * Goal: no address has more connections at a time than its cap, an IPv6 network of 64 bits counts as one, and who leaves makes room.
 * Method: the counts by themselves; then an acceptor with real sockets from several loopback addresses, and behind a proxy.
 */
import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { closeDescriptor } from "../../src/base/posix.ts";
import { AddressCap } from "../../src/transport/address-cap.ts";
import { Bench, connectPacket, until } from "./fixture.ts";

let bench: Bench | null = null;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const { fd } of bench?.arrived ?? []) closeDescriptor(fd);
  await bench?.stop();
  bench = null;
});

/** Sends CONNECT, from one of the addresses of the loopback network. */
function come(
  localAddress: string,
  bytes: Buffer = connectPacket("c"),
): { readonly isClosed: boolean; destroy(): void } {
  const socket = connect({ port: bench!.port, host: "127.0.0.1", localAddress });
  sockets.push(socket);
  const seen = { isClosed: false, destroy: () => void socket.destroy() };
  socket.on("error", () => {});
  socket.on("close", () => {
    seen.isClosed = true;
  });
  socket.resume();
  socket.write(bytes);
  return seen;
}

test("addresses count one by one, those of an IPv6 network of 64 bits together, however they are written", () => {
  const cap = new AddressCap(2);
  for (const address of ["10.0.0.1", "2001:db8::1", "2001:DB8:0:0:ffff::2", "fe80::1%eth0", "::1.2.3.4"])
    cap.enter(address);
  expect(cap.isFull("10.0.0.1")).toBe(false);
  expect(cap.isFull("2001:db8:0::9")).toBe(true);
  expect(cap.isFull("2001:db8:0:1::9")).toBe(false);
  expect(cap.isFull("fe80::2")).toBe(false);
  cap.enter("fe80::3");
  expect(cap.isFull("fe80::2%eth1")).toBe(true);
  cap.enter("::5");
  expect(cap.isFull("::1")).toBe(true);
  cap.leave("2001:db8::7");
  expect(cap.isFull("2001:db8::1")).toBe(false);
  for (const address of ["10.0.0.1", "2001:db8::1", "fe80::1", "fe80::1", "::1", "::1"]) cap.leave(address);
  expect(cap.size).toBe(0);
});

test("one more of an address is closed, others come; strangers count, and who leaves makes room", async () => {
  const addressCap = new AddressCap(3);
  bench = await Bench.start({ acceptor: { addressCap } });
  come("127.0.0.1");
  come("127.0.0.1");
  await until(() => bench!.arrived.length === 2);
  const stranger = come("127.0.0.1", Buffer.of(0x10));
  await until(() => bench!.acceptor.strangerCount === 1);
  const refused = come("127.0.0.1");
  await until(() => refused.isClosed);
  expect(bench.acceptor.refusals.tooManyOfAddress).toBe(1);
  come("127.0.0.2");
  await until(() => bench!.arrived.length === 3);
  stranger.destroy();
  await until(() => bench!.acceptor.strangerCount === 0);
  come("127.0.0.1");
  await until(() => bench!.arrived.length === 4);
  bench.acceptor.release(["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"]);
  expect([addressCap.size, bench.acceptor.connectionCount]).toEqual([0, 0]);
});

test("behind a trusted proxy the address is the one that it announces", async () => {
  const addressCap = new AddressCap(1);
  bench = await Bench.start({ acceptor: { addressCap, isTrustedProxy: () => true } });
  const announced = (address: string): Buffer =>
    Buffer.concat([Buffer.from(`PROXY TCP6 ${address} 2001:db8:1::8 40000 1883\r\n`), connectPacket("c")]);
  come("127.0.0.1", announced("2001:db8::7"));
  come("127.0.0.1", announced("2001:db8:0:1::7"));
  await until(() => bench!.arrived.length === 2);
  const refused = come("127.0.0.1", announced("2001:db8::8"));
  await until(() => refused.isClosed);
  bench.acceptor.release(["2001:db8::7"]);
  come("127.0.0.1", announced("2001:db8::8"));
  await until(() => bench!.arrived.length === 3);
});

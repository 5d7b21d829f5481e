/**
 * Goal: only a complete CONNECT leaves the acceptor; strangers that stall, dribble, lie or flood cost a bounded amount and
 * end; nothing stops the process.
 * Method: real sockets on loopback with small bounds; the failure of accept(2) in a child process with few descriptors.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { CONNECT_PACKET_BYTES_MAX } from "../../src/base/limits.ts";
import { closeDescriptor } from "../../src/base/posix.ts";
import { Bench, collect, connectPacket, packetOf, pause, Recorder, until } from "./fixture.ts";

let bench: Bench | null = null;
afterEach(async () => {
  for (const { fd } of bench?.arrived ?? []) closeDescriptor(fd);
  await bench?.stop();
  bench = null;
});

describe("acceptor", () => {
  test("hands over client ID, peer and every byte so far, CONNECT first", async () => {
    bench = await Bench.start();
    const client = await bench.dial();
    const bytes = Buffer.concat([connectPacket("wörker"), packetOf(0x30, Buffer.alloc(100, 1)), Buffer.of(0x30)]);
    client.write(bytes);
    await until(() => bench!.arrived.length === 1);
    const handOver = bench.arrived[0]!;
    expect(handOver.clientId).toBe("wörker");
    expect(handOver.peer).toBe(`127.0.0.1:${client.localPort}`);
    expect(handOver.identity).toEqual({
      address: "127.0.0.1",
      listener: "mqtt",
      isTls: false,
      certificateCommonName: null,
    });
    expect(handOver.tunnel).toBeNull();
    expect(Buffer.from(handOver.head).equals(bytes)).toBe(true);
    expect(handOver.head.buffer.byteLength).toBe(bytes.length);
    expect([bench.acceptor.strangerCount, bench.acceptor.connectionCount]).toEqual([0, 1]);
    bench.acceptor.release(["127.0.0.1"]);
    expect(bench.acceptor.connectionCount).toBe(0);
  });

  test("hands every byte over once, whether CONNECT is there as a connection is looked at, in part or later", async () => {
    bench = await Bench.start();
    const sent = new Map<string, Buffer>();
    for (let number = 0; number < 90; number += 1) {
      const clientId = `client-${number}`;
      const bytes = Buffer.concat([
        connectPacket(clientId, number * 100),
        packetOf(0x30, Buffer.alloc(number * 90, number)),
      ]);
      sent.set(clientId, bytes);
      const socket = connect({ port: bench.port, host: "127.0.0.1" });
      if (number % 3 !== 2) socket.write(bytes.subarray(0, number % 3 === 0 ? bytes.length : 7)); // With the handshake.
      if (number % 3 === 0) continue;
      const rest = number % 3 === 1 ? bytes.subarray(7) : bytes;
      socket.once("connect", () => setTimeout(() => socket.write(rest), number % 10));
    }
    await until(() => bench!.arrived.length === sent.size);
    const connections = bench.arrived.map((handOver) => {
      const connection = bench!.transport.open(handOver);
      const recorder = new Recorder();
      connection.start(recorder);
      return { bytes: sent.get(handOver.clientId)!, recorder };
    });
    bench.arrived.length = 0;
    await until(() => connections.every(({ recorder }) => recorder.packets.length === 2));
    for (const { bytes, recorder } of connections) expect(Buffer.concat(recorder.packets).equals(bytes)).toBe(true);
    expect([bench.acceptor.strangerCount, bench.acceptor.connectionCount]).toEqual([0, sent.size]);
  });

  test("takes the address that a trusted proxy announces, and closes what comes without", async () => {
    bench = await Bench.start({ acceptor: { isTrustedProxy: () => true } });
    const header = Buffer.from("PROXY TCP6 2001:db8::7 2001:db8::8 40000 1883\r\n");
    const client = await bench.dial();
    const connectBytes = connectPacket("proxied");
    client.write(Buffer.concat([header, connectBytes]));
    await until(() => bench!.arrived.length === 1);
    const { peer, identity, head } = bench.arrived[0]!;
    expect([peer, identity.address]).toEqual(["[2001:db8::7]:40000", "2001:db8::7"]);
    expect(Buffer.from(head).equals(connectBytes)).toBe(true);
    const plain = await bench.dial();
    const seen = collect(plain);
    plain.write(connectPacket("plain"));
    await until(() => seen.ended || plain.destroyed);
    expect(bench.arrived.length).toBe(1);
  });

  test("sends no FIN at the hand-over, and the socket still works both ways", async () => {
    bench = await Bench.start();
    const { client, connection, recorder } = await bench.pair();
    bench.arrived.length = 0;
    const seen = collect(client);
    await pause(30);
    expect(seen.ended).toBe(false);
    client.write(Buffer.of(0xc0, 0));
    await until(() => recorder.packets.length === 2);
    Buffer.of(0xd0, 0).copy(connection.output.bytes, connection.reserve(2));
    await until(() => seen.byteLength() === 2);
  });

  test("understands a CONNECT that comes a byte at a time, and one of exactly the largest size", async () => {
    bench = await Bench.start();
    const dribbling = await bench.dial();
    dribbling.setNoDelay(true);
    for (const byte of connectPacket("slow")) {
      dribbling.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const overhead = connectPacket("large", 60_000).length - 60_000;
    (await bench.dial()).write(connectPacket("large", CONNECT_PACKET_BYTES_MAX - overhead));
    await until(() => bench!.arrived.length === 2);
    expect(bench.arrived.map(({ clientId }) => clientId).sort()).toEqual(["large", "slow"]);
  });

  test("closes at once on a first byte that is not CONNECT, on a CONNECT that is too large, on a malformed one", async () => {
    bench = await Bench.start();
    const garbage = [
      Buffer.from("GET / HTTP/1.1\r\n"),
      Buffer.of(0x30),
      Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff),
      Buffer.of(0x10, 0x81, 0x80, 0x20), // 524,289 bytes to come.
      packetOf(0x10, Buffer.alloc(0)),
      packetOf(0x10, Buffer.from([0, 4, 0x48, 0x54, 0x54, 0x50, 4, 2, 0, 0, 0, 0])),
    ];
    for (const [index, bytes] of garbage.entries()) {
      const client = await bench.dial();
      const seen = collect(client);
      client.write(bytes);
      await until(() => seen.ended || client.destroyed);
      expect(seen.byteLength()).toBe(0);
      expect(bench.acceptor.refusals.notMqtt).toBe(index + 1);
    }
    expect(bench.arrived).toEqual([]);
    await until(() => bench!.acceptor.connectionCount === 0);
  });

  test("answers an unknown protocol level in the client's own protocol", async () => {
    bench = await Bench.start();
    for (const [level, answer] of [
      [3, Buffer.of(0x20, 2, 0, 1)],
      [6, Buffer.of(0x20, 3, 0, 0x84, 0)],
    ] as const) {
      const bytes = connectPacket("c");
      bytes[8] = level;
      const client = await bench.dial();
      const seen = collect(client);
      client.write(bytes);
      await until(() => seen.ended);
      expect(seen.bytes()).toEqual(answer);
      client.end();
    }
    await until(() => bench!.acceptor.connectionCount === 0);
  });

  test("sends away who stalls, in the order of arrival, and keeps who is in time", async () => {
    bench = await Bench.start({ acceptor: { connectDeadlineMs: 1_000 } });
    const first = await bench.dial();
    const seen = collect(first);
    first.write(connectPacket("never").subarray(0, 10));
    await pause(500); // So long the second is in time after the first is late: a busy machine needs some of it.
    const second = await bench.dial();
    await until(() => seen.ended || first.destroyed);
    second.write(connectPacket("in time"));
    await until(() => bench!.arrived.length === 1 || second.destroyed);
    expect(bench.acceptor.refusals.late).toBe(1);
    expect(bench.arrived.map(({ clientId }) => clientId)).toEqual(["in time"]);
  });

  test("forgets a client that closes in the middle of CONNECT", async () => {
    bench = await Bench.start();
    const client = await bench.dial();
    client.write(connectPacket("c").subarray(0, 5));
    await until(() => bench!.acceptor.strangerCount === 1);
    client.destroy();
    await until(() => bench!.acceptor.strangerCount === 0);
    expect(bench.arrived).toEqual([]);
  });

  test("idle strangers keep nobody out: the oldest makes room", async () => {
    bench = await Bench.start({ acceptor: { strangersMax: 10 } });
    for (let index = 0; index < 30; index += 1) await bench.dial();
    await until(() => bench!.acceptor.refusals.tooManyStrangers === 20);
    expect(bench.acceptor.strangerCount).toBe(10);
    (await bench.dial()).write(connectPacket("real"));
    await until(() => bench!.arrived.length === 1);
  });

  test("what all strangers have sent is bounded", async () => {
    bench = await Bench.start({ acceptor: { strangersBudgetBytes: 100_000 } });
    const unfinished = connectPacket("c", 60_000).subarray(0, 30_000);
    for (let index = 0; index < 6; index += 1) (await bench.dial()).write(unfinished);
    await until(() => bench!.acceptor.refusals.memory >= 3);
    await until(() => bench!.acceptor.strangerCount === 3);
    (await bench.dial()).write(connectPacket("real"));
    await until(() => bench!.arrived.length === 1);
  });

  test("refuses connections above the limit and takes new ones when some are released", async () => {
    bench = await Bench.start({ acceptor: { connectionsMax: 3 } });
    for (let index = 0; index < 3; index += 1) (await bench.dial()).write(connectPacket(`c${index}`));
    await until(() => bench!.arrived.length === 3);
    const refused = await bench.dial();
    const seen = collect(refused);
    await until(() => seen.ended || refused.destroyed);
    expect(bench.acceptor.refusals.tooManyConnections).toBe(1);
    bench.acceptor.release(["127.0.0.1"]);
    (await bench.dial()).write(connectPacket("c4"));
    await until(() => bench!.arrived.length === 4);
  });

  test("close frees the port and sends strangers away", async () => {
    bench = await Bench.start();
    const client = await bench.dial();
    const seen = collect(client);
    await until(() => bench!.acceptor.strangerCount === 1);
    await bench.acceptor.close();
    await until(() => seen.ended || client.destroyed);
    expect(bench.acceptor.address).toBeNull();
    expect(bench.acceptor.connectionCount).toBe(0);
  });

  test("a port in use rejects with the system's error", async () => {
    bench = await Bench.start();
    const second = new Bench({ acceptor: { port: bench.port } });
    await expect(second.acceptor.listen()).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("running out of descriptors neither ends the process nor the listening", async () => {
    const program = new URL("./few-descriptors.mjs", import.meta.url).pathname;
    const child = spawn("sh", ["-c", `ulimit -n 60; exec "${process.execPath}" "${program}"`], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const answer = async (order?: string): Promise<{ port: number; clientIds: string[]; faults: string[] }> => {
      const [message] = await Promise.all([once(child, "message"), order === undefined ? null : child.send(order)]);
      return message[0];
    };
    const { port } = await answer();
    const clients: Socket[] = [];
    const dial = (clientId: string) => {
      const client = connect(port, "127.0.0.1", () => client.write(connectPacket(clientId)));
      client.on("error", () => {});
      client.resume();
      clients.push(client);
    };
    for (let index = 0; index < 80; index += 1) dial("crowd");
    await until(() => clients.filter(({ destroyed, readableEnded }) => destroyed || readableEnded).length > 20);
    const served = (await answer("count")).clientIds.length;
    expect(served).toBeGreaterThan(10);
    expect(served).toBeLessThan(60);

    for (const client of clients) client.destroy();
    await answer("let go");
    dial("after");
    let answered = await answer("count");
    while (!answered.clientIds.includes("after")) answered = await answer("count");
    console.log(
      `accept faults under a low limit of descriptors: ${answered.faults.length} (${[...new Set(answered.faults)].join(", ")})`,
    );
    child.send("stop");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    clients.at(-1)!.destroy();
  });
});

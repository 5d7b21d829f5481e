/**
 * Goal: who speaks WebSocket and is not known yet costs a bounded amount and ends: a request that stalls, frames that never end, a
 * CONNECT that does not come, too many at a time; and every end of a tunnel reaches the other one.
 * Method: an acceptor that gives sockets away, an unwrapper with small bounds, and a transport that opens the inner ends, on one thread;
 * clients write raw bytes.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { Acceptor } from "../../src/transport/acceptor.ts";
import type { HandOver } from "../../src/transport/hand-over.ts";
import type { Listener } from "../../src/transport/listener.ts";
import type { TlsMaterial } from "../../src/transport/tls.ts";
import { Transport } from "../../src/transport/transport.ts";
import { Unwrapper, type UnwrapperOptions } from "../../src/transport/unwrapper.ts";
import { Authority } from "../harness/certificates.ts";
import { isMissing } from "../harness/needs.ts";
import { collect, connectPacket, Recorder, until, write } from "./fixture.ts";

const TLS_LISTENER = 1;
const LISTENER: Listener = {
  name: "ws",
  type: "ws",
  host: "127.0.0.1",
  port: 0,
  connectionsMax: 1_000,
  path: "/mqtt",
  origins: ["https://example.org"],
  trustedProxies: null,
};

class Bench {
  readonly arrived: HandOver[] = [];
  readonly transport = new Transport({ wake: () => setImmediate(() => this.transport.flush()) });
  readonly acceptor: Acceptor;
  readonly unwrapper: Unwrapper;
  /** The place of the listener whose connections are given away. */
  listener = 0;
  readonly #clients: Socket[] = [];

  constructor(options: Partial<UnwrapperOptions>, isTrustedProxy?: (address: string) => boolean) {
    this.unwrapper = new Unwrapper({
      worker: 0,
      listeners: [LISTENER, { ...LISTENER, name: "wss", type: "wss" }],
      certificates: [null, null],
      packetBytesMax: 1024 * 1024,
      nowMs: () => performance.now(),
      onConnect: (handOver) => this.arrived.push(handOver),
      onClosed: () => this.acceptor.release(["127.0.0.1"]),
      onFault: (error) => {
        throw error;
      },
      ...options,
    });
    this.acceptor = new Acceptor({
      ...LISTENER,
      listener: "ws",
      nowMs: () => performance.now(),
      onConnect: () => expect.unreachable(),
      ...(isTrustedProxy === undefined ? {} : { isTrustedProxy }),
      onWrapped: (connection) => this.unwrapper.open({ ...connection, listener: this.listener }),
      onFault: (error) => {
        throw error;
      },
    });
  }

  async dial(): Promise<Socket> {
    const port = Number(this.acceptor.address!.split(":").at(-1));
    const client = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#clients.push(client);
    client.on("error", () => {});
    await new Promise((resolve) => client.once("connect", resolve));
    return client;
  }

  /** A client whose WebSocket is open. */
  async upgraded(): Promise<{ client: Socket; seen: ReturnType<typeof collect> }> {
    const client = await this.dial();
    const seen = collect(client);
    client.write(REQUEST);
    await until(() => seen.bytes().includes("\r\n\r\n"));
    return { client, seen };
  }

  /** A client with a session's connection at the other end of its tunnel. */
  async connected() {
    const { client, seen } = await this.upgraded();
    client.write(frameOf(connectPacket("c")));
    await until(() => this.arrived.length > 0);
    const handOver = this.arrived.shift()!;
    const connection = this.transport.open(handOver);
    const recorder = new Recorder();
    connection.start(recorder);
    return { client, seen, connection, recorder, handOver };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.transport.destroy();
    this.unwrapper.destroy();
    await this.acceptor.close();
    await until(() => this.acceptor.connectionCount === 0 && this.unwrapper.connectionCount === 0);
  }
}

const REQUEST =
  "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/** A binary frame of a client, its mask all zero; `declared` may promise more than there is. */
function frameOf(payload: Buffer, declared = payload.length): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(0x82ff, 0);
  head.writeBigUInt64BE(BigInt(declared), 2);
  return Buffer.concat([head, payload]);
}

function materialOf(authority: Authority): TlsMaterial {
  const { cert, key } = authority.issue("the broker");
  return {
    certificate: readFileSync(cert, "utf8"),
    key: readFileSync(key, "utf8"),
    authorities: null,
    clientAuthentication: "none",
    minVersion: "1.2",
    byHost: [],
  };
}

let bench: Bench | null = null;
afterEach(async () => {
  await bench?.stop();
  bench = null;
});

async function start(
  options: Partial<UnwrapperOptions> = {},
  isTrustedProxy?: (address: string) => boolean,
): Promise<Bench> {
  bench = new Bench(options, isTrustedProxy);
  await bench.acceptor.listen();
  return bench;
}

describe("unwrapper", () => {
  test("hands over one end of a tunnel with who is there, and carries bytes both ways, ten times what a socket holds", async () => {
    const { connected } = await start().then((started) => ({ connected: () => started.connected() }));
    const { client, seen, connection, recorder, handOver } = await connected();
    expect(handOver).toMatchObject({
      clientId: "c",
      peer: `127.0.0.1:${client.localPort}`,
      identity: { address: "127.0.0.1", listener: "ws", isTls: false, certificateCommonName: null },
      tunnel: { worker: 0 },
    });
    const packet = Buffer.concat([Buffer.of(0x30, 0xc0, 0x84, 0x3d), Buffer.alloc(1_000_000, 7)]);
    for (let count = 0; count < 3; count += 1) client.write(frameOf(packet));
    await until(() => recorder.packets.length === 4);
    expect(recorder.packets.slice(1).every((arrived) => arrived.equals(packet))).toBe(true);
    const before = seen.byteLength();
    for (let count = 0; count < 3; count += 1) {
      write(connection, packet);
      await until(() => connection.queuedBytes === 0);
    }
    await until(() => seen.byteLength() - before > 3 * packet.length);
  });

  test("a client that is gone ends its session's connection, and that ends the client's", async () => {
    const started = await start();
    const first = await started.connected();
    first.client.resetAndDestroy();
    await until(() => first.recorder.closed.length === 1);
    expect(first.recorder.closed).toEqual(["peer"]);
    const second = await started.connected();
    second.connection.end();
    await until(() => second.seen.bytes().includes(Buffer.of(0x88, 2, 0x03, 0xe8)) /* Close, 1000. */);
    await until(() => started.unwrapper.connectionCount === 0 && started.acceptor.connectionCount === 0);
  });

  test("a client that reads nothing is cut off when its session's connection is", async () => {
    const started = await start();
    const { client, connection, handOver } = await started.connected();
    client.pause();
    while (connection.isOpen) {
      write(connection, Buffer.alloc(60_000, 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
    started.unwrapper.sever(handOver.tunnel!.id);
    await until(() => started.unwrapper.connectionCount === 0 && started.acceptor.connectionCount === 0);
  });

  test("sends away who stalls, before the request, in it, behind it, and in the frame of a CONNECT", async () => {
    const started = await start({ connectDeadlineMs: 300 });
    const [silent, slow] = [await started.dial(), await started.dial()];
    slow.write(REQUEST.slice(0, 40));
    const { client: quiet } = await started.upgraded();
    const { client: partial } = await started.upgraded();
    partial.write(frameOf(connectPacket("c").subarray(0, 5), 20));
    const clients = [silent, slow, quiet, partial];
    for (const client of clients) client.resume();
    await until(() => clients.every(({ destroyed }) => destroyed));
    expect([started.arrived.length, started.unwrapper.strangerCount]).toEqual([0, 0]);
  });

  test.skipIf(isMissing("openssl"))(
    "sends away who stalls in TLS: before the handshake, in it, and behind it",
    async () => {
      const authority = new Authority();
      const material = materialOf(authority);
      const started = await start({ connectDeadlineMs: 1_000, certificates: [null, material] });
      started.listener = TLS_LISTENER;
      const [silent, partial, behind] = [await started.dial(), await started.dial(), await started.dial()];
      partial.write(Buffer.of(0x16, 3, 1, 2, 0, 1, 0, 1)); // A ClientHello of 512 bytes, of which no more comes.
      const secured = connectTls({ socket: behind, ca: authority.pem, host: "localhost" });
      secured.on("error", () => {});
      let isSecured = false;
      secured.on("secureConnect", () => {
        isSecured = true;
      });
      secured.resume();
      for (const client of [silent, partial]) client.resume();
      await until(() => [silent, partial, secured].every(({ destroyed }) => destroyed));
      expect([isSecured, started.arrived.length, started.unwrapper.strangerCount]).toEqual([true, 0, 0]);
      await until(() => started.acceptor.connectionCount === 0);
      authority.remove();
    },
  );

  test("the oldest makes room when there are too many", async () => {
    const started = await start({ strangersMax: 5 });
    const clients: Socket[] = [];
    for (let count = 0; count < 12; count += 1) clients.push(await started.dial());
    for (const client of clients) client.resume();
    await until(() => clients.filter(({ destroyed }) => destroyed).length === 7);
    expect(started.unwrapper.strangerCount).toBe(5);
    await started.connected();
  });

  test("a stranger gets no more memory by a frame than by a packet, and all together have a budget", async () => {
    const started = await start({ budgetBytes: 3_000_000 });
    const { client: greedy } = await started.upgraded();
    greedy.resume();
    const junk = Buffer.alloc(100_000);
    greedy.write(frameOf(junk, 1_000_000));
    for (let count = 0; count < 8; count += 1) greedy.write(junk);
    await until(() => greedy.destroyed);
    // Connected clients with unfinished frames: when they go over the budget, one of them goes.
    const known = [await started.connected(), await started.connected(), await started.connected()];
    for (const { client } of known) {
      client.write(frameOf(junk, 1_100_000));
      for (let count = 0; count < 9; count += 1) client.write(junk);
    }
    const { client: last, recorder } = await started.connected();
    last.write(frameOf(junk, 1_100_000));
    for (let count = 0; count < 9; count += 1) last.write(junk);
    await until(() => [...known.map((one) => one.recorder), recorder].some(({ closed }) => closed.length === 1));
  });

  test("knows what it holds of unfinished messages: nothing behind whole ones, pings and fragments", async () => {
    const started = await start();
    const { client, connection } = await started.connected();
    const ping = Buffer.concat([Buffer.of(0x89, 0x83, 0, 0, 0, 0), Buffer.from("you")]);
    const packet = Buffer.concat([Buffer.of(0x30, 4, 0, 1), Buffer.from("ttt")]).subarray(0, 6);
    const pieces = [...packet].map((byte, at) =>
      Buffer.of(at === 0 ? 0x02 : at === packet.length - 1 ? 0x80 : 0, 0x81, 0, 0, 0, 0, byte),
    );
    client.write(Buffer.concat([ping, ...pieces.slice(0, 2), ping]));
    await until(() => started.unwrapper.heldBytes === 2);
    client.write(Buffer.concat([...pieces.slice(2), ping, frameOf(packet), ping]));
    await until(() => connection.bytesRead >= 2 * packet.length && started.unwrapper.heldBytes === 0);
    for (const nowMs of [0, 30_000, 60_000, 90_000]) {
      started.unwrapper.endStalled(nowMs, 10_000);
      started.unwrapper.endSlow(nowMs);
    }
    // A whole message and the beginning of the next in one write.
    client.write(Buffer.concat([frameOf(packet), frameOf(Buffer.alloc(20_000), 30_000)]));
    await until(() => started.unwrapper.heldBytes >= 20_000);
    started.unwrapper.endStalled(100_000, 10_000);
    expect(client.destroyed).toBe(false);
    started.unwrapper.endStalled(110_000, 10_000);
    await until(() => client.destroyed && started.unwrapper.heldBytes === 0);
  });

  test("when more than half of its budget is in use, cuts off who holds much and sends little", async () => {
    const started = await start({ budgetBytes: 3_000_000 });
    const [slow, fast] = [await started.connected(), await started.connected()];
    const { unwrapper } = started;
    for (const { client } of [slow, fast]) client.write(frameOf(Buffer.alloc(800_000), 1_100_000));
    await until(() => unwrapper.heldBytes >= 1_600_000);
    unwrapper.endSlow(0);
    fast.client.write(Buffer.alloc(290_000));
    slow.client.write(Buffer.of(0));
    await until(() => unwrapper.heldBytes >= 1_890_001);
    expect(unwrapper.endSlow(1_900)).toBe(0);
    expect(unwrapper.endSlow(2_000)).toBe(1);
    await until(() => slow.recorder.closed.length === 1);
    expect(fast.recorder.closed).toEqual([]);
  });

  test("a foreign origin is refused, ours and none are not", async () => {
    const started = await start();
    for (const [header, answer] of [
      ["Origin: https://evil.example\r\n", "HTTP/1.1 403"],
      ["Origin: https://example.org\r\n", "HTTP/1.1 101"],
      ["", "HTTP/1.1 101"],
    ] as const) {
      const client = await started.dial();
      const seen = collect(client);
      client.write(REQUEST.replace("Host", `${header}Host`));
      await until(() => seen.bytes().includes("\r\n\r\n"));
      expect(seen.bytes().toString().startsWith(answer)).toBe(true);
    }
  });

  test.skipIf(isMissing("openssl"))(
    "takes the address that a trusted proxy announces, before TLS and before a request",
    async () => {
      const authority = new Authority();
      const started = await start(
        { certificates: [null, materialOf(authority)] },
        (address) => address === "127.0.0.1",
      );
      const header = "PROXY TCP4 192.0.2.7 192.0.2.8 40000 1883\r\n";
      for (const listener of [0, TLS_LISTENER]) {
        started.listener = listener;
        const plain = await started.dial();
        let client = plain;
        if (listener === TLS_LISTENER) {
          plain.write(header);
          client = connectTls({ socket: plain, ca: authority.pem, host: "localhost" });
          client.on("error", () => {});
          client.write(REQUEST);
        } else plain.write(header + REQUEST);
        const seen = collect(client);
        await until(() => seen.bytes().includes("\r\n\r\n"));
        client.write(frameOf(connectPacket("c")));
        await until(() => started.arrived.length > 0);
        const handOver = started.arrived.shift()!;
        expect([handOver.peer, handOver.identity.address]).toEqual(["192.0.2.7:40000", "192.0.2.7"]);
        started.transport.open(handOver).destroy();
      }
      const lying = await started.dial();
      lying.resume();
      lying.write("PROXY TCP4 192.0.2.7 192.0.2.8 40000\r\n");
      await until(() => lying.destroyed);
      authority.remove();
    },
  );

  test("a proxy that is not trusted is closed", async () => {
    const started = await start({}, () => false);
    const client = await started.dial();
    client.resume();
    client.write("PROXY TCP4 192.0.2.7 192.0.2.8 40000 1883\r\n");
    await until(() => client.destroyed);
    expect(started.arrived).toEqual([]);
  });

  test("a CONNECT of an unknown level is answered in a frame, what is none is closed", async () => {
    const started = await start();
    const connectOfLevel6 = connectPacket("c");
    connectOfLevel6[8] = 6;
    const { client, seen } = await started.upgraded();
    client.write(frameOf(connectOfLevel6));
    await until(() => seen.bytes().includes(Buffer.of(0x82, 5, 0x20, 3, 0, 0x84, 0)));
    const { client: other } = await started.upgraded();
    other.resume();
    other.write(frameOf(Buffer.from("GET / HTTP/1.1")));
    await until(() => other.destroyed);
  });
});

/**
 * Goal: who speaks WebSocket or TLS and is not known yet costs a bounded amount and ends: a request that stalls, frames that never end, a
 * CONNECT that does not come, too many at a time; and a connection goes to its session's thread whole: as a socket, as a stream or
 * through a tunnel.
 * Method: an acceptor that gives sockets away, an unwrapper with small bounds, and a transport that opens what comes of it, on one
 * thread, which takes itself for the session's or for another; clients write raw bytes.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { READ_BUFFER_BYTES } from "../../src/base/limits.ts";
import { Acceptor } from "../../src/transport/acceptor.ts";
import type { Arrival, HandOver } from "../../src/transport/hand-over.ts";
import { isTls, isWebSocket, type Listener } from "../../src/transport/listener.ts";
import { Transport } from "../../src/transport/transport.ts";
import { Unwrapper, type UnwrapperOptions } from "../../src/transport/unwrapper.ts";
import { Authority, plainTls } from "../harness/certificates.ts";
import { isMissing } from "../harness/needs.ts";
import { collect, connectPacket, numberedPacket, pause, Recorder, until, write } from "./fixture.ts";

const TLS_LISTENER = 1;
const PLAIN_TLS_LISTENER = 2;
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

const LISTENERS: readonly Listener[] = [
  LISTENER,
  { ...LISTENER, name: "wss", type: "wss" },
  { ...LISTENER, name: "tls", type: "tls", path: null },
];

class Bench {
  readonly arrived: HandOver[] = [];
  /** Those that did not have to leave the thread. */
  readonly streams: [Arrival, TLSSocket][] = [];
  isHome = false;
  authority: Authority | null = null;
  readonly transport = new Transport({ wake: () => setImmediate(() => this.transport.flush()) });
  readonly acceptor: Acceptor;
  readonly unwrapper: Unwrapper;
  /** The place of the listener whose connections are given away. */
  listener = 0;
  readonly #clients: Socket[] = [];

  constructor(options: Partial<UnwrapperOptions>, isTrustedProxy?: (address: string) => boolean) {
    this.unwrapper = new Unwrapper({
      worker: 0,
      listeners: LISTENERS,
      certificates: [null, null, null],
      nowMs: () => performance.now(),
      onConnect: (handOver) => this.arrived.push(handOver),
      isHome: () => this.isHome,
      onArrived: (arrival, stream) => this.streams.push([arrival, stream]),
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

  /** A client of this listener, its TLS under way. */
  async dialWrapped(): Promise<Socket> {
    const socket = await this.dial();
    if (!isTls(LISTENERS[this.listener]!)) return socket;
    const client = connectTls({ socket, ca: this.authority!.pem, host: "localhost" });
    client.on("error", () => {});
    return client;
  }

  /** A client whose WebSocket is open. */
  async upgraded(): Promise<{ client: Socket; seen: ReturnType<typeof collect> }> {
    const client = await this.dialWrapped();
    const seen = collect(client);
    client.write(REQUEST);
    await until(() => seen.bytes().includes("\r\n\r\n"));
    return { client, seen };
  }

  /** A client with its session's connection; in frames where the listener wants them. */
  async connected() {
    const isFramed = isWebSocket(LISTENERS[this.listener]!);
    const { client, seen } = isFramed
      ? await this.upgraded()
      : await this.dialWrapped().then((dialed) => ({ client: dialed, seen: collect(dialed) }));
    const wrap = (bytes: Buffer): Buffer => (isFramed ? frameOf(bytes) : bytes);
    client.write(wrap(connectPacket("c")));
    const { connection, arrival } = await this.arrival();
    const recorder = new Recorder();
    connection.start(recorder);
    return { client, seen, connection, recorder, arrival, wrap };
  }

  async arrival() {
    await until(() => this.arrived.length + this.streams.length > 0);
    const handOver = this.arrived.shift();
    if (handOver !== undefined) return { connection: this.transport.open(handOver), arrival: handOver };
    const [arrival, stream] = this.streams.shift()!;
    return { connection: this.transport.adopt(stream, arrival), arrival };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.transport.destroy();
    this.unwrapper.destroy();
    await this.acceptor.close();
    await until(() => this.unwrapper.connectionCount === 0);
    this.authority?.remove();
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
  describe.each([
    ["ws", 0, false, "socket"],
    ["wss", TLS_LISTENER, false, "tunnel"],
    ["wss", TLS_LISTENER, true, "stream"],
    ["tls", PLAIN_TLS_LISTENER, false, "tunnel"],
    ["tls", PLAIN_TLS_LISTENER, true, "stream"],
  ] as const)("%s (%i), the session is here: %s: a %s", (name, listener, isHome, kind) => {
    async function started(): Promise<Bench> {
      const authority = new Authority();
      const material = plainTls(authority);
      const own = await start({ certificates: [null, material, material] });
      Object.assign(own, { authority, listener, isHome });
      return own;
    }
    const isFramed = name !== "tls";

    test("carries bytes both ways, ten times what a socket holds", async () => {
      const own = await started();
      const { client, seen, connection, recorder, arrival, wrap } = await own.connected();
      const isTlsListener = name !== "ws";
      expect(arrival).toMatchObject({
        clientId: "c",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        identity: { address: "127.0.0.1", listener: name, isTls: isTlsListener, certificateCommonName: null },
      });
      expect("fd" in arrival).toBe(kind !== "stream");
      if ("tunnel" in arrival) expect(arrival.tunnel).toEqual(kind === "tunnel" ? { worker: 0, id: 1 } : null);
      const packet = Buffer.concat([Buffer.of(0x30, 0xc0, 0x84, 0x3d), Buffer.alloc(1_000_000, 7)]);
      for (let count = 0; count < 3; count += 1) client.write(wrap(packet));
      await until(() => recorder.packets.length === 4);
      expect(recorder.packets.slice(1).every((arrived) => arrived.equals(packet))).toBe(true);
      const before = seen.byteLength();
      for (let count = 0; count < 3; count += 1) {
        write(connection, packet);
        await until(() => connection.queuedBytes === 0);
      }
      await until(() => seen.byteLength() - before >= 3 * packet.length);
      expect(seen.bytes().subarray(before).includes(packet.subarray(0, 30_000))).toBe(true);
    });

    test("reads no further while it is paused, and goes on where it was", async () => {
      const own = await started();
      const { client, connection, recorder, wrap } = await own.connected();
      const packets = Array.from({ length: 400 }, (_, number) => numberedPacket(number, 20_000));
      recorder.onEach = () => connection.pauseReading();
      let sent = 0;
      const sendAll = async (): Promise<void> => {
        for (const packet of packets) {
          if (!client.write(wrap(packet))) await new Promise((resolve) => client.once("drain", resolve));
          sent += 1;
        }
      };
      const sending = sendAll();
      await until(() => recorder.packets.length === 2);
      await pause(200);
      expect(sent).toBeLessThan(packets.length);
      expect(recorder.packets.length).toBe(2);
      while (recorder.packets.length < 1 + packets.length) {
        connection.resumeReading();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await sending;
      expect(recorder.packets.slice(1).every((packet, number) => packet.equals(packets[number]!))).toBe(true);
    });

    test("gives the others a turn after each read's worth of a flood", async () => {
      const own = await started();
      const { client, recorder, wrap } = await own.connected();
      const packet = numberedPacket(1, 1_000);
      const bytesByTurn: number[] = [0];
      recorder.onEach = ({ length }) => {
        bytesByTurn[bytesByTurn.length - 1]! += length;
      };
      let isOver = false;
      const turn = (): void => {
        if (bytesByTurn.at(-1) !== 0) bytesByTurn.push(0);
        if (!isOver) setImmediate(turn);
      };
      turn();
      const count = 4_000;
      client.write(wrap(Buffer.concat(Array.from({ length: count }, () => packet))));
      await until(() => recorder.packets.length === 1 + count);
      isOver = true;
      expect(Math.max(...bytesByTurn)).toBeLessThan(5 * READ_BUFFER_BYTES);
    });

    test("a client that is gone ends its session's connection, and that ends the client's", async () => {
      const own = await started();
      const first = await own.connected();
      first.client.destroy();
      await until(() => first.recorder.closed.length === 1);
      expect(first.recorder.closed).toEqual(["peer"]);
      const second = await own.connected();
      write(second.connection, Buffer.of(0xe0, 0));
      second.connection.end();
      const farewell = isFramed ? Buffer.of(0x82, 2, 0xe0, 0, 0x88, 2, 0x03, 0xe8) : Buffer.of(0xe0, 0); // Close, 1000.
      await until(() => second.seen.bytes().includes(farewell));
      if (isFramed) second.client.write(Buffer.of(0x88, 0x80, 0, 0, 0, 0));
      await until(() => own.unwrapper.connectionCount === 0 && second.recorder.closed.length === 1);
      expect(second.recorder.closed).toEqual(["local"]);
      if (kind !== "socket") expect(own.acceptor.connectionCount).toBe(0); // Of a socket, whoever has it tells.
    });

    test("a client that reads nothing is cut off when its session's connection is", async () => {
      const own = await started();
      const { client, connection, arrival, recorder } = await own.connected();
      client.pause();
      while (connection.isOpen) {
        write(connection, Buffer.alloc(60_000, 1));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { tunnel } = arrival as Partial<HandOver>;
      if (tunnel) own.unwrapper.sever(tunnel.id);
      await until(() => own.unwrapper.connectionCount === 0 && recorder.closed.length === 1);
      expect(recorder.closed).toEqual(["slowReader"]);
    });
  });

  test("what stands before a close in the same read is delivered first, also while reading is paused", async () => {
    const started = await start();
    const { client, seen, connection, recorder } = await started.connected();
    recorder.onEach = () => connection.pauseReading();
    const [one, two] = [numberedPacket(1, 10), numberedPacket(2, 10)];
    client.write(Buffer.concat([frameOf(one), frameOf(two), Buffer.of(0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa1)]));
    await until(() => recorder.packets.length === 2);
    await pause(20);
    expect(connection.isOpen).toBe(true);
    recorder.onEach = () => {};
    connection.resumeReading();
    expect(recorder.packets.slice(1)).toEqual([one, two]);
    expect(connection.isOpen).toBe(false);
    await until(() => seen.bytes().includes(Buffer.of(0x88, 2, 0x0f, 0xa1)) && seen.ended); // Its own code, 4001.
    await until(() => recorder.closed.length === 1);
    expect(recorder.closed).toEqual(["peer"]);
  });

  test("what comes in one read with CONNECT goes along: packets, half a frame, a ping, a close", async () => {
    const started = await start();
    const [packet, second] = [numberedPacket(1, 300), numberedPacket(2, 300)];
    const later = frameOf(second);
    for (const cut of [1, 3, 13, 14, 20, later.length - 1]) {
      const { client, seen } = await started.upgraded();
      const before = seen.byteLength();
      const ping = Buffer.of(0x89, 0x81, 0, 0, 0, 0, 0x70);
      client.write(Buffer.concat([frameOf(connectPacket("c")), frameOf(packet), ping, later.subarray(0, cut)]));
      const { connection } = await started.arrival();
      const recorder = new Recorder();
      connection.start(recorder);
      await until(() => recorder.packets.length === 2);
      client.write(later.subarray(cut));
      await until(() => recorder.packets.length === 3);
      expect(recorder.packets.slice(1)).toEqual([packet, second]);
      await until(() => seen.byteLength() === before + 3);
      expect(seen.bytes().subarray(before)).toEqual(Buffer.of(0x8a, 1, 0x70));
      client.end();
      await until(() => recorder.closed.length === 1);
    }
    const { client, seen } = await started.upgraded();
    client.write(Buffer.concat([frameOf(connectPacket("c")), frameOf(packet), Buffer.of(0x88, 0x80, 0, 0, 0, 0)]));
    const { connection } = await started.arrival();
    const recorder = new Recorder();
    connection.start(recorder);
    expect(recorder.packets[1]).toEqual(packet);
    await until(() => recorder.closed.length === 1 && seen.ended);
    expect(seen.bytes().subarray(-4)).toEqual(Buffer.of(0x88, 2, 0x03, 0xe8));
  });

  test("waits for the client's close behind its own, and for no more than a moment", async () => {
    const started = await start();
    started.transport.goAway();
    const { client, seen, connection, recorder } = await started.connected();
    connection.end();
    await until(() => seen.bytes().includes(Buffer.of(0x88, 2, 0x03, 0xe9))); // 1001: the broker goes away.
    client.write(frameOf(numberedPacket(1, 100)));
    await pause(50);
    expect([seen.ended, recorder.packets.length]).toEqual([false, 1]);
    client.write(Buffer.of(0x88, 0x80, 0, 0, 0, 0));
    await until(() => seen.ended && recorder.closed.length === 1);
    const silent = await started.connected();
    silent.connection.end();
    await until(() => silent.recorder.closed.length === 1);
    expect(silent.recorder.closed).toEqual(["local"]);
  });

  test("a connection that is ended while it reads no further takes the client's close at once", async () => {
    const started = await start();
    const { client, seen, connection, recorder } = await started.connected();
    recorder.onEach = () => connection.pauseReading();
    client.write(Buffer.concat([frameOf(numberedPacket(1, 10)), frameOf(numberedPacket(2, 10))]));
    await until(() => recorder.packets.length === 2);
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((run: () => void) => setTimeout(run, 3_600_000)) as typeof setTimeout; // No deadline helps.
    connection.end();
    globalThis.setTimeout = setTimeout;
    await until(() => seen.bytes().includes(Buffer.of(0x88, 2, 0x03, 0xe8)));
    client.write(Buffer.of(0x88, 0x80, 0, 0, 0, 0));
    await until(() => recorder.closed.length === 1);
    expect(recorder.packets.length).toBe(2);
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
      const material = plainTls(authority);
      const started = await start({ connectDeadlineMs: 1_000, certificates: [null, material, null] });
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

  test("a stranger gets no more memory by a frame than by a packet, and none for a length it promises", async () => {
    const started = await start();
    const { client: greedy, seen } = await started.upgraded();
    const connect = connectPacket("c", 60_000);
    connect.writeUIntBE(0xffff7f, 1, 3); // Of two megabytes.
    greedy.write(frameOf(connect.subarray(0, 4), Number.MAX_SAFE_INTEGER));
    await until(() => seen.ended);
    expect(started.unwrapper.strangerCount).toBe(0);
    const { client: patient, seen: patientSeen } = await started.upgraded();
    patient.write(frameOf(Buffer.alloc(0), Number.MAX_SAFE_INTEGER));
    patient.write(connectPacket("c")); // As good a frame as any.
    const { connection } = await started.arrival();
    connection.start(new Recorder());
    expect(patientSeen.ended).toBe(false);
    connection.destroy();
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
        { certificates: [null, plainTls(authority), null] },
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

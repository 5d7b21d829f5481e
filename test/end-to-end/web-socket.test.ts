/**
 * Goal: MQTT over WebSocket is MQTT: frames and packets know nothing of each other, what is no such WebSocket is refused with the code for
 * it, nothing that a client sends or leaves unread costs more than a bound, and a stop says goodbye in both protocols.
 * Method: the frames of the ws library as a client, raw bytes where it would be too polite, MQTT.js as a stock client.
 */
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Broker } from "../harness/broker.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { connectBytes } from "../harness/raw-bytes.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const IDLE = isFullSize ? 2_000 : 200;
const BYTES_PER_IDLE_MAX = 96 * 1024;

/** Its socket, for bytes that the library would not send. */
const rawOf = ({ socket }: Seen): NodeJS.WritableStream =>
  (socket as unknown as { _socket: NodeJS.WritableStream })._socket;

const packet = (of: Packet): Buffer => generate(of, { protocolVersion: 5 });
const connectAs = (clientId: string): Buffer => connectBytes({ clientId });

/** What a WebSocket client saw. */
interface Seen {
  readonly socket: WebSocket;
  bytes(): Buffer;
  /** The status of a refused request, or 101. */
  readonly status: Promise<number>;
  readonly closed: Promise<number>;
}

function open(port: number, path = "/mqtt", protocols: readonly string[] = ["mqtt"], headers = {}): Seen {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, [...protocols], { headers });
  const parts: Buffer[] = [];
  socket.on("message", (data: Buffer) => parts.push(data));
  socket.on("error", () => {});
  const status = new Promise<number>((resolve) => {
    socket.on("open", () => resolve(101));
    socket.on("unexpected-response", (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
  });
  const closed = new Promise<number>((resolve) => socket.on("close", (code) => resolve(code)));
  return { socket, bytes: () => Buffer.concat(parts), status, closed };
}

const residentBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

describeWorkers("WebSocket", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(() => broker.remove());

  it("is opened for its path and a subprotocol of MQTT, without compression, and for nothing else", async () => {
    const port = broker.wsPort;
    for (const [protocols, chosen] of [
      [["mqtt"], "mqtt"],
      [["mqttv3.1"], "mqttv3.1"],
      [["other", "mqttv3.1", "mqtt"], "mqtt"],
    ] as const) {
      const { socket, status } = open(port, "/mqtt?token=1", protocols);
      expect([await status, socket.protocol, socket.extensions]).toEqual([101, chosen, ""]);
      socket.terminate();
    }
    expect(await open(port, "/mqtt", []).status).toBe(400);
    expect(await open(port, "/mqtt", ["chat"]).status).toBe(400);
    expect(await open(port, "/other").status).toBe(404);
    expect(await open(port, "/mqtt/").status).toBe(404);
    const statusOf = (path: string): Promise<number> =>
      new Promise((resolve, reject) => {
        get({ port, host: "127.0.0.1", path }, (response) => {
          resolve(response.statusCode ?? 0);
          response.resume();
        }).on("error", reject);
      });
    expect([await statusOf("/mqtt"), await statusOf("/api/v5/status")]).toEqual([426, 404]);
    const statusesOf = async (request: string): Promise<string[]> => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.write(request);
      const parts: Buffer[] = [];
      for await (const part of socket.on("error", () => {})) {
        parts.push(part as Buffer);
        if (Buffer.concat(parts).includes("HTTP/1.1 101")) socket.destroy();
      }
      return (
        Buffer.concat(parts)
          .toString()
          .match(/HTTP\/1\.1 \d+/g) ?? []
      );
    };
    const upgrade =
      "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    expect(await statusesOf(upgrade.replace("HTTP/1.1", "HTTP/1.0"))).toEqual(["HTTP/1.1 400"]);
    expect(await statusesOf(upgrade.replace("Host: x\r\n", ""))).toEqual(["HTTP/1.1 400"]);
    expect(await statusesOf(`GET /other HTTP/1.1\r\nHost: x\r\n\r\n${upgrade}`)).toEqual(["HTTP/1.1 404"]);
  });

  it("has packets that span frames, and frames that hold many packets", async () => {
    const topic = unique("frames");
    const { socket, status, bytes } = open(broker.wsPort);
    await status;
    const packets = [
      connectAs(unique("frames")),
      packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos: 1, nl: false, rap: false, rh: 0 }] }),
    ];
    for (const byte of packets[0]!) socket.send(Buffer.of(byte));
    socket.send(Buffer.alloc(0));
    const many: Buffer[] = [packets[1]!];
    for (let messageId = 2; messageId < 52; messageId += 1) {
      many.push(
        packet({ cmd: "publish", topic, payload: `${messageId}`, qos: 1, messageId, retain: false, dup: false }),
      );
    }
    const together = Buffer.concat(many);
    const middle = together.length >> 1;
    socket.send(together.subarray(0, 7), { fin: false }); // A message in fragments.
    socket.send(together.subarray(7, middle), { fin: true });
    socket.send(together.subarray(middle));
    // A frame larger than any packet may be.
    const large = {
      cmd: "publish",
      topic,
      payload: Buffer.alloc(300_000, "y"),
      qos: 0,
      retain: false,
      dup: false,
    } as const;
    socket.send(Buffer.concat(Array.from({ length: 5 }, () => packet(large))));
    await eventually("five large ones", () => bytes().length > 5 * large.payload.length);
    // CONNACK, SUBACK, and for each message its PUBACK and its delivery, whose payload ends it.
    await eventually("all came back", () => {
      const text = bytes().toString("latin1");
      return Array.from({ length: 50 }, (_, index) => `${index + 2}`).every((payload) => text.includes(payload));
    });
    socket.close();
  });

  it("sends one message for each packet", async () => {
    const root = unique("whole");
    const publisher = await connectMqttJs(broker.mqttPort);
    const sizes = [...Array.from({ length: 20 }, (_, index) => index), 70_000, 900_000];
    for (const size of sizes) {
      await publisher.publishAsync(`${root}/${size}`, Buffer.alloc(size + 1, "x"), { retain: true, qos: 1 });
    }
    await publisher.endAsync();
    const { socket, status } = open(broker.wsPort);
    const messages: Buffer[] = [];
    socket.on("message", (data: Buffer) => messages.push(data));
    await status;
    socket.send(connectAs(unique("whole")));
    const subscriptions = [{ topic: `${root}/+`, qos: 0 as const, nl: false, rap: false, rh: 0 as const }];
    socket.send(packet({ cmd: "subscribe", messageId: 1, subscriptions }));
    await eventually("all come", () => messages.length >= 2 + sizes.length, 30_000);
    const packets = messages.map((message): Packet[] => {
      const found: Packet[] = [];
      const parsed = parser({ protocolVersion: 5 });
      parsed.on("packet", (each) => found.push(each));
      expect(parsed.parse(message)).toBe(0); // Bytes left over.
      return found;
    });
    expect(packets.every(({ length }) => length === 1)).toBe(true);
    expect(packets.slice(0, 2).map(([first]) => first!.cmd)).toEqual(["connack", "suback"]);
    const lengths = packets.flatMap(([each]) => (each!.cmd === "publish" ? [each!.payload.length - 1] : []));
    expect(lengths.toSorted((one, other) => one - other)).toEqual(sizes);
    socket.close();
  });

  it("is closed with 1003 for text, 1009 for what is too large, 1002 for what is no frame", async () => {
    for (const phase of ["before CONNECT", "after it"]) {
      const answers: number[] = [];
      for (const misbehave of [
        ({ socket }: Seen) => socket.send("text"),
        (seen: Seen) => rawOf(seen).write(Buffer.of(0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), // 2^53 bytes.
        (seen: Seen) => rawOf(seen).write("\x83\x00\x00\x00"),
      ]) {
        const seen = open(broker.wsPort);
        await seen.status;
        if (phase === "after it") {
          seen.socket.send(connectAs(unique("misbehaving")));
          await eventually("CONNACK", () => seen.bytes().length > 0);
        }
        misbehave(seen);
        answers.push(await seen.closed);
      }
      expect([phase, ...answers]).toEqual([phase, 1003, 1009, 1002]);
    }
  });

  it("answers pings, and closes who sends them without reading the answers", async () => {
    const { socket, status } = open(broker.wsPort);
    await status;
    socket.ping("here");
    const [data] = (await once(socket, "pong")) as [Buffer];
    expect(data.toString()).toBe("here");
    socket.terminate();

    const flood = connect({ port: broker.wsPort, host: "127.0.0.1" });
    flood.on("error", () => {});
    flood.write(
      "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    );
    await once(flood, "data");
    flood.pause();
    const connectFrame = connectAs(unique("flood"));
    flood.write(Buffer.concat([Buffer.of(0x82, 0x80 | connectFrame.length, 0, 0, 0, 0), connectFrame]));
    const pings = Buffer.concat(
      Array.from({ length: 500 }, () => Buffer.concat([Buffer.of(0x89, 0xfd, 0, 0, 0, 0), Buffer.alloc(125)])),
    );
    const before = residentBytes(broker.pid);
    let isClosed = false;
    flood.on("close", () => {
      isClosed = true;
    });
    while (!isClosed) {
      flood.write(pings);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(residentBytes(broker.pid) - before).toBeLessThan(48 * 1024 * 1024);
  });

  it("serves MQTT.js, to clients of TCP and from them", async () => {
    const topic = unique("mixed");
    const [web, plain] = await Promise.all([
      connectMqttJs(broker.wsPort, { protocol: "ws", path: "/mqtt", protocolVersion: 5 }),
      connectMqttJs(broker.mqttPort, { protocolVersion: 4 }),
    ]);
    const arrived = [collect(web), collect(plain)];
    await Promise.all([web.subscribeAsync(topic, { qos: 2 }), plain.subscribeAsync(topic, { qos: 2 })]);
    const payload = Buffer.alloc(300_000, "x");
    for (const client of [web, plain]) {
      for (const qos of [0, 1, 2] as const) await client.publishAsync(topic, payload, { qos });
    }
    await eventually("each has all", () => arrived.every((deliveries) => deliveries.length === 6));
    expect(arrived.flat().every(({ text }) => text.length === payload.length)).toBe(true);
    await Promise.all([web.endAsync(), plain.endAsync()]);
  });

  it("is cut off when it does not read, at a bounded cost", async () => {
    const topic = unique("unread");
    const seen = open(broker.wsPort);
    await seen.status;
    seen.socket.send(
      Buffer.concat([
        connectAs(unique("unread")),
        packet({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos: 1, nl: false, rap: false, rh: 0 }] }),
      ]),
    );
    await eventually("SUBACK", () => seen.bytes().includes(0x90));
    seen.socket.pause();
    const publisher = await RawClient.connected(broker.mqttPort, unique("publisher"));
    const before = residentBytes(broker.pid);
    for (let count = 0; count < 60; count += 1)
      await publisher.publishSettled(topic, Buffer.alloc(500_000), { qos: 1 });
    expect(residentBytes(broker.pid) - before).toBeLessThan(128 * 1024 * 1024);
    await publisher.end();
    seen.socket.terminate();
  });

  it("leaves its will when it is reset, and none when it says DISCONNECT", async () => {
    const topic = unique("will");
    const watcher = await RawClient.connected(broker.mqttPort, unique("watcher"));
    await watcher.subscribe(topic);
    for (const isPolite of [true, false]) {
      const seen = open(broker.wsPort);
      await seen.status;
      const will = { topic, payload: Buffer.from(String(isPolite)), qos: 0 as const, retain: false };
      seen.socket.send(
        packet({
          cmd: "connect",
          clientId: unique("willing"),
          protocolId: "MQTT",
          protocolVersion: 5,
          clean: true,
          keepalive: 0,
          will,
        }),
      );
      await eventually("CONNACK", () => seen.bytes().length > 0);
      if (isPolite) seen.socket.send(packet({ cmd: "disconnect", reasonCode: 0 }));
      else (seen.socket as unknown as { _socket: { resetAndDestroy(): void } })._socket.resetAndDestroy();
      const code = await seen.closed;
      if (isPolite) expect(code).toBe(1000);
    }
    expect((await watcher.receive()).payload.toString()).toBe("false");
    await watcher.end();
  });

  it(`leaves nothing behind: ${IDLE} idle ones, cut at once`, async () => {
    const socketsBefore = socketsOf(broker.pid);
    const before = residentBytes(broker.pid);
    const all: Seen[] = [];
    for (let opened = 0; opened < IDLE; opened += 50) {
      const some = Array.from({ length: 50 }, () => open(broker.wsPort));
      await Promise.all(some.map(({ status }) => status));
      for (const { socket } of some) socket.send(connectAs(unique("idle")));
      await eventually("CONNACK", () => some.every(({ bytes }) => bytes().length > 0), 30_000);
      all.push(...some);
    }
    const grown = residentBytes(broker.pid) - before;
    console.log(`${IDLE} idle WebSocket connections, ${workers} workers: ${Math.round(grown / IDLE / 1024)} KiB each`);
    expect(grown / IDLE).toBeLessThan(BYTES_PER_IDLE_MAX);
    for (const { socket } of all) socket.terminate();
    await eventually("all are gone", () => socketsOf(broker.pid) <= socketsBefore, 30_000);
  });

  it("is told at a stop, in MQTT and then in WebSocket", async () => {
    const own = await Broker.start({ workers });
    const seen = open(own.wsPort);
    await seen.status;
    seen.socket.send(connectAs("last"));
    await eventually("CONNACK", () => seen.bytes().length > 0);
    const connackBytes = seen.bytes().length;
    const half = open(own.wsPort);
    await half.status;
    await own.stop();
    expect(await seen.closed).toBe(1001);
    const rest = seen.bytes().subarray(connackBytes);
    expect([rest[0], rest[2]]).toEqual([0xe0, 0x8b]);
    await half.closed;
    await own.remove();
  });
});

function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

/**
 * Goal: a listener that is told to takes its clients' addresses from the PROXY protocol, and nothing else: rules judge the client by the
 * address that a trusted proxy announces; who sends no header, or is no trusted proxy, gets nowhere.
 * Method: the built broker with such listeners for TCP and WebSocket; headers of both versions before real clients' bytes.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import { stringify } from "yaml";
import { Broker } from "../harness/broker.ts";
import { connectBytes, packet, properties, u16 } from "../harness/raw-bytes.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const ports = Buffer.of(0x9c, 0x40, 0x07, 0x5b);
const version1 = (source: string): Buffer => Buffer.from(`PROXY TCP4 ${source} 127.0.0.1 40000 1883\r\n`);
const version2 = (...source: readonly number[]): Buffer =>
  Buffer.concat([SIGNATURE, Buffer.of(0x21, 0x11, 0, 12, ...source, 127, 0, 0, 1), ports]);
/** Of a proxy that speaks for itself: its own address counts. */
const local = Buffer.concat([SIGNATURE, Buffer.of(0x20, 0, 0, 0)]);
const none = Buffer.alloc(0);

/** PUBACK of the message that `hello` publishes, with its reason code. */
const NOT_AUTHORIZED = Buffer.of(0x40, 3, 0, 1, 0x87);
const ALLOWED = Buffer.of(0x40, 3, 0, 1, 0x10);
const hello = (clientId: string): Buffer =>
  Buffer.concat([connectBytes({ clientId }), packet(0x32, "inside/t", u16(1), properties(), Buffer.from("x"))]);

describeWorkers("the PROXY protocol", (workers) => {
  let folder: string;
  let broker: Broker;
  const sockets: Socket[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "restante-proxy-"));
    const rules = { default: "deny", rules: [{ allow: "all", address: "203.0.113.0/24", topic: "inside/#" }] };
    writeFileSync(join(folder, "rules"), stringify(rules));
    const trusting = { enabled: true, trusted: ["127.0.0.0/8"] };
    const listeners = [
      { type: "tcp", name: "plain", port: 0 },
      { type: "tcp", name: "proxied", port: 0, proxy_protocol: trusting },
      { type: "ws", name: "proxied-ws", port: 0, proxy_protocol: trusting },
      { type: "tcp", name: "distrusting", port: 0, proxy_protocol: { enabled: true, trusted: ["203.0.113.0/24"] } },
    ];
    broker = await Broker.start({
      workers,
      settings: stringify({ listeners, access: { rules_file: join(folder, "rules") } }),
    });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await broker.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function dial(listener: string): Promise<Socket> {
    const socket = connect({ port: broker.ports[listener]!, host: "127.0.0.1", noDelay: true });
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }

  /** What the last packet is that answers a publish behind such a header; "closed": nothing came before the end. */
  async function answerTo(listener: string, header: Buffer): Promise<Buffer | "closed"> {
    const socket = await dial(listener);
    let came = Buffer.alloc(0);
    let isClosed = false;
    socket.on("error", () => {}); // A reset is an end like any other.
    socket.on("close", () => {
      isClosed = true;
    });
    socket.on("data", (bytes: Buffer) => {
      came = Buffer.concat([came, bytes]);
    });
    socket.write(Buffer.concat([header, hello(`${listener}-${sockets.length}`)]));
    const isAnswered = (): boolean => came.subarray(-5, -1).equals(NOT_AUTHORIZED.subarray(0, 4));
    await eventually("an answer, or the end", () => isAnswered() || isClosed, 30_000);
    socket.destroy();
    return isAnswered() ? came.subarray(-5) : "closed";
  }

  it.each([
    ["the proxy itself", "plain", none, NOT_AUTHORIZED],
    ["a client inside, version 1", "proxied", version1("203.0.113.7"), ALLOWED],
    ["a client outside, version 1", "proxied", version1("192.0.2.7"), NOT_AUTHORIZED],
    ["a client inside, version 2", "proxied", version2(203, 0, 113, 7), ALLOWED],
    ["a client outside, version 2", "proxied", version2(192, 0, 2, 7), NOT_AUTHORIZED],
    ["the proxy for itself, version 2", "proxied", local, NOT_AUTHORIZED],
    ["a client without a header", "proxied", none, "closed"],
    ["a header that is none", "proxied", Buffer.from("PROXY TCP4 203.0.113.7\r\n"), "closed"],
    ["a source that is not trusted, version 1", "distrusting", version1("203.0.113.7"), "closed"],
    ["a source that is not trusted, version 2", "distrusting", version2(203, 0, 113, 7), "closed"],
    ["a source that is not trusted, without a header", "distrusting", none, "closed"],
    ["a header where none belongs", "plain", version1("203.0.113.7"), "closed"],
  ] as const)("judges %s as it should, on the listener %s", async (_who, listener, header, answer) => {
    expect(await answerTo(listener, header)).toEqual(answer);
  });

  it.each([
    ["inside", version1("203.0.113.7"), ALLOWED],
    ["outside", version2(192, 0, 2, 7), NOT_AUTHORIZED],
  ] as const)("judges a client %s behind WebSocket by its own address", async (_where, header, answer) => {
    const socket = await dial("proxied-ws");
    socket.write(header);
    const url = `ws://127.0.0.1:${broker.ports["proxied-ws"]}/mqtt`;
    const stream = createWebSocketStream(new WebSocket(url, ["mqtt"], { createConnection: () => socket }));
    let came = Buffer.alloc(0);
    stream.on("data", (bytes: Buffer) => {
      came = Buffer.concat([came, bytes]);
    });
    stream.write(hello(`ws-${sockets.length}`));
    await eventually(
      () => `an answer, not ${came.toString("hex")}`,
      () => came.subarray(-5).equals(answer),
      30_000,
    );
    stream.destroy();
  });
});

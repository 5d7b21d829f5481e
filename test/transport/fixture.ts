/** An acceptor and the connections it hands over, all on the test's own thread, with real sockets between. */
import { connect, type Socket } from "node:net";
import type { Region } from "../../src/base/region.ts";
import { Acceptor, type AcceptorOptions } from "../../src/transport/acceptor.ts";
import type { CloseCause, Connection, ConnectionHandler } from "../../src/transport/connection.ts";
import type { HandOver } from "../../src/transport/hand-over.ts";
import type { SocketConnection } from "../../src/transport/socket-connection.ts";
import { Transport, type TransportOptions } from "../../src/transport/transport.ts";

export const size = process.env.RESTANTE_TEST_SIZE === "full" ? 10 : 1;

/** CONNECT of MQTT 3.1.1, clean session; `padBytes` goes into the password. */
export function connectPacket(clientId: string, padBytes = 0): Buffer {
  const id = Buffer.from(clientId);
  const body = [
    Buffer.of(0, 4, 0x4d, 0x51, 0x54, 0x54, 4, padBytes > 0 ? 0xc2 : 2, 0, 60),
    Buffer.of(id.length >> 8, id.length & 0xff),
    id,
  ];
  if (padBytes > 0) body.push(Buffer.of(0, 1, 0x75, padBytes >> 8, padBytes & 0xff), Buffer.alloc(padBytes, 0x70));
  return packetOf(0x10, Buffer.concat(body));
}

export function packetOf(firstByte: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.of(firstByte, ...length), body]);
}

/** A PUBLISH-like packet of `byteLength` body bytes that says its number and can be checked byte by byte. */
export function numberedPacket(number: number, byteLength: number): Buffer {
  const body = Buffer.alloc(Math.max(4, byteLength));
  for (let index = 4; index < body.length; index += 1) body[index] = (number * 31 + index * 7) & 0xff;
  body.writeUInt32BE(number, 0);
  return packetOf(0x30, body);
}

/** Keeps what it is told; `onEach` acts like a session in the middle of a packet. */
export class Recorder implements ConnectionHandler {
  readonly packets: Buffer[] = [];
  readonly faults: number[] = [];
  readonly closed: CloseCause[] = [];
  drained = 0;
  written = 0;
  onEach: (packet: Buffer) => void = () => {};
  onDrainedDo: () => void = () => {};
  onWrittenDo: () => void = () => {};

  onPacket(region: Region, start: number, end: number): void {
    const packet = Buffer.from(region.bytes.subarray(start, end));
    this.packets.push(packet);
    this.onEach(packet);
  }
  onFault(reasonCode: number): void {
    this.faults.push(reasonCode);
  }
  onDrained(): void {
    this.drained += 1;
    this.onDrainedDo();
  }
  onWritten(): void {
    this.written += 1;
    this.onWrittenDo();
  }
  onClosed(cause: CloseCause): void {
    this.closed.push(cause);
  }
}

export class Bench {
  readonly acceptor: Acceptor;
  readonly transport: Transport;
  readonly arrived: HandOver[] = [];
  readonly acceptFaults: Error[] = [];
  readonly #sockets: Socket[] = [];

  constructor(options: { acceptor?: Partial<AcceptorOptions>; transport?: Partial<TransportOptions> } = {}) {
    this.transport = new Transport({ wake: () => setImmediate(() => this.transport.flush()), ...options.transport });
    this.acceptor = new Acceptor({
      host: "127.0.0.1",
      port: 0,
      listener: "mqtt",
      connectionsMax: 100_000,
      nowMs: () => performance.now(),
      onConnect: (handOver) => this.arrived.push(handOver),
      onFault: (error) => this.acceptFaults.push(error),
      ...options.acceptor,
    });
  }

  static async start(options: { acceptor?: Partial<AcceptorOptions>; transport?: Partial<TransportOptions> } = {}) {
    const bench = new Bench(options);
    await bench.acceptor.listen();
    return bench;
  }

  get port(): number {
    return Number(this.acceptor.address?.split(":").at(-1));
  }

  /** A client's socket, connected, with nothing sent. */
  async dial(): Promise<Socket> {
    const socket = connect({ port: this.port, host: "127.0.0.1", allowHalfOpen: true });
    this.#sockets.push(socket);
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  }

  /** A client that has sent `bytes` (CONNECT unless told) and the connection that came of it, started with a recorder. */
  async pair(
    bytes: Buffer = connectPacket("c"),
  ): Promise<{ client: Socket; connection: SocketConnection; recorder: Recorder }> {
    const before = this.arrived.length;
    const client = await this.dial();
    client.write(bytes);
    await until(() => this.arrived.length > before);
    const connection = this.transport.open(this.arrived[before]!);
    const recorder = new Recorder();
    connection.start(recorder);
    return { client, connection, recorder };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.transport.destroy();
    await this.acceptor.close();
    await until(() => this.transport.connectionCount === 0);
  }
}

/** Reserves room for `packet` and copies it there. */
export function write(connection: Connection, packet: Buffer): void {
  const offset = connection.reserve(packet.length);
  packet.copy(connection.output.bytes, offset);
}

/** Collects what a client receives. */
export function collect(client: Socket): { bytes(): Buffer; byteLength(): number; ended: boolean } {
  const parts: Buffer[] = [];
  let byteLength = 0;
  const collected = { bytes: () => Buffer.concat(parts), byteLength: () => byteLength, ended: false };
  client.on("data", (part: Buffer) => {
    parts.push(part);
    byteLength += part.length;
  });
  client.on("end", () => {
    collected.ended = true;
  });
  return collected;
}

/** Waits for a condition; the test's time limit is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

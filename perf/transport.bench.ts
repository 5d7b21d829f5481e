/**
 * The transport over loopback: one connection written to by this thread and read by another, with one packet a flush and
 * with hundreds; and the cutting of reads into packets. A row is nanoseconds of wall clock per packet of about 300 bytes.
 *
 * What the reader got is counted, and a byte too few ends the run.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { READ_HEADROOM_BYTES } from "../src/base/limits.ts";
import { Acceptor } from "../src/transport/acceptor.ts";
import type { Connection, ConnectionHandler } from "../src/transport/connection.ts";
import type { HandOver } from "../src/transport/hand-over.ts";
import { PacketInput } from "../src/transport/packet-input.ts";
import { ReadBuffer } from "../src/transport/read-buffer.ts";
import { Transport } from "../src/transport/transport.ts";

interface TransportRow {
  readonly name: string;
  readonly nsPerOp: number;
}

const PACKET_BYTES = 303;
const CONNECT = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x63]);

/** Runs all rows; `small` only proves that they run. @throws when bytes are missing. */
export async function transportBench(size: "small" | "real"): Promise<readonly TransportRow[]> {
  const packets = size === "small" ? 2_000 : 1_000_000;
  const rows: TransportRow[] = [cut(packets)];
  for (const perFlush of [1, 10, 200]) rows.push(await write(perFlush === 1 ? packets / 10 : packets, perFlush));
  return rows;
}

function cut(packets: number): TransportRow {
  const readBuffer = new ReadBuffer(() => {});
  const input = new PacketInput(readBuffer, 1_048_576);
  let seen = 0;
  input.start(
    { onPacket: () => (seen += 1), onFault: () => assert(false, "the packets are sound") },
    new Uint8Array(0),
  );
  const stream = packet();
  const perRead = 200;
  for (let index = 0; index < perRead; index += 1) stream.copy(readBuffer.socketBytes, index * PACKET_BYTES);
  const readBytes = perRead * PACKET_BYTES;
  assert(readBytes + READ_HEADROOM_BYTES <= readBuffer.region.bytes.length, "the packets fit into one read");
  const startMs = performance.now();
  for (let read = 0; read < packets / perRead; read += 1) input.receive(readBytes);
  const nsPerOp = ((performance.now() - startMs) * 1e6) / packets;
  assert(seen === packets, "every packet is seen");
  return { name: "cut a read of 200 packets", nsPerOp };
}

async function write(packets: number, perFlush: number): Promise<TransportRow> {
  const transport = new Transport({ wake: () => {} });
  const arrived: HandOver[] = [];
  const acceptor = new Acceptor({
    host: "127.0.0.1",
    port: 0,
    listener: "mqtt",
    connectionsMax: 10,
    nowMs: () => performance.now(),
    onConnect: (handOver) => arrived.push(handOver),
    onFault: (error) => {
      throw error;
    },
  });
  await acceptor.listen();
  const port = Number(acceptor.address?.split(":").at(-1));
  const workerData = { port, bytes: packets * PACKET_BYTES, connectPacket: CONNECT };
  const reader = new Worker(READER, { eval: true, workerData });
  while (arrived.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const connection = transport.open(arrived[0]!);
  const writer = new Writer(connection);
  connection.start(writer);

  const read = once(reader, "message");
  const startMs = performance.now();
  for (let sent = 0; sent < packets; sent += perFlush) {
    while (!connection.isWritable) await writer.drained();
    for (let index = 0; index < perFlush; index += 1) {
      const offset = connection.reserve(PACKET_BYTES);
      connection.output.bytes[offset] = 0x30;
    }
    transport.flush();
    if (sent % (8 * perFlush) === 0) await new Promise((resolve) => setImmediate(resolve)); // As a turn would.
  }
  const [bytes] = await read;
  const nsPerOp = ((performance.now() - startMs) * 1e6) / packets;
  assert(bytes === packets * PACKET_BYTES, "every byte is read");
  transport.destroy();
  await Promise.all([acceptor.close(), reader.terminate()]);
  return { name: `write ${perFlush} a flush`, nsPerOp };
}

/** Counts what it reads and says so when it is all there. */
const READER = `
  const { parentPort, workerData } = require("node:worker_threads");
  let bytes = 0;
  const count = (byteLength) => {
    bytes += byteLength;
    if (bytes >= workerData.bytes) parentPort.postMessage(bytes);
    return true;
  };
  const onread = { buffer: Buffer.alloc(65536), callback: count };
  const socket = require("node:net").connect({ port: workerData.port, host: "127.0.0.1", onread });
  socket.write(workerData.connectPacket);
`;

class Writer implements ConnectionHandler {
  readonly connection: Connection;
  #wake: () => void = () => {};

  constructor(connection: Connection) {
    this.connection = connection;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
  onDrained(): void {
    this.#wake();
  }
  onPacket(): void {}
  onWritten(): void {}
  onFault(): void {}
  onClosed(): void {}
}

function packet(): Buffer {
  const bytes = Buffer.alloc(PACKET_BYTES);
  bytes.set([0x30, 0xac, 0x02]); // 300 bytes behind the fixed header.
  return bytes;
}

/**
 * A client of a worker without a socket: packets go in as bytes, and what the worker writes is read with mqtt-packet.
 */
import { generate, type IConnectPacket, type Packet, parser } from "mqtt-packet";
import { Region } from "../../src/base/region.ts";
import type { Client } from "../../src/session/client.ts";
import type { ClientConnection } from "../../src/session/ports.ts";
import type { BrokerWorker } from "../../src/worker/worker.ts";

export type PacketOf<K extends Packet["cmd"]> = Extract<Packet, { cmd: K }>;

/** The worker's end: keeps what is reserved until it is flushed, and packets that come while reading is paused. */
export class MemoryConnection implements ClientConnection {
  readonly bytesRead = 0;
  readonly hasPartialPacket = false;
  output = Region.allocate(64 * 1024);
  readonly peer = "127.0.0.1:40000";
  readonly identity = { address: "127.0.0.1", listener: "mqtt", isTls: false, certificateCommonName: null };
  bytesReserved = 0;
  bytesWritten = 0;
  /** Whether the peer reads. */
  isReading = true;
  isPaused = false;
  isEnded = false;
  #client: Client | undefined;
  #start = 0;
  #end = 0;
  #mark = Number.POSITIVE_INFINITY;
  #refused = false;
  #isHandling = false;
  readonly #waiting: Buffer[] = [];
  readonly #onBytes: (bytes: Buffer) => void;

  constructor(onBytes: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
  }

  attach(client: Client): void {
    this.#client = client;
  }

  get isWritable(): boolean {
    const isRoomy = this.isReading && !this.isEnded;
    if (!isRoomy) this.#refused = true;
    return isRoomy;
  }

  reserve(byteLength: number): number {
    if (this.isEnded) return this.#nowhere(byteLength);
    if (this.#end + byteLength > this.output.bytes.length) {
      const larger = Region.allocate((this.#end - this.#start + byteLength) * 2);
      this.output.bytes.copy(larger.bytes, 0, this.#start, this.#end);
      this.output = larger;
      this.#end -= this.#start;
      this.#start = 0;
    }
    const at = this.#end;
    this.#end += byteLength;
    this.bytesReserved += byteLength;
    return at;
  }

  #nowhere(byteLength: number): number {
    if (this.output.bytes.length < byteLength) this.output = Region.allocate(byteLength);
    return 0;
  }

  watchWritten(mark: number): void {
    this.#mark = Math.min(this.#mark, mark);
  }

  /** What a turn's flush does. */
  flush(): void {
    if (this.isReading && this.#end > this.#start) {
      const bytes = Buffer.from(this.output.bytes.subarray(this.#start, this.#end));
      this.#start = this.#end = 0;
      this.bytesWritten = this.bytesReserved;
      this.#onBytes(bytes);
    }
    if (this.isEnded) return;
    if (this.#mark <= this.bytesWritten) {
      this.#mark = Number.POSITIVE_INFINITY;
      this.#client?.onWritten();
    }
    if (this.#refused && this.isReading) {
      this.#refused = false;
      this.#client?.onDrained();
    }
  }

  feed(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#deliver();
  }

  #deliver(): void {
    if (this.#isHandling) return;
    this.#isHandling = true;
    while (!this.isPaused && !this.isEnded && this.#waiting.length > 0) {
      const region = Region.over(this.#waiting.shift()!);
      this.#client?.onPacket(region, 0, region.bytes.length);
    }
    this.#isHandling = false;
  }

  pauseReading(): void {
    this.isPaused = true;
  }

  resumeReading(): void {
    this.isPaused = false;
    this.#deliver();
  }

  end(): void {
    if (this.isEnded) return;
    this.flush();
    this.isEnded = true;
  }

  destroy(): void {
    this.isEnded = true;
  }
}

/** One MQTT client. Nothing is acknowledged by itself. */
export class MemoryClient {
  readonly connection: MemoryConnection;
  readonly version: 4 | 5;
  readonly packets: Packet[] = [];
  /** The worker has been told that the connection is gone. */
  isClosed = false;
  readonly #client: Client;
  readonly #worker: BrokerWorker;

  constructor(worker: BrokerWorker, version: 4 | 5 = 5) {
    this.version = version;
    this.#worker = worker;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", (packet: Packet) => this.packets.push(packet));
    reader.on("error", (error: Error) => {
      throw error;
    });
    this.connection = new MemoryConnection((bytes) => {
      reader.parse(bytes);
    });
    this.#client = worker.newClient(this.connection, "assigned");
    this.connection.attach(this.#client);
  }

  send(packet: Packet): void {
    this.connection.feed(generate(packet, { protocolVersion: this.version }));
  }

  connect(clientId: string, options: Partial<IConnectPacket> = {}): void {
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      clientId,
      ...options,
    });
  }

  subscribe(filter: string, qos: 0 | 1 | 2, messageId = 1, identifier?: number): void {
    const options = this.version === 5 ? { nl: false, rap: false, rh: 0 } : {};
    const properties = identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } };
    this.send({ cmd: "subscribe", messageId, subscriptions: [{ topic: filter, qos, ...options }], ...properties });
  }

  unsubscribe(filter: string, messageId = 2): void {
    this.send({ cmd: "unsubscribe", messageId, unsubscriptions: [filter] });
  }

  publish(
    topic: string,
    payload: string | Buffer,
    qos: 0 | 1 | 2 = 0,
    messageId = 1,
    flags: { dup?: boolean; retain?: boolean } = {},
  ): void {
    const { dup = false, retain = false } = flags;
    this.send({ cmd: "publish", topic, payload, qos, dup, retain, ...(qos === 0 ? {} : { messageId }) });
  }

  acknowledge(cmd: "puback" | "pubrec" | "pubrel" | "pubcomp", messageId: number, reasonCode = 0): void {
    this.send({ cmd, messageId, ...(this.version === 5 ? { reasonCode } : {}) });
  }

  /** Takes the packets of a kind that have come so far. */
  take<K extends Packet["cmd"]>(cmd: K): PacketOf<K>[] {
    const taken = this.packets.filter((packet): packet is PacketOf<K> => packet.cmd === cmd);
    const rest = this.packets.filter((packet) => packet.cmd !== cmd);
    this.packets.length = 0;
    this.packets.push(...rest);
    return taken;
  }

  /** The connection is gone, whoever ended it. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.connection.destroy();
    this.#client.onClosed();
    this.#worker.wake();
  }
}

/**
 * A bare MQTT client on a socket: it sends exactly the packets (or bytes) it is told to, acknowledges nothing by
 * itself, and hands out what arrives in order. For tests of the protocol, where a real client would be too polite.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type ISubackPacket,
  type Packet,
  parser,
  type QoS,
} from "mqtt-packet";

export type Version = 4 | 5;
export type PacketOf<K extends Packet["cmd"]> = Extract<Packet, { cmd: K }>;
type Properties = NonNullable<IPublishPacket["properties"]>;

const WAIT_MS = 20_000;

export interface PublishOptions {
  readonly qos?: QoS;
  readonly messageId?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: Properties;
}

export interface SubscribeOptions {
  readonly qos?: QoS;
  readonly nl?: boolean;
  readonly rap?: boolean;
  readonly rh?: number;
  readonly identifier?: number;
}

export class RawClient {
  readonly version: Version;
  #socket: Socket;
  #arrived: Packet[] = [];
  #wake: (() => void)[] = [];
  #closed = false;
  #broken: Error | undefined;
  #identifier = 0;

  private constructor(socket: Socket, version: Version) {
    this.#socket = socket;
    this.version = version;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", (packet: Packet) => this.#arrived.push(packet));
    reader.on("error", (error: Error) => {
      this.#broken = error;
    });
    socket.on("data", (bytes: Buffer) => {
      reader.parse(bytes);
      this.#wakeAll();
    });
    socket.on("error", () => {}); // A reset by the broker is an end like any other here.
    socket.on("close", () => {
      this.#closed = true;
      this.#wakeAll();
    });
  }

  /** A TCP connection, nothing sent yet. */
  static async open(port: number, version: Version = 5): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RawClient(socket, version);
  }

  /** Opens, sends CONNECT (clean unless told otherwise, keep alive off) and expects a CONNACK of success. */
  static async connected(
    port: number,
    clientId: string,
    options: Partial<IConnectPacket> & { version?: Version } = {},
  ): Promise<RawClient & { connack: IConnackPacket }> {
    const { version, ...packet } = options;
    const client = await RawClient.open(port, version ?? 5);
    const connack = await client.connect({ clientId, ...packet });
    const code = connack.reasonCode ?? connack.returnCode;
    if (code !== 0) throw new Error(`CONNACK ${code}`);
    return Object.assign(client, { connack });
  }

  async connect(options: Partial<IConnectPacket> & { clientId: string }): Promise<IConnackPacket> {
    this.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: this.version,
      clean: true,
      keepalive: 0,
      ...options,
    });
    return this.take("connack");
  }

  send(packet: Packet): void {
    this.#socket.write(generate(packet, { protocolVersion: this.version }));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Several packets in one write, so that the broker reads them in one turn. */
  sendTogether(packets: readonly Packet[]): void {
    this.#socket.write(Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: this.version }))));
  }

  nextIdentifier(): number {
    this.#identifier = (this.#identifier % 0xffff) + 1;
    return this.#identifier;
  }

  /** Sends a PUBLISH; answers its packet identifier (0 for QoS 0). */
  publish(topic: string, payload: string | Buffer, options: PublishOptions = {}): number {
    const qos = options.qos ?? 0;
    const messageId = qos === 0 ? 0 : (options.messageId ?? this.nextIdentifier());
    this.send({
      cmd: "publish",
      topic,
      payload,
      qos,
      retain: options.retain ?? false,
      dup: options.dup ?? false,
      ...(qos === 0 ? {} : { messageId }),
      ...(options.properties === undefined ? {} : { properties: options.properties }),
    });
    return messageId;
  }

  async subscribe(filter: string, options: SubscribeOptions = {}): Promise<ISubackPacket> {
    const { qos = 0, identifier, ...rest } = options;
    const v5 = this.version === 5 ? { nl: false, rap: false, rh: 0, ...rest } : {};
    this.send({
      cmd: "subscribe",
      messageId: this.nextIdentifier(),
      subscriptions: [{ topic: filter, qos, ...v5 }],
      ...(identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } }),
    });
    return this.take("suback");
  }

  async unsubscribe(filter: string): Promise<void> {
    this.send({ cmd: "unsubscribe", messageId: this.nextIdentifier(), unsubscriptions: [filter] });
    await this.take("unsuback");
  }

  /** Reads no more from the socket. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again, what has come meanwhile first. */
  resume(): void {
    this.#socket.resume();
  }

  puback(messageId: number, reasonCode = 0): void {
    this.send({ cmd: "puback", messageId, ...(this.version === 5 ? { reasonCode } : {}) });
  }

  /** The first waiting packet of that kind, or the next to come; the others keep their places. */
  async take<K extends Packet["cmd"]>(cmd: K, timeoutMs = WAIT_MS): Promise<PacketOf<K>> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const packet = this.tryTake(cmd);
      if (packet !== undefined) return packet;
      if (this.#broken !== undefined) throw this.#broken;
      const leftMs = deadlineMs - performance.now();
      if (this.#closed || leftMs <= 0) {
        const why = this.#closed ? "the connection was closed" : `nothing within ${timeoutMs} ms`;
        throw new Error(`waited for ${cmd}: ${why}; waiting packets: ${JSON.stringify(this.#arrived)}`);
      }
      await this.#something(leftMs);
    }
  }

  /** The first waiting packet of that kind, if there is one. */
  tryTake<K extends Packet["cmd"]>(cmd: K): PacketOf<K> | undefined {
    const at = this.#arrived.findIndex((packet) => packet.cmd === cmd);
    return at < 0 ? undefined : (this.#arrived.splice(at, 1)[0] as PacketOf<K>);
  }

  /** Publishes and answers the reason code of the PUBACK or PUBREC (0 at QoS 0); the exchange is complete then. */
  async publishSettled(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<number> {
    const messageId = this.publish(topic, payload, options);
    if (options.qos === 1) return (await this.take("puback")).reasonCode ?? 0;
    if (options.qos !== 2) return 0;
    const reasonCode = (await this.take("pubrec")).reasonCode ?? 0;
    if (reasonCode >= 0x80) return reasonCode;
    this.send({ cmd: "pubrel", messageId, ...(this.version === 5 ? { reasonCode: 0 } : {}) });
    await this.take("pubcomp");
    return reasonCode;
  }

  /** The next PUBLISH, its exchange completed. */
  async receive(timeoutMs = WAIT_MS): Promise<IPublishPacket> {
    const packet = await this.take("publish", timeoutMs);
    const { qos, messageId } = packet;
    if (qos === 1) this.puback(messageId!);
    if (qos === 2) {
      const code = this.version === 5 ? { reasonCode: 0 } : {};
      this.send({ cmd: "pubrec", messageId: messageId!, ...code });
      await this.take("pubrel", timeoutMs);
      this.send({ cmd: "pubcomp", messageId: messageId!, ...code });
    }
    return packet;
  }

  /** So many PUBLISH packets, their exchanges completed, as text. */
  async receiveTexts(count: number, timeoutMs = WAIT_MS): Promise<string[]> {
    const texts: string[] = [];
    while (texts.length < count) texts.push((await this.receive(timeoutMs)).payload.toString());
    return texts;
  }

  /** What waits unread: packets that arrived and nobody took. */
  get waiting(): readonly Packet[] {
    return this.#arrived;
  }

  /** Waits `ms` and fails if a packet (of that kind) came or the connection ended. */
  async expectQuiet(ms: number, cmd?: Packet["cmd"]): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    const came = this.#arrived.filter((packet) => cmd === undefined || packet.cmd === cmd);
    if (came.length > 0) throw new Error(`expected silence, got ${JSON.stringify(came)}`);
    if (this.#closed) throw new Error("expected silence, the connection was closed");
  }

  /** A PINGREQ and its answer: everything sent before has been read by the broker. */
  async ping(): Promise<void> {
    this.send({ cmd: "pingreq" });
    await this.take("pingresp");
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** @throws unless the broker closes the connection in time. */
  async expectClose(timeoutMs = WAIT_MS): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!this.#closed) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`the connection was not closed within ${timeoutMs} ms`);
      await this.#something(leftMs);
    }
  }

  /** DISCONNECT and the end of the connection, awaited. */
  async end(): Promise<void> {
    if (this.#closed) return;
    this.#socket.end(generate({ cmd: "disconnect" }, { protocolVersion: this.version }));
    await this.expectClose().catch(() => this.#socket.destroy());
  }

  /** Cuts the connection without a word. */
  async cut(): Promise<void> {
    if (this.#closed) return;
    this.#socket.destroy();
    await this.expectClose();
  }

  #something(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

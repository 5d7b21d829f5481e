/**
 * A bare client that acknowledges what comes as it comes, or holds back, and writes down what it sees. Nothing in it waits for a time to
 * pass: whoever needs something to have come waits for that.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type Packet,
  parser,
} from "mqtt-packet";

const WAIT_MS_MAX = 15_000;

export class Actor {
  readonly version: 4 | 5;
  /** Deliveries, in the order in which they came, since the last `take`. */
  #delivered: IPublishPacket[] = [];
  /** Everything else that came, by type. */
  readonly #answers: Packet[] = [];
  /** What came while it held back, and is to be acknowledged. */
  readonly #owed: IPublishPacket[] = [];
  readonly #socket: Socket;
  #wake: (() => void)[] = [];
  #identifier = 0;
  isHolding = false;
  isClosed = false;
  connack: IConnackPacket | undefined;

  private constructor(socket: Socket, version: 4 | 5) {
    this.#socket = socket;
    this.version = version;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", (packet: Packet) => this.#onPacket(packet));
    socket.on("data", (bytes: Buffer) => {
      reader.parse(bytes);
      for (const wake of this.#wake.splice(0)) wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  static async open(
    port: number,
    version: 4 | 5,
    options: Partial<IConnectPacket> & { clientId: string },
  ): Promise<Actor> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    await once(socket, "connect");
    const actor = new Actor(socket, version);
    socket.on("end", () => socket.end());
    actor.#send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: version,
      clean: true,
      keepalive: 0,
      ...options,
    });
    actor.connack = (await actor.answer("connack")) as IConnackPacket;
    return actor;
  }

  /** Sends a packet with an identifier of its own; returns the first answer of one of those types. */
  async ask(packet: Packet, ...answers: readonly Packet["cmd"][]): Promise<Packet> {
    this.#identifier = (this.#identifier % 0xffff) + 1;
    this.#send({ ...packet, messageId: this.#identifier } as Packet);
    return this.answer(...answers);
  }

  tell(packet: Packet): void {
    this.#send(packet);
  }

  async answer(...cmds: readonly Packet["cmd"][]): Promise<Packet> {
    let at = -1;
    await this.until(() => {
      at = this.#answers.findIndex(({ cmd }) => cmds.includes(cmd));
      return at >= 0 || this.isClosed;
    }, cmds.join(" or "));
    if (at < 0) throw new Error(`closed before ${cmds.join(" or ")}`);
    return this.#answers.splice(at, 1)[0]!;
  }

  /** A QoS 2 publish to its end, or one at QoS 1; answers the reason codes. */
  async publish(packet: Packet & { qos: number }): Promise<number[]> {
    if (packet.qos === 0) {
      this.#send(packet);
      return [];
    }
    const first = await this.ask(packet, "puback", "pubrec");
    const codes = [codeOf(first)];
    if (first.cmd === "puback" || codes[0]! >= 0x80) return codes;
    this.#send({ cmd: "pubrel", messageId: first.messageId!, ...this.#success } as Packet);
    return [...codes, codeOf(await this.answer("pubcomp"))];
  }

  async ping(): Promise<void> {
    this.#send({ cmd: "pingreq" });
    await this.answer("pingresp");
  }

  release(): void {
    this.isHolding = false;
    for (const packet of this.#owed.splice(0)) this.#acknowledge(packet);
  }

  /** Ends its half of the connection, with these packets before, and waits until the server ends the other. */
  async end(...packets: readonly Packet[]): Promise<void> {
    for (const packet of packets) this.#send(packet);
    this.#socket.end();
    await this.closed();
  }

  closed(): Promise<void> {
    return this.until(() => this.isClosed, "the end of the connection");
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get delivered(): readonly IPublishPacket[] {
    return this.#delivered;
  }

  take(): IPublishPacket[] {
    const taken = this.#delivered;
    this.#delivered = [];
    return taken;
  }

  async until(isSo: () => boolean, what: string): Promise<void> {
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    while (!isSo()) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`waited in vain for ${what}; ${JSON.stringify(this.#answers)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #onPacket(packet: Packet): void {
    if (packet.cmd === "publish") {
      this.#delivered.push(packet);
      if (packet.qos === 0) return;
      if (this.isHolding && !packet.topic.startsWith("$")) this.#owed.push(packet);
      else this.#acknowledge(packet);
    } else if (packet.cmd === "pubrel") {
      this.#send({ cmd: "pubcomp", messageId: packet.messageId!, ...this.#success } as Packet);
    } else {
      this.#answers.push(packet);
    }
  }

  #acknowledge({ qos, messageId }: IPublishPacket): void {
    this.#send({ cmd: qos === 1 ? "puback" : "pubrec", messageId: messageId!, ...this.#success } as Packet);
  }

  get #success(): object {
    return this.version === 5 ? { reasonCode: 0 } : {};
  }

  #send(packet: Packet): void {
    if (!this.#socket.destroyed && this.#socket.writable) {
      this.#socket.write(generate(packet, { protocolVersion: this.version }));
    }
  }
}

export const codeOf = (packet: Packet): number =>
  ("reasonCode" in packet ? packet.reasonCode : undefined) ??
  ("returnCode" in packet ? packet.returnCode : undefined) ??
  0;

/**
 * What is around the bytes of MQTT costs the broker: the same messages over plain TCP, WebSocket and TLS, from one publisher (QoS 1, a window of
 * 200, 256 bytes each) to one subscriber (QoS 0), by the processor time of the broker for each. A relay of the benchmark wraps them.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Broker } from "../../test/harness/broker.ts";
import { TRANSPORTS, type Transport } from "../../test/harness/wrapping.ts";
import { alignedTable } from "./table.ts";
import { cpuUsOf } from "./tls-connections.ts";

export interface TransportMeasurement {
  readonly transport: Transport;
  readonly cpuUs: number;
}

const PAYLOAD_BYTES = 256;
const WINDOW = 200;
const PUBACK_BYTES = 4;
const CONNACK_BYTES = 4;
const SUBACK_BYTES = 5;
const TOPIC = Buffer.of(0, 1, 0x74);
/** At QoS 0 and at QoS 1, which has an identifier; a remaining length of two bytes. */
const DELIVERY_BYTES = 3 + TOPIC.length + PAYLOAD_BYTES;
const BODY_BYTES = TOPIC.length + 2 + PAYLOAD_BYTES;

export async function measureTransports(messages: number, directory: string): Promise<TransportMeasurement[]> {
  const measurements: TransportMeasurement[] = [];
  for (const transport of TRANSPORTS) {
    const broker = await Broker.start({ transport, directory });
    try {
      const subscriber = await Counted.open(broker.mqttPort, "s");
      subscriber.socket.write(Buffer.of(0x82, 6, 0, 1, 0, 1, 0x74, 0));
      await subscriber.reach(CONNACK_BYTES + SUBACK_BYTES);
      const publisher = await Counted.open(broker.mqttPort, "p");
      await publisher.reach(CONNACK_BYTES);
      await publish(publisher, subscriber, 0, Math.ceil(messages / 10));
      const beforeUs = cpuUsOf(broker.pid);
      await publish(publisher, subscriber, Math.ceil(messages / 10), messages);
      measurements.push({ transport, cpuUs: (cpuUsOf(broker.pid) - beforeUs) / messages });
      publisher.socket.destroy();
      subscriber.socket.destroy();
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }
  return measurements;
}

async function publish(publisher: Counted, subscriber: Counted, before: number, count: number): Promise<void> {
  for (let sent = 0; sent < count; ) {
    const part = Math.min(WINDOW, count - sent);
    publisher.socket.write(Buffer.concat(Array.from({ length: part }, (_, at) => publishPacket(at + 1))));
    sent += part;
    await publisher.reach(CONNACK_BYTES + (before + sent) * PUBACK_BYTES);
  }
  await subscriber.reach(CONNACK_BYTES + SUBACK_BYTES + (before + count) * DELIVERY_BYTES);
}

function publishPacket(packetId: number): Buffer {
  const packet = Buffer.alloc(3 + BODY_BYTES);
  packet[0] = 0x32;
  packet[1] = (BODY_BYTES & 0x7f) | 0x80;
  packet[2] = BODY_BYTES >> 7;
  TOPIC.copy(packet, 3);
  packet.writeUInt16BE(packetId, 3 + TOPIC.length);
  return packet;
}

/** A client of whose input only the length matters. */
class Counted {
  readonly socket: Socket;
  #bytes = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #reached: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#bytes += bytes.length;
      if (this.#bytes >= this.#wanted) this.#reached();
    });
    socket.on("close", () => this.#failed(new Error("the broker closed a connection")));
  }

  static async open(port: number, clientId: string): Promise<Counted> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const id = Buffer.from(clientId);
    socket.write(
      Buffer.concat([Buffer.of(0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length), id]),
    );
    return new Counted(socket);
  }

  /** Resolves when so many bytes have come, ever. */
  reach(bytes: number): Promise<void> {
    this.#wanted = bytes;
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#reached = resolve;
      if (this.#bytes >= bytes) resolve();
    });
  }
}

export function transportsTable(measurements: readonly TransportMeasurement[]): string {
  const plainUs = measurements[0]!.cpuUs;
  const rows = measurements.map(({ transport, cpuUs }) => [transport, cpuUs.toFixed(1), (cpuUs / plainUs).toFixed(1)]);
  return alignedTable([["a message over", "cpu us", "of the first"], ...rows]);
}

/**
 * The crowd of bench:strangers. As a program, `strangers-crowd PORT STALLED GARBAGE SECONDS`, it says at its end what it did, as JSON.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { generate } from "mqtt-packet";

export interface CrowdOptions {
  readonly port: number;
  /** Connections that send the beginning of a CONNECT and no more. */
  readonly stalled: number;
  /** Connections that send garbage, and again a second after they were closed. */
  readonly garbage: number;
  readonly seconds: number;
}

export interface CrowdCounts {
  opened: number;
  /** By the broker. */
  closed: number;
  /** Messages to the one that never reads. */
  flooded: number;
}

const GARBAGE_BYTES_MAX = 2_000;
const COME_BACK_MS = 1_000;
const FLOOD_PAYLOAD = Buffer.alloc(4_096, "f");
/** Ten megabytes a second. */
const FLOOD_EVERY_MS = 10;
const FLOOD_AT_ONCE = 25;
/** The most that a fixed header can announce, behind the first byte. */
const ANNOUNCES_256_MB = Buffer.of(0xff, 0xff, 0xff, 0x7f);

const hello = (clientId: string): Buffer =>
  generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 0, clientId });
const asksForFlood = generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "flood", qos: 0 }] });
const flood = generate({ cmd: "publish", topic: "flood", payload: FLOOD_PAYLOAD, qos: 0, dup: false, retain: false });

class Crowd {
  readonly counts: CrowdCounts = { opened: 0, closed: 0, flooded: 0 };
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  open(bytes: Buffer, whenClosed: () => void = () => {}): Socket {
    const socket = connect(this.#port, "127.0.0.1", () => {
      this.counts.opened += 1;
      socket.write(bytes);
    });
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (this.#isOver) return;
      this.counts.closed += 1;
      whenClosed();
    });
    return socket.resume();
  }

  talkNonsense(): void {
    const nonsense = randomBytes(1 + Math.floor(Math.random() * GARBAGE_BYTES_MAX));
    this.open(nonsense, () => setTimeout(() => this.#isOver || this.talkNonsense(), COME_BACK_MS));
  }

  end(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

export async function runCrowd({ port, stalled, garbage, seconds }: CrowdOptions): Promise<CrowdCounts> {
  const crowd = new Crowd(port);
  for (let index = 0; index < stalled; index += 1) {
    crowd.open(hello(`stalled-${index}`).subarray(0, 1 + (index % 20)));
    if (index % 50 === 49) await pause(5);
  }
  for (let index = 0; index < garbage; index += 1) crowd.talkNonsense();
  crowd.open(Buffer.concat([Buffer.of(0x10), ANNOUNCES_256_MB, Buffer.alloc(1_000)]));
  crowd.open(Buffer.concat([hello("announces"), Buffer.of(0x30), ANNOUNCES_256_MB, Buffer.alloc(100_000)]));
  const deaf = crowd.open(Buffer.concat([hello("deaf"), asksForFlood]));
  const flooder = crowd.open(hello("flooder"));
  setTimeout(() => deaf.pause(), 200);
  const flooding = setInterval(() => {
    for (let times = 0; times < FLOOD_AT_ONCE; times += 1) flooder.write(flood);
    crowd.counts.flooded += FLOOD_AT_ONCE;
  }, FLOOD_EVERY_MS);
  await pause(seconds * 1_000);
  clearInterval(flooding);
  crowd.end();
  return crowd.counts;
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const [port, stalled, garbage, seconds] = process.argv.slice(2).map(Number) as [number, number, number, number];
  process.stdout.write(`${JSON.stringify(await runCrowd({ port, stalled, garbage, seconds }))}\n`);
}

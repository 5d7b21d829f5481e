/**
 * Goal: clients that stop near the end of a large packet and go on byte by byte keep nobody from memory: they are cut off soon, told why, and
 * publishers of little and who is new are served all the time.
 * Method: a broker with the smallest budget; more tricklers than may hold half of it, of plain packets and of WebSocket frames; a hoarder that never
 * acknowledges what a feeder publishes keeps the process at its budget; a witness pair and newcomers meanwhile.
 */
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { connectBytes, publish } from "../harness/raw-bytes.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, pause } from "../harness/waiting.ts";
import { Witness } from "../harness/witness.ts";

const SETTINGS = "limits.memory_budget: 16MB\n";
const HELD = publish("t", 1, Buffer.alloc(1_000_000)).subarray(0, 900_000);
/** With one worker, all of them fit into what input may take. */
const TRICKLERS = 7;
const TRICKLE_MS = 100;
const FED = Buffer.alloc(250_000);
const WAIT_MS = 60_000;
const UPGRADE =
  "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
const DISCONNECT_QUOTA_EXCEEDED = Buffer.of(0xe0, 2, 0x97, 0);

/** A client's frame whose mask is all zero; `declared` may promise more than there is. */
function frameOf(payload: Buffer, declared = payload.length): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(0x82ff, 0);
  head.writeBigUInt64BE(BigInt(declared), 2);
  return Buffer.concat([head, payload]);
}

class Trickler {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number, clientId: string, isWebSocket: boolean) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("error", () => {});
    this.socket.on("data", (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    this.socket.on("close", () => {
      this.isClosed = true;
      clearInterval(this.#timer);
    });
    const connected = connectBytes({ clientId });
    if (isWebSocket) this.socket.write(Buffer.concat([Buffer.from(UPGRADE), frameOf(connected)]));
    this.socket.write(isWebSocket ? frameOf(HELD, 1_000_000) : Buffer.concat([connected, HELD]));
    this.#timer = setInterval(() => this.socket.write(Buffer.of(0)), TRICKLE_MS);
  }

  get isTold(): boolean {
    return this.received.includes(DISCONNECT_QUOTA_EXCEEDED);
  }
}

describeWorkers("clients that trickle", (workers) => {
  it("are cut off when memory is tight; who publishes little and who is new do not wait for them", async () => {
    const broker = await Broker.start({ workers, settings: SETTINGS });
    try {
      const witness = await Witness.start(broker.mqttPort);
      const newTricklers = (port: number, isWebSocket: boolean): Trickler[] =>
        Array.from({ length: TRICKLERS }, (_, number) => new Trickler(port, `${isWebSocket}-${number}`, isWebSocket));
      const plain = newTricklers(broker.mqttPort, false);
      const framed = newTricklers(broker.wsPort, true);
      const closedOf = (tricklers: readonly Trickler[]): number => tricklers.filter(({ isClosed }) => isClosed).length;

      const hoarder = await RawClient.connected(broker.mqttPort, "hoarder", { properties: { receiveMaximum: 1 } });
      await hoarder.subscribe("fed", { qos: 1 });
      const feeder = await RawClient.connected(broker.mqttPort, "feeder");
      let isFeeding = true;
      const feeding = (async () => {
        while (isFeeding) {
          feeder.publish("fed", FED, { qos: 1 });
          await feeder.take("puback", WAIT_MS);
        }
      })();

      // At most three eighths of what unfinished packets may take are left to them.
      await eventually("plain ones are cut off", () => closedOf(plain) >= TRICKLERS / 2, WAIT_MS);
      await eventually("those in frames are cut off", () => closedOf(framed) >= TRICKLERS / 2, WAIT_MS);
      expect([...plain, ...framed].filter(({ isClosed, isTold }) => isClosed && !isTold)).toEqual([]);
      expect(broker.logs.some((line) => line.includes("too slowly were cut off"))).toBe(true);

      witness.testify();
      for (let newcomer = 0; newcomer < 3; newcomer += 1) {
        const client = await RawClient.connected(broker.mqttPort, `newcomer-${newcomer}`);
        await pause(500);
        await client.end();
      }
      const { witnessed } = witness.testify();
      expect(witnessed).toBeGreaterThan(10);
      isFeeding = false;
      await feeding;
      await witness.stop();
      // However often it came and went, the log tells it once.
      expect(broker.logs.filter((line) => line.includes("the memory budget is used up")).length).toBeLessThan(5);
      for (const { socket } of [...plain, ...framed]) socket.destroy();
      await Promise.all([hoarder.cut(), feeder.end()]);
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 180_000);
});

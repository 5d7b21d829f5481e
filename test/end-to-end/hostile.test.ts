/**
 * Goal: names that mean something to JavaScript mean nothing to the broker, names of one hash are two, and connections that go wrong leave nothing behind in its
 * memory, however many there are.
 * Method: client IDs, topics, queues and user properties called like members of objects, through a session that lasts and a restart;
 * thousands of broken first packets, with the process's anonymous memory looked at before and after.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { generate } from "mqtt-packet";
import { expect, it } from "vitest";
import { hashBytes } from "../../src/base/hash.ts";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"];
const BROKEN = isFullSize ? 20_000 : 4_000;
const AT_ONCE = 50;
const WILL_BYTES = 16_000;
/** Keeping half of the broken packets would be more: 32 MB of 64 in the small size. */
const GROWTH_BYTES_MAX = 24 * 1024 * 1024;

const anonymousBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

/** Two client IDs that hash to the same 32 bits, with which a broker that looks no further would mistake them. */
function namesOfOneHash(): [string, string] {
  const byHash = new Map<number, string>();
  for (let number = 0; ; number += 1) {
    const name = `client-${number}`;
    const bytes = Buffer.from(name);
    const hash = hashBytes(bytes, 0, bytes.length);
    const other = byHash.get(hash);
    if (other !== undefined) return [other, name];
    byHash.set(hash, name);
  }
}

describeWorkers("what is hostile", (workers) => {
  it("by its name, is a name", async () => {
    const broker = await Broker.start({ workers });
    const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
    try {
      for (const name of NAMES) {
        await createQueue(broker, {
          topic_filter: `${name}/#`,
          is_lastvalue: true,
          key_expression: "message.headers.properties.User-Property.constructor",
        });
        const client = await RawClient.connected(broker.mqttPort, name, lasting);
        expect(client.connack.sessionPresent).toBe(false);
        await client.subscribe(name, { qos: 1 });
        await client.end();
      }
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      for (const name of NAMES) {
        expect(await publisher.publishSettled(name, name, { qos: 1 })).toBe(0x83); // A queue takes it, too, and it has no key.
        const properties = { userProperties: { constructor: name, __proto__: name } };
        expect(await publisher.publishSettled(`${name}/x`, "old", { qos: 1, retain: true, properties })).toBe(0);
        expect(await publisher.publishSettled(`${name}/x`, "new", { qos: 1, retain: true, properties })).toBe(0);
      }
      await publisher.end();
      await broker.stop();
      await broker.restart();
      for (const name of NAMES) {
        const client = await RawClient.connected(broker.mqttPort, name, lasting);
        expect(client.connack.sessionPresent).toBe(true);
        expect((await client.receive()).payload.toString()).toBe(name);
        await client.subscribe(`${name}/+`, { qos: 1 });
        expect((await client.receive()).payload.toString()).toBe("new"); // Retained.
        await client.subscribe(`$q/${name}/#`, { qos: 1 });
        expect((await client.receive()).payload.toString()).toBe("new");
        await client.end();
        expect(await ledgerOf(broker, `${name}/#`)).toMatchObject({
          stored: 2,
          superseded: 1,
          refused: 1,
          difference: 0,
        });
        expect((await request(broker, "DELETE", `/api/v5/clients/${name}`)).status).toBe(204);
        expect((await request(broker, "DELETE", `/api/v5/clients/${name}`)).status).toBe(404);
      }
      await broker.stop();
    } finally {
      await broker.remove();
    }
  });

  it("by the hash of its client ID, gets no other client's session", async () => {
    const [one, other] = namesOfOneHash();
    const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const broker = await Broker.start({ workers });
    try {
      for (const clientId of [one, other]) {
        const client = await RawClient.connected(broker.mqttPort, clientId, lasting);
        expect(client.connack.sessionPresent).toBe(false);
        await client.subscribe(`to/${clientId}`, { qos: 1 });
        await client.end();
      }
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      for (const clientId of [one, other]) await publisher.publishSettled(`to/${clientId}`, clientId, { qos: 1 });
      await publisher.end();
      await broker.stop();
      await broker.restart();
      const clients = [];
      for (const clientId of [one, other]) clients.push(await RawClient.connected(broker.mqttPort, clientId, lasting));
      for (const [at, clientId] of [one, other].entries()) {
        expect((await clients[at]!.receive()).payload.toString()).toBe(clientId);
        await clients[at]!.expectQuiet(50); // Nothing of the other, and no takeover.
        await clients[at]!.end();
      }
      await broker.stop();
    } finally {
      await broker.remove();
    }
  });

  it("by its first packet, leaves no memory behind", async () => {
    const broker = await Broker.start({ workers });
    const will = { topic: "wills", payload: Buffer.alloc(WILL_BYTES, "w"), qos: 1 as const, retain: false };
    const clientId = "c".repeat(1_000);
    const whole = generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      keepalive: 0,
      clientId,
      will,
    });
    const broken = (number: number): Buffer => {
      const bytes = Buffer.from(whole);
      if (number % 3 === 0) return bytes.subarray(0, 10 + (number % (bytes.length - 10))); // Cut, then closed.
      bytes[number % 3 === 1 ? 9 : bytes.length - will.payload.length - 1] = 0xff; // Reserved flags; a length beyond the end.
      return bytes;
    };
    const send = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(broker.mqttPort, "127.0.0.1", () => socket.end(bytes));
        socket.on("error", () => {});
        socket.on("close", () => resolve());
        socket.resume();
      });
    const round = async (): Promise<void> => {
      for (let number = 0; number < BROKEN; number += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => send(broken(number + index))));
      }
    };
    try {
      await round(); // Buffers and code are warm.
      const before = anonymousBytes(broker.pid);
      await round();
      await eventually(
        () => `memory is back from ${before}, now ${anonymousBytes(broker.pid)}`,
        () => anonymousBytes(broker.pid) - before < GROWTH_BYTES_MAX,
        30_000,
      );
      const client = await RawClient.connected(broker.mqttPort, "witness");
      await client.ping();
      await client.end();
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 120_000);
});

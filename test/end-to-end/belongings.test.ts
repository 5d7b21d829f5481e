/**
 * Goal: what clients let the broker keep for them (wills, filters, topics of aliases, names, QoS 2 identifiers, sessions, retained messages) is
 * bounded over all of them: beyond it who wants much is refused with the right code, who wants little is not, and what is let go makes room.
 * Method: a broker with small bounds, which hold for each worker; clients that each want as much as one may, until one is refused.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { packet, u16 } from "../harness/raw-bytes.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const SETTINGS = "limits: {memory_budget: 16MB, max_sessions: 6, max_retained_bytes: 600KB}\n";
const PART_BYTES = 4 * 1024 * 1024;
const LARGE_BYTES = 60_000;
const QUOTA_EXCEEDED = 0x97;
const SERVER_UNAVAILABLE = 3;
/** Of PUBLISH packets at once, beyond the Receive Maximum. */
const BURST = 2_000;

describeWorkers("what clients let the broker keep", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, settings: SETTINGS });
  });
  afterAll(() => broker.remove());

  it("is bounded over all of them, and given back", async () => {
    const come = async (clientId: string, willBytes: number, version: Version = 5) => {
      const client = await RawClient.open(broker.mqttPort, version);
      const will = { topic: "wills", payload: Buffer.alloc(willBytes), qos: 0, retain: false } as const;
      const connack = await client.connect({ clientId, will });
      return { client, code: connack.reasonCode ?? connack.returnCode! };
    };
    const known: RawClient[] = [];
    let clientId: string | undefined; // Of one whose worker is full.
    while (clientId === undefined) {
      const next = `client-${known.length}`;
      const { client, code } = await come(next, LARGE_BYTES);
      if (code === 0) {
        known.push(client);
        expect(known.length).toBeLessThanOrEqual((workers * PART_BYTES) / LARGE_BYTES);
        continue;
      }
      expect(code).toBe(QUOTA_EXCEEDED);
      await client.expectClose();
      clientId = next;
    }
    expect(known.length).toBeGreaterThan(PART_BYTES / LARGE_BYTES - 2);

    expect((await come(clientId, LARGE_BYTES, 4)).code).toBe(SERVER_UNAVAILABLE);
    const little = await come(clientId, 1_000);
    expect(little.code).toBe(0);
    const long = "f".repeat(LARGE_BYTES);
    expect((await little.client.subscribe(long)).granted).toEqual([QUOTA_EXCEEDED]);
    expect((await little.client.subscribe("short")).granted).toEqual([0]);
    little.client.publish("short", "by alias", { properties: { topicAlias: 1 } });
    expect((await little.client.receive()).payload.toString()).toBe("by alias");
    little.client.publish(long, "by alias", { properties: { topicAlias: 2 } });
    expect((await little.client.take("disconnect")).reasonCode).toBe(QUOTA_EXCEEDED);
    await little.client.expectClose();

    // By all ways that a will goes.
    await Promise.all(known.map((client, at) => (at % 2 === 0 ? client.end() : client.cut())));
    let again: Awaited<ReturnType<typeof come>> | undefined;
    await eventually("there is room again", async () => {
      again = await come(clientId!, LARGE_BYTES);
      return again.code === 0;
    });
    // What it lets go, it may have again, as often as it likes.
    const { client } = again!;
    for (let round = 0; round < (2 * PART_BYTES) / LARGE_BYTES; round += 1) {
      expect((await client.subscribe(`${long}-${round}`)).granted).toEqual([0]);
      await client.unsubscribe(`${long}-${round}`);
    }
    await client.end();
  }, 60_000);

  it("as sessions that last is bounded; others come, and who has one comes back", async () => {
    const come = async (clientId: string, isLasting: boolean, version: Version = 5, clean = true) => {
      const client = await RawClient.open(broker.mqttPort, version);
      const properties = { sessionExpiryInterval: isLasting ? 3_600 : 0 };
      const connack = await client.connect({ clientId, clean, ...(version === 5 ? { properties } : {}) });
      const code = connack.reasonCode ?? connack.returnCode!;
      if (code === 0) await client.end();
      else await client.expectClose();
      return { code, isPresent: connack.sessionPresent };
    };
    const kept: string[] = [];
    let refused: string | undefined;
    for (let number = 0; refused === undefined; number += 1) {
      const clientId = `lasting-${number}`;
      const { code } = await come(clientId, true);
      if (code === 0) kept.push(clientId);
      else refused = clientId;
      expect([0, QUOTA_EXCEEDED]).toContain(code);
    }
    expect(kept.length).toBeLessThanOrEqual(6);
    expect(kept.length).toBeGreaterThanOrEqual(6 / workers - 1); // One of before may just be going.
    expect((await come(refused, true, 4, false)).code).toBe(SERVER_UNAVAILABLE);
    expect((await come(refused, false)).code).toBe(0);
    for (const clientId of kept) expect(await come(clientId, true, 5, false)).toEqual({ code: 0, isPresent: true });
    for (const clientId of kept) await come(clientId, false); // They let go.
    expect((await come(refused, true)).code).toBe(0);
  }, 60_000);

  it("in QoS 2 identifiers that an MQTT 3 client never releases is bounded, and who releases them goes on", async () => {
    const publishesOf = (first: number, count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, (_, at) => packet(0x34, "t", u16(first + at), Buffer.of(1))));
    const client = await RawClient.connected(broker.mqttPort, "v3", { version: 4, clean: false });
    // As a stock client that sends all it has at once: more than the Receive Maximum of MQTT 5.
    for (let round = 0; round < 2; round += 1) {
      client.sendBytes(publishesOf(1, BURST));
      for (let packetId = 1; packetId <= BURST; packetId += 1) {
        expect((await client.take("pubrec")).messageId).toBe(packetId);
        client.send({ cmd: "pubrel", messageId: packetId });
      }
      for (let packetId = 1; packetId <= BURST; packetId += 1) await client.take("pubcomp");
    }
    let unreleased = 0;
    while (!client.isClosed && unreleased + BURST < 0xffff) {
      client.sendBytes(publishesOf(1 + unreleased, BURST));
      unreleased += BURST;
      await client.ping().catch(() => {});
    }
    await client.expectClose();
    expect(unreleased).toBeGreaterThan(PART_BYTES / 200 - BURST);
    // A clean start lets all of them go.
    const again = await RawClient.connected(broker.mqttPort, "v3", { version: 4, clean: true });
    again.sendBytes(publishesOf(1, BURST));
    for (let count = 0; count < BURST; count += 1) await again.take("pubrec");
    await again.end();
  }, 120_000);

  it("as retained messages is bounded; what is there stays, also when less is allowed later", async () => {
    const client = await RawClient.connected(broker.mqttPort, "retaining");
    const retain = (topic: string, payloadBytes: number) =>
      client.publishSettled(topic, Buffer.alloc(payloadBytes), { qos: 1, retain: true });
    const kept: string[] = [];
    let full: string | undefined;
    for (let number = 0; full === undefined; number += 1) {
      const topic = `kept/${number}`;
      const code = await retain(topic, 50_000);
      if (code < 0x80) kept.push(topic);
      else full = topic;
      expect([0, 0x10, QUOTA_EXCEEDED]).toContain(code);
      expect(kept.length).toBeLessThanOrEqual(600 / 50);
    }
    expect(kept.length).toBeGreaterThan(600 / 50 / workers - 2);
    expect(await retain("kept/0", 1_000)).toBeLessThan(0x80); // A smaller one always.
    expect(await retain("kept/0", 0)).toBeLessThan(0x80);
    kept.shift();
    await client.end();
    await broker.stop();
    writeFileSync(join(broker.directory, "restante.yaml"), "limits.max_retained_bytes: 10KB\n");
    await broker.restart();

    const later = await RawClient.connected(broker.mqttPort, "later");
    await later.subscribe("kept/#");
    const topics: string[] = [];
    while (topics.length < kept.length) topics.push((await later.receive()).topic);
    expect(topics.sort()).toEqual(kept.sort());
    expect(await later.publishSettled("kept/0", Buffer.alloc(20_000), { qos: 1, retain: true })).toBe(QUOTA_EXCEEDED);
    await later.end();
  }, 60_000);
});

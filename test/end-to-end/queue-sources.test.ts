/**
 * Goal: whatever way a message is published, a queue has it once, as it was published; what is not for queues is in none.
 * Method: every source writes into the queue of its own topic; a look and a consumer say what came.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { type PublishOptions, RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

describeWorkers("what comes into a queue", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);

  /** A queue over the topic of its name. */
  async function queue(): Promise<string> {
    const name = unique("source");
    await createQueue(broker, { name, topic_filter: name });
    return name;
  }

  /** Text and QoS of what waits, once there are so many. */
  async function waitingIn(name: string, count: number): Promise<(readonly [unknown, unknown])[]> {
    let found: readonly { readonly payload: string; readonly qos: number }[] = [];
    await eventually(`${count} wait in ${name}`, async () => {
      const { body } = await request(broker, "GET", `/api/v5/queue/${name}/messages?payload=plain`);
      found = (body as { readonly data: typeof found }).data;
      return found.length >= count;
    });
    return found.map(({ payload, qos }) => [payload, qos]);
  }

  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    it("publishes of every QoS", async () => {
      const name = await queue();
      const producer = await open("producer", { version });
      for (const qos of [0, 1, 2] as const) expect(await producer.publishSettled(name, `${qos}`, { qos })).toBe(0);
      await producer.end();
      expect(await waitingIn(name, 3)).toEqual([
        ["0", 0],
        ["1", 1],
        ["2", 2],
      ]);
    });

    it.each([
      ["that ends with its connection", { clean: true }],
      ["that outlives it", { clean: false, ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}) }],
    ])("a QoS 2 publish of a session %s, once, however often it is repeated", async (_which, options) => {
      const name = await queue();
      const producer = await open("producer", { version, ...options });
      const repeated: PublishOptions = { qos: 2, messageId: 7 };
      producer.publish(name, "once", repeated);
      producer.publish(name, "once", { ...repeated, dup: true });
      await producer.take("pubrec"); // One answer may do for both.
      producer.publish(name, "once", { ...repeated, dup: true });
      await producer.take("pubrec");
      producer.send({ cmd: "pubrel", messageId: 7 });
      await producer.take("pubcomp");
      expect(await producer.publishSettled(name, "another", repeated)).toBe(0);
      await producer.end();
      expect(await waitingIn(name, 2)).toEqual([
        ["once", 2],
        ["another", 2],
      ]);
    });

    it("the will of a client that died", async () => {
      const name = await queue();
      const dying = await open("dying", {
        version,
        will: { topic: name, payload: Buffer.from("gone"), qos: 1, retain: false },
      });
      await dying.cut();
      expect(await waitingIn(name, 1)).toEqual([["gone", 1]]);
    });

    it("a retained publish, also an empty one; the flag is delivered only as the subscription says", async () => {
      const name = await queue();
      const producer = await open("producer", { version });
      for (const text of ["kept", ""])
        expect(await producer.publishSettled(name, text, { qos: 1, retain: true })).toBe(0);
      expect(await producer.publishSettled(name, "kept again", { qos: 1, retain: true })).toBe(0);
      expect((await waitingIn(name, 3)).map(([text]) => text)).toEqual(["kept", "", "kept again"]);
      const consumer = await open("consumer", { version });
      await consumer.subscribe(`$queue/${name}`, { qos: 1 });
      for (const text of ["kept", "", "kept again"]) {
        const packet = await consumer.receive();
        expect([packet.payload.toString(), packet.retain]).toEqual([text, false]);
      }
      await consumer.end();
      const late = await open("late", { version }); // What is retained is not the queue's: the queue is empty.
      await late.subscribe(`$queue/${name}`, { qos: 1 });
      await late.subscribe(`$q/${name}`, { qos: 1 });
      await late.ping();
      expect(late.waiting).toEqual([]);
      await late.end();
      await producer.end();
    });
  });

  it("Retain As Published: the flag as it was published", async () => {
    const name = await queue();
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1, rap: true });
    const producer = await open("producer");
    for (const retain of [true, false]) {
      await producer.publishSettled(name, "job", { qos: 1, retain });
      expect((await consumer.receive()).retain).toBe(retain);
    }
    await consumer.end();
    await producer.end();
  });

  it("a delayed will, when its time has come, and none that was cancelled", async () => {
    const name = await queue();
    const will = (text: string) => ({ topic: name, payload: Buffer.from(text), qos: 1 as const, retain: false });
    const properties = { sessionExpiryInterval: 60 };
    const dying = await open("dying", { properties, will: { ...will("gone"), properties: { willDelayInterval: 1 } } });
    const clientId = unique("back");
    const cancelled = { properties, clean: false, will: { ...will("never"), properties: { willDelayInterval: 1 } } };
    const first = await RawClient.connected(broker.mqttPort, clientId, cancelled);
    await Promise.all([dying.cut(), first.cut()]);
    expect((await ledgerOf(broker, name)).stored).toBe(0);
    const back = await RawClient.connected(broker.mqttPort, clientId, { properties, clean: false });
    expect(await waitingIn(name, 1)).toEqual([["gone", 1]]);
    await back.end();
  });

  it("REST publishes of every QoS", async () => {
    const name = await queue();
    for (const qos of [0, 1, 2]) {
      const message = { topic: name, payload: `${qos}`, qos };
      expect((await request(broker, "POST", "/api/v5/publish", message)).status).toBe(200);
    }
    expect(await waitingIn(name, 3)).toEqual([
      ["0", 0],
      ["1", 1],
      ["2", 2],
    ]);
  });

  it("topics below other roots with a dollar sign by their own filters only, and nothing below $SYS", async () => {
    const wide = unique("wide");
    await createQueue(broker, { name: wide, topic_filter: "#" });
    const own = unique("own");
    await createQueue(broker, { name: own, topic_filter: "$things/#" });
    const system = unique("system");
    await createQueue(broker, { name: system, topic_filter: "$SYS/#" });
    const producer = await open("producer");
    expect(await producer.publishSettled("$things/1", "thing", { qos: 1 })).toBe(0);
    expect(await producer.publishSettled("$SYS/broker", "no", { qos: 1 })).toBe(0x90);
    expect(await producer.publishSettled("plain", "plain", { qos: 1 })).toBe(0);
    await producer.end();
    expect((await waitingIn(own, 1)).map(([text]) => text)).toEqual(["thing"]);
    expect((await waitingIn(wide, 1)).map(([text]) => text)).toEqual(["plain"]);
    expect((await ledgerOf(broker, system)).stored).toBe(0);
  });
});

/**
 * Goal: retained messages reach later subscribers, wills speak for clients that died and for no others.
 * Method: exact packets on bare sockets.
 */
import { expect, it } from "vitest";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";

describeServers("retained messages and wills", (subject) => {
  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(subject.port, subject.unique(name), options);

  it("keeps the last retained message of a topic", async () => {
    const topic = subject.unique("kept");
    const sender = await open("sender");
    await sender.publishSettled(topic, "old", { qos: 1, retain: true });
    await sender.publishSettled(topic, "new", { qos: 1, retain: true });
    const receiver = await open("receiver", { version: 4 });
    await receiver.subscribe(topic, { qos: 1 });
    const packet = await receiver.receive();
    expect([packet.payload.toString(), packet.retain, packet.qos]).toEqual(["new", true, 1]); // [MQTT-3.3.1-8]
    await receiver.ping();
    await receiver.expectQuiet(50);
    await receiver.end();
    await sender.end();
  });

  it("finds retained messages by wildcards", async () => {
    const root = subject.unique("tree");
    const sender = await open("sender");
    for (const leaf of ["a/1", "a/2", "b/1", "b"]) {
      await sender.publishSettled(`${root}/${leaf}`, leaf, { qos: 1, retain: true });
    }
    for (const [filter, expected] of [
      [`${root}/#`, ["a/1", "a/2", "b", "b/1"]],
      [`${root}/+/1`, ["a/1", "b/1"]],
      [`${root}/b/#`, ["b", "b/1"]],
    ] as const) {
      const receiver = await open("receiver");
      await receiver.subscribe(filter, { qos: 1 });
      expect((await receiver.receiveTexts(expected.length)).toSorted()).toEqual(expected);
      await receiver.ping();
      await receiver.expectQuiet(50);
      await receiver.end();
    }
    await sender.end();
  });

  it("forgets a retained message when an empty one comes", async () => {
    const topic = subject.unique("cleared");
    const sender = await open("sender");
    await sender.publishSettled(topic, "x", { qos: 1, retain: true });
    await sender.publishSettled(topic, "", { qos: 1, retain: true });
    const receiver = await open("receiver");
    await receiver.subscribe(topic, { qos: 1 });
    await receiver.ping();
    await receiver.expectQuiet(50); // [MQTT-3.3.1-6]
    await receiver.end();
    await sender.end();
  });

  it("clears the retain flag for those who were there, unless Retain As Published", async () => {
    const topic = subject.unique("flag");
    const plain = await open("plain");
    const asPublished = await open("published");
    await plain.subscribe(topic, { qos: 1 });
    await asPublished.subscribe(topic, { qos: 1, rap: true });
    const sender = await open("sender");
    await sender.publishSettled(topic, "x", { qos: 1, retain: true });
    expect((await plain.receive()).retain).toBe(false); // [MQTT-3.3.1-12]
    expect((await asPublished.receive()).retain).toBe(true); // [MQTT-3.3.1-13]
    for (const client of [plain, asPublished, sender]) await client.end();
  });

  it("gives retained messages once for every time that is subscribed, also when that comes together", async () => {
    const topic = subject.unique("again");
    const client = await open("client");
    await client.publishSettled(topic, "x", { qos: 1, retain: true });
    const subscription = { topic, qos: 1, nl: false, rap: false, rh: 0 } as const;
    client.sendTogether([
      { cmd: "subscribe", messageId: 11, subscriptions: [subscription, subscription] }, // [MQTT-3.8.4-5]
      { cmd: "subscribe", messageId: 12, subscriptions: [subscription] }, // [MQTT-3.8.4-4]
    ]);
    for (const messageId of [11, 12]) expect((await client.take("suback")).messageId).toBe(messageId);
    expect(await client.receiveTexts(3)).toEqual(["x", "x", "x"]);
    await client.ping();
    await client.expectQuiet(50);
    await client.end();
  });

  it("obeys Retain Handling", async () => {
    const topic = subject.unique("handling");
    const client = await open("client");
    await client.publishSettled(topic, "x", { qos: 1, retain: true });
    await client.subscribe(topic, { qos: 1, rh: 2 });
    await client.ping();
    await client.expectQuiet(50); // [MQTT-3.3.1-11]
    await client.subscribe(topic, { qos: 1, rh: 1 });
    await client.ping();
    await client.expectQuiet(50); // [MQTT-3.3.1-10]
    await client.subscribe(topic, { qos: 1, rh: 0 });
    expect(await client.receiveTexts(1)).toEqual(["x"]); // [MQTT-3.3.1-9]
    await client.end();
  });

  const will = (topic: string) => ({ topic, payload: Buffer.from("gone"), qos: 1 as const, retain: false });

  it("publishes the will of a connection that was cut, of either version", async () => {
    const topic = subject.unique("will");
    const witness = await open("witness");
    await witness.subscribe(topic, { qos: 1 });
    for (const version of [4, 5] as const) {
      const dying = await open("dying", { version, will: will(topic) });
      await dying.cut();
      expect(await witness.receiveTexts(1)).toEqual(["gone"]); // [MQTT-3.1.2-8]
    }
    await witness.end();
  });

  it("publishes no will after DISCONNECT, but does after DISCONNECT 0x04", async () => {
    const topic = subject.unique("will");
    const witness = await open("witness");
    await witness.subscribe(topic, { qos: 1 });
    const polite = await open("polite", { will: will(topic) });
    await polite.end();
    await witness.ping();
    await witness.expectQuiet(100); // [MQTT-3.1.2-10]
    const asking = await open("asking", { will: will(topic) });
    asking.send({ cmd: "disconnect", reasonCode: 4 });
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    await asking.expectClose();
    await witness.end();
  });

  it("keeps a retained will", async () => {
    const topic = subject.unique("will");
    const dying = await open("dying", { will: { ...will(topic), retain: true } });
    await dying.cut();
    const later = await open("later");
    for (;;) {
      await later.subscribe(topic, { qos: 1 });
      await later.ping();
      if (later.waiting.length > 0) break;
    }
    expect((await later.receive()).payload.toString()).toBe("gone"); // [MQTT-3.1.2-15]
    await later.end();
  });

  it("waits for the will delay, and a new connection of the client cancels it", async () => {
    const topic = subject.unique("will");
    const witness = await open("witness");
    await witness.subscribe(topic, { qos: 1 });
    const delayed = (delayS: number) => ({
      clean: false,
      properties: { sessionExpiryInterval: 30 },
      will: { ...will(topic), properties: { willDelayInterval: delayS } },
    });
    const clientId = subject.unique("dying");
    const returning = await RawClient.connected(subject.port, clientId, delayed(1));
    await returning.cut();
    const back = await RawClient.connected(subject.port, clientId, delayed(1));
    await witness.expectQuiet(1_600, "publish"); // [MQTT-3.1.3-9]
    await back.cut();
    await witness.expectQuiet(400, "publish");
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    await witness.end();
  });
});

/**
 * Goal: messages reach their subscribers with the right quality of service, options, identifiers and properties.
 * Method: exact packets on bare sockets, senders and receivers with different client identifiers (and so on different
 * workers); silence is proven by a later message that does arrive.
 */
import type { QoS } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";
import { pause } from "../harness/waiting.ts";

const levels = [0, 1, 2] as const;

/** filter, what of the topic it matches, what it does not. All below one prefix. */
const wildcards: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["a/+", ["a/b", "a/"], ["a", "a/b/c"]],
  ["a/#", ["a", "a/", "a/b", "a/b/c"], ["b", "ab"]],
  ["+/b", ["a/b", "/b"], ["b", "a/b/c"]],
  ["+", ["a", ""], ["a/b"]],
  ["a/+/c/#", ["a/b/c", "a/b/c/d", "a//c"], ["a/c", "a/b/d/c"]],
];

describeServers("messages", (subject) => {
  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(subject.port, subject.unique(name), options);

  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    const pairs = levels.flatMap((sent) => levels.map((granted) => [sent, granted] as const));
    it.each(pairs)("published at QoS %i, subscribed at QoS %i", async (sent: QoS, granted: QoS) => {
      const topic = subject.unique("qos");
      const receiver = await open("receiver", { version });
      expect((await receiver.subscribe(topic, { qos: granted })).granted).toEqual([granted]);
      const sender = await open("sender", { version });
      for (let number = 0; number < 5; number++) {
        expect(await sender.publishSettled(topic, `${number}`, { qos: sent })).toBe(0);
      }
      for (let number = 0; number < 5; number++) {
        const packet = await receiver.receive();
        const got = { text: packet.payload.toString(), qos: packet.qos, dup: packet.dup, retain: packet.retain };
        expect(got).toEqual({ text: `${number}`, qos: Math.min(sent, granted), dup: false, retain: false });
      }
      await receiver.end();
      await sender.end();
    });

    it("a QoS 2 message sent twice before PUBREL is delivered once", async () => {
      const topic = subject.unique("once");
      const receiver = await open("receiver", { version });
      await receiver.subscribe(topic, { qos: 2 });
      const sender = await open("sender", { version });
      sender.publish(topic, "one", { qos: 2, messageId: 7 });
      await sender.take("pubrec");
      sender.publish(topic, "one", { qos: 2, messageId: 7, dup: true });
      await sender.take("pubrec"); // [MQTT-4.3.3-10]
      sender.send({ cmd: "pubrel", messageId: 7, ...(version === 5 ? { reasonCode: 0 } : {}) });
      await sender.take("pubcomp");
      expect(await sender.publishSettled(topic, "two", { qos: 2, messageId: 7 })).toBe(0);
      expect(await receiver.receiveTexts(2)).toEqual(["one", "two"]);
      await receiver.end();
      await sender.end();
    });
  });

  it("acknowledges in the order of arrival", async () => {
    const sender = await open("sender", { version: 4 });
    const sent = Array.from({ length: 50 }, (_, at) => sender.publish(subject.unique("order"), `${at}`, { qos: 1 }));
    const acknowledged: number[] = [];
    for (const _ of sent) acknowledged.push((await sender.take("puback")).messageId!);
    expect(acknowledged).toEqual(sent); // [MQTT-4.6.0-2]
    await sender.end();
  });

  it("tells a v5 publisher that nobody subscribed", async () => {
    const sender = await open("sender");
    expect(await sender.publishSettled(subject.unique("nobody"), "x", { qos: 1 })).toBe(0x10);
    await sender.end();
  });

  it.each(wildcards)("filter %s", async (filter, matching, others) => {
    const prefix = subject.unique("wild");
    const receiver = await open("receiver");
    await receiver.subscribe(`${prefix}/${filter}`, { qos: 1 });
    await receiver.subscribe(`${prefix}-end`, { qos: 1 });
    const sender = await open("sender");
    for (const topic of [...others, ...matching]) await sender.publishSettled(`${prefix}/${topic}`, topic, { qos: 1 });
    await sender.publishSettled(`${prefix}-end`, "end", { qos: 1 });
    expect(await receiver.receiveTexts(matching.length + 1)).toEqual([...matching, "end"]);
    await receiver.end();
    await sender.end();
  });

  it("matches no topic that begins with $ by a leading wildcard", async () => {
    const receiver = await open("receiver");
    const topic = `$${subject.unique("root")}/x`;
    const last = subject.unique("last");
    await receiver.subscribe("#", { qos: 1 });
    const sender = await open("sender");
    await sender.publishSettled(topic, "hidden", { qos: 1 });
    await sender.publishSettled(last, "seen", { qos: 1 });
    for (;;) {
      const packet = await receiver.receive();
      expect(packet.topic).not.toBe(topic); // [MQTT-4.7.2-1]
      if (packet.topic === last) break;
    }
    await receiver.end();
    await sender.end();
  });

  it("stops after UNSUBSCRIBE and says whether there was a subscription", async () => {
    const topic = subject.unique("stop");
    const client = await open("client");
    await client.subscribe(topic, { qos: 1 });
    client.send({ cmd: "unsubscribe", messageId: 90, unsubscriptions: [topic, `${topic}-never`] });
    expect((await client.take("unsuback")).granted).toEqual([0, 0x11]);
    await client.publishSettled(topic, "x", { qos: 1 });
    await client.ping();
    await client.expectQuiet(50);
    await client.end();
  });

  it("does not send a message back to its publisher with No Local", async () => {
    const topic = subject.unique("local");
    const one = await open("one");
    const two = await open("two");
    await one.subscribe(topic, { qos: 1, nl: true });
    await one.publishSettled(topic, "mine", { qos: 1 });
    await two.publishSettled(topic, "theirs", { qos: 1 });
    expect(await one.receiveTexts(1)).toEqual(["theirs"]); // [MQTT-3.8.3-3]
    await one.end();
    await two.end();
  });

  it("delivers the identifiers of all matching subscriptions", async () => {
    const topic = subject.unique("identified");
    const client = await open("client");
    await client.subscribe(`${topic}/a`, { qos: 1, identifier: 7 });
    await client.subscribe(`${topic}/+`, { qos: 1, identifier: 300 });
    await client.publishSettled(`${topic}/a`, "x", { qos: 1 });
    const first = await client.receive();
    const identifiers = [first.properties?.subscriptionIdentifier].flat();
    if (identifiers.length === 1) {
      identifiers.push(...[(await client.receive()).properties?.subscriptionIdentifier].flat()); // A copy each is allowed, too.
    }
    expect(identifiers.toSorted()).toEqual([300, 7]); // [MQTT-3.3.4-3], [MQTT-3.3.4-4]
    await client.end();
  });

  it("passes properties on unchanged", async () => {
    const topic = subject.unique("properties");
    const receiver = await open("receiver");
    await receiver.subscribe(topic, { qos: 1 });
    const sender = await open("sender");
    const properties = {
      payloadFormatIndicator: true,
      contentType: "text/plain",
      responseTopic: "answers/here",
      correlationData: Buffer.from([0, 1, 2, 255]),
      userProperties: { a: ["1", "2"], ключ: "значение" },
    };
    await sender.publishSettled(topic, "x", { qos: 1, properties });
    const got = (await receiver.receive()).properties;
    expect({ ...got, userProperties: { ...got?.userProperties } }).toEqual(properties); // [MQTT-3.3.2-15] to [MQTT-3.3.2-20]
    await receiver.end();
    await sender.end();
  });

  it("understands a publisher's topic alias", async () => {
    const topic = subject.unique("alias");
    const receiver = await open("receiver");
    await receiver.subscribe(topic, { qos: 1 });
    const sender = await open("sender");
    expect(sender.connack.properties?.topicAliasMaximum).toBeGreaterThan(0);
    sender.publish(topic, "named", { properties: { topicAlias: 1 } });
    sender.publish("", "by alias", { properties: { topicAlias: 1 } });
    const packets = [await receiver.receive(), await receiver.receive()];
    expect(packets.map((packet) => [packet.topic, packet.payload.toString()])).toEqual([
      [topic, "named"],
      [topic, "by alias"],
    ]);
    await receiver.end();
    await sender.end();
  });

  it("counts the message expiry down and drops what expired", async () => {
    const topic = subject.unique("expiry");
    const clientId = subject.unique("away");
    const session = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const before = await RawClient.connected(subject.port, clientId, session);
    await before.subscribe(topic, { qos: 1 });
    await before.end();
    const sender = await open("sender");
    await sender.publishSettled(topic, "short", { qos: 1, properties: { messageExpiryInterval: 1 } });
    await sender.publishSettled(topic, "long", { qos: 1, properties: { messageExpiryInterval: 60 } });
    await pause(2_200);
    const after = await RawClient.connected(subject.port, clientId, session);
    const packet = await after.receive();
    expect(packet.payload.toString()).toBe("long"); // [MQTT-3.3.2-5]
    expect(packet.properties?.messageExpiryInterval).toBeLessThan(60); // [MQTT-3.3.2-6]
    expect(packet.properties?.messageExpiryInterval).toBeGreaterThan(50);
    await after.end();
    await sender.end();
  });

  if (subject.isRestante) {
    it.each(["$SYS/x", "$share/g/x", "$queue/x", "$q/x"])("refuses to publish to %s", async (topic) => {
      const v5 = await open("v5");
      expect(await v5.publishSettled(topic, "x", { qos: 1 })).toBe(0x90);
      await v5.ping();
      const v3 = await open("v3", { version: 4 });
      expect(await v3.publishSettled(topic, "x", { qos: 1 })).toBe(0);
      await v3.end();
      await v5.end();
    });
  }
});

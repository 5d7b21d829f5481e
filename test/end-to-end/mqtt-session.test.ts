/**
 * Goal: a session outlives its connection as long as it was asked to, with its subscriptions, its messages in flight and
 * those that came meanwhile.
 * Method: exact packets on bare sockets, in both versions of the protocol.
 */
import { describe, expect, it } from "vitest";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";
import { pause } from "../harness/waiting.ts";

describeServers("sessions", (subject) => {
  const kept = (version: Version) => ({
    version,
    clean: false,
    ...(version === 5 ? { properties: { sessionExpiryInterval: 120 } } : {}),
  });
  const open = (clientId: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(subject.port, clientId, options);

  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    it("keeps messages for a client that is away, in order", async () => {
      const topic = subject.unique("away");
      const clientId = subject.unique("kept");
      const before = await open(clientId, kept(version));
      expect(before.connack.sessionPresent).toBe(false);
      await before.subscribe(topic, { qos: 2 });
      await before.end();
      const sender = await open(subject.unique("sender"));
      const sent = Array.from({ length: 30 }, (_, at) => `${at}`);
      for (const [at, text] of sent.entries()) {
        expect(await sender.publishSettled(topic, text, { qos: at % 2 === 0 ? 1 : 2 })).toBe(0);
      }
      const after = await open(clientId, kept(version));
      expect(after.connack.sessionPresent).toBe(true);
      expect(await after.receiveTexts(30)).toEqual(sent);
      await after.end();
      const later = await open(clientId, kept(version));
      await later.ping();
      await later.expectQuiet(50);
      await later.end();
      await sender.end();
    });

    it("sends unacknowledged messages again with DUP and their packet identifiers", async () => {
      const topic = subject.unique("again");
      const clientId = subject.unique("kept");
      const before = await open(clientId, kept(version));
      await before.subscribe(topic, { qos: 1 });
      const sender = await open(subject.unique("sender"));
      for (const text of ["a", "b", "c"]) await sender.publishSettled(topic, text, { qos: 1 });
      const first = [await before.take("publish"), await before.take("publish"), await before.take("publish")];
      before.puback(first[1]!.messageId!);
      await before.ping();
      await before.cut();
      const after = await open(clientId, kept(version));
      const again = [await after.take("publish"), await after.take("publish")];
      const shape = again.map(({ payload, dup, messageId }) => [payload.toString(), dup, messageId]);
      expect(shape).toEqual([
        ["a", true, first[0]!.messageId],
        ["c", true, first[2]!.messageId],
      ]); // [MQTT-4.4.0-1], [MQTT-3.3.1-1]
      for (const { messageId } of again) after.puback(messageId!);
      await after.ping();
      await after.expectQuiet(50);
      await after.end();
      await sender.end();
    });

    it("goes on with a QoS 2 delivery where it was interrupted", async () => {
      const topic = subject.unique("pubrel");
      const clientId = subject.unique("kept");
      const before = await open(clientId, kept(version));
      await before.subscribe(topic, { qos: 2 });
      const sender = await open(subject.unique("sender"));
      await sender.publishSettled(topic, "x", { qos: 2 });
      const { messageId } = await before.take("publish");
      const code = version === 5 ? { reasonCode: 0 } : {};
      before.send({ cmd: "pubrec", messageId: messageId!, ...code });
      await before.take("pubrel");
      await before.cut();
      const after = await open(clientId, kept(version));
      expect((await after.take("pubrel")).messageId).toBe(messageId);
      after.send({ cmd: "pubcomp", messageId: messageId!, ...code });
      await after.ping();
      await after.expectQuiet(50);
      await after.end();
      await sender.end();
    });

    it("begins anew with a clean start", async () => {
      const topic = subject.unique("anew");
      const clientId = subject.unique("kept");
      const before = await open(clientId, kept(version));
      await before.subscribe(topic, { qos: 1 });
      await before.end();
      const clean = await open(clientId, { version, clean: true });
      expect(clean.connack.sessionPresent).toBe(false); // [MQTT-3.1.2-4]
      await clean.end();
      const after = await open(clientId, kept(version));
      expect(after.connack.sessionPresent).toBe(false);
      const sender = await open(subject.unique("sender"));
      await sender.publishSettled(topic, "x", { qos: 1 });
      await after.ping();
      await after.expectQuiet(50);
      await after.end();
      await sender.end();
    });
  });

  it("hands a session over to the connection that takes it", async () => {
    const topic = subject.unique("taken");
    const clientId = subject.unique("kept");
    const first = await open(clientId, kept(5));
    await first.subscribe(topic, { qos: 1 });
    const sender = await open(subject.unique("sender"));
    await sender.publishSettled(topic, "x", { qos: 1 });
    await first.take("publish");
    const second = await open(clientId, kept(5));
    expect(second.connack.sessionPresent).toBe(true);
    const packet = await second.receive();
    expect([packet.payload.toString(), packet.dup]).toEqual(["x", true]);
    await first.expectClose();
    await sender.publishSettled(topic, "y", { qos: 1 });
    expect(await second.receiveTexts(1)).toEqual(["y"]);
    await second.end();
    await sender.end();
  });

  it("forgets a session when its expiry interval has passed", async () => {
    const clientId = subject.unique("short");
    const short = { clean: false, properties: { sessionExpiryInterval: 1 } };
    await (await open(clientId, short)).end();
    const soon = await open(clientId, short);
    expect(soon.connack.sessionPresent).toBe(true);
    await soon.end();
    await pause(2_500);
    const late = await open(clientId, short);
    expect(late.connack.sessionPresent).toBe(false);
    await late.end();
  });

  it("ends with its connection when the expiry interval is 0 or absent", async () => {
    const clientId = subject.unique("none");
    await (await open(clientId, { clean: false })).end();
    const again = await open(clientId, { clean: false });
    expect(again.connack.sessionPresent).toBe(false);
    await again.end();
  });

  it("lets DISCONNECT change the expiry interval", async () => {
    const clientId = subject.unique("changed");
    const client = await open(clientId, kept(5));
    client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
    await client.expectClose();
    const again = await open(clientId, kept(5));
    expect(again.connack.sessionPresent).toBe(false);
    await again.end();
  });
});

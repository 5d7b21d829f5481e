/**
 * Goal: what outlives a packet behaves as the specifications say: wills, sessions, takeovers, retained messages, exchanges cut short,
 * properties passed on, also where the broker is restarted in between.
 * Method: exact packets on bare sockets, a clause per test, with one worker and with three; clients have different identifiers and so
 * live on different workers.
 */
import { connect } from "node:net";
import type { IConnectPacket, IPublishPacket } from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { expectNothingMore } from "../harness/fence.ts";
import { connectBytes, packet, properties, u16, u32 } from "../harness/raw-bytes.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeTransports, unique } from "../harness/servers.ts";
import { eventually, pause } from "../harness/waiting.ts";

const LONGEST_TOPIC = "t".repeat(65_535);
const DEEPEST_TOPIC = Array.from({ length: 128 }, (_, level) => `${level}`).join("/");
const LARGEST_PACKET_BYTES = 1024 * 1024;

type Options = NonNullable<Parameters<typeof RawClient.connected>[2]>;
type Opened = Awaited<ReturnType<typeof RawClient.connected>>;

describeTransports("state", (workers, transport) => {
  let broker: Broker;
  beforeAll(async () => {
    const settings = "session.max_queued_messages: 5\nlimits.max_keepalive: 30s\n";
    broker = await Broker.start({ workers, transport, settings });
  });
  afterAll(async () => {
    await broker.remove();
  });
  const open = (options: Options = {}, clientId = unique("client")): Promise<Opened> =>
    RawClient.connected(broker.mqttPort, clientId, options);
  const kept = (version: Version): Options =>
    version === 4 ? { version, clean: false } : { version, clean: false, properties: { sessionExpiryInterval: 600 } };
  const willOf = (topic: string, more: Partial<NonNullable<IConnectPacket["will"]>> = {}) => ({
    topic,
    payload: Buffer.from("gone"),
    qos: 1 as const,
    retain: false,
    ...more,
  });
  const listening = async (filter: string, options: Options = {}): Promise<Opened> => {
    const client = await open(options);
    await client.subscribe(filter, { qos: 2, rap: true });
    return client;
  };
  const expectNothing = (client: RawClient): Promise<void> => expectNothingMore(broker.mqttPort, client);

  // Wills
  it("[MQTT-3.1.2-8] publishes the will when the keep alive time is over, after the broker closed", async () => {
    const topic = unique("will");
    const witness = await listening(topic);
    const silent = await open({ keepalive: 1, will: willOf(topic) });
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    await silent.expectClose();
    await witness.end();
  });

  it("[MQTT-3.1.3-9] publishes a delayed will at the end of its session, when that comes first", async () => {
    const topic = unique("will");
    const witness = await listening(topic);
    const delay = { will: willOf(topic, { properties: { willDelayInterval: 600 } }) };
    const dying = await open({ clean: false, properties: { sessionExpiryInterval: 1 }, ...delay });
    await dying.cut();
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    const endless = await open({ ...kept(5), ...delay }, "dying-endless");
    await endless.cut();
    const clean = await open({ clean: true }, "dying-endless"); // [MQTT-3.1.2-4]: ends the session.
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    const sessionless = await open(delay);
    await sessionless.cut();
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    await clean.end();
    await witness.end();
  });

  it("[MQTT-3.1.2-10] publishes no will of a client that came back or said goodbye", async () => {
    const topic = unique("will");
    const witness = await listening(topic);
    const clientId = unique("dying");
    const delay = { ...kept(5), will: willOf(topic, { properties: { willDelayInterval: 1 } }) };
    await (await open(delay, clientId)).cut();
    const back = await open(kept(5), clientId);
    await (await open({ version: 4, will: willOf(topic) })).end();
    await pause(1_500);
    await back.end();
    await expectNothing(witness);
    await witness.end();
  });

  it("[MQTT-3.1.3-9] publishes the will of a connection that is taken over, unless it is delayed and the session goes on", async () => {
    const topic = unique("will");
    const witness = await listening(topic);
    const clientId = unique("taken");
    await open({ ...kept(5), will: willOf(topic, { payload: Buffer.from("at once") }) }, clientId);
    const delayed = willOf(topic, { payload: Buffer.from("delayed"), properties: { willDelayInterval: 60 } });
    await open({ ...kept(5), will: delayed }, clientId);
    await open({ ...kept(5), will: delayed }, clientId);
    const last = await open({ version: 4, clean: true }, clientId);
    expect(await witness.receiveTexts(2)).toEqual(["at once", "delayed"]);
    await last.end();
    await expectNothing(witness);
    await witness.end();
  });

  it("[3.1.3.2] publishes a will as the message it is, with its properties", async () => {
    const topic = unique("will");
    const witness = await listening(topic);
    const stated = {
      payloadFormatIndicator: true,
      contentType: "text/plain",
      responseTopic: "answer",
      correlationData: Buffer.of(0, 1),
      userProperties: { b: ["2", "1"], a: "3" },
    };
    const will = willOf(topic, { qos: 2, retain: true, properties: { ...stated, messageExpiryInterval: 60 } });
    await (await open({ will } as Options)).cut();
    const { properties: found, ...rest } = await witness.receive();
    expect([rest.qos, rest.retain, rest.payload.toString()]).toEqual([2, true, "gone"]);
    const { messageExpiryInterval, userProperties, ...passed } = found ?? {};
    const { userProperties: wanted, ...others } = stated;
    expect({ ...passed, userProperties: { ...userProperties } }).toEqual({ ...others, userProperties: wanted });
    expect(messageExpiryInterval).toBeGreaterThan(50);
    await witness.end();
  });

  // Sessions
  it.each([4, 5] as const)("[MQTT-3.1.2-4] session present, version byte %i", async (version) => {
    const clientId = unique("session");
    const present: (boolean | undefined)[] = [];
    for (const clean of [false, false, true, false, true]) {
      const client = await open({ ...kept(version), clean }, clientId);
      present.push(client.connack.sessionPresent);
      if (clean && version === 5)
        client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
      await client.end();
    }
    expect(present).toEqual([false, true, false, false, false]);
  });

  it("[3.1.2.11.2] the session expiry interval of the last CONNECT or DISCONNECT holds", async () => {
    const clientId = unique("session");
    const presentAfter = async (options: Options): Promise<boolean | undefined> => {
      const client = await open(options, clientId);
      await client.end();
      return client.connack.sessionPresent;
    };
    const forEver = { clean: false, properties: { sessionExpiryInterval: 0xffff_ffff } };
    expect(await presentAfter(forEver)).toBe(false);
    expect(await presentAfter({ clean: false })).toBe(true); // And from now on 0.
    expect(await presentAfter(forEver)).toBe(false);
    const changing = await open(forEver, clientId);
    changing.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 1 } });
    await changing.expectClose();
    await pause(2_200);
    expect(await presentAfter({ version: 4, clean: false })).toBe(false);
    expect(await presentAfter({ clean: false })).toBe(true); // A version 4 session, taken by version 5.
    expect(await presentAfter({ version: 4, clean: false })).toBe(false);
  });

  it("[4.1] an offline session keeps its newest messages, in order, none of QoS 0", async () => {
    const clientId = unique("away");
    const topic = unique("mail");
    const before = await open(kept(4), clientId);
    await before.subscribe(topic, { qos: 1 });
    await before.end();
    const sender = await open();
    for (let at = 0; at < 9; at += 1) await sender.publishSettled(topic, `${at}`, { qos: at === 7 ? 0 : 1 });
    await sender.end();
    const after = await open(kept(4), clientId);
    expect(await after.receiveTexts(5)).toEqual(["3", "4", "5", "6", "8"]);
    await expectNothing(after);
    await after.end();
  });

  it.each(workers === 1 ? ([4, 5] as const) : ([5] as const))(
    "[MQTT-4.4.0-1] version byte %i resumes its exchanges, also over a restart",
    async (version) => {
      const own = await Broker.start({ workers, transport });
      try {
        const topic = unique("exchange");
        const clientId = unique("resuming");
        const connected = () => RawClient.connected(own.mqttPort, clientId, kept(version));
        const code = version === 5 ? { reasonCode: 0 } : {};
        let client: Opened = await connected();
        await client.subscribe(topic, { qos: 2 });
        const sender = await RawClient.connected(own.mqttPort, "sender");
        const qosOf = [1, 2, 2, 1] as const;
        for (const [at, qos] of qosOf.entries()) await sender.publishSettled(topic, `${at}`, { qos });
        const first: IPublishPacket[] = [];
        for (const _ of qosOf) first.push(await client.take("publish"));
        expect(first.map(({ payload }) => payload.toString())).toEqual(["0", "1", "2", "3"]); // [MQTT-4.6.0-6]
        client.send({ cmd: "pubrec", messageId: first[1]!.messageId!, ...code });
        await client.take("pubrel");
        client.publish("unheard", "inbound", { qos: 2, messageId: 77 });
        await client.take("pubrec");
        await own.kill();
        await own.restart();

        client = await connected();
        expect(client.connack.sessionPresent).toBe(true);
        const again = [await client.take("publish"), await client.take("publish"), await client.take("publish")];
        const identified = again.map(({ payload, dup, messageId }) => [payload.toString(), dup, messageId]);
        expect(identified).toHaveLength(3);
        expect(identified).toContainEqual(["2", true, first[2]!.messageId]); // QoS 2 keeps its identifier.
        expect(identified.map(([text]) => text).toSorted()).toEqual(["0", "2", "3"]);
        expect((await client.take("pubrel")).messageId).toBe(first[1]!.messageId);
        client.publish("unheard", "inbound", { qos: 2, messageId: 77, dup: true });
        expect((await client.take("pubrec")).reasonCode ?? 0).toBeLessThan(0x80);
        client.send({ cmd: "pubrel", messageId: 77, ...code });
        expect((await client.take("pubcomp")).reasonCode ?? 0).toBe(0);
        client.send({ cmd: "pubcomp", messageId: first[1]!.messageId!, ...code });
        for (const { qos, messageId } of again) {
          if (qos === 1) client.puback(messageId!);
          else {
            client.send({ cmd: "pubrec", messageId: messageId!, ...code });
            await client.take("pubrel");
            client.send({ cmd: "pubcomp", messageId: messageId!, ...code });
          }
        }
        await client.ping();
        await client.end();
        const last = await connected();
        await last.ping();
        await last.expectQuiet(50);
        await last.end();
        await own.stop();
      } finally {
        await own.remove();
      }
    },
  );

  it("[MQTT-3.1.4-3] a chain of takeovers leaves one connection, which has everything", async () => {
    const clientId = unique("contested");
    const topic = unique("contested");
    const chain: Opened[] = [];
    for (let round = 0; round < 8; round += 1) {
      chain.push(await open(kept(round % 2 === 0 ? 5 : 4), clientId));
      if (round === 0) await chain[0]!.subscribe(topic, { qos: 1 });
    }
    const last = chain.pop()!;
    for (const [round, client] of chain.entries()) {
      if (client.version === 5) expect((await client.take("disconnect")).reasonCode).toBe(0x8e);
      await client.expectClose();
      expect(client.connack.sessionPresent).toBe(round > 0);
    }
    const sender = await open();
    await sender.publishSettled(topic, "x", { qos: 1 });
    expect(await last.receiveTexts(1)).toEqual(["x"]);
    await last.end();
    await sender.end();
  });

  it("[MQTT-3.2.2-21] tells the keep alive it wants, and holds a client of version 4 to its own", async () => {
    const told = async (options: Options): Promise<number | undefined> => {
      const client = await open(options);
      await client.end();
      return client.connack.properties?.serverKeepAlive;
    };
    expect(await told({ keepalive: 20 })).toBeUndefined();
    expect(await told({ keepalive: 31 })).toBe(30);
    expect(await told({ keepalive: 0 })).toBe(30);
  });

  // Retained messages
  it("[MQTT-3.3.1-5] a retained message has its own QoS, RETAIN, identifier and what is left of its life", async () => {
    const topic = unique("retained");
    const sender = await open();
    const stated = { messageExpiryInterval: 60, userProperties: { a: "1" } };
    await sender.publishSettled(topic, "x", { qos: 2, retain: true, properties: stated });
    await pause(1_100);
    const reader = await open();
    for (const [qos, expected] of [
      [0, 0],
      [1, 1],
      [2, 2],
    ] as const) {
      await reader.subscribe(topic, { qos, identifier: 7 + qos });
      const found = await reader.receive();
      expect([found.qos, found.retain, found.dup]).toEqual([expected, true, false]);
      expect(found.properties?.subscriptionIdentifier).toBe(7 + qos); // [MQTT-3.3.4-3]
      expect(found.properties?.messageExpiryInterval).toBeLessThan(60); // [MQTT-3.3.2-6]
    }
    await sender.publishSettled(topic, "gone soon", { qos: 1, retain: true, properties: { messageExpiryInterval: 1 } });
    await reader.receive();
    await pause(1_600);
    const late = await open();
    await late.subscribe(topic, { qos: 1 });
    await expectNothing(late); // [MQTT-3.3.2-5]
    for (const client of [sender, reader, late]) await client.end();
  });

  it("[MQTT-3.3.1-6] an empty retained message is delivered, and not kept", async () => {
    const topic = unique("retained");
    const there = await listening(topic);
    const sender = await open();
    for (const text of ["x", ""]) await sender.publishSettled(topic, text, { qos: 1, retain: true });
    const found = [await there.receive(), await there.receive()];
    expect(found.map(({ payload, retain }) => [payload.toString(), retain])).toEqual([
      ["x", true],
      ["", true],
    ]);
    const late = await listening(topic);
    await expectNothing(late);
    for (const client of [there, sender, late]) await client.end();
  });

  it("[MQTT-4.7.2-1] retained messages under $ are found by their own root only", async () => {
    const root = `$${unique("root")}`;
    const sender = await open();
    await sender.publishSettled(`${root}/a`, "x", { qos: 1, retain: true });
    const wild = await open();
    for (const filter of ["#", "+/a", "+/#"]) await wild.subscribe(filter, { qos: 0 });
    await wild.ping();
    expect(wild.waiting.filter((waiting) => waiting.cmd === "publish" && waiting.topic.startsWith(root))).toEqual([]);
    const own = await listening(`${root}/#`);
    expect(await own.receiveTexts(1)).toEqual(["x"]);
    await sender.publishSettled(`${root}/a`, "", { qos: 1, retain: true });
    for (const client of [sender, wild, own]) await client.end();
  });

  // Messages
  it("[MQTT-3.3.2-18] passes user properties on in their order, byte for byte, and nothing of the hop", async () => {
    const topic = unique("order");
    const socket = connect({ port: broker.mqttPort, host: "127.0.0.1" });
    let came = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      came = Buffer.concat([came, bytes]);
    });
    socket.write(connectBytes({ clientId: unique("bytes") }));
    socket.write(packet(0x82, u16(1), properties(), topic, 0));
    await eventually("SUBACK came", () => came.includes(Buffer.of(0x90, 4, 0, 1, 0, 0)));
    const sender = await open();
    const ordered = [0x26, "b", "1", 0x26, "a", "2", 0x09, "id", 0x26, "b", "0", 0x26, "", ""] as const;
    sender.sendBytes(packet(0x30, topic, properties(0x23, u16(3), ...ordered, 0x02, u32(100)), Buffer.from("x")));
    const delivered = packet(0x30, topic, properties(0x02, u32(100), ...ordered), Buffer.from("x"));
    await eventually("the message came as it is", () => came.subarray(-delivered.length).equals(delivered));
    socket.destroy();
    await sender.end();
  });

  it.each([
    ["a topic of 65,535 bytes", LONGEST_TOPIC, LONGEST_TOPIC],
    ["128 levels", DEEPEST_TOPIC, DEEPEST_TOPIC.replaceAll(/\d+/g, "+")],
    ["a topic of slashes", "///", "+//#"],
    ["a topic with spaces, a BOM and beyond the BMP", "\ufeff 😀/ ", "\ufeff 😀/+"],
  ])("[4.7.3] delivers %s", async (_what, topic, filter) => {
    const receiver = await listening(filter);
    const sender = await open({ version: 4 });
    expect(await sender.publishSettled(topic, "x", { qos: 1 })).toBe(0);
    expect((await receiver.receive()).topic).toBe(topic);
    await receiver.end();
    await sender.end();
  });

  it.each([0, 1, 2] as const)("[MQTT-3.2.2-15] delivers the largest packet at QoS %i", async (qos) => {
    const topic = unique("large");
    const receiver = await listening(topic, kept(5));
    const sender = await open({ version: 4 });
    const payload = Buffer.alloc(LARGEST_PACKET_BYTES - 4 - 2 - topic.length - (qos === 0 ? 0 : 2), topic);
    await sender.publishSettled(topic, payload, { qos });
    const found = await receiver.receive();
    expect(Buffer.compare(found.payload as Buffer, payload)).toBe(0);
    await receiver.end();
    await sender.end();
  });

  it.each([4, 5] as const)(
    "[MQTT-3.3.5-1] overlapping subscriptions of version byte %i get the highest QoS",
    async (version) => {
      const topic = unique("overlap");
      const client = await open({ version });
      for (const [filter, qos] of [
        [`${topic}/#`, 0],
        [`${topic}/+`, 2],
        [`${topic}/a`, 1],
      ] as const) {
        await client.subscribe(filter, { qos });
      }
      const sender = await open();
      await sender.publishSettled(`${topic}/a`, "x", { qos: 2 });
      expect((await client.receive()).qos).toBe(2);
      await expectNothing(client);
      await client.end();
      await sender.end();
    },
  );

  it("[MQTT-4.6.0-6] keeps the order of one publisher's messages at each QoS", async () => {
    const topic = unique("order");
    const receivers = await Promise.all(([0, 1, 2] as const).map(() => listening(topic)));
    const sender = await open();
    const texts = Array.from({ length: 300 }, (_, at) => `${at}`);
    const ofQos = (qos: number): string[] => texts.filter((_, at) => at % 3 === qos);
    sender.sendTogether(
      texts.map((payload, at) => {
        const qos = (at % 3) as 0 | 1 | 2;
        return {
          cmd: "publish",
          topic,
          payload,
          qos,
          dup: false,
          retain: false,
          ...(qos === 0 ? {} : { messageId: at }),
        };
      }),
    );
    for (const receiver of receivers) {
      const found: IPublishPacket[] = [];
      while (found.length < texts.length) found.push(await receiver.receive());
      for (const qos of [0, 1, 2]) {
        const ofThis = found.filter((one) => one.qos === qos).map(({ payload }) => payload.toString());
        expect(ofThis).toEqual(ofQos(qos));
      }
      await receiver.end();
    }
    await sender.end();
  });

  it("[MQTT-3.8.4-3] a repeated SUBSCRIBE replaces the options and nothing else", async () => {
    const topic = unique("again");
    const client = await open();
    await client.subscribe(topic, { qos: 2, identifier: 1 });
    await client.subscribe(topic, { qos: 1, nl: true, identifier: 2 });
    const sender = await open();
    await client.publishSettled(topic, "own", { qos: 1 });
    await sender.publishSettled(topic, "x", { qos: 2 });
    const found = await client.receive();
    expect([found.qos, found.payload.toString(), found.properties?.subscriptionIdentifier]).toEqual([1, "x", 2]);
    await expectNothing(client);
    await client.end();
    await sender.end();
  });

  it("[MQTT-3.1.2-24] sends no CONNACK that is larger than the client takes, and ends the connection", async () => {
    const client = await RawClient.open(broker.mqttPort, 5);
    client.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clientId: unique("tiny"),
      clean: true,
      keepalive: 0,
      properties: { maximumPacketSize: 10 },
    });
    await client.expectClose();
    expect(client.waiting).toEqual([]);
  });
});

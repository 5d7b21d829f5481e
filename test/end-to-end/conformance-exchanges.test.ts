/**
 * Goal: exchanges of packets go as the specifications say where it shows only in the second step: identifiers used again, what is sent
 * again and what is not, what a refusal means, subscriptions that overlap.
 * Method: exact packets on bare sockets, a clause per test, on the server with one worker and with three, and on mosquitto, which
 * checks the tests.
 */
import { expect, it } from "vitest";
import { expectNothingMore } from "../harness/fence.ts";
import { connectBytes, packet, properties, u16 } from "../harness/raw-bytes.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";
import { pause } from "../harness/waiting.ts";

type Options = NonNullable<Parameters<typeof RawClient.connected>[2]>;

describeServers("exchanges", (subject) => {
  const open = (options: Options = {}, clientId = subject.unique("client")) =>
    RawClient.connected(subject.port, clientId, options);
  const kept = (version: Version): Options =>
    version === 4 ? { version, clean: false } : { version, clean: false, properties: { sessionExpiryInterval: 600 } };
  const codeOf = (version: Version, reasonCode = 0) => (version === 5 ? { reasonCode } : {});

  // Packet identifiers.

  it("[MQTT-2.2.1-4] gives every message in flight an identifier of its own, none of them 0", async () => {
    const topic = subject.unique("identifiers");
    const receiver = await open();
    await receiver.subscribe(topic, { qos: 2 });
    const sender = await open();
    for (let count = 0; count < 15; count += 1)
      await sender.publishSettled(topic, "x", { qos: count % 2 === 0 ? 1 : 2 });
    const identifiers = new Set<number>();
    for (let count = 0; count < 15; count += 1) identifiers.add((await receiver.take("publish")).messageId!);
    expect(identifiers.size).toBe(15);
    expect(identifiers.has(0)).toBe(false);
    await receiver.end();
    await sender.end();
  });

  it("[MQTT-2.2.1-6] answers with the identifier of the request, whatever it is", async () => {
    const client = await open();
    for (const messageId of [1, 0x0d0a, 0xffff]) {
      client.send({
        cmd: "subscribe",
        messageId,
        subscriptions: [{ topic: "a", qos: 0, nl: false, rap: false, rh: 0 }],
      });
      expect((await client.take("suback")).messageId).toBe(messageId);
      client.send({ cmd: "unsubscribe", messageId, unsubscriptions: ["a"] });
      expect((await client.take("unsuback")).messageId).toBe(messageId);
      client.publish("a", "x", { qos: 1, messageId });
      expect((await client.take("puback")).messageId).toBe(messageId);
      client.publish("a", "x", { qos: 2, messageId });
      expect((await client.take("pubrec")).messageId).toBe(messageId);
      client.send({ cmd: "pubrel", messageId, reasonCode: 0 });
      expect((await client.take("pubcomp")).messageId).toBe(messageId);
    }
    await client.end();
  });

  it.each([4, 5] as const)(
    "[MQTT-4.3.2-5] takes a PUBLISH with an identifier that was acknowledged for a new one, version byte %i",
    async (version) => {
      const topic = subject.unique("again");
      const receiver = await open();
      await receiver.subscribe(topic, { qos: 1 });
      const sender = await open({ version });
      await sender.publishSettled(topic, "one", { qos: 1, messageId: 9 });
      await sender.publishSettled(topic, "two", { qos: 1, messageId: 9, dup: true });
      expect(await receiver.receiveTexts(2)).toEqual(["one", "two"]);
      await receiver.end();
      await sender.end();
    },
  );

  it("[MQTT-4.3.3-9] takes a PUBLISH with an identifier whose message was refused for a new one", async () => {
    const topic = subject.unique("again");
    const receiver = await open();
    await receiver.subscribe(topic, { qos: 2 });
    const sender = await open();
    if (subject.isRestante)
      expect(await sender.publishSettled("$SYS/refused", "x", { qos: 2, messageId: 9 })).toBe(0x90);
    await sender.publishSettled(topic, "one", { qos: 2, messageId: 9 });
    await sender.publishSettled(topic, "two", { qos: 2, messageId: 9 }); // [MQTT-4.3.3-12]
    expect(await receiver.receiveTexts(2)).toEqual(["one", "two"]);
    await receiver.end();
    await sender.end();
  });

  // Sent again, and not.

  it("[MQTT-3.3.1-3] decides on DUP for itself", async () => {
    const topic = subject.unique("dup");
    const receiver = await open();
    await receiver.subscribe(topic, { qos: 2 });
    const sender = await open();
    await sender.publishSettled(topic, "1", { qos: 1, dup: true });
    await sender.publishSettled(topic, "2", { qos: 2, dup: true });
    for (const text of ["1", "2"]) {
      const { dup, payload } = await receiver.receive();
      expect([payload.toString(), dup]).toEqual([text, false]);
    }
    await receiver.end();
    await sender.end();
  });

  it.each([4, 5] as const)(
    "[MQTT-4.4.0-1] sends nothing again on a connection that is there, version byte %i",
    async (version) => {
      const topic = subject.unique("once");
      const receiver = await open(kept(version));
      await receiver.subscribe(topic, { qos: 2 });
      const sender = await open();
      await sender.publishSettled(topic, "1", { qos: 1 });
      await sender.publishSettled(topic, "2", { qos: 2 });
      await receiver.take("publish");
      const { messageId } = await receiver.take("publish");
      receiver.send({ cmd: "pubrec", messageId: messageId!, ...codeOf(version) });
      await receiver.take("pubrel");
      await pause(1_500);
      await expectNothingMore(subject.port, receiver);
      expect(receiver.waiting).toEqual([]);
      await receiver.end();
      await sender.end();
    },
  );

  it.each([1, 2] as const)("[MQTT-4.4.0-2] sends nothing again that was refused at QoS %i", async (qos) => {
    const topic = subject.unique("refused");
    const clientId = subject.unique("kept");
    const before = await open(kept(5), clientId);
    await before.subscribe(topic, { qos });
    const sender = await open();
    await sender.publishSettled(topic, "refused", { qos });
    await sender.publishSettled(topic, "left", { qos });
    const { messageId } = await before.take("publish");
    before.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId: messageId!, reasonCode: 0x80 });
    await before.ping();
    await before.cut();
    const after = await open(kept(5), clientId);
    expect(await after.receiveTexts(1)).toEqual(["left"]);
    await expectNothingMore(subject.port, after);
    await after.end();
    await sender.end();
  });

  it("[MQTT-4.3.3-7] sends a message again whose life ended after it was sent first", async () => {
    const topic = subject.unique("expiring");
    const clientId = subject.unique("kept");
    const before = await open(kept(5), clientId);
    await before.subscribe(topic, { qos: 2 });
    const sender = await open();
    await sender.publishSettled(topic, "x", { qos: 2, properties: { messageExpiryInterval: 1 } });
    const { messageId } = await before.take("publish");
    await before.cut();
    await pause(1_600);
    const after = await open(kept(5), clientId);
    if (subject.isRestante) {
      expect((await after.take("publish")).messageId).toBe(messageId);
      after.send({ cmd: "pubrec", messageId: messageId!, reasonCode: 0 });
      expect((await after.take("pubrel")).messageId).toBe(messageId); // [MQTT-4.3.3-13]
      after.send({ cmd: "pubcomp", messageId: messageId!, reasonCode: 0 });
    }
    await after.end();
    await sender.end();
  });

  // Subscriptions.

  it.each([4, 5] as const)(
    "[MQTT-3.3.4-2] delivers by the highest QoS of the subscriptions that match, version byte %i",
    async (version) => {
      const topic = subject.unique("overlap");
      const receiver = await open({ version });
      for (const [filter, qos] of [
        [topic, 0],
        [`${topic}/#`, 2],
        [`+`, 1],
      ] as const)
        await receiver.subscribe(filter, { qos });
      const sender = await open();
      await sender.publishSettled(topic, "x", { qos: 2 });
      const qualities = [(await receiver.receive()).qos];
      for (let more = receiver.tryTake("publish"); more !== undefined; more = receiver.tryTake("publish")) {
        qualities.push(more.qos);
      }
      expect(Math.max(...qualities)).toBe(2);
      if (subject.isRestante) {
        expect(qualities).toEqual([2]); // One copy for all.
        await expectNothingMore(subject.port, receiver);
      }
      await receiver.end();
      await sender.end();
    },
  );

  it.each([4, 5] as const)(
    "[MQTT-3.8.4-4] sends retained messages again when a subscription is made again, and loses none meanwhile, version byte %i",
    async (version) => {
      const topic = subject.unique("replaced");
      const sender = await open();
      await sender.publishSettled(`${topic}/old`, "old", { qos: 1, retain: true });
      const receiver = await open({ version });
      await receiver.subscribe(`${topic}/#`, { qos: 1 });
      expect((await receiver.receive()).retain).toBe(true);
      const numbers = Array.from({ length: 60 }, (_, at) => `${at}`);
      const publishing = (async (): Promise<void> => {
        for (const number of numbers) await sender.publishSettled(`${topic}/new`, number, { qos: 1 });
      })();
      for (let times = 0; times < 3; times += 1) await receiver.subscribe(`${topic}/#`, { qos: 1 });
      const received: string[] = [];
      while (received.length < numbers.length + 3) received.push(...(await receiver.receiveTexts(1)));
      await publishing;
      expect(received.filter((text) => text !== "old")).toEqual(numbers);
      await expectNothingMore(subject.port, receiver);
      sender.publish(`${topic}/old`, "", { retain: true });
      await receiver.end();
      await sender.end();
    },
  );

  it.each([4, 5] as const)(
    "[MQTT-3.8.4-5] handles many filters of one SUBSCRIBE one after the other, version byte %i",
    async (version) => {
      const topic = subject.unique("many");
      const client = await open({ version });
      const options = version === 5 ? { nl: false, rap: false, rh: 0 } : {};
      client.send({
        cmd: "subscribe",
        messageId: 7,
        subscriptions: ([2, 0, 1] as const).map((qos, at) => ({ topic: `${topic}/${at}`, qos, ...options })),
      });
      expect((await client.take("suback")).granted).toEqual([2, 0, 1]); // [MQTT-3.9.3-1]
      client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: [`${topic}/0`, `${topic}/2`] });
      await client.take("unsuback"); // [MQTT-3.10.4-6]
      for (const at of [0, 1, 2]) await client.publishSettled(`${topic}/${at}`, `${at}`, { qos: 1 });
      expect(await client.receiveTexts(1)).toEqual(["1"]);
      await expectNothingMore(subject.port, client);
      await client.end();
    },
  );

  it("[MQTT-3.10.4-1] deletes the subscription whose filter is the same in every character, and no other", async () => {
    const topic = subject.unique("exact");
    const client = await open();
    await client.subscribe(`${topic}/a`, { qos: 1 });
    const others = [`${topic}/+`, `${topic}/#`, `${topic}/A`, `${topic}/a/`, `${topic}//a`, `/${topic}/a`];
    for (const filter of others) await client.unsubscribe(filter);
    await client.publishSettled(`${topic}/a`, "x", { qos: 1 });
    expect(await client.receiveTexts(1)).toEqual(["x"]);
    await client.unsubscribe(`${topic}/a`);
    await client.publishSettled(`${topic}/a`, "y", { qos: 1 });
    await expectNothingMore(subject.port, client); // [MQTT-3.10.4-2]
    await client.end();
  });

  it.each([4, 5] as const)(
    "[MQTT-3.10.4-3] completes after UNSUBSCRIBE what it has begun to send, version byte %i",
    async (version) => {
      const topic = subject.unique("begun");
      const clientId = subject.unique("kept");
      const before = await open(kept(version), clientId);
      await before.subscribe(topic, { qos: 2 });
      const sender = await open();
      await sender.publishSettled(topic, "1", { qos: 1 });
      await sender.publishSettled(topic, "2", { qos: 2 });
      const first = await before.take("publish");
      const second = await before.take("publish");
      await before.unsubscribe(topic);
      before.send({ cmd: "pubrec", messageId: second.messageId!, ...codeOf(version) });
      expect((await before.take("pubrel")).messageId).toBe(second.messageId);
      await before.cut();
      const after = await open(kept(version), clientId);
      const again = await after.take("publish");
      expect([again.payload.toString(), again.messageId, again.dup]).toEqual(["1", first.messageId, true]);
      after.puback(again.messageId!);
      after.send({ cmd: "pubcomp", messageId: (await after.take("pubrel")).messageId!, ...codeOf(version) });
      await expectNothingMore(subject.port, after);
      await after.end();
      await sender.end();
    },
  );

  it("[MQTT-4.7.3-4] compares topics byte for byte", async () => {
    const topic = subject.unique("bytes");
    const client = await open();
    const kinds = ["\u00e9", "e\u0301", "E", "e", "/e", "e/", "e//x", "e/x", "e /x", "\ufeffe"]; // [MQTT-1.5.4-3]
    for (const [at, kind] of kinds.entries())
      await client.subscribe(`${topic}/${kind}`, { qos: 1, identifier: at + 1 });
    for (const [at, kind] of kinds.entries()) {
      await client.publishSettled(`${topic}/${kind}`, "x", { qos: 1 });
      const found = await client.receive();
      expect([found.topic, found.properties?.subscriptionIdentifier]).toEqual([`${topic}/${kind}`, at + 1]); // [MQTT-3.3.2-3]
    }
    await expectNothingMore(subject.port, client);
    await client.end();
  });

  // Retained messages and wills.

  it.each([4, 5] as const)(
    "[MQTT-3.3.1-8] leaves retained messages alone without RETAIN, version byte %i",
    async (version) => {
      const topic = subject.unique("retained");
      const sender = await open({ version });
      await sender.publishSettled(topic, "kept", { qos: 1, retain: true });
      await sender.publishSettled(topic, "passing", { qos: 1 });
      await sender.publishSettled(topic, "", { qos: 1 });
      await sender.end();
      const receiver = await open({ version }); // The retained message is no part of a session: [MQTT-3.1.2-7] of 3.1.1.
      await receiver.subscribe(topic, { qos: 1 });
      const { payload, retain } = await receiver.receive();
      expect([payload.toString(), retain]).toEqual(["kept", true]);
      receiver.publish(topic, "", { retain: true });
      await receiver.end();
    },
  );

  it("[MQTT-3.1.2-14] does not retain a will without Will Retain", async () => {
    const topic = subject.unique("will");
    const witness = await open();
    await witness.subscribe(topic, { qos: 1 });
    const will = { topic, payload: Buffer.from("gone"), qos: 1 as const, retain: false };
    const client = await open({ will });
    await client.cut();
    expect(await witness.receiveTexts(1)).toEqual(["gone"]);
    const late = await open();
    await late.subscribe(topic, { qos: 1 });
    await expectNothingMore(subject.port, late);
    await late.end();
    await witness.end();
  });

  // Connections.

  it("[MQTT-3.1.4-6] reads nothing behind a CONNECT that it refuses", async () => {
    const topic = subject.unique("behind");
    const witness = await open();
    await witness.subscribe(topic, { qos: 1 });
    const client = await RawClient.open(subject.port);
    client.sendBytes(
      Buffer.concat([
        connectBytes({ clientId: subject.unique("refused"), properties: properties(0x15, "GS2-KRB5") }),
        packet(0x32, topic, u16(1), properties(), Buffer.from("x")),
      ] as Buffer[]),
    );
    expect((await client.take("connack")).reasonCode).toBeGreaterThanOrEqual(0x80);
    await client.expectClose(); // [MQTT-4.13.2-1]
    expect(client.waiting).toEqual([]);
    await expectNothingMore(subject.port, witness);
    await witness.end();
  });

  it("[MQTT-3.2.2-6] says no session is present when it refuses, though there is one", async () => {
    const clientId = subject.unique("kept");
    const before = await open(kept(5), clientId);
    await before.end();
    const refused = await RawClient.open(subject.port);
    const options = { sessionExpiryInterval: 600, authenticationMethod: "GS2-KRB5" };
    const connack = await refused.connect({ clientId, clean: false, properties: options });
    expect([connack.sessionPresent, connack.reasonCode! >= 0x80]).toEqual([false, true]);
    await refused.expectClose();
    const after = await open(kept(5), clientId);
    expect(after.connack.sessionPresent).toBe(true); // [MQTT-3.2.2-3]
    await after.end();
  });

  it("[MQTT-3.2.0-2] answers one CONNECT once, before anything else", async () => {
    const topic = subject.unique("first");
    const clientId = subject.unique("kept");
    const before = await open(kept(5), clientId);
    await before.subscribe(topic, { qos: 1 });
    await before.cut();
    const sender = await open();
    await sender.publishSettled(topic, "waiting", { qos: 1 });
    const after = await RawClient.open(subject.port);
    await after.connect({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } });
    await after.ping();
    expect(after.waiting.map(({ cmd }) => cmd)).toEqual(["publish"]);
    await after.end();
    await sender.end();
  });

  it("[MQTT-3.2.2-16] assigns identifiers that nobody has", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => open({}, "")));
    const assigned = clients.map(({ connack }) => connack.properties?.assignedClientIdentifier);
    expect(new Set(assigned).size).toBe(20);
    await Promise.all(clients.map((client) => client.ping()));
    for (const client of clients) await client.end();
  });

  it("[MQTT-3.1.2-29] explains nothing outside of CONNACK and DISCONNECT to whom does not ask for it", async () => {
    const client = await open({ properties: { requestProblemInformation: false } });
    const suback = await client.subscribe("a/#/b", { qos: 1 }).catch(() => undefined);
    client.publish("$SYS/x", "x", { qos: 1 });
    const puback = subject.isRestante ? await client.take("puback") : undefined;
    for (const answer of [suback, puback]) {
      expect(answer?.properties?.reasonString).toBeUndefined();
      expect(answer?.properties?.userProperties).toBeUndefined();
    }
    expect(client.connack.properties?.responseInformation).toBeUndefined(); // [MQTT-3.1.2-28]
    expect(client.connack.properties?.authenticationMethod).toBeUndefined(); // [MQTT-4.12.0-6]
    await client.end();
  });

  it("[MQTT-4.1.0-1] keeps a session while its connection is there, however short its expiry interval", async () => {
    const topic = subject.unique("short");
    const clientId = subject.unique("kept");
    const options: Options = { clean: false, properties: { sessionExpiryInterval: 1 } };
    const before = await open(options, clientId);
    await before.subscribe(topic, { qos: 1 });
    await pause(2_200);
    const sender = await open();
    await sender.publishSettled(topic, "x", { qos: 1 });
    await before.take("publish");
    await before.cut();
    const after = await open(options, clientId);
    expect(after.connack.sessionPresent).toBe(true);
    expect(await after.receiveTexts(1)).toEqual(["x"]);
    await after.end();
    await sender.end();
  });

  // Topic aliases.

  it("[MQTT-3.3.2-12] takes every topic alias up to its maximum, each for the topic it was given last", async () => {
    const topic = subject.unique("alias");
    const client = await open();
    await client.subscribe(`${topic}/#`, { qos: 1 });
    const maximum = client.connack.properties?.topicAliasMaximum ?? 0;
    expect(maximum).toBeGreaterThan(0);
    for (let alias = 1; alias <= maximum; alias += 1) {
      await client.publishSettled(`${topic}/old`, "x", { qos: 1, properties: { topicAlias: alias } });
      await client.publishSettled(`${topic}/${alias}`, "x", { qos: 1, properties: { topicAlias: alias } });
    }
    for (let alias = 1; alias <= maximum; alias += 1) {
      await client.publishSettled("", "x", { qos: 1, properties: { topicAlias: alias } });
    }
    const topics: string[] = [];
    while (topics.length < 3 * maximum) {
      const found = await client.receive();
      expect(found.properties?.topicAlias).toBeUndefined(); // [MQTT-3.1.2-27]
      topics.push(found.topic);
    }
    expect(topics.slice(2 * maximum)).toEqual(Array.from({ length: maximum }, (_, at) => `${topic}/${at + 1}`));
    await client.end();
  });

  it("[MQTT-3.3.2-7] carries no topic alias over to another connection", async () => {
    const topic = subject.unique("alias");
    const clientId = subject.unique("kept");
    const before = await open(kept(5), clientId);
    await before.publishSettled(topic, "x", { qos: 1, properties: { topicAlias: 1 } });
    await before.cut();
    const after = await open(kept(5), clientId);
    after.publish("", "x", { qos: 1, properties: { topicAlias: 1 } });
    if (subject.isRestante) expect((await after.take("disconnect")).reasonCode).toBe(0x82);
    await after.expectClose();
  });

  // The window.

  it("[MQTT-3.3.4-10] answers everything else while the window is full", async () => {
    const topic = subject.unique("full");
    const client = await open({ properties: { receiveMaximum: 1 } });
    await client.subscribe(topic, { qos: 1 });
    for (const text of ["1", "2"]) await client.publishSettled(topic, text, { qos: 1 }); // [MQTT-4.9.0-3]
    const { messageId } = await client.take("publish");
    await client.ping();
    expect((await client.subscribe(`${topic}/more`, { qos: 1 })).granted).toEqual([1]);
    client.publish(topic, "3", { qos: 2, messageId: 30 });
    await client.take("pubrec");
    client.send({ cmd: "pubrel", messageId: 30, reasonCode: 0 });
    await client.take("pubcomp");
    await client.unsubscribe(`${topic}/more`);
    expect(client.waiting).toEqual([]); // [MQTT-4.9.0-2]
    client.puback(messageId!);
    expect(await client.receiveTexts(2)).toEqual(["2", "3"]);
    await client.end();
  });
});

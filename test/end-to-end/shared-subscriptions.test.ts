/**
 * Goal: a shared subscription gives each message to one member, as both specifications' clients expect, keeps what was acknowledged
 * through kills and other numbers of workers, and obeys every clause of MQTT 5.0, 4.8.2.
 * Method: exact packets on bare sockets, the plain part on mosquitto too; members that come, go and are killed with the broker beside a
 * plain model: no acknowledged message lost, none to two members without a fault.
 */
import { describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { describeServers, describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describeServers("shared subscriptions", (subject) => {
  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(subject.port, subject.unique(name), options);

  it.each([
    [4, 0],
    [4, 1],
    [5, 0],
    [5, 1],
    [5, 2],
  ] as const)(
    "version byte %i, QoS %i: each message goes to one member, all have their share",
    async (version: Version, qos) => {
      const topic = subject.unique("work");
      const members = await Promise.all(numbers(3).map((at) => open(`member-${at}`, { version })));
      for (const member of members) {
        expect((await member.subscribe(`$share/g/${topic}/+`, { qos: 2 })).granted).toEqual([2]);
      }
      const plain = await open("plain", { version });
      await plain.subscribe(`${topic}/#`, { qos: 0 });
      const sender = await open("sender");
      for (const at of numbers(30)) {
        if (qos === 0) sender.publish(`${topic}/x`, `${at}`);
        else await sender.publishSettled(`${topic}/x`, `${at}`, { qos });
      }
      await sender.ping();
      expect(await plain.receiveTexts(30)).toEqual(numbers(30).map(String));
      const got: string[] = [];
      for (const member of members) {
        for (const _ of numbers(10)) {
          const packet = await member.receive();
          expect(packet.qos).toBe(qos);
          got.push(packet.payload.toString());
        }
      }
      expect(got.map(Number).toSorted((one, other) => one - other)).toEqual(numbers(30));
      for (const client of [...members, plain, sender]) await client.end();
    },
  );

  it("[MQTT-4.8.2-3] a member is sent no more than the QoS it was granted, with its own subscription identifier", async () => {
    const topic = subject.unique("granted");
    const one = await open("one");
    await one.subscribe(`$share/first/${topic}`, { qos: 0, identifier: 11 });
    const other = await open("other");
    await other.subscribe(`$share/second/${topic}`, { qos: 1, identifier: 22 });
    const sender = await open("sender");
    await sender.publishSettled(topic, "x", { qos: 2 });
    for (const [client, qos, identifier] of [
      [one, 0, 11],
      [other, 1, 22],
    ] as const) {
      const packet = await client.receive();
      expect([packet.qos, packet.properties?.subscriptionIdentifier]).toEqual([qos, identifier]);
    }
    for (const client of [one, other, sender]) await client.end();
  });

  it("[MQTT-4.8.2-6] what a member refuses is offered to no other", async () => {
    const topic = subject.unique("refused");
    const sender = await open("sender");
    for (const qos of [1, 2] as const) {
      const one = await open("one");
      await one.subscribe(`$share/g/${topic}`, { qos: 2 });
      await sender.publishSettled(topic, "x", { qos });
      const { messageId } = await one.take("publish");
      const other = await open("other");
      await other.subscribe(`$share/g/${topic}`, { qos: 2 });
      one.send({ cmd: qos === 1 ? "puback" : "pubrec", messageId: messageId!, reasonCode: 0x80 });
      await one.ping();
      await one.end();
      await other.expectQuiet(50, "publish");
      await other.end();
    }
    await sender.end();
  });

  if (subject.isRestante) {
    it("gives it no retained message, and passes RETAIN on only as it was asked to", async () => {
      const topic = subject.unique("kept");
      const sender = await open("sender");
      await sender.publishSettled(topic, "old", { qos: 1, retain: true });
      const member = await open("member");
      await member.subscribe(`$share/g/${topic}`, { qos: 1, rap: false });
      await member.ping();
      await sender.publishSettled(topic, "new", { qos: 1, retain: true });
      const packet = await member.receive();
      expect([packet.payload.toString(), packet.retain]).toEqual(["new", false]);
      await member.end();
      await sender.publishSettled(topic, "", { qos: 1, retain: true });
      await sender.end();
    });

    it.each([
      [5, 0x8f],
      [4, 0x80],
    ] as const)(
      "[MQTT-4.8.2-2] version byte %i: what is none, or would share a queue, is refused",
      async (version, code) => {
        const client = await open("sharing", { version });
        for (const filter of [
          "$share/a+b/t",
          "$share/#/t",
          "$share/g",
          "$share//t",
          "$share/g/$queue/q",
          "$share/g/$q/t",
        ]) {
          expect((await client.subscribe(filter, { qos: 1 })).granted).toEqual([code]);
        }
        if (version === 5) expect(client.connack.properties?.sharedSubscriptionAvailable).toBe(true);
        await client.end();
      },
    );

    it("[MQTT-4.8.2-4] a QoS 2 delivery is completed with the member it was begun with", async () => {
      const topic = subject.unique("begun");
      const lasting = { clean: false, properties: { sessionExpiryInterval: 120 } };
      const name = subject.unique("begun");
      let member = await RawClient.connected(subject.port, name, lasting);
      await member.subscribe(`$share/g/${topic}`, { qos: 2 });
      const sender = await open("sender");
      await sender.publishSettled(topic, "x", { qos: 2 });
      const first = await member.take("publish");
      const other = await open("other");
      await other.subscribe(`$share/g/${topic}`, { qos: 2 });
      await member.cut();
      await other.ping();
      await other.expectQuiet(50, "publish");
      member = await RawClient.connected(subject.port, name, lasting);
      const again = await member.take("publish");
      expect([again.messageId, again.dup]).toEqual([first.messageId, true]);
      member.send({ cmd: "pubrec", messageId: again.messageId!, reasonCode: 0 });
      await member.take("pubrel");
      for (const client of [member, other, sender]) await client.end();
    });

    it("[MQTT-4.8.2-5] what a member was sent with QoS 2 goes to nobody else, what it only was given does", async () => {
      const topic = subject.unique("sent");
      const leaver = await open("leaver", { properties: { receiveMaximum: 2 } });
      await leaver.subscribe(`$share/g/${topic}`, { qos: 2 });
      const sender = await open("sender");
      for (const at of numbers(4)) await sender.publishSettled(topic, `${at}`, { qos: 2 });
      const sent = [await leaver.take("publish"), await leaver.take("publish")];
      expect(sent.map(({ payload }) => payload.toString())).toEqual(["0", "1"]);
      const stayer = await open("stayer");
      await stayer.subscribe(`$share/g/${topic}`, { qos: 2 });
      await leaver.cut();
      expect((await stayer.receiveTexts(2)).toSorted()).toEqual(["2", "3"]);
      await stayer.expectQuiet(50, "publish");
      for (const client of [stayer, sender]) await client.end();
    });
  }

  it("works for MQTT.js in either version, one after the other leaving", async () => {
    const topic = subject.unique("stock");
    const members = await Promise.all(
      numbers(4).map((at) => connectMqttJs(subject.port, { protocolVersion: at % 2 === 0 ? 4 : 5 })),
    );
    const deliveries = members.map(collect);
    for (const member of members) await member.subscribeAsync(`$share/g/${topic}`, { qos: 1 });
    const sender = await connectMqttJs(subject.port, { protocolVersion: 5 });
    const haveCome = (count: number) => (): boolean =>
      new Set(deliveries.flat().map(({ text }) => text)).size === count;
    for (const at of numbers(80)) {
      await sender.publishAsync(topic, `${at}`, { qos: 1 });
      if (at % 20 !== 19 || at === 79) continue;
      // mosquitto drops what a member that leaves has been given and has not acknowledged.
      if (!subject.isRestante) await eventually("all so far have come", haveCome(at + 1));
      await members[(at - 19) / 20]!.endAsync();
    }
    await eventually("all have come", haveCome(80));
    await members[3]!.endAsync();
    await sender.endAsync();
  });
});

describeWorkers("shared subscriptions that last", (workers) => {
  const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };

  describe("through kills and another number of workers", () => {
    it("lose nothing that was acknowledged and repeat nothing that a member acknowledged long before", async () => {
      const broker = await Broker.start({ workers });
      const groups = numbers(4);
      const owed = new Map<string, number>();
      let sent = 0;
      try {
        for (const round of [4 - workers, workers]) {
          // Two members for each group: they take a part, acknowledge a part, and are away or killed with the broker.
          const members = await Promise.all(
            groups.flatMap((group) =>
              [0, 1].map(async (half) => {
                const member = await RawClient.connected(broker.mqttPort, `m-${group}-${half}`, lasting);
                await member.subscribe(`$share/g${group}/job/${group}/#`, { qos: 1 });
                return { group, member };
              }),
            ),
          );
          const sender = await RawClient.connected(broker.mqttPort, "sender");
          const publish = async (): Promise<void> => {
            for (const group of groups) {
              const text = `${group}:${sent}`;
              sent += 1;
              expect(await sender.publishSettled(`job/${group}/x`, text, { qos: 1 })).toBe(0);
              owed.set(text, 0);
            }
          };
          for (const _ of numbers(5)) await publish();
          for (const [at, { member }] of members.entries()) {
            for (const _ of numbers(at % 3)) {
              const packet = await member.receive(); // Acknowledges.
              owed.set(packet.payload.toString(), owed.get(packet.payload.toString())! + 1);
            }
            await member.ping();
          }
          for (const { member } of members) await member.end();
          for (const _ of numbers(2)) await publish();
          await broker.kill();
          await broker.restart(round);
        }
        for (const group of groups) {
          const last = await RawClient.connected(broker.mqttPort, `m-${group}-0`, lasting);
          const wanted = () => [...owed].filter(([text, times]) => text.startsWith(`${group}:`) && times === 0).length;
          while (wanted() > 0) {
            const text = (await last.receive()).payload.toString();
            owed.set(text, owed.get(text)! + 1);
          }
          await last.end();
        }
        // What was acknowledged just before a kill may come twice, and only that.
        const twice = [...owed.values()].filter((times) => times > 1).length;
        expect([...owed.values()].every((times) => times >= 1)).toBe(true);
        expect(twice).toBeLessThanOrEqual(2 * groups.length * 2);
      } finally {
        await broker.remove();
      }
    });
  });
});

/**
 * Goal: `$SYS` has every documented topic with right values, at once for who subscribes; only filters below `$SYS` reach it, nobody
 * publishes there, and nothing of it is stored; every other root that begins with `$` follows its rule.
 * Method: mosquitto_sub and bare sockets against a broker that updates five times a second.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SYSTEM_TOPICS } from "../../src/control/system-report.ts";
import { Broker } from "../harness/broker.ts";
import { mosquittoSubscribe } from "../harness/mosquitto.ts";
import { isMissing } from "../harness/needs.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const ROOT = "$SYS/broker/";

/** Collects what a client is told, the last value of each topic. */
class Watcher {
  readonly values = new Map<string, string>();
  readonly updates = new Map<string, number>();
  readonly client: RawClient;

  constructor(client: RawClient) {
    this.client = client;
  }

  static async on(port: number, filter = "$SYS/#"): Promise<Watcher> {
    const watcher = new Watcher(await RawClient.connected(port, unique("watcher")));
    await watcher.client.subscribe(filter, { qos: 2 });
    return watcher;
  }

  read(): void {
    for (;;) {
      const packet = this.client.tryTake("publish");
      if (packet === undefined) return;
      expect(packet.qos).toBe(0);
      this.values.set(packet.topic, packet.payload.toString());
      this.updates.set(packet.topic, (this.updates.get(packet.topic) ?? 0) + 1);
    }
  }

  async until(name: string, isSo: (value: number) => boolean): Promise<void> {
    const saying = (): string => `${name} is right, not ${this.values.get(ROOT + name)}`;
    await eventually(
      saying,
      () => {
        this.read();
        return isSo(Number(this.values.get(ROOT + name)));
      },
      30_000,
    );
  }

  /** Two updates more: what happened before has been counted. */
  async updated(): Promise<void> {
    this.updates.clear();
    await eventually(
      "updates come",
      () => {
        this.read();
        return (this.updates.get(`${ROOT}messages/sent`) ?? 0) >= 2; // The updates themselves are sent, so it always changes.
      },
      30_000,
    );
  }
}

describeWorkers("$SYS", (workers) => {
  let broker: Broker;
  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);
  beforeAll(async () => {
    broker = await Broker.start({
      workers,
      settings: "sys: {interval: 200ms}\nsession: {queue_qos0_messages: true}\n",
    });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  it.skipIf(isMissing("mosquittoClients"))("gives a new subscriber every topic at once, retained", async () => {
    const first = await Watcher.on(broker.mqttPort);
    await first.updated();
    await first.client.end();
    const all = mosquittoSubscribe(broker.mqttPort, ["-t", "$SYS/#", "-F", "%r %t"]);
    const retained = (): string[] => all.lines.filter((line) => line.startsWith("1 ")); // Among them updates may come.
    await eventually("all come", () => retained().length >= SYSTEM_TOPICS.length, 30_000);
    expect(retained().toSorted()).toEqual(SYSTEM_TOPICS.map((topic) => `1 ${topic}`).toSorted());
    all.signal("SIGTERM");
    await all.ended;
    const one = ["-t", "$SYS/broker/+", "-t", "$SYS/broker/version", "-C", "1", "-W", "20", "-V", "mqttv5", "-F", "%t"];
    expect((await mosquittoSubscribe(broker.mqttPort, one).ended).stdout).toMatch(/^\$SYS\/broker\/(version|uptime)$/);
  });

  it("counts what happens", async () => {
    const watcher = await Watcher.on(broker.mqttPort);
    await watcher.until("clients/connected", (value) => value === 1); // Those of other tests are gone.
    await watcher.updated();
    const before = new Map(watcher.values);
    const past = (name: string): number => Number(before.get(ROOT + name));
    const grown = (name: string, by: number) => watcher.until(name, (value) => value === past(name) + by);

    const topic = unique("counted");
    const clientId = unique("away");
    const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const away = await RawClient.connected(broker.mqttPort, clientId, lasting);
    await away.subscribe(`${topic}/#`, { qos: 1 });
    await away.subscribe(`${topic}/more`, { qos: 1 });
    await away.end();
    const clients = await Promise.all(Array.from({ length: 5 }, () => open("client")));
    const [sender, receiver] = clients;
    await receiver!.subscribe(topic, { qos: 0 });
    for (let at = 0; at < 20; at += 1) await sender!.publishSettled(topic, "x".repeat(100), { qos: 1 });
    await sender!.publishSettled(`${topic}/kept`, "kept", { qos: 1, retain: true });
    await receiver!.receiveTexts(20);

    await grown("clients/connected", 5);
    await grown("clients/active", 5);
    await grown("clients/disconnected", 1);
    await grown("clients/total", 6);
    await grown("subscriptions/count", 3);
    await grown("publish/messages/received", 21);
    await grown("publish/bytes/received", 2_004);
    await grown("retained messages/count", 1);
    await grown("store/messages/count", 22); // One retained, 21 for the client that is away.
    await grown("messages/stored", 22);
    await watcher.until("clients/maximum", (value) => value >= past("clients/connected") + 5);
    await watcher.until("load/publish/received/1min", (value) => value > 0);
    await watcher.until("load/connections/15min", (value) => value > 0);
    await watcher.until("store/messages/bytes", (value) => value >= past("store/messages/bytes") + 2_000);
    await watcher.until("heap/maximum", (value) => value > 1_000_000);
    // 6 CONNECT, 3 SUBSCRIBE, 21 PUBLISH, 1 DISCONNECT.
    await grown("messages/received", 31);
    await watcher.until("bytes/received", (value) => value > past("bytes/received") + 2_100);
    await watcher.until("bytes/sent", (value) => value > past("bytes/sent") + 2_100);
    await watcher.until("publish/messages/sent", (value) => value >= past("publish/messages/sent") + 20);
    await watcher.until("publish/bytes/sent", (value) => value >= past("publish/bytes/sent") + 2_000);
    await watcher.until("messages/sent", (value) => value >= past("messages/sent") + 6 + 3 + 21 + 20);

    const brief = await open("brief", { clean: false, properties: { sessionExpiryInterval: 1 } });
    for (const client of [...clients, brief]) await client.end();
    await (await RawClient.connected(broker.mqttPort, clientId)).end(); // Ends the session.
    await grown("clients/expired", 1);
    await grown("clients/total", 0);
    await grown("subscriptions/count", 0);
    await grown("store/messages/count", 1);
    await watcher.client.end();
  });

  it("marks what is new as not retained, unless Retain As Published", async () => {
    const plain = await open("plain");
    await plain.subscribe(`${ROOT}messages/sent`, { rh: 2 });
    const published = await open("published");
    await published.subscribe(`${ROOT}messages/sent`, { rh: 2, rap: true });
    expect((await plain.receive()).retain).toBe(false); // [MQTT-3.3.1-12]
    expect((await published.receive()).retain).toBe(true); // [MQTT-3.3.1-13]
    await plain.end();
    await published.end();
  });

  it("is reached by no filter but its own, and with it nothing internal is", async () => {
    const queue = unique("queue");
    const witness = await open("witness");
    for (const filter of ["#", "+/#", "+/+/#", "+/broker/uptime", "+/broker/#", "+", "$S/#", "$SYSx/#", "/#"]) {
      expect((await witness.subscribe(filter, { qos: 2, rh: 2 })).granted).toEqual([2]);
    }
    const watcher = await Watcher.on(broker.mqttPort);
    await createQueue(broker, { name: queue, topic_filter: `${queue}/#` });
    const busy = await open("busy", { clean: false, properties: { sessionExpiryInterval: 600 } });
    await busy.subscribe(`$queue/${queue}`, { qos: 1 });
    for (let at = 0; at < 10; at += 1) await busy.publishSettled(`${queue}/${at}`, "job", { qos: 2, retain: at === 0 });
    await busy.receiveTexts(10);
    await request(broker, "DELETE", `/api/v5/message_queues/queues/${queue}`);
    await watcher.updated();
    expect([...watcher.values.keys()].filter((topic) => !SYSTEM_TOPICS.includes(topic))).toEqual([]);
    await witness.ping();
    const seen = new Set<string>();
    for (let packet = witness.tryTake("publish"); packet !== undefined; packet = witness.tryTake("publish")) {
      seen.add(packet.topic);
    }
    expect([...seen].filter((topic) => !topic.startsWith(`${queue}/`))).toEqual([]);
    expect(seen.size).toBe(10);
    for (const client of [witness, watcher.client, busy]) await client.end();
  });

  it("takes nothing from clients, wills and REST", async () => {
    const topic = `${ROOT}uptime`;
    const watcher = await Watcher.on(broker.mqttPort, topic);
    const sender = await open("sender", {
      will: { topic, payload: Buffer.from("forged"), qos: 1, retain: true },
    });
    for (const qos of [1, 2] as const) {
      expect(await sender.publishSettled(topic, "forged", { qos, retain: true })).toBe(0x90);
    }
    sender.publish(topic, "forged", { retain: true });
    const older = await open("older", { version: 4 });
    await older.publishSettled(topic, "forged", { qos: 1, retain: true });
    const body = { topic, payload: "forged", qos: 1, retain: true };
    expect((await request(broker, "POST", "/api/v5/publish", body)).status).toBe(400);
    await sender.cut();
    await older.end();
    const later = await Watcher.on(broker.mqttPort, topic);
    for (const { client } of [watcher, later]) {
      for (let at = 0; at < 2; at += 1) expect((await client.receive()).payload.toString()).toMatch(/^\d+ seconds$/);
      await client.end();
    }
  });

  it("is stored nowhere: not for a session that is away, not in a queue, not over a restart", async () => {
    const queue = unique("system");
    await createQueue(broker, { name: queue, topic_filter: "$SYS/#" });
    const options = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const clientId = unique("away");
    const away = await RawClient.connected(broker.mqttPort, clientId, options);
    await away.subscribe(`${ROOT}messages/sent`, { qos: 2, rh: 2 });
    await away.end();
    const watcher = await Watcher.on(broker.mqttPort);
    await watcher.updated();
    const dropped = watcher.values.get(`${ROOT}publish/messages/dropped`);
    await watcher.updated();
    expect((await ledgerOf(broker, queue)).stored).toBe(0);
    expect(watcher.values.get(`${ROOT}clients/disconnected`)).not.toBe("0");
    expect(watcher.values.get(`${ROOT}publish/messages/dropped`)).toBe(dropped); // It was not even meant for who is away.
    const seen = Number(watcher.values.get(`${ROOT}messages/sent`));
    await watcher.client.end();
    const resumed = await RawClient.connected(broker.mqttPort, clientId, options);
    expect(Number((await resumed.receive()).payload)).toBeGreaterThan(seen); // None of those that came meanwhile.
    await resumed.subscribe("$SYS/#", { qos: 2, rh: 2 });
    await resumed.end();

    await broker.stop();
    await broker.restart();
    const back = new Watcher(await RawClient.connected(broker.mqttPort, clientId, options));
    await back.updated(); // Its subscription is still there: it hears what is new from now on.
    expect(Number.parseInt(back.values.get(`${ROOT}uptime`) ?? "0", 10)).toBeLessThan(60);
    expect((await ledgerOf(broker, queue)).stored).toBe(0);
    await back.client.end();
    await request(broker, "DELETE", `/api/v5/message_queues/queues/${queue}`);
  });

  it.each(["$other", "$SYSx", "$", "$queuex", "$qq", "$sharex", "$sys", "$control"])(
    "leaves %s an ordinary root that no leading wildcard matches",
    async (root) => {
      const wild = await open("wild");
      await wild.subscribe("#", { qos: 1, rh: 2 });
      await wild.subscribe("+/below", { qos: 1 });
      const own = await open("own", { version: 4 });
      await own.subscribe(`${root}/#`, { qos: 1 });
      const sender = await open("sender");
      expect(await sender.publishSettled(root, "at", { qos: 1 })).toBe(0);
      expect(await sender.publishSettled(`${root}/below`, "below", { qos: 1 })).toBe(0);
      expect(await own.receiveTexts(2)).toEqual(["at", "below"]); // [MQTT-4.7.2-1]
      await sender.publishSettled("end", "end", { qos: 1 });
      expect(await wild.receiveTexts(1)).toEqual(["end"]);
      for (const client of [wild, own, sender]) await client.end();
    },
  );

  it("gives each update to one member of a shared subscription, nothing retained, and no queue behind it", async () => {
    const members = [await open("member"), await open("member")];
    for (const member of members) await member.subscribe(`$share/g/${ROOT}publish/messages/received`, { qos: 1 });
    const sender = await open("sender");
    const told: string[][] = [[], []];
    const bothAreTold = (): boolean => {
      sender.publish("shared/sys", "x");
      for (const [index, member] of members.entries()) {
        for (let packet = member.tryTake("publish"); packet !== undefined; packet = member.tryTake("publish")) {
          expect([packet.qos, packet.retain, packet.dup]).toEqual([0, false, false]);
          told[index]!.push(packet.payload.toString());
        }
      }
      return told.every((values) => values.length >= 2);
    };
    await eventually(() => `both are told twice: ${JSON.stringify(told)}`, bothAreTold, 60_000);
    expect(new Set(told.flat()).size).toBe(told.flat().length); // A value that has not changed is not told again.
    for (const client of [...members, sender]) await client.end();
  }, 90_000);

  it.each(["$share", "$share/", "$share/g", "$queue", "$queue/", "$queue/+", "$q", "$q/", "$q/$q/x", "$share/g/$q/x"])(
    "refuses the filter %s",
    async (filter) => {
      for (const [version, code] of [
        [5, 0x8f],
        [4, 0x80],
      ] as const) {
        const client = await open("client", { version });
        expect((await client.subscribe(filter, { qos: 1 })).granted).toEqual([code]);
        await client.end();
      }
    },
  );
});

describe.skipIf(isMissing("broker"))("$SYS switched off", () => {
  it("has no topics at sys.interval 0s", async () => {
    const broker = await Broker.start({ settings: "sys: {interval: 0s}\n" });
    const client = await RawClient.connected(broker.mqttPort, "client");
    expect((await client.subscribe("$SYS/#", { qos: 1 })).granted).toEqual([1]);
    await client.expectQuiet(300);
    await client.end();
    await broker.stop();
    await broker.remove();
  });
});

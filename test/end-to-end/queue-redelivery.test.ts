/**
 * Goal: a message that its consumer did not acknowledge comes again, marked DUP, to whoever is there, before newer ones; one
 * that was acknowledged never does; and an acknowledgement counts only where the message was handed out.
 * Method: consumers on bare sockets that acknowledge what the test says; the ledger is asked afterwards.
 */
import type { IPublishPacket } from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const text = (packet: IPublishPacket): string => packet.payload.toString();
const shape = (packet: IPublishPacket): string => `${packet.payload}${packet.dup ? " again" : ""}`;

describeWorkers("redelivery", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (clientId: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, clientId, options);

  /** A queue over a topic of its own name that holds these messages. */
  async function queueOf(
    texts: readonly string[],
    definition: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const name = unique("queue");
    await createQueue(broker, { name, topic_filter: name, ...definition });
    const producer = await open(unique("producer"));
    for (const message of texts) expect(await producer.publishSettled(name, message, { qos: 1 })).toBe(0);
    await producer.end();
    return name;
  }

  async function consumer(name: string, clientId = unique("consumer"), options = {}): Promise<RawClient> {
    const client = await open(clientId, options);
    expect((await client.subscribe(`$queue/${name}`, { qos: 1 })).granted).toEqual([1]);
    return client;
  }

  async function takeAll(client: RawClient, count: number): Promise<IPublishPacket[]> {
    const packets: IPublishPacket[] = [];
    while (packets.length < count) packets.push(await client.take("publish"));
    return packets;
  }

  const untilAcknowledged = (name: string, count: number): Promise<void> =>
    eventually(`${count} of ${name} are acknowledged`, async () => {
      const ledger = await ledgerOf(broker, name);
      expect(ledger.difference).toBe(0);
      return ledger.acknowledged === count && ledger.waiting === 0 && ledger.in_flight === 0;
    });

  /** Takes everything from `client` as `end` does, and expects it at another consumer. */
  async function goesOn(end: (client: RawClient, clientId: string) => Promise<void>, options = {}): Promise<void> {
    const name = await queueOf(["a", "b", "c"]);
    const clientId = unique("first");
    const first = await consumer(name, clientId, options);
    expect((await takeAll(first, 3)).map(shape)).toEqual(["a", "b", "c"]);
    await end(first, clientId);
    await eventually("all are back", async () => (await ledgerOf(broker, name)).waiting === 3);
    const producer = await open(unique("producer"));
    await producer.publishSettled(name, "d", { qos: 1 });
    await producer.end();
    const second = await consumer(name);
    const again = [await second.receive(), await second.receive(), await second.receive(), await second.receive()];
    expect(again.map(shape)).toEqual(["a again", "b again", "c again", "d"]);
    await untilAcknowledged(name, 4);
    await second.end();
  }

  it("after DISCONNECT", () => goesOn((client) => client.end()));
  it("after the connection is cut", () => goesOn((client) => client.cut()));
  it("after DISCONNECT of a session that is kept", () =>
    goesOn((client) => client.end(), { clean: false, properties: { sessionExpiryInterval: 60 } }));
  it("of a v3 consumer, after its connection is cut", () => goesOn((client) => client.cut(), { version: 4 }));

  it("after a takeover", () =>
    goesOn(async (client, clientId) => {
      const other = await open(clientId);
      await client.expectClose();
      await other.end();
    }));

  it("after a kick", () =>
    goesOn(async (client, clientId) => {
      const answer = await request(broker, "DELETE", `/api/v5/clients/${clientId}`);
      expect(answer.status).toBe(204);
      expect((await client.take("disconnect")).reasonCode).toBe(0x98);
      await client.expectClose();
    }));

  it("of a rejected message, to another consumer at once", async () => {
    const name = await queueOf([], { redispatch_interval: 60_000 });
    const clients = [await consumer(name), await consumer(name)];
    const producer = await open(unique("producer"));
    await producer.publishSettled(name, "x", { qos: 1 });
    await eventually("one of them has it", () => clients.some(({ waiting }) => waiting.length > 0));
    const at = clients.findIndex(({ waiting }) => waiting.length > 0);
    const refusing = clients[at]!;
    const other = clients[1 - at]!;
    refusing.puback((await refusing.take("publish")).messageId!, 0x83);
    expect(shape(await other.receive())).toBe("x again");
    await untilAcknowledged(name, 1);
    for (const client of [...clients, producer]) await client.end();
  });

  it("of a rejected message, to the only consumer after the interval", async () => {
    const name = await queueOf(["x"], { redispatch_interval: 300 });
    const client = await consumer(name);
    client.puback((await client.take("publish")).messageId!, 0x80);
    const rejectedMs = performance.now();
    expect(shape(await client.receive())).toBe("x again");
    expect(performance.now() - rejectedMs).toBeGreaterThan(250);
    await untilAcknowledged(name, 1);
    await client.end();
  });

  it("gives a resumed session no second copy", async () => {
    const name = await queueOf(["a", "b"]);
    const clientId = unique("resumed");
    const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const before = await consumer(name, clientId, kept);
    await takeAll(before, 2);
    await before.cut();
    const after = await open(clientId, kept);
    expect(after.connack.sessionPresent).toBe(true);
    const again = [await after.receive(), await after.receive()];
    expect(again.map(shape)).toEqual(["a again", "b again"]);
    await after.ping();
    await after.expectQuiet(150);
    await untilAcknowledged(name, 2);
    await after.end();
  });

  it("ignores the late PUBACK of an old job on a new connection", async () => {
    const name = await queueOf(["old"]);
    const clientId = unique("late");
    const before = await consumer(name, clientId);
    const old = await before.take("publish");
    await before.cut();
    const after = await consumer(name, clientId);
    const again = await after.take("publish");
    expect([text(again), again.dup]).toEqual(["old", true]);
    expect(again.messageId).not.toBe(old.messageId);
    after.puback(old.messageId!);
    await after.ping();
    const { acknowledged, in_flight } = await ledgerOf(broker, name);
    expect({ acknowledged, in_flight }).toEqual({ acknowledged: 0, in_flight: 1 });
    after.puback(again.messageId!);
    await untilAcknowledged(name, 1);
    await after.end();
  });

  it("ignores a PUBACK for an identifier that was never sent, and one that comes twice", async () => {
    const name = await queueOf(["x"]);
    const client = await consumer(name);
    const { messageId } = await client.take("publish");
    client.puback((messageId! % 0xffff) + 1);
    client.puback(messageId!);
    client.puback(messageId!);
    await client.ping();
    await untilAcknowledged(name, 1);
    await client.end();
  });

  it("lets a consumer that unsubscribed finish what it has", async () => {
    const name = await queueOf(["a", "b"]);
    const leaving = await consumer(name);
    const held = await takeAll(leaving, 2);
    leaving.send({ cmd: "unsubscribe", messageId: 99, unsubscriptions: [`$queue/${name}`] });
    await leaving.take("unsuback");
    const staying = await consumer(name);
    const producer = await open(unique("producer"));
    await producer.publishSettled(name, "c", { qos: 1 });
    expect(await staying.receiveTexts(1)).toEqual(["c"]);
    leaving.puback(held[0]!.messageId!);
    await leaving.ping();
    await staying.expectQuiet(100);
    await leaving.cut(); // What it did not finish goes back now.
    expect(shape(await staying.receive())).toBe("b again");
    await untilAcknowledged(name, 3);
    await staying.end();
    await producer.end();
  });

  it("offers a consumer no more than its window", async () => {
    const name = await queueOf(Array.from({ length: 25 }, (_, at) => `${at}`));
    const client = await consumer(name);
    const first = await takeAll(client, 10);
    await client.expectQuiet(150);
    client.puback(first[0]!.messageId!);
    expect(text(await client.take("publish"))).toBe("10");
    await client.expectQuiet(50);
    const second = await consumer(name);
    expect((await takeAll(second, 10)).map(text)).toEqual(Array.from({ length: 10 }, (_, at) => `${at + 11}`));
    await client.end();
    await second.end();
  });

  it("acknowledges for a QoS 0 subscription as it hands over, and never marks DUP there", async () => {
    const name = await queueOf(["a", "b"]);
    const first = await consumer(name);
    await takeAll(first, 2);
    await first.cut();
    const client = await open(unique("qos0"));
    expect((await client.subscribe(`$queue/${name}`, { qos: 0 })).granted).toEqual([0]);
    const packets = await takeAll(client, 2);
    expect(packets.map(({ payload, qos, dup }) => [payload.toString(), qos, dup])).toEqual([
      ["a", 0, false],
      ["b", 0, false],
    ]);
    await untilAcknowledged(name, 2);
    await client.end();
  });
});

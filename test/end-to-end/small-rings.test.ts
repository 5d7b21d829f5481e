/**
 * Goal: two full opposite rings never wait for each other: one connection that publishes and consumes goes on for ever.
 * Method: the smallest rings between three workers, 64 KiB each (and none with one), connections that publish jobs for a while, a minute in
 * the full size, without waiting for acknowledgements in between, and consume them all the time; everything must come through. Messages of the largest
 * size cross the same rings in pieces, and so do the wills of all clients at the stop of the broker.
 */
import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const CLIENTS = 6;
/** How long each of them publishes while it consumes. */
const LOOP_MS = isFullSize ? 60_000 : 3_000;

describeWorkers("small rings", (workers) => {
  const start = (): Promise<Broker> => Broker.start({ workers, settings: "limits:\n  ring_budget: 384KB\n" });

  it("carry publishers that consume", async () => {
    const broker = await start();
    try {
      await createQueue(broker, { name: "loop", topic_filter: "loop/#", local_max_inflight: 1_000 });
      const clients: RawClient[] = [];
      for (let at = 0; at < CLIENTS; at++) {
        const client = await RawClient.connected(broker.mqttPort, `both-${at}`);
        await client.subscribe("$queue/loop", { qos: 1 });
        clients.push(client);
      }
      const payload = "x".repeat(1_000);
      const received = new Map<string, number>();
      const endMs = performance.now() + LOOP_MS;
      let published = 0;
      const both = async (client: RawClient, at: number): Promise<void> => {
        let sent = 0;
        let unacknowledged = 0;
        while (performance.now() < endMs || unacknowledged > 0) {
          for (; performance.now() < endMs && unacknowledged < 800; sent++, unacknowledged++) {
            client.publish(`loop/${at}/${sent}`, payload, { qos: 1 });
          }
          expect((await client.take("puback", 20_000)).reasonCode ?? 0).toBe(0);
          unacknowledged--;
        }
        published += sent;
      };
      let isDone = false;
      const consume = async (client: RawClient): Promise<void> => {
        while (!isDone) {
          const packet = await client.receive(250).catch(() => undefined);
          if (packet !== undefined) received.set(packet.topic, (received.get(packet.topic) ?? 0) + 1);
        }
      };
      const consuming = clients.map(consume);
      await Promise.all(clients.map(both));
      await eventually(
        () => `${published} jobs are done, not ${received.size}`,
        async () => (await ledgerOf(broker, "loop")).acknowledged === published,
        60_000,
      );
      isDone = true;
      await Promise.all(consuming);
      expect(published).toBeGreaterThan(CLIENTS * 100);
      expect(received.size).toBe(published);
      expect([...received.values()].every((count) => count === 1)).toBe(true);
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 180_000);

  it("carry messages of the largest size", async () => {
    const broker = await start();
    try {
      await createQueue(broker, { name: "large", topic_filter: "large/#" });
      const payload = randomBytes(1024 * 1024 - 200);
      const subscribers: RawClient[] = [];
      for (let at = 0; at < CLIENTS; at++) {
        const subscriber = await RawClient.connected(broker.mqttPort, `subscriber-${at}`);
        await subscriber.subscribe(at % 2 === 0 ? "large/#" : "$queue/large", { qos: 1 });
        subscribers.push(subscriber);
      }
      const sender = await RawClient.connected(broker.mqttPort, "sender");
      for (let at = 0; at < 5; at++) expect(await sender.publishSettled(`large/${at}`, payload, { qos: 1 })).toBe(0);
      for (const [at, subscriber] of subscribers.entries()) {
        for (let count = 0; at % 2 === 0 && count < 5; count++) {
          expect(payload.equals((await subscriber.receive(20_000)).payload as Buffer)).toBe(true);
        }
      }
      const consumers = subscribers.filter((_, at) => at % 2 === 1);
      await eventually(
        "five jobs are handed out",
        () => consumers.flatMap(({ waiting }) => waiting).length === 5,
        60_000,
      );
      for (const packet of consumers.flatMap(({ waiting }) => waiting)) {
        expect(packet.cmd === "publish" && payload.equals(packet.payload as Buffer)).toBe(true);
      }
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 180_000);

  it("carry the wills of all clients when the broker stops", async () => {
    const broker = await start();
    try {
      await createQueue(broker, { name: "wills", topic_filter: "wills/#" });
      const payload = randomBytes(65_000); // A quarter of a ring is less.
      for (let at = 0; at < 4 * CLIENTS; at++) {
        const will = { topic: `wills/${at}`, payload, qos: 1 as const, retain: false };
        await RawClient.connected(broker.mqttPort, `mortal-${at}`, { will });
      }
      await broker.stop();
      await broker.restart();
      expect(await ledgerOf(broker, "wills")).toMatchObject({ stored: 4 * CLIENTS, waiting: 4 * CLIENTS });
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 180_000);
});

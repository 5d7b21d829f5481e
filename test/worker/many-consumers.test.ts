/**
 * Goal: a fleet has a consumer at a queue of its own each: more than fit where consumers were once bounded, and when their places are
 * taken after all, who waits is told of in the log and served as soon as somebody goes.
 * Method: one client of a real worker with thousands of queue subscriptions; and enough clients with queues to use up all places.
 */
import { expect, it } from "vitest";
import { CREDIT_SLOTS_PER_OWNER } from "../../src/base/limits.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const QUEUES = 5_000;

it("thousands of queues each serve their consumer", async () => {
  const rig = new Rig({ disks: [new MemoryDisk()], limits: { inFlightMax: 1_000, subscriptionsMax: QUEUES } });
  const client = await rig.connected("fleet");
  for (let number = 0; number < QUEUES; number += 1) {
    rig.createQueue({ name: `q${number}`, topic_filter: `t/${number}` });
    client.subscribe(`$queue/q${number}`, 1, (number % 65_535) + 1);
  }
  await rig.settle();
  expect(client.take("suback")).toHaveLength(QUEUES);
  const publisher = await rig.connected("publisher");
  const topics = new Set<string>();
  for (let number = 0; number < QUEUES; number += 1) {
    publisher.publish(`t/${number}`, "x", 1, (number % 50) + 1);
    if (number % 50 !== 49) continue;
    await rig.settle();
    for (const { topic, messageId } of client.take("publish")) {
      topics.add(topic);
      client.acknowledge("puback", messageId!);
    }
  }
  await rig.settle();
  expect(topics.size).toBe(QUEUES);
  expect(rig.faults).toEqual([]);
  await rig.remove();
}, 120_000);

it("a consumer without a place waits for one, and the log says so", async () => {
  const rig = new Rig({ disks: [new MemoryDisk()] });
  const queues = Array.from({ length: 1_000 }, (_, number) => `q${number}`);
  for (const name of queues) rig.createQueue({ name, topic_filter: name, dispatch_strategy: "round_robin" });
  const clients: MemoryClient[] = [];
  while (clients.length * queues.length < CREDIT_SLOTS_PER_OWNER) {
    const client = await rig.connected(`c${clients.length}`);
    for (const name of queues) client.subscribe(`$queue/${name}`, 1);
    await rig.settle();
    client.take("suback");
    clients.push(client);
  }
  const places = CREDIT_SLOTS_PER_OWNER - (clients.length - 1) * queues.length;
  const last = clients.at(-1)!;
  const publisher = await rig.connected("publisher");
  const name = queues[places]!; // The first for which the last client found no place.
  const publishToAll = async (): Promise<void> => {
    for (let messageId = 1; messageId <= clients.length; messageId += 1) publisher.publish(name, "x", 1, messageId);
    await rig.settle();
  };
  await publishToAll();
  expect(last.take("publish")).toEqual([]);
  expect(rig.faults.filter((message) => message.includes("wait for one to go"))).toHaveLength(1);

  clients[0]!.close();
  await rig.settle();
  await publishToAll();
  expect(last.take("publish").length).toBeGreaterThan(0);
  await rig.remove();
}, 120_000);

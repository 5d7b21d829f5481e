/**
 * Goal: whoever subscribes while others publish ends with what is retained, and is given nothing twice that was published after SUBACK.
 * Method: three workers whose turns come in an order drawn from a seed; publisher, subscriber and the topic's home each on another one.
 */
import { expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import { FRAMES_PER_TURN } from "../../src/base/limits.ts";
import { ORDERS_OF_THREE } from "../orders.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { testSeed } from "../random.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const WORKERS = 3;
const ROUNDS = 15;
/** Room for some turns of frames in each. */
const RINGS_BYTES = 6 * 1024 * 1024;
const KEPT = { retain: true };
const textsOf = (client: MemoryClient): string[] => client.take("publish").map(({ payload }) => payload.toString());

interface Round {
  readonly rig: Rig;
  readonly publisher: MemoryClient;
  readonly subscriber: MemoryClient;
  readonly topic: string;
  readonly number: number;
}

/** Plays a round again and again, each with a topic of its own. */
async function play(round: (parts: Round) => Promise<void>): Promise<void> {
  for (const [from, to, home] of ORDERS_OF_THREE) {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const disks = Array.from({ length: WORKERS }, () => new MemoryDisk());
    const rig = new Rig({ workers: WORKERS, seed, disks, ringsBytes: RINGS_BYTES });
    const publisher = await rig.connected(rig.idOn(from, "publisher"));
    const subscriber = await rig.connected(rig.idOn(to, "subscriber"));
    let number = 0;
    for (let played = 0; played < ROUNDS; played += 1) {
      do number += 1;
      while (homePartitionOf(`t/${number}`, WORKERS) !== home);
      const topic = `t/${number}`;
      try {
        await round({ rig, publisher, subscriber, topic, number: played });
      } catch (cause) {
        throw new Error(`publisher on ${from}, subscriber on ${to}, ${topic} on ${home}, seed ${seed}`, { cause });
      }
      subscriber.unsubscribe(topic);
      await rig.settle();
      publisher.take("puback");
      subscriber.take("suback");
    }
  }
}

it.each(["the topic", "a filter"])("gives what is published after SUBACK once, by %s", async (by) => {
  await play(async ({ rig, publisher, subscriber, topic }) => {
    const filter = by === "a filter" ? `+/${topic.slice(2)}` : topic;
    subscriber.subscribe(filter, 0);
    while (subscriber.take("suback").length === 0) expect(rig.step()).toBe(true);
    publisher.publish(topic, "new", 1, 1, KEPT);
    await rig.settle();
    expect(textsOf(subscriber)).toEqual(["new"]);
    subscriber.unsubscribe(filter);
  });
});

it("gives the newest last, also when it is published before others know of the subscription", async () => {
  await play(async ({ rig, publisher, subscriber, topic, number }) => {
    publisher.publish(topic, "old", 1, 1, KEPT);
    await rig.settle();
    const others = number < 3 ? 3 * FRAMES_PER_TURN : 0; // More than its home takes in a few turns.
    for (let sent = 0; sent < others; sent += 1) publisher.publish(topic, "old", 0, 0, KEPT);
    publisher.publish(topic, "new", 1, 2, KEPT);
    subscriber.subscribe(topic, 0);
    await rig.settle();
    expect(textsOf(subscriber).at(-1)).toBe("new");
  });
});

it("gives nothing whose removal was acknowledged before SUBSCRIBE", async () => {
  await play(async ({ rig, publisher, subscriber, topic }) => {
    publisher.publish(topic, "old", 1, 1, KEPT);
    publisher.publish(topic, "", 1, 2, KEPT);
    while (publisher.take("puback").every(({ messageId }) => messageId !== 2)) expect(rig.step()).toBe(true);
    subscriber.subscribe(topic, 0);
    await rig.settle();
    expect(textsOf(subscriber)).toEqual([]);
  });
});

it("forgets what has expired, in memory and on disk, also over a start", async () => {
  const disks = Array.from({ length: WORKERS }, () => new MemoryDisk());
  const kept = (): string[] =>
    disks.flatMap(({ tables }) => [...tables.keys()].filter((key) => key.startsWith("retained/")));
  const countOf = (rig: Rig): number => rig.workers.reduce((sum, { retained }) => sum + retained.count, 0);
  let rig = new Rig({ workers: WORKERS, seed: testSeed, disks });
  const publisher = await rig.connected("publisher");
  const publish = (topic: string, payload: string, messageExpiryInterval?: number): void => {
    const properties = messageExpiryInterval === undefined ? {} : { properties: { messageExpiryInterval } };
    publisher.send({ cmd: "publish", topic, payload, qos: 1, messageId: 1, dup: false, retain: true, ...properties });
  };
  for (let number = 0; number < 20; number += 1) publish(`short/${number}`, "x", 10);
  publish("replaced", "x", 10);
  publish("replaced", "y");
  publish("cleared", "x", 10);
  publish("cleared", "");
  publish("shorter", "x", 60);
  publish("shorter", "y", 10);
  publish("long", "x", 40);
  await rig.pass(9_000);
  expect([countOf(rig), kept().length]).toEqual([23, 23]);
  await rig.pass(2_000);
  expect([countOf(rig), kept().length]).toEqual([2, 2]);
  rig.kill();
  rig = new Rig({ workers: WORKERS, seed: testSeed, disks, nowMs: rig.nowMs + 60_000 });
  await rig.pass(10);
  expect([countOf(rig), kept()]).toEqual([1, ["retained/replaced"]]);
});

it("a QoS 2 publish that comes again over another connection does not undo a newer one", async () => {
  const disk = new MemoryDisk();
  const rig = new Rig({ seed: testSeed, disks: [disk] });
  const first = await rig.lasting("first");
  const other = await rig.connected("other");
  rig.isCommitting = false;
  first.publish("t", "old", 2, 7, KEPT);
  await rig.settle();
  first.close(); // Before PUBREC: it has to send the message again.
  await rig.settle();
  other.publish("t", "new", 1, 1, KEPT);
  rig.isCommitting = true;
  await rig.settle();
  const again = await rig.lasting("first");
  again.publish("t", "old", 2, 7, { ...KEPT, dup: true });
  await rig.settle();
  expect(again.take("pubrec").map(({ messageId }) => messageId)).toEqual([7]);
  other.subscribe("t", 1);
  await rig.settle();
  expect(textsOf(other)).toEqual(["new"]);
  expect(disk.tables.get("retained/t")!.includes("new")).toBe(true);
});

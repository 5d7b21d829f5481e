/**
 * Goal: an identifier of QoS 2 that its publisher may use again stands for nothing any more, in no partition, whatever was cut
 * short: else the next message that has it would be taken for the one before, acknowledged, and lost.
 * Method: workers over logs in memory; of the commits that forget an identifier some are on disk when the process ends. Found
 * by test/worker/ordeal.test.ts.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { ORDERS_OF_THREE } from "../orders.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "../worker/memory-client.ts";
import { Rig } from "../worker/rig.ts";

const PARTITIONS = 3;
const IDENTIFIER = 5;
let disks: MemoryDisk[];

beforeEach(() => {
  disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
});

const start = (workers: number): Rig => new Rig({ workers, partitions: PARTITIONS, disks });
const known = (): string[] =>
  disks.flatMap(({ tables }) => [...tables.keys()].filter((key) => key.startsWith("inbound/")));

/** A publisher at home in partition 0 whose message lies in the queues of partitions 1 and 2; PUBREC has come. */
async function published(rig: Rig, id: string): Promise<MemoryClient> {
  for (const partition of [1, 2]) await rig.storeQueue({ name: `q${partition}`, topic_filter: "t" }, partition);
  const publisher = await rig.lasting(id);
  publisher.publish("t", "first", 2, IDENTIFIER);
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: IDENTIFIER }]);
  expect(known()).toHaveLength(3);
  return publisher;
}

/** The process ends; of the commits under way, those of these partitions are on disk. */
async function crash(rig: Rig, written: readonly number[]): Promise<void> {
  rig.isCommitting = false;
  await rig.settle();
  for (const partition of written) rig.logs[partition]!.succeed(false);
  rig.kill();
}

async function expectStored(rig: Rig, publisher: MemoryClient, messages: number): Promise<void> {
  publisher.publish("t", "next", 2, IDENTIFIER);
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: IDENTIFIER, reasonCode: 0 }]);
  for (const record of rig.records) expect(rig.status(record)).toMatchObject({ stored: messages, difference: 0 });
}

describe.each([[[0]], [[1]], [[0, 2]], [[]]])("with the commits of %j on disk", (written) => {
  it.each([1, 2, 3])("PUBREL cut short is done when it is repeated to %i workers", async (workers) => {
    let rig = start(3);
    const id = rig.idOn(0, "publisher");
    let publisher = await published(rig, id);
    rig.isCommitting = false;
    publisher.acknowledge("pubrel", IDENTIFIER);
    await crash(rig, written);

    rig = start(workers);
    publisher = await rig.lasting(id);
    publisher.acknowledge("pubrel", IDENTIFIER);
    await rig.settle();
    expect(publisher.take("pubcomp")).toMatchObject([{ messageId: IDENTIFIER }]);
    expect(known()).toEqual([]);
    await expectStored(rig, publisher, 2);
    rig.kill();
  });

  it.each([1, 2, 3])("a session whose end was cut short leaves no identifier to %i workers", async (workers) => {
    let rig = start(3);
    const id = rig.idOn(0, "publisher");
    await published(rig, id);
    rig.isCommitting = false;
    rig.workerOf(id).desk.kick(id);
    await crash(rig, written);

    rig = start(workers);
    const publisher = await rig.connected(id, { clean: true, properties: { sessionExpiryInterval: 3_600 } });
    await rig.settle();
    expect(known()).toEqual([]);
    await expectStored(rig, publisher, 2);
    rig.kill();
  });
});

it("a refusal is told when the identifier is forgotten, where the message was stored as well", async () => {
  const rig = start(3);
  for (const partition of [1, 2]) await rig.storeQueue({ name: `q${partition}`, topic_filter: "t" }, partition);
  const publisher = await rig.lasting(rig.idOn(0, "publisher"));
  rig.isCommitting = false;
  publisher.publish("t", "first", 2, IDENTIFIER);
  await rig.settle();
  rig.logs[1]!.fail();
  rig.logs[0]!.succeed();
  rig.logs[2]!.succeed();
  await rig.settle();
  expect(known()).toHaveLength(2);
  expect(publisher.packets).toEqual([]);
  rig.isCommitting = true;
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: IDENTIFIER, reasonCode: 0x83 }]);
  expect(known()).toEqual([]);
  rig.kill();
});

it.each([
  ["taken over", false],
  ["kicked before", true],
])("a clean start is answered when the session, %s, is gone from the disk", async (_title, isKicked) => {
  let rig = start(1);
  await published(rig, "publisher");
  rig.isCommitting = false;
  if (isKicked) rig.workers[0]!.desk.kick("publisher");
  let publisher = rig.open("publisher", { version: 4 });
  await rig.settle();
  expect(publisher.packets).toEqual([]);
  rig.isCommitting = true;
  await rig.settle();
  expect(publisher.take("connack")).toMatchObject([{ returnCode: 0, sessionPresent: false }]);
  rig.kill();

  rig = start(1);
  publisher = rig.open("publisher", { version: 4, clean: false });
  await rig.settle();
  expect(publisher.take("connack")).toMatchObject([{ returnCode: 0, sessionPresent: false }]);
  rig.kill();
});

it("a clean start whose old session cannot be removed from the disk is refused, and then is not", async () => {
  const rig = start(1);
  await rig.lasting("publisher");
  rig.failingCommits = 1;
  let publisher = rig.open("publisher");
  await rig.settle();
  expect(publisher.take("connack")).toMatchObject([{ reasonCode: 0x83 }]);
  publisher = await rig.connected("publisher");
  rig.kill();
});

it("PUBCOMP waits for a partition whose disk failed to forget the identifier", async () => {
  const rig = start(3);
  const publisher = await published(rig, rig.idOn(0, "publisher"));
  rig.isCommitting = false;
  publisher.acknowledge("pubrel", IDENTIFIER);
  await rig.settle();
  rig.logs[0]!.succeed();
  rig.logs[2]!.succeed();
  for (let failures = 0; failures < 3; failures += 1) {
    rig.logs[1]!.fail();
    await rig.settle();
    expect(publisher.packets).toEqual([]);
    expect(known()).toHaveLength(1);
  }
  publisher.acknowledge("pubrel", IDENTIFIER); // An impatient one: one answer each, none before its time.
  await rig.settle();
  expect(publisher.packets).toEqual([]);
  rig.logs[1]!.succeed();
  await rig.settle();
  expect(publisher.take("pubcomp")).toMatchObject([{ messageId: IDENTIFIER }, { messageId: IDENTIFIER }]);
  expect(known()).toEqual([]);
  rig.isCommitting = true;
  await expectStored(rig, publisher, 2);
  rig.kill();
});

it("an identifier that is being forgotten for the second time and kept for another message stands for that one", async () => {
  let rig = start(3);
  const id = rig.idOn(0, "publisher");
  let publisher = await published(rig, id);
  rig.failing.add(1);
  publisher.acknowledge("pubrel", IDENTIFIER);
  await rig.settle();
  publisher.take("pubcomp");
  publisher.publish("t", "second", 2, IDENTIFIER);
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: IDENTIFIER, reasonCode: 0 }]);
  expect(known()).toHaveLength(3);
  await crash(rig, []);

  rig = start(3);
  publisher = await rig.lasting(id);
  publisher.publish("t", "second", 2, IDENTIFIER, { dup: true });
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: IDENTIFIER, reasonCode: 0 }]);
  for (const record of rig.records) expect(rig.status(record)).toMatchObject({ stored: 2, difference: 0 });
  rig.kill();
});

/** Commits end partition by partition, those in `failing` fail once before; CONNACK may come when nothing is known any more. */
async function expectForgottenBeforeConnack(
  rig: Rig,
  publisher: MemoryClient,
  order: readonly number[],
): Promise<void> {
  for (const partition of order) {
    expect(publisher.packets).toEqual([]);
    for (let commits = 0; commits < 3; commits += 1) {
      rig.logs[partition]!.succeed();
      await rig.settle();
    }
    if (publisher.packets.length > 0) expect(known()).toEqual([]);
  }
  expect(publisher.take("connack")).toMatchObject([{ sessionPresent: false, reasonCode: 0 }]);
}

describe.each(ORDERS_OF_THREE)("with commits that end in partition %i, %i, %i", (...order) => {
  it.each([
    ["lasting", 3_600],
    ["passing", 0],
  ])("a clean start for a %s session waits until the old one's identifiers are forgotten", async (_title, expiryS) => {
    const rig = start(3);
    const id = rig.idOn(0, "publisher");
    await published(rig, id);
    rig.isCommitting = false;
    const publisher = rig.open(id, { clean: true, properties: { sessionExpiryInterval: expiryS } });
    await rig.settle();
    await expectForgottenBeforeConnack(rig, publisher, order);
    rig.isCommitting = true;
    await expectStored(rig, publisher, 2);
    rig.kill();
  });

  it("a client's first session waits until the identifiers that a start has found are forgotten", async () => {
    let rig = start(3);
    const id = rig.idOn(0, "publisher");
    await published(rig, id);
    rig.isCommitting = false;
    rig.workerOf(id).desk.kick(id);
    await crash(rig, [0]);

    rig = start(3);
    rig.isCommitting = false;
    const publisher = rig.open(id, { clean: true, properties: { sessionExpiryInterval: 3_600 } });
    await rig.settle();
    await expectForgottenBeforeConnack(rig, publisher, order);
    rig.isCommitting = true;
    await expectStored(rig, publisher, 2);
    rig.kill();
  });
});

it.each([0, 1, 2])("a clean start is not accepted while partition %i fails to forget", async (failing) => {
  const rig = start(3);
  const id = rig.idOn(0, "publisher");
  await published(rig, id);
  rig.failing.add(failing);
  const refused = rig.open(id, { clean: true, properties: { sessionExpiryInterval: 3_600 } });
  await rig.settle();
  expect(refused.take("connack")).toMatchObject([{ reasonCode: 0x83 }]);
  const publisher = await rig.lasting(id, { clean: true });
  expect(known()).toEqual([]);
  await expectStored(rig, publisher, 2);
  rig.kill();
});

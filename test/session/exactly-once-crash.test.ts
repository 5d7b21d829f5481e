/**
 * Goal: an identifier of QoS 2 that its publisher may use again stands for nothing any more, in no partition, whatever was cut
 * short: else the next message that has it would be taken for the one before, acknowledged, and lost.
 * Method: workers over logs in memory; of the commits that forget an identifier some are on disk when the process ends. Found
 * by test/worker/ordeal.test.ts.
 */
import { beforeEach, describe, expect, it } from "vitest";
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

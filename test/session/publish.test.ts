/**
 * Goal: what a publisher is told is true: acknowledgements come after the disk, in order, once, and say what became of the message,
 * through lost connections, crashes, failed commits and several partitions.
 * Method: workers over logs in memory whose commits end, fail or are lost in a crash when the test says so.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeStructured } from "../../src/base/structured.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "../worker/rig.ts";

const VERSIONS = [4, 5] as const;
let disks: MemoryDisk[];

beforeEach(() => {
  disks = [new MemoryDisk(), new MemoryDisk(), new MemoryDisk()];
});

const open = (seed = 1, workers = 1): Rig => new Rig({ workers, disks: disks.slice(0, workers), seed });
const infinite = { max_shard_message_bytes: "infinity" } as const;

describe.each(VERSIONS)("a publisher, MQTT version byte %i", (version) => {
  it("is acknowledged when the disk has it, in order", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    const publisher = await rig.connected("p", { version });
    rig.isCommitting = false;
    publisher.publish("t", "1", 1, 11);
    publisher.publish("nobody", "2", 1, 12);
    publisher.publish("t", "3", 2, 13);
    publisher.publish("nobody", "4", 2, 14);
    await rig.settle();
    expect(publisher.packets).toEqual([]);
    rig.isCommitting = true;
    await rig.settle();
    expect(publisher.packets.map((packet) => [packet.cmd, packet.messageId])).toEqual([
      ["puback", 11],
      ["puback", 12],
      ["pubrec", 13],
      ["pubrec", 14],
    ]);
    expect(rig.status(queue).waiting).toBe(2);
  });

  it("hears of a failed commit", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    const publisher = await rig.connected("p", { version });
    const other = await rig.connected("other", { version });
    rig.failingCommits = 1;
    publisher.publish("t", "lost", 1, 1);
    await rig.settle();
    other.publish("t", "kept", 1, 1);
    await rig.settle();
    expect(other.take("puback")).toHaveLength(1);
    if (version === 5) {
      expect(publisher.take("puback")).toMatchObject([{ messageId: 1, reasonCode: 0x83 }]);
    } else {
      expect(publisher.packets).toEqual([]);
      expect(publisher.isClosed).toBe(false); // After a pause, so that it does not spin.
      await rig.pass(1_100);
      expect(publisher.isClosed).toBe(true);
      expect(publisher.packets).toEqual([]);
    }
    expect(rig.status(queue)).toMatchObject({ stored: 1, waiting: 1, difference: 0 });
  });

  it("is answered when the queue drops its newest, although nothing is stored", async () => {
    const rig = open();
    const limits = { max_shard_message_count: 1, ...infinite };
    const queue = rig.createQueue({ topic_filter: "t", limits, overflow: "drop_newest" });
    await rig.settle();
    const publisher = await rig.connected("p", { version });
    for (const messageId of [1, 2, 3]) {
      publisher.publish("t", "x", 1, messageId);
      await rig.settle();
      expect(publisher.take("puback")).toMatchObject([{ messageId }]);
    }
    expect(rig.status(queue)).toMatchObject({ stored: 3, dropped: 2, waiting: 1, difference: 0 });
  });

  it("of QoS 2 whose message a queue refused, stores it when it sends it again", async () => {
    const rig = open();
    const limits = { max_shard_message_count: 1, ...infinite };
    const queue = rig.createQueue({ topic_filter: "t", limits, overflow: "reject" });
    await rig.settle();
    let publisher = await rig.lasting("p", { version });
    publisher.publish("t", "first", 1, 1);
    await rig.settle();
    publisher.publish("t", "second", 2, 2);
    await rig.settle();
    if (version === 5) expect(publisher.take("pubrec")).toMatchObject([{ messageId: 2, reasonCode: 0x97 }]);
    publisher.close();
    await rig.settle();

    const consumer = await rig.connected("c", { version });
    consumer.subscribe("$q/t", 1);
    await rig.settle();
    const [first] = consumer.take("publish");
    consumer.acknowledge("puback", first!.messageId!);
    publisher = await rig.lasting("p", { version });
    publisher.publish("t", "second", 2, 2, { dup: true });
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 2 }]);
    expect(consumer.take("publish").map(({ payload }) => payload.toString())).toEqual(["second"]);
    expect(rig.status(queue)).toMatchObject({ stored: 2, refused: 1, difference: 0 });
  });

  it("of QoS 2 that is gone before it hears of a refusal stores it when it sends it again", async () => {
    const rig = open();
    const limits = { max_shard_message_count: 1, ...infinite };
    const queue = rig.createQueue({ topic_filter: "full", limits, overflow: "reject" });
    rig.createQueue({ name: "other", topic_filter: "t" });
    await rig.settle();
    let publisher = await rig.lasting("p", { version });
    publisher.publish("full", "first", 1, 1);
    await rig.settle();
    rig.isCommitting = false;
    publisher.publish("t", "ahead", 1, 2);
    publisher.publish("full", "second", 2, 3); // Refused, and not answered before the one ahead.
    await rig.settle();
    publisher.close();
    rig.isCommitting = true;
    await rig.settle();
    const consumer = await rig.connected("c", { version });
    consumer.subscribe("$q/full", 1);
    await rig.settle();
    consumer.acknowledge("puback", consumer.take("publish")[0]!.messageId!);
    publisher = await rig.lasting("p", { version });
    publisher.publish("full", "second", 2, 3, { dup: true });
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 3 }]);
    expect(consumer.take("publish").map(({ payload }) => payload.toString())).toEqual(["second"]);
    expect(rig.status(queue)).toMatchObject({ stored: 2, refused: 1, difference: 0 });
  });

  it("of QoS 2 that loses its connection before the commit is not answered before it either", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    let publisher = await rig.lasting("p", { version });
    const subscriber = await rig.connected("s", { version });
    subscriber.subscribe("t", 2);
    await rig.settle();
    rig.isCommitting = false;
    publisher.publish("t", "once", 2, 5);
    await rig.settle();
    publisher.close();
    publisher = rig.open("p", { version, clean: false });
    publisher.send({ cmd: "pingreq" });
    await rig.settle();
    rig.isCommitting = true;
    await rig.settle();
    rig.isCommitting = false;
    publisher.publish("t", "once", 2, 5, { dup: true });
    await rig.settle();
    rig.isCommitting = true;
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5 }]);
    expect(rig.status(queue)).toMatchObject({ stored: 1, difference: 0 });
    expect(subscriber.take("publish")).toHaveLength(1);
  });

  it("of QoS 2 that loses its connection and then the commit is stored when it sends again", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    let publisher = await rig.lasting("p", { version });
    rig.isCommitting = false;
    publisher.publish("t", "once", 2, 5);
    await rig.settle();
    publisher.close();
    rig.failingCommits = 1;
    rig.isCommitting = true;
    await rig.settle();
    publisher = await rig.lasting("p", { version });
    publisher.publish("t", "once", 2, 5, { dup: true });
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5 }]);
    expect(rig.status(queue)).toMatchObject({ stored: 1, waiting: 1, difference: 0 });
  });

  it("may release, and use the identifier again", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    const publisher = await rig.lasting("p", { version });
    for (let round = 1; round <= 3; round += 1) {
      publisher.publish("t", `${round}`, 2, 9);
      await rig.settle();
      publisher.publish("t", `${round}`, 2, 9, { dup: true });
      await rig.settle();
      expect(publisher.take("pubrec")).toHaveLength(2);
      publisher.acknowledge("pubrel", 9);
      await rig.settle();
      expect(publisher.take("pubcomp")).toMatchObject([{ messageId: 9 }]);
      expect(rig.status(queue).stored).toBe(round);
    }
    expect([...disks[0]!.tables.keys()].filter((key) => key.startsWith("inbound/"))).toEqual([]);
  });
});

describe("a QoS 2 publish between two partitions", () => {
  it.each(["stored", "failed"])(
    "sent again while the first is on its way to one of them waits for that, %s",
    async (end) => {
      const rig = open(1, 2);
      const queue = rig.createQueue({ topic_filter: "t" }, 1);
      await rig.settle();
      const id = rig.idOn(0, "p");
      let publisher = await rig.lasting(id);
      rig.isCommitting = false;
      const settleButQueue = async (): Promise<void> => {
        for (let rounds = 0; rounds < 5; rounds += 1) {
          await rig.settle();
          rig.logs[0]!.succeed();
        }
        await rig.settle();
      };
      publisher.publish("t", "once", 2, 5);
      await settleButQueue();
      publisher.close();
      publisher = rig.open(id, { clean: false, properties: { sessionExpiryInterval: 100 } });
      await settleButQueue();
      expect(publisher.take("connack")).toMatchObject([{ sessionPresent: true }]);
      publisher.publish("t", "once", 2, 5, { dup: true });
      await settleButQueue();
      expect(publisher.packets).toEqual([]);
      if (end === "failed") rig.failingCommits = 1;
      rig.isCommitting = true;
      await rig.settle();
      const reasonCode = end === "failed" ? 0x83 : 0;
      expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode }]);
      expect(rig.status(queue)).toMatchObject({ stored: end === "failed" ? 0 : 1, difference: 0 });
    },
  );

  it.each([0, 1])("is in both queues once after a crash that one of them (%i) was ahead of", async (ahead) => {
    let rig = open(1, 2);
    const queues = [0, 1].map((partition) => rig.createQueue({ name: `q${partition}`, topic_filter: "t" }, partition));
    const tables = queues.map(({ definition: { name } }) => `queues/${name}`);
    await rig.settle();
    for (const [partition, record] of queues.entries()) {
      disks[partition]!.tables.set(tables[partition]!, encodeStructured(record));
    }
    const id = rig.idOn(0, "p");
    let publisher = await rig.lasting(id);
    rig.isCommitting = false;
    publisher.publish("t", "once", 2, 5);
    await rig.settle();
    rig.logs[ahead]!.succeed();
    await rig.settle();
    expect(publisher.packets).toEqual([]);
    rig.kill();

    rig = open(2, 2);
    await rig.settle();
    publisher = await rig.lasting(id);
    publisher.publish("t", "once", 2, 5, { dup: true });
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5 }]);
    for (const record of queues) expect(rig.status(record)).toMatchObject({ waiting: 1, difference: 0 });
  });
});

describe("room in a batch", () => {
  it("that has no more records parks a publisher instead of refusing its message", async () => {
    const rig = open();
    const queue = rig.createQueue({ topic_filter: "t" });
    await rig.settle();
    const publisher = await rig.connected("p");
    const limited = rig.logs[0]!;
    Object.defineProperty(limited, "gatheringRecords", { get: () => 65_536, configurable: true });
    limited.gatheringBytes = 1;
    publisher.publish("t", "later", 1, 1);
    await rig.settle();
    expect(publisher.packets).toEqual([]);
    expect(publisher.connection.isPaused).toBe(true);
    Reflect.deleteProperty(limited, "gatheringRecords");
    rig.workers[0]!.wake();
    await rig.settle();
    expect(publisher.take("puback")).toMatchObject([{ messageId: 1, reasonCode: 0 }]);
    expect(rig.status(queue).waiting).toBe(1);
  });
});

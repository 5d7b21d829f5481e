/**
 * Goal: a QoS 2 message for a queue in memory is accepted whatever the disk does, and exactly once. Method: workers over logs in memory
 * whose commits fail when the test says so.
 */
import { expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "../worker/rig.ts";

const PARTITIONS = 3;
const newDisks = (): MemoryDisk[] => Array.from({ length: PARTITIONS }, () => new MemoryDisk());
const keysOf = (disks: readonly MemoryDisk[]): string[] =>
  disks.flatMap(({ tables }) => [...tables.keys()].filter((key) => key.startsWith("inbound/")));

/** The queue is in partition 1; the publisher's home is the given one. */
const places = [1, 3].flatMap((workers) => [0, 1].map((home) => ({ workers, home })));

it.each(places)("its commits fail, home $home, $workers workers", async ({ workers, home }) => {
  const disks = newDisks();
  const rig = new Rig({ workers, partitions: PARTITIONS, disks });
  const queue = rig.createQueue({ topic_filter: "t", durability: "memory" }, 1);
  await rig.settle();
  let number = 0;
  const idIn = (partition: number): string => {
    for (;;) {
      const id = `publisher-${number++}`;
      if (homePartitionOf(id, PARTITIONS) === partition) return id;
    }
  };
  const id = idIn(home);
  let publisher = await rig.lasting(id);
  const failAll = (): void => {
    for (let partition = 0; partition < PARTITIONS; partition += 1) rig.failing.add(partition);
  };
  failAll();
  publisher.publish("t", "once", 2, 5);
  await rig.settle();
  expect(rig.failedCommits).toBeGreaterThan(0);
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
  expect(rig.status(queue)).toMatchObject({ stored: 1, refused: 0, waiting: 1, difference: 0 });

  // Sent again, on this connection and on the next, it is known.
  publisher.publish("t", "once", 2, 5, { dup: true });
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
  publisher.close();
  publisher = await rig.lasting(id);
  publisher.publish("t", "once", 2, 5, { dup: true });
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
  expect(rig.status(queue)).toMatchObject({ stored: 1, waiting: 1, difference: 0 });
  expect(new Set(keysOf(disks)).size).toBe(1); // On disk with a later commit.

  rig.failing.clear();
  publisher.acknowledge("pubrel", 5);
  await rig.settle();
  expect(publisher.take("pubcomp")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
  expect(keysOf(disks)).toEqual([]);
  failAll();
  publisher.publish("t", "next", 2, 5);
  await rig.settle();
  expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
  expect(rig.status(queue)).toMatchObject({ stored: 2, waiting: 2, difference: 0 });
  await rig.stop();
});

it.each([1, 3])(
  "beside a queue on disk that cannot store it, it is refused and may come as a new one, %i workers",
  async (workers) => {
    const disks = newDisks();
    const rig = new Rig({ workers, partitions: PARTITIONS, disks });
    const inMemory = rig.createQueue({ name: "m", topic_filter: "t", durability: "memory" }, 1);
    const onDisk = rig.createQueue({ name: "d", topic_filter: "t" }, 1);
    await rig.settle();
    const publisher = await rig.lasting(rig.idOn(0, "publisher"));
    rig.failing.add(1);
    publisher.publish("t", "once", 2, 5);
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0x83 }]);
    publisher.publish("t", "once", 2, 5);
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ messageId: 5, reasonCode: 0 }]);
    expect(rig.status(onDisk)).toMatchObject({ stored: 1, difference: 0 });
    expect(rig.status(inMemory)).toMatchObject({ stored: 2, difference: 0 });
    publisher.acknowledge("pubrel", 5);
    await rig.settle();
    expect(publisher.take("pubcomp")).toHaveLength(1);
    expect(keysOf(disks)).toEqual([]);
    await rig.stop();
  },
);

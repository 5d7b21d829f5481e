/**
 * Goal: a QoS 2 publish that a crash cuts between its partitions is stored once everywhere, also when the next start has more
 * partitions and sessions have moved: whoever had it has it once, whoever had not gets it with the repeat.
 * Method: a real store with a queue in every partition and lasting subscribers in each, filled by simulated workers. Any
 * subset of the partitions is set back to before the publish, which is what a crash between their commits leaves;
 * then the partitions are raised and the publisher goes on as its state says.
 */
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { raisePartitions } from "../../src/broker/raise-partitions.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { openStore, partitionDirectoryOf } from "../../src/log/partitions.ts";
import { type Place, Recorder, temporaryPlace } from "../log/messages.ts";
import { Rig } from "../worker/rig.ts";

const SUBSCRIBERS = 12;
/** Publishers at home in different partitions, before and after. */
const PUBLISHERS = 5;
const MESSAGE = 7;

let place: Place;

beforeEach(() => {
  place = temporaryPlace();
});

afterEach(() => place.remove());

const quiet = (): void => undefined;
const directoryOf = (name: string): string => join(place.directory, name);

/** A store in which everyone is subscribed and nothing has been published. */
async function makeStore(directory: string, partitions: number): Promise<void> {
  openStore(directory, partitions);
  const rig = new Rig({ workers: partitions, directory });
  for (let number = 0; number < partitions; number += 1) {
    await rig.storeQueue({ name: `queue-${number}`, topic_filter: "t" }, number);
  }
  for (let number = 0; number < SUBSCRIBERS; number += 1) {
    const client = await rig.lasting(`subscriber-${number}`);
    client.subscribe("t", 2);
  }
  for (let number = 0; number < PUBLISHERS; number += 1) await rig.lasting(`publisher-${number}`);
  await rig.settle();
  await rig.stop();
}

/** Everyone publishes; PUBREC comes, and is not answered. */
async function publishAll(directory: string, partitions: number): Promise<void> {
  const rig = new Rig({ workers: partitions, directory, partitions });
  for (let number = 0; number < PUBLISHERS; number += 1) {
    const client = await rig.lasting(`publisher-${number}`);
    client.publish("t", `${number}`, 2, MESSAGE);
    await rig.settle();
    expect(client.take("pubrec")).toHaveLength(1);
  }
  await rig.stop();
}

/** Everyone repeats and goes on; then what each queue and each subscriber has, in order. */
async function repeatAll(directory: string, partitions: number): Promise<Record<string, string[]>> {
  const rig = new Rig({ workers: partitions, directory, partitions });
  for (let number = 0; number < PUBLISHERS; number += 1) {
    const client = await rig.lasting(`publisher-${number}`);
    client.publish("t", `${number}`, 2, MESSAGE, { dup: true });
    await rig.settle();
    expect(client.take("pubrec")).toMatchObject([{ messageId: MESSAGE }]);
    client.acknowledge("pubrel", MESSAGE);
    await rig.settle();
    expect(client.take("pubcomp")).toMatchObject([{ messageId: MESSAGE, reasonCode: 0 }]);
  }
  const got: Record<string, string[]> = {};
  for (const record of rig.records) {
    const { name } = record.definition;
    expect(rig.status(record), name).toMatchObject({ stored: PUBLISHERS, waiting: PUBLISHERS, difference: 0 });
    const client = await rig.connected(`consumer of ${name}`);
    client.subscribe(`$queue/${name}`, 1);
    await rig.settle();
    got[name] = client.take("publish").map(({ payload }) => payload.toString());
  }
  for (let number = 0; number < SUBSCRIBERS; number += 1) {
    const client = await rig.lasting(`subscriber-${number}`);
    got[`subscriber-${number}`] = client.take("publish").map(({ payload }) => payload.toString());
  }
  await rig.remove();
  return got;
}

async function inboundOf(directory: string, partitions: number): Promise<string[]> {
  const keys: string[] = [];
  for (let number = 0; number < partitions; number += 1) {
    const directoryOfPartition = partitionDirectoryOf(directory, number);
    const log = openPartitionLog({ directory: directoryOfPartition, partition: number, events: new Recorder() });
    log.entries("inbound", (key) => keys.push(`${number}: ${key}`));
    await log.close();
  }
  return keys;
}

const each = Array.from({ length: PUBLISHERS }, (_, number) => `${number}`);

describe.each([
  [1, [3]],
  [2, [3]],
  [3, [3]],
  [3, [4]],
  [3, [4, 7]],
] as const)("a QoS 2 publish in %i partitions, then %j", (from, raises) => {
  it("is stored once, wherever the crash cut it", async () => {
    const before = directoryOf("before");
    await makeStore(before, from);
    const after = directoryOf("after");
    cpSync(before, after, { recursive: true });
    await publishAll(after, from);
    for (let cut = 0; cut < 2 ** from; cut += 1) {
      const directory = directoryOf(`cut-${cut}`);
      cpSync(after, directory, { recursive: true });
      for (let number = 0; number < from; number += 1) {
        if ((cut & (1 << number)) === 0) continue;
        const lost = partitionDirectoryOf(directory, number);
        rmSync(lost, { recursive: true });
        cpSync(partitionDirectoryOf(before, number), lost, { recursive: true });
      }
      let partitions: number = from;
      for (const to of raises) partitions = await raisePartitions(directory, to, quiet);
      const got = await repeatAll(directory, partitions);
      for (const [name, payloads] of Object.entries(got)) {
        expect(payloads.toSorted(), `${name}, cut ${cut.toString(2)}`).toEqual(each);
      }
      expect(Object.keys(got)).toHaveLength(from + SUBSCRIBERS);
      expect(await inboundOf(directory, partitions)).toEqual([]);
      rmSync(directory, { recursive: true });
    }
    expect(readdirSync(place.directory).sort()).toEqual(["after", "before"]);
  });
});

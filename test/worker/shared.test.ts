/**
 * Goal: a shared subscription gives each message to one member with room, keeps it while members are away, and hands it on when one leaves.
 * Method: workers over logs in memory, clients without sockets; then random sessions beside a plain model: none lost, none twice.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

let disks: MemoryDisk[];
beforeEach(() => {
  disks = [new MemoryDisk(), new MemoryDisk(), new MemoryDisk()];
});
const open = (options: ConstructorParameters<typeof Rig>[0] = {}): Rig =>
  new Rig({ disks: disks.slice(0, options.partitions ?? options.workers ?? 1), ...options });
const texts = (client: MemoryClient): string[] => client.take("publish").map(({ payload }) => payload.toString());
const FILTER = "$share/g/t/+";

async function join(rig: Rig, client: MemoryClient, qos: 0 | 1 | 2, filter = FILTER): Promise<void> {
  client.subscribe(filter, qos);
  await rig.settle();
  expect(client.take("suback").map(({ granted }) => granted)).toEqual([[qos]]);
}

/** Publishes numbered messages and says which PUBACK or PUBREC codes came. */
async function publishAll(rig: Rig, publisher: MemoryClient, qos: 0 | 1 | 2, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number += 1) {
    publisher.publish("t/1", `${number}`, qos, qos === 0 ? 0 : number);
    await rig.settle();
    if (qos === 1) expect(publisher.take("puback")).toHaveLength(1);
    if (qos === 2) {
      expect(publisher.take("pubrec")).toHaveLength(1);
      publisher.acknowledge("pubrel", number);
      await rig.settle();
      publisher.take("pubcomp");
    }
  }
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

describe.each([1, 2, 3])("a shared subscription, %i workers", (workers) => {
  it.each([0, 1, 2] as const)("gives each message of QoS %i to one member in turn, and stores nothing", async (qos) => {
    const rig = open({ workers });
    const members = [];
    for (const name of ["a", "b", "c"]) {
      const member = await rig.connected(rig.idOn(members.length % workers, name));
      await join(rig, member, 2);
      members.push(member);
    }
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, qos, 1, 30);
    const shares = members.map((member) => member.take("publish"));
    expect(shares.map((share) => share.length)).toEqual([10, 10, 10]);
    expect(shares.flat().every((packet) => packet.qos === qos && !packet.dup)).toBe(true);
    const all = shares.flat().map(({ payload }) => Number(payload.toString()));
    expect(all.sort((one, other) => one - other).map(String)).toEqual(numbers(1, 30));
    expect(disks.every(({ records }) => records.size === 0)).toBe(true);
  });

  it("hands what a clean member has not acknowledged to the others, but not what it was sent with QoS 2", async () => {
    const rig = open({ workers });
    const leaver = await rig.connected(rig.idOn(0, "leaver"));
    await join(rig, leaver, 2);
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, 1, 1, 4);
    await publishAll(rig, publisher, 2, 5, 6);
    expect(texts(leaver)).toEqual(numbers(1, 6));
    const stayer = await rig.connected(rig.idOn(workers - 1, "stayer"));
    await join(rig, stayer, 1);
    expect(texts(stayer)).toEqual([]);
    leaver.close();
    await rig.settle();
    expect(texts(stayer)).toEqual(numbers(1, 4));
  });

  it("keeps messages while every member is away, also through a crash, and gives them to who comes first", async () => {
    let rig = open({ workers });
    const first = await rig.lasting(rig.idOn(0, "first"));
    await join(rig, first, 1);
    const second = await rig.lasting(rig.idOn(workers - 1, "second"));
    await join(rig, second, 1);
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, 1, 1, 4);
    expect([...texts(first), ...texts(second)].sort()).toEqual(numbers(1, 4));
    first.close();
    second.close();
    await rig.settle();
    await publishAll(rig, publisher, 1, 5, 6);
    await publishAll(rig, publisher, 0, 7, 7); // Nobody is there for QoS 0.
    rig.kill();
    rig = open({ workers, seed: 3 });
    const back = await rig.lasting(rig.idOn(workers - 1, "second"));
    await rig.settle();
    const came = back.take("publish");
    expect(came.map(({ payload }) => payload.toString())).toEqual(numbers(1, 6));
    for (const { messageId } of came) back.acknowledge("puback", messageId!);
    await rig.settle();
    await rig.settle();
    expect(disks.every(({ records }) => records.size === 0)).toBe(true);
  });

  it("completes a QoS 2 delivery with the member it was begun with", async () => {
    let rig = open({ workers });
    const name = rig.idOn(0, "first");
    let first = await rig.lasting(name);
    await join(rig, first, 2);
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, 2, 1, 2);
    const before = first.take("publish");
    expect(before.map(({ qos }) => qos)).toEqual([2, 2]);
    const other = await rig.connected(rig.idOn(workers - 1, "other"));
    await join(rig, other, 2);
    first.close();
    await rig.settle();
    expect(texts(other)).toEqual([]);
    first = await rig.lasting(name);
    const again = first.take("publish");
    expect(again.map(({ messageId, dup }) => [messageId, dup])).toEqual(
      before.map(({ messageId }) => [messageId, true]),
    );
    first.acknowledge("pubrec", again[0]!.messageId!);
    await rig.settle();
    rig.kill();
    rig = open({ workers, seed: 4 });
    first = await rig.lasting(name);
    expect(first.take("pubrel").map(({ messageId }) => messageId)).toEqual([again[0]!.messageId]);
    expect(texts(first)).toEqual(["2"]);
  });

  it("ends with its last subscription, and with its last session", async () => {
    const rig = open({ workers });
    const lasting = await rig.lasting(rig.idOn(0, "lasting"), { properties: { sessionExpiryInterval: 3 } });
    await join(rig, lasting, 1);
    lasting.close();
    await rig.settle();
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, 1, 1, 3);
    expect(disks.reduce((sum, { records }) => sum + records.size, 0)).toBe(3);
    await rig.pass(4_000);
    expect(disks.reduce((sum, { records }) => sum + records.size, 0)).toBe(0);
    publisher.publish("t/1", "late", 1, 9);
    await rig.settle();
    expect(publisher.take("puback").map(({ reasonCode }) => reasonCode)).toEqual([0x10]);
    expect(disks.flatMap(({ tables }) => [...tables.keys()]).filter((key) => key.startsWith("queues/"))).toEqual([]);
  });

  it("discards what a member refuses, and each group gets a copy, as does a subscription of its own", async () => {
    const rig = open({ workers });
    const one = await rig.connected(rig.idOn(0, "one"));
    await join(rig, one, 1);
    await join(rig, one, 1, "$share/other/t/#");
    await join(rig, one, 0, "t/1");
    const publisher = await rig.connected("p");
    await publishAll(rig, publisher, 1, 1, 1);
    const copies = one.take("publish");
    expect(copies.map(({ qos }) => qos).sort()).toEqual([0, 1, 1]);
    for (const { messageId, qos } of copies) if (qos === 1) one.acknowledge("puback", messageId!, 0x80);
    await rig.settle();
    one.close();
    const two = await rig.connected(rig.idOn(workers - 1, "two"));
    await join(rig, two, 1);
    expect(texts(two)).toEqual([]);
  });
});

it("leaves to the others what a member that takes messages over has no room for", async () => {
  const rig = open({ workers: 3 });
  const filters = Array.from({ length: 100 }, (_, at) => `$share/g${at}/t/+`);
  const filter = filters.find((each) => homePartitionOf(each, 3) === 2)!;
  const member = await rig.lasting(rig.idOn(0, "member"), {
    properties: { sessionExpiryInterval: 3_600, receiveMaximum: 2 },
  });
  await join(rig, member, 2, filter);
  const publisher = await rig.connected(rig.idOn(2, "p"));
  rig.isCommitting = false;
  for (const number of [1, 2, 3]) {
    publisher.publish("t/1", `${number}`, 2, number);
    await rig.settle();
    for (let commits = 0; commits < 2; commits += 1) {
      rig.logs[2]!.succeed();
      await rig.settle();
    }
    if (number < 2) continue;
    rig.logs[0]!.succeed(); // The record before this one: its place in the window is taken.
    await rig.settle();
  }
  rig.isCommitting = true;
  await rig.settle();
  expect(texts(member)).toEqual(["1", "2"]);
  member.close();
  const other = await rig.connected(rig.idOn(1, "other"));
  await join(rig, other, 2, filter);
  expect(texts(other)).toEqual(["3"]);
  rig.kill();
});

it("takes turns with the other messages of a member that takes over what it is sent", async () => {
  const rig = open({ workers: 3 });
  const member = await rig.lasting(rig.idOn(0, "member"), {
    properties: { sessionExpiryInterval: 3_600, receiveMaximum: 3 },
  });
  await join(rig, member, 2);
  await join(rig, member, 2, "plain");
  const publisher = await rig.connected("p");
  for (let number = 1; number <= 30; number += 1) publisher.publish("plain", `plain ${number}`, 2, number);
  for (let number = 31; number <= 36; number += 1) publisher.publish("t/1", `${number}`, 2, number);
  await rig.settle();
  const came: string[] = [];
  for (let quiet = 0; quiet < 2; quiet += 1) {
    for (const { payload, messageId } of member.take("publish")) {
      came.push(payload.toString());
      member.acknowledge("pubrec", messageId!);
      await rig.settle();
      quiet = 0;
    }
    for (const { messageId } of member.take("pubrel")) member.acknowledge("pubcomp", messageId!);
    await rig.settle();
  }
  expect(came.filter((text) => text.startsWith("plain"))).toEqual(numbers(1, 30).map((number) => `plain ${number}`));
  expect(came.filter((text) => !text.startsWith("plain"))).toEqual(numbers(31, 36));
  expect(came.indexOf("36"), came.join()).toBeLessThan(24);
  rig.kill();
});

it("gives a member that acknowledges nothing what its window takes, and the others all else", async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    disks = [new MemoryDisk(), new MemoryDisk(), new MemoryDisk()];
    const rig = open({ workers: 3, seed });
    const stalled = await rig.lasting(rig.idOn(seed % 3, "stalled"), {
      properties: { sessionExpiryInterval: 3_600, receiveMaximum: 5 },
    });
    await join(rig, stalled, 2);
    const other = await rig.lasting(rig.idOn(1, "other"));
    await join(rig, other, 2);
    const publisher = await rig.connected("p");
    for (let number = 1; number <= 30; number += 1) {
      publisher.publish("t/1", `${number}`, 2, number);
      for (let steps = number % 7; steps > 0; steps -= 1) rig.step();
    }
    const came: string[] = [];
    for (let quiet = 0; quiet < 2; quiet += 1) {
      await rig.settle();
      for (const { payload, messageId } of other.take("publish")) {
        came.push(payload.toString());
        other.acknowledge("pubrec", messageId!);
        quiet = 0;
      }
      for (const { messageId } of other.take("pubrel")) other.acknowledge("pubcomp", messageId!);
    }
    const sent = texts(stalled);
    expect(sent, `seed ${seed}`).toHaveLength(5);
    expect(
      [...sent, ...came]
        .map(Number)
        .sort((one, two) => one - two)
        .map(String),
    ).toEqual(numbers(1, 30));
    rig.kill();
  }
});

it.each([
  ["made again", true],
  ["gone", false],
])("what is on its way with QoS 0 when its subscription is %s", async (_what, isMadeAgain) => {
  const rig = open({ workers: 3 });
  const filters = Array.from({ length: 100 }, (_, at) => `$share/g${at}/t/+`);
  const filter = filters.find((each) => homePartitionOf(each, 3) === 2)!;
  const member = await rig.connected(rig.idOn(1, "member"));
  await join(rig, member, 0, filter);
  const publisher = await rig.connected(rig.idOn(2, "p"));
  publisher.publish("t/1", "1");
  rig.workers[2]!.wake();
  rig.step(); // A turn of that worker: now it lies in the ring to the member's.
  if (isMadeAgain) member.subscribe(filter, 1);
  else member.unsubscribe(filter);
  await rig.settle();
  expect(texts(member)).toEqual(isMadeAgain ? ["1"] : []);
  await rig.pass(2_000);
  publisher.publish("t/1", "2", 1, 1);
  await rig.settle();
  expect(texts(member)).toEqual(isMadeAgain ? ["2"] : []);
  rig.kill();
});

it("a start with another number of workers and partitions finds members and messages", async () => {
  let rig = open({ workers: 1, partitions: 1 });
  const member = await rig.lasting("m");
  await join(rig, member, 1);
  member.close();
  const publisher = await rig.connected("p");
  await publishAll(rig, publisher, 1, 1, 5);
  rig.kill();
  rig = open({ workers: 2, partitions: 1, seed: 2 });
  const back = await rig.lasting("m");
  expect(texts(back)).toEqual(numbers(1, 5));
});

describe("random members", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("publish" as const), qos: fc.constantFrom(1, 2) }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), who: fc.nat(3), count: fc.nat(4) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("come" as const), who: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("go" as const), who: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), who: fc.nat(3) }) },
  );

  it("lose nothing and acknowledge nothing twice", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 60 }),
        fc.constantFrom(1, 2, 3),
        fc.nat(1_000),
        async (steps, workers, seed) => {
          const disk = [new MemoryDisk(), new MemoryDisk(), new MemoryDisk()];
          const rig = new Rig({ disks: disk.slice(0, workers), workers, seed });
          const publisher = await rig.connected("p");
          // Two members whose sessions last, one of QoS 1 and one of QoS 2, and two clean ones of QoS 1.
          const names = ["k1", "k2", "c1", "c2"].map((name, at) => rig.idOn(at % workers, name));
          const clients: (MemoryClient | undefined)[] = [undefined, undefined, undefined, undefined];
          const owed: { messageId: number; qos: number; text: string }[][] = [[], [], [], []];
          const done = new Map<string, number>();
          let sent = 0;
          const collect = (): void => {
            for (const [who, client] of clients.entries()) {
              for (const { payload, messageId, qos } of client?.take("publish") ?? []) {
                owed[who]!.push({ messageId: messageId!, qos, text: payload.toString() });
              }
              for (const { messageId } of client?.take("pubrel") ?? []) client!.acknowledge("pubcomp", messageId!);
            }
          };
          const acknowledge = (who: number, count: number): void => {
            for (const { messageId, qos, text } of owed[who]!.splice(0, count)) {
              clients[who]!.acknowledge(qos === 1 ? "puback" : "pubrec", messageId);
              done.set(text, (done.get(text) ?? 0) + 1);
            }
          };
          const come = async (who: number): Promise<void> => {
            const options = who < 2 ? {} : { clean: true, properties: {} };
            clients[who] = await rig.lasting(names[who]!, options);
            owed[who] = [];
            clients[who]!.subscribe(FILTER, who === 1 ? 2 : 1);
            await rig.settle();
          };
          await come(0);
          for (const each of steps) {
            if (each.kind === "publish") {
              sent += 1;
              publisher.publish("t/x", `${sent}`, each.qos as 1 | 2, sent);
              if (each.qos === 2) {
                await rig.settle();
                publisher.acknowledge("pubrel", sent);
              }
            } else if (each.kind === "acknowledge") {
              collect();
              if (clients[each.who] !== undefined) acknowledge(each.who, each.count);
            } else if (each.kind === "come") {
              if (clients[each.who] === undefined) await come(each.who);
            } else if (each.kind === "go") {
              clients[each.who]?.close();
              clients[each.who] = undefined;
            } else if (each.who !== 0 && clients[each.who] !== undefined) {
              collect();
              acknowledge(each.who, 100);
              clients[each.who]!.unsubscribe(FILTER);
              await rig.settle();
              collect();
              acknowledge(each.who, 100);
            }
            await rig.settle();
          }
          for (const who of [0, 1]) if (clients[who] === undefined) await come(who);
          for (let quiet = 0; quiet < 3; quiet += 1) {
            await rig.pass(200);
            collect();
            for (const who of clients.keys()) {
              if (clients[who] === undefined || owed[who]!.length === 0) continue;
              acknowledge(who, 1_000);
              quiet = 0;
            }
          }
          expect([...done.keys()].sort()).toEqual(numbers(1, sent).sort());
          expect([...done.values()].every((times) => times === 1)).toBe(true);
          await rig.settle();
          expect(disk.reduce((sum, { records }) => sum + records.size, 0)).toBe(0);
          rig.kill();
        },
      ),
      { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 300 : 40 },
    );
  });
});

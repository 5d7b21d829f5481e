/**
 * Goal: what a subscriber is owed reaches it: windows, states of QoS 2 across reconnects and crashes, takeover, order of CONNACK,
 * retained messages in turn with others, and nothing after the end.
 * Method: workers over logs in memory whose commits end, fail or are lost in a crash when the test says so.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "../worker/memory-client.ts";
import { Rig } from "../worker/rig.ts";

let disks: MemoryDisk[];
beforeEach(() => {
  disks = [new MemoryDisk(), new MemoryDisk()];
});
const open = (options: ConstructorParameters<typeof Rig>[0] = {}): Rig =>
  new Rig({ disks: disks.slice(0, options.workers ?? 1), ...options });
const texts = (client: MemoryClient): string[] => client.take("publish").map(({ payload }) => payload.toString());
const keysOf = (table: string): string[] => [...disks[0]!.tables.keys()].filter((key) => key.startsWith(`${table}/`));

async function subscribed(rig: Rig, client: MemoryClient, filter: string, qos: 0 | 1 | 2): Promise<void> {
  client.subscribe(filter, qos);
  await rig.settle();
  expect(client.take("suback")).toHaveLength(1);
}

describe.each([4, 5] as const)("a QoS 2 delivery, MQTT version byte %i", (version) => {
  it("is on disk before PUBLISH, and its release before PUBREL", async () => {
    const rig = open();
    const client = await rig.lasting("c", { version });
    await subscribed(rig, client, "t", 2);
    const publisher = await rig.connected("p");
    publisher.publish("t", "x", 2, 1);
    await rig.settle();
    const [delivery] = client.take("publish");
    expect(keysOf("outbound")).toEqual([`outbound/${delivery!.messageId}/c`]);
    rig.isCommitting = false;
    client.acknowledge("pubrec", delivery!.messageId!);
    client.acknowledge("pubrec", delivery!.messageId!);
    await rig.settle();
    expect(client.packets).toEqual([]);
    rig.isCommitting = true;
    await rig.settle();
    expect(client.take("pubrel")).toHaveLength(1);
    client.acknowledge("pubcomp", delivery!.messageId!);
    await rig.settle();
    expect(keysOf("outbound")).toEqual([]);
    expect(disks[0]!.records.size).toBe(0);
  });

  it("goes on where it was after a lost connection and after a crash", async () => {
    let rig = open();
    let client = await rig.lasting("c", { version });
    await subscribed(rig, client, "t", 2);
    const publisher = await rig.connected("p");
    for (const messageId of [1, 2, 3]) publisher.publish("t", `${messageId}`, 2, messageId);
    await rig.settle();
    const ids = client.take("publish").map(({ messageId }) => messageId!);
    client.acknowledge("pubrec", ids[0]!);
    client.acknowledge("pubrec", ids[1]!);
    await rig.settle();
    client.acknowledge("pubcomp", ids[0]!);
    await rig.settle();
    for (const end of ["close", "kill"] as const) {
      if (end === "close") {
        client.close();
      } else {
        rig.kill();
        rig = open({ seed: 9 });
      }
      client = await rig.lasting("c", { version });
      const came = client.packets.filter(({ cmd }) => cmd === "publish" || cmd === "pubrel");
      expect(came.map(({ cmd, messageId }) => [cmd, messageId])).toEqual([
        ["pubrel", ids[1]],
        ["publish", ids[2]],
      ]);
      expect(client.take("publish")).toMatchObject([{ dup: true, qos: 2 }]);
      client.packets.length = 0;
    }
    client.acknowledge("pubcomp", ids[1]!);
    client.acknowledge("pubrec", ids[2]!);
    await rig.settle();
    expect(client.take("pubrel")).toHaveLength(1);
    client.acknowledge("pubcomp", ids[2]!);
    await rig.settle();
    expect(keysOf("outbound")).toEqual([]);
    expect(disks[0]!.records.size).toBe(0);
  });

  it("survives failed commits of its states", async () => {
    const rig = open();
    const client = await rig.lasting("c", { version });
    await subscribed(rig, client, "t", 2);
    const publisher = await rig.connected("p");
    rig.isCommitting = false;
    publisher.publish("t", "x", 2, 1);
    await rig.settle();
    rig.logs[0]!.succeed();
    rig.failingCommits = 2; // Of the claim.
    rig.isCommitting = true;
    await rig.settle();
    const [delivery] = client.take("publish");
    expect(delivery).toMatchObject({ qos: 2, dup: false });
    rig.failingCommits = 2; // Of the release.
    client.acknowledge("pubrec", delivery!.messageId!);
    await rig.settle();
    expect(client.take("pubrel")).toHaveLength(1);
  });
});

describe("a session that lasts", () => {
  it("is greeted before it is given anything, and is not taken for ready before the disk is", async () => {
    const rig = open();
    let client = await rig.lasting("c");
    await subscribed(rig, client, "t", 1);
    client.close();
    await rig.settle();
    const publisher = await rig.connected("p");
    rig.isCommitting = false;
    client = rig.open("c", { clean: false, properties: { sessionExpiryInterval: 100 } });
    publisher.publish("t", "q0", 0);
    publisher.publish("t", "q1", 1, 1);
    await rig.settle();
    expect(client.packets).toEqual([]);
    rig.isCommitting = true;
    await rig.settle();
    expect(client.packets.map(({ cmd }) => cmd)).toEqual(["connack", "publish"]);
    expect(texts(client)).toEqual(["q1"]);
  });

  it("that is taken over before its CONNACK gives it to the last one only", async () => {
    const rig = open();
    rig.isCommitting = false;
    const clients = [1, 2, 3].map(() => rig.open("c", { clean: false, properties: { sessionExpiryInterval: 100 } }));
    await rig.settle();
    rig.isCommitting = true;
    await rig.settle();
    expect(clients.map((client) => client.take("connack").length)).toEqual([0, 0, 1]);
    expect(clients.map((client) => client.isClosed)).toEqual([true, true, false]);
  });

  it("is refused when it cannot be stored, and expires all the same", async () => {
    const rig = open();
    const first = await rig.lasting("c", { properties: { sessionExpiryInterval: 10 } });
    first.close();
    await rig.settle();
    rig.failingCommits = 1;
    const again = rig.open("c", { clean: false, properties: { sessionExpiryInterval: 10 } });
    await rig.settle();
    expect(again.take("connack")).toMatchObject([{ reasonCode: 0x83 }]);
    expect(again.isClosed).toBe(true);
    await rig.pass(11_000);
    expect(rig.workers[0]!.desk.find("c")).toBeUndefined();
    expect(keysOf("sessions")).toEqual([]);
  });

  it("gets a message that was on its way to the disk while it was taken over, once", async () => {
    const rig = open();
    let client = await rig.lasting("c");
    await subscribed(rig, client, "t", 1);
    const publisher = await rig.connected("p");
    rig.isCommitting = false;
    publisher.publish("t", "x", 1, 1);
    await rig.settle();
    client = rig.open("c", { clean: false, properties: { sessionExpiryInterval: 100 } });
    await rig.settle();
    rig.isCommitting = true;
    await rig.settle();
    expect(texts(client)).toEqual(["x"]);
  });

  it("that ends while its message gathers leaves nothing behind", async () => {
    const rig = open();
    const client = await rig.lasting("c");
    await subscribed(rig, client, "t", 2);
    const publisher = await rig.connected("p");
    rig.isCommitting = false;
    publisher.publish("t", "x", 2, 1);
    await rig.settle();
    rig.open("c", { clean: true });
    await rig.settle();
    rig.isCommitting = true;
    await rig.settle();
    expect(disks[0]!.records.size).toBe(0);
    expect(keysOf("sessions")).toEqual([]);
    expect(publisher.take("pubrec")).toHaveLength(1);
  });

  it("that ends releases what it published and what it was sent", async () => {
    const rig = open();
    rig.createQueue({ topic_filter: "q" });
    await rig.settle();
    const client = await rig.lasting("c", { properties: { sessionExpiryInterval: 5 } });
    await subscribed(rig, client, "t", 2);
    client.publish("t", "self", 2, 1);
    client.publish("q", "job", 2, 2);
    await rig.settle();
    expect(keysOf("inbound")).toHaveLength(2);
    expect(keysOf("outbound")).toHaveLength(1);
    client.close();
    await rig.pass(6_000);
    expect([...keysOf("inbound"), ...keysOf("outbound"), ...keysOf("sessions")]).toEqual([]);
    expect(disks[0]!.records.size).toBe(1); // The job.
  });

  it("is sent again what it has not acknowledged, within its window, before what is new", async () => {
    const rig = open();
    const properties = { sessionExpiryInterval: 100 };
    let client = await rig.lasting("c", { properties });
    await subscribed(rig, client, "t", 1);
    const publisher = await rig.connected("p");
    for (let messageId = 1; messageId <= 6; messageId += 1) publisher.publish("t", `${messageId}`, 1, messageId);
    await rig.settle();
    expect(texts(client)).toHaveLength(6);
    client.close();
    client = await rig.lasting("c", { properties: { ...properties, receiveMaximum: 2 } });
    publisher.publish("t", "7", 1, 7);
    await rig.settle();
    const seen: string[] = [];
    const unacknowledged: number[] = [];
    while (seen.length < 7) {
      for (const { payload, messageId } of client.take("publish")) {
        seen.push(payload.toString());
        unacknowledged.push(messageId!);
      }
      expect(unacknowledged.length).toBe(2);
      client.acknowledge("puback", unacknowledged.shift()!);
      await rig.settle();
    }
    expect(seen).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
  });

  it("begins elsewhere with identifiers after a crash that it was connected in", async () => {
    let rig = open();
    let client = await rig.lasting("c");
    await subscribed(rig, client, "t", 1);
    const publisher = await rig.connected("p");
    publisher.publish("t", "x", 1, 1);
    await rig.settle();
    const [before] = client.take("publish");
    rig.kill();
    rig = open({ seed: 5 });
    client = await rig.lasting("c");
    const [after] = client.take("publish");
    expect(after!.payload.toString()).toBe("x");
    expect(Math.abs(after!.messageId! - before!.messageId!)).toBeGreaterThan(100);
    client.acknowledge("puback", before!.messageId!); // A late word of the old connection.
    await rig.settle();
    expect(rig.workers[0]!.desk.counters.unknownAcknowledgements).toBe(1);
    expect(disks[0]!.records.size).toBe(1);
  });
});

describe.each([
  ["drop_oldest", { kept: ["3", "4", "5"], byBytes: ["b3", "b4"], alone: ["after"] }],
  ["drop_newest", { kept: ["1", "2", "3"], byBytes: ["b1", "b2"], alone: ["huge"] }],
] as const)("a full inbox, %s", (inboxOverflow, expected) => {
  it.each([true, false])("keeps to its bounds, stored (%s) or in memory, and settles what goes", async (isLasting) => {
    const rig = open({ limits: { inboxOverflow, queuedMessagesMax: 3, queuedBytesMax: 3_000, inFlightMax: 1 } });
    const publisher = await rig.connected("p");
    const client = isLasting ? await rig.lasting("c") : await rig.connected("c");
    await subscribed(rig, client, "t", 1);
    const given = async (payloads: readonly string[]): Promise<string[]> => {
      for (const [index, payload] of ["first", ...payloads].entries()) {
        publisher.publish("t", payload, 1, index + 1);
        await rig.settle();
      }
      expect(publisher.take("puback")).toHaveLength(payloads.length + 1); // It is acknowledged all the same.
      const seen: string[] = [];
      for (let came = client.take("publish"); came.length > 0; came = client.take("publish")) {
        for (const { payload, messageId } of came) {
          seen.push(payload.toString().trim());
          client.acknowledge("puback", messageId!);
        }
        await rig.settle();
      }
      expect(seen.shift()).toBe("first"); // In flight, and not in the inbox.
      return seen;
    };
    expect(await given(["1", "2", "3", "4", "5"])).toEqual(expected.kept);
    expect(await given(["b1", "b2", "b3", "b4"].map((text) => text.padEnd(1_200)))).toEqual(expected.byBytes);
    expect(await given(["huge".padEnd(5_000), "after"])).toEqual(expected.alone);
    await rig.settle();
    expect(disks[0]!.records.size).toBe(0);
    expect(rig.workers[0]!.desk.counters.droppedInboxFull).toBe(5);
  });
});

it("QoS 0 that was kept goes before QoS 0 that is published later", async () => {
  const rig = open({ limits: { queuesQos0: true } });
  let client = await rig.lasting("c");
  await subscribed(rig, client, "t", 1);
  client.close();
  const publisher = await rig.connected("p");
  for (const text of ["a", "b"]) publisher.publish("t", text, 1, 1);
  await rig.settle();
  for (const text of ["1", "2"]) publisher.publish("t", text);
  await rig.settle();
  client = await rig.lasting("c", { properties: { sessionExpiryInterval: 3600, receiveMaximum: 1 } });
  publisher.publish("t", "3");
  await rig.settle();
  const seen: string[] = [];
  for (let came = client.take("publish"); came.length > 0; came = client.take("publish")) {
    for (const { payload, qos, messageId } of came) {
      seen.push(payload.toString());
      if (qos === 1) client.acknowledge("puback", messageId!);
    }
    await rig.settle();
  }
  expect(seen).toEqual(["a", "b", "1", "2", "3"]); // [MQTT-4.6.0-6]
  publisher.publish("t", "4");
  await rig.settle();
  expect(texts(client)).toEqual(["4"]);
});

describe("retained messages", () => {
  it("come behind what waited before, and in turn with what comes while they wait; both come whole", async () => {
    const rig = open({ limits: { inFlightMax: 4, queuedMessagesMax: 50 } });
    const publisher = await rig.connected("p");
    for (let number = 0; number < 60; number += 1) {
      publisher.publish(`r/${number}`, `r${number}`, 1, number + 1, { retain: true });
      await rig.settle();
    }
    let client = await rig.lasting("c");
    await subscribed(rig, client, "live", 1);
    client.close();
    await rig.settle();
    const publishLive = async (from: number): Promise<void> => {
      for (let number = from; number < from + 20; number += 1) {
        publisher.publish("live", `l${number}`, 1, number + 1);
        await rig.settle();
      }
    };
    await publishLive(0);
    client = await rig.lasting("c");
    client.subscribe("r/#", 1, 77);
    await publishLive(20);
    const seen: string[] = [];
    for (let quiet = 0; quiet < 3; ) {
      await rig.settle();
      const came = client.take("publish");
      expect(came.length).toBeLessThanOrEqual(4);
      for (const { payload, messageId } of came) {
        seen.push(payload.toString());
        client.acknowledge("puback", messageId!);
      }
      quiet = came.length === 0 ? quiet + 1 : 0;
    }
    expect(seen.filter((text) => text.startsWith("l"))).toEqual(
      Array.from({ length: 40 }, (_, number) => `l${number}`),
    );
    expect(new Set(seen).size).toBe(100);
    expect(seen.length).toBe(100);
    const firstRetained = seen.findIndex((text) => text.startsWith("r"));
    expect(seen.indexOf("l19")).toBeLessThan(firstRetained);
    expect(firstRetained).toBeLessThan(25);
    expect(seen.indexOf("l39")).toBeLessThan(80);
    expect(rig.workers[0]!.desk.counters.droppedInboxFull).toBe(0);
  });

  it("of QoS 1 and 2 come again after a lost connection, with RETAIN", async () => {
    const rig = open();
    const publisher = await rig.connected("p");
    publisher.publish("r/1", "one", 1, 1, { retain: true });
    publisher.publish("r/2", "two", 2, 2, { retain: true });
    await rig.settle();
    let client = await rig.lasting("c");
    await subscribed(rig, client, "r/#", 2);
    const before = client.take("publish");
    expect(before.map(({ qos }) => qos).sort()).toEqual([1, 2]);
    client.close();
    client = await rig.lasting("c");
    const after = client.take("publish");
    const known = (each: (typeof after)[number]) => [each.messageId, each.qos, each.retain, each.payload.toString()];
    expect(after.map(known).sort()).toEqual(before.map(known).sort());
    expect(after.every(({ dup, retain }) => dup && retain)).toBe(true);
  });

  it("of other workers come a few at a time, and not at all to who has gone", async () => {
    const rig = open({ workers: 2, limits: { inFlightMax: 1_000 } });
    const publisher = await rig.connected(rig.idOn(0, "p"));
    for (let number = 0; number < 300; number += 1)
      publisher.publish(`r/${number}`, `${number}`, 0, 0, { retain: true });
    await rig.settle();
    const client = await rig.connected(rig.idOn(1, "c"));
    client.connection.isReading = false;
    client.subscribe("r/#", 0);
    await rig.settle();
    client.connection.isReading = true;
    rig.workers[1]!.wake();
    await rig.settle();
    expect(new Set(texts(client)).size).toBe(300);

    const gone = await rig.connected(rig.idOn(1, "g"));
    gone.connection.isReading = false;
    gone.subscribe("r/#", 0);
    await rig.settle();
    gone.close();
    await rig.settle();
    for (const worker of rig.workers) expect(worker.retained.openRecalls).toBe(0);
  });
});

describe("consumers", () => {
  it("that unsubscribe finish what they have, also when more is on its way", async () => {
    let lateSeen = 0;
    for (let seed = 1; seed <= 30; seed += 1) {
      disks = [new MemoryDisk(), new MemoryDisk()];
      const rig = open({ workers: 2, seed });
      const queue = rig.createQueue({ topic_filter: "t", local_max_inflight: 4 }, 0);
      await rig.settle();
      const consumer = await rig.connected(rig.idOn(1, "c"));
      await subscribed(rig, consumer, "$q/t", 1);
      const publisher = await rig.connected(rig.idOn(0, "p"));
      for (let messageId = 1; messageId <= 2; messageId += 1) publisher.publish("t", `${messageId}`, 1, messageId);
      await rig.settle();
      const had = consumer.take("publish");
      expect(had).toHaveLength(2);
      publisher.publish("t", "3", 1, 3);
      while (rig.status(queue).in_flight < 3) rig.step();
      consumer.unsubscribe("$q/t"); // The third may be in the ring.
      await rig.settle();
      const late = consumer.take("publish").length;
      lateSeen += 1 - late;
      expect(rig.status(queue)).toMatchObject({ in_flight: 2 + late, waiting: 1 - late, acknowledged: 0 });
      consumer.acknowledge("puback", had[0]!.messageId!);
      await rig.settle();
      expect(rig.status(queue)).toMatchObject({
        in_flight: 1 + late,
        waiting: 1 - late,
        acknowledged: 1,
        difference: 0,
      });
      consumer.acknowledge("puback", had[1]!.messageId!);
      await rig.settle();
      expect(rig.status(queue)).toMatchObject({ acknowledged: 2, difference: 0 });
    }
    expect(lateSeen).toBeGreaterThan(0);
  });

  it("whose socket was full are given more when it is not, although they have acknowledged nothing", async () => {
    const rig = open({ workers: 2 });
    rig.createQueue({ topic_filter: "t", local_max_inflight: 10 }, 0);
    await rig.settle();
    const consumer = await rig.connected(rig.idOn(1, "c"));
    await subscribed(rig, consumer, "$q/t", 1);
    const publisher = await rig.connected(rig.idOn(0, "p"));
    consumer.connection.isReading = false;
    for (let messageId = 1; messageId <= 40; messageId += 1) {
      publisher.publish("t", `${messageId}`, 1, messageId);
      await rig.settle();
    }
    consumer.connection.isReading = true;
    rig.workers[1]!.wake();
    await rig.settle(); // Time stands still: no timer may be needed.
    expect(texts(consumer)).toHaveLength(10);
  });

  it("whose socket was full go on when it is not, on another worker than the queue", async () => {
    const rig = open({ workers: 2 });
    const queue = rig.createQueue({ name: "n", topic_filter: "t" }, 0);
    await rig.settle();
    const consumer = await rig.connected(rig.idOn(1, "c"));
    await subscribed(rig, consumer, "$queue/n", 0);
    const publisher = await rig.connected(rig.idOn(0, "p"));
    consumer.connection.isReading = false;
    for (let messageId = 1; messageId <= 40; messageId += 1) publisher.publish("t", `${messageId}`, 1, messageId);
    await rig.settle();
    expect(rig.status(queue).acknowledged).toBe(0);
    consumer.connection.isReading = true;
    rig.workers[1]!.wake();
    await rig.settle(); // Time stands still: no timer may be needed.
    expect(rig.status(queue)).toMatchObject({ acknowledged: 40, difference: 0 });
    expect(texts(consumer)).toHaveLength(40);
  });

  it("of an MQTT 3 client that is about to be closed give their jobs to others at once", async () => {
    const rig = open();
    const limits = { max_shard_message_count: 1, max_shard_message_bytes: "infinity" } as const;
    rig.createQueue({ topic_filter: "full", limits, overflow: "reject" });
    const jobs = rig.createQueue({ topic_filter: "jobs" });
    await rig.settle();
    const client = await rig.connected("c", { version: 4 });
    await subscribed(rig, client, "$q/jobs", 1);
    const publisher = await rig.connected("p");
    publisher.publish("jobs", "job", 1, 1);
    publisher.publish("full", "x", 1, 2);
    await rig.settle();
    expect(texts(client)).toEqual(["job"]);
    const other = await rig.connected("o");
    await subscribed(rig, other, "$q/jobs", 1);
    client.publish("full", "y", 1, 1);
    await rig.settle();
    expect(client.isClosed).toBe(false);
    expect(texts(other)).toEqual(["job"]);
    expect(rig.status(jobs).difference).toBe(0);
  });
});

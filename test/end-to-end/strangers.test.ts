/**
 * Goal: who does not read, or does not finish what it begins, costs a bounded amount and is cut off in the end; who is only slow is
 * served; and a witness pair is served all the time.
 * Method: a broker that waits a second for who stalls, bare sockets that stall in one way each.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { publish } from "../harness/raw-bytes.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, pause } from "../harness/waiting.ts";
import { Witness } from "../harness/witness.ts";

const JOBS = 8;
/** Far more than the kernel and the broker take for one connection. */
const FLOOD_BYTES = 32 * 1024 * 1024;
const FLOOD_PAYLOAD = Buffer.alloc(64 * 1024, "f");
/** What one connection may cost: its bound of output, chunks that are not full, and a heap at work. */
const COST_BYTES_MAX = 24 * 1024 * 1024;
const SETTINGS = "limits.stalled_timeout: 1s\n";

const anonymousBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

describeWorkers("clients that stall", (workers) => {
  let broker: Broker;
  let witness: Witness;
  beforeAll(async () => {
    broker = await Broker.start({ workers, settings: SETTINGS });
    witness = await Witness.start(broker.mqttPort);
  });
  afterAll(async () => {
    const { witnessed } = await witness.stop();
    await broker.stop();
    await broker.remove();
    expect(witnessed).toBeGreaterThan(50);
  });

  it("in reading cost little, are cut off, and their jobs go to others", async () => {
    await createQueue(broker, { name: "jobs", topic_filter: "jobs" });
    const stuck = await RawClient.connected(broker.mqttPort, "stuck");
    await stuck.subscribe("$queue/jobs", { qos: 1 });
    await stuck.subscribe("flood");
    const publisher = await RawClient.connected(broker.mqttPort, "publisher");
    for (let job = 0; job < JOBS; job += 1) await publisher.publishSettled("jobs", `job ${job}`, { qos: 1 });
    await eventually("the stuck one holds all jobs", async () => (await ledgerOf(broker, "jobs")).in_flight === JOBS);
    const other = await RawClient.connected(broker.mqttPort, "other");
    await other.subscribe("$queue/jobs", { qos: 1 });

    const flood = async (): Promise<void> => {
      for (let bytes = 0; bytes < FLOOD_BYTES; bytes += FLOOD_PAYLOAD.length * 16) {
        for (let at = 0; at < 16; at += 1) publisher.publish("flood", FLOOD_PAYLOAD);
        await publisher.ping();
      }
    };
    await flood(); // While it reads: rings and buffers have been touched.
    stuck.pause();
    const before = anonymousBytes(broker.pid);
    await flood();
    expect(anonymousBytes(broker.pid) - before).toBeLessThan(COST_BYTES_MAX);
    // The kernel may have taken all that was not dropped: only who has something unsent is stuck.
    let jobs: string[] | undefined;
    const received = other.receiveTexts(JOBS, 50_000).then((texts) => {
      jobs = texts;
    });
    for (const endMs = Date.now() + 50_000; jobs === undefined && Date.now() < endMs; ) {
      await flood();
      await pause(100);
    }
    await received;
    expect(jobs).toEqual(Array.from({ length: JOBS }, (_, job) => `job ${job}`));
    const { consumers, acknowledged } = await ledgerOf(broker, "jobs");
    expect([consumers.map(({ clientid }) => clientid), acknowledged <= JOBS]).toEqual([["other"], true]);
    witness.check();
    await Promise.all([stuck.cut(), other.end(), publisher.end()]);
  });

  it("in the middle of a packet are cut off with 0x97, whether they ever ping or not", async () => {
    const client = await RawClient.connected(broker.mqttPort, "unfinished");
    client.sendBytes(publish("t", 1, Buffer.alloc(100_000)).subarray(0, 20_000));
    expect((await client.take("disconnect", 30_000)).reasonCode).toBe(0x97);
    await client.expectClose();
  });

  it("but are only slow get their message through, beyond their keep alive", async () => {
    const client = await RawClient.connected(broker.mqttPort, "slow", { keepalive: 1 });
    const bytes = publish("t", 1, Buffer.alloc(20_000));
    const step = 800;
    for (let at = 0; at < bytes.length; at += step) {
      client.sendBytes(bytes.subarray(at, at + step));
      await pause(80);
    }
    expect((await client.take("puback")).messageId).toBe(1);
    expect((await client.take("disconnect", 30_000)).reasonCode).toBe(0x8d); // Now it is silent.
  });
});

/**
 * Goal: sessions, retained messages and queues survive a stop and a kill, with any number of workers before and after.
 * Method: one broker is filled with some of everything, ended and started again on the same directory; what was
 * acknowledged must be there, once, and nothing else.
 */
import { describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { isMissing } from "../harness/needs.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const CLIENTS = 12;
const QUEUES = 6;
const JOBS = 20;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const kept = (at: number) =>
  at % 2 === 0
    ? ({ version: 4, clean: false } as const)
    : ({ version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const);

/** Sessions with two subscriptions and messages waiting, retained messages, and queues with some jobs done. */
async function fill(broker: Broker): Promise<void> {
  for (const at of numbers(CLIENTS)) {
    const client = await RawClient.connected(broker.mqttPort, `session-${at}`, kept(at));
    await client.subscribe(`mail/${at}`, { qos: 2 });
    await client.subscribe("news/#", { qos: 1 });
    await client.end();
  }
  const sender = await RawClient.connected(broker.mqttPort, "sender");
  for (const at of numbers(CLIENTS)) {
    await sender.publishSettled(`mail/${at}`, `letter ${at}`, { qos: 2 });
    await sender.publishSettled(`kept/${at}`, `old ${at}`, { qos: 1, retain: true });
    await sender.publishSettled(`kept/${at}`, `new ${at}`, { qos: 1, retain: true });
  }
  await sender.publishSettled("news/today", "sunny", { qos: 1 });
  for (const at of numbers(QUEUES)) {
    const name = `queue-${at}`;
    await createQueue(broker, { name, topic_filter: `work/${at}/#`, local_max_inflight: 100 });
    for (const job of numbers(JOBS))
      expect(await sender.publishSettled(`work/${at}/${job}`, `${job}`, { qos: 1 })).toBe(0);
    const consumer = await RawClient.connected(broker.mqttPort, `worker-${at}`);
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    expect(await consumer.receiveTexts(5)).toEqual(["0", "1", "2", "3", "4"]);
    await eventually("five are acknowledged", async () => (await ledgerOf(broker, name)).acknowledged === 5);
    await consumer.cut();
  }
  await sender.end();
}

/** Everything that `fill` left, each once. Takes it away, so that `fill` can be used again. */
async function check(broker: Broker, wasKilled: boolean): Promise<void> {
  for (const at of numbers(CLIENTS)) {
    const client = await RawClient.connected(broker.mqttPort, `session-${at}`, kept(at));
    expect(client.connack.sessionPresent).toBe(true);
    expect((await client.receiveTexts(2)).toSorted()).toEqual([`letter ${at}`, "sunny"]);
    await client.ping();
    await client.expectQuiet(10);
    await client.end();
  }
  const reader = await RawClient.connected(broker.mqttPort, "reader");
  await reader.subscribe("kept/+", { qos: 1 });
  const retained = await reader.receiveTexts(CLIENTS);
  expect(retained.toSorted()).toEqual(
    numbers(CLIENTS)
      .map((at) => `new ${at}`)
      .toSorted(),
  );
  const sender = await RawClient.connected(broker.mqttPort, "sender");
  for (const at of numbers(QUEUES)) {
    const name = `queue-${at}`;
    const before = await ledgerOf(broker, name);
    expect([before.stored, before.difference]).toEqual([JOBS, 0]);
    // An acknowledgement of the last 50 ms before a kill may be forgotten, nothing else.
    if (!wasKilled) expect(before.acknowledged).toBe(5);
    expect(before.acknowledged).toBeLessThanOrEqual(5);
    const consumer = await RawClient.connected(broker.mqttPort, `worker-${at}`);
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    const jobs = await consumer.receiveTexts(JOBS - before.acknowledged);
    expect(jobs.slice(-15)).toEqual(numbers(JOBS).slice(5).map(String));
    await eventually("all are acknowledged", async () => (await ledgerOf(broker, name)).acknowledged === JOBS);
    await consumer.end();
    const answer = await request(broker, "DELETE", `/api/v5/queue/${name}`);
    expect(answer.status).toBe(204);
  }
  await sender.end();
  await reader.end();
}

/** Numbers of workers, one start after the other. */
const SEQUENCES = [[1, 1], ...(isFullSize ? [[3, 3]] : []), [3, 1, 4]];
const rounds = SEQUENCES.flatMap((workers) => [[workers, "stop"] as const, [workers, "kill"] as const]);

describe.skipIf(isMissing("broker"))("restart", () => {
  it.each(rounds)(
    "with %j workers by %s",
    async (workers, end) => {
      const broker = await Broker.start({ workers: workers[0]! });
      try {
        for (const next of workers.slice(1)) {
          await fill(broker);
          if (end === "stop") await broker.stop();
          else await broker.kill();
          await broker.restart(next);
          await check(broker, end === "kill");
        }
        await broker.stop();
      } finally {
        await broker.remove();
      }
    },
    60_000,
  );

  /** Clients on all workers: some whose session ends with the connection, some whose session lasts, without and with a will delay. */
  it.each(rounds)(
    "publishes wills, with %j workers by %s",
    async (workers, end) => {
      const broker = await Broker.start({ workers: workers[0]! });
      try {
        await createQueue(broker, { name: "wills", topic_filter: "wills", is_lastvalue: false });
        for (const at of numbers(9)) {
          const [sessionExpiryInterval, willDelayInterval] = (
            [
              [0, 0],
              [600, 0],
              [600, 2],
            ] as const
          )[at % 3]!;
          await RawClient.connected(broker.mqttPort, `dying-${at}`, {
            properties: { sessionExpiryInterval },
            will: {
              topic: "wills",
              payload: Buffer.from("x"),
              qos: 1,
              retain: false,
              properties: { willDelayInterval },
            },
          });
        }
        if (end === "stop") await broker.stop();
        else await broker.kill();
        await broker.restart(workers.at(-1)!);
        const expected = end === "stop" ? 9 : 6; // A session that ends with its connection ends with the broker that is killed.
        await eventually("the wills are stored", async () => (await ledgerOf(broker, "wills")).stored === expected);
        await broker.stop();
        await broker.restart();
        expect((await ledgerOf(broker, "wills")).stored).toBe(expected);
        await broker.stop();
      } finally {
        await broker.remove();
      }
    },
    60_000,
  );
});

/**
 * Goal: what a publisher leaves that waits for each acknowledgement is merged on disk, and every message of it comes out, in order, once, after a
 * kill, and after a start with more workers, which moves half of it.
 * Method: one message after the other to a queue and to a session that is away; the store is checked while nobody runs; then both are drained.
 */
import { expect, it } from "vitest";
import { checkPartition } from "../../src/log/partition-check.ts";
import { partitionDirectoryOf } from "../../src/log/partitions.ts";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const MESSAGES = isFullSize ? 2_000 : 250;
const textOf = (number: number): string => `${number}:`.padEnd(1_000, "x");
const AWAY = { version: 5, clean: false, properties: { sessionExpiryInterval: 6_000 } } as const;

describeWorkers("a lone publisher", (workers) => {
  it("leaves few values, and loses and repeats nothing", async () => {
    const broker = await Broker.start({ workers });
    const look = (partitions: number): { values: number; records: number } => {
      const seen = { values: 0, records: 0 };
      for (let partition = 0; partition < partitions; partition += 1) {
        const report = checkPartition(partitionDirectoryOf(broker.dataDirectory, partition), partition);
        expect(report.findings).toEqual([]);
        seen.values += report.batches;
        seen.records += report.records;
      }
      return seen;
    };
    try {
      await createQueue(broker, { name: "jobs", topic_filter: "jobs", is_lastvalue: false });
      const session = await RawClient.connected(broker.mqttPort, "away", AWAY);
      await session.subscribe("jobs", { qos: 1 });
      await session.end();
      const publish = async (from: number): Promise<void> => {
        const producer = await RawClient.connected(broker.mqttPort, "producer");
        for (let number = from; number < from + MESSAGES; number += 1) {
          expect(await producer.publishSettled("jobs", textOf(number), { qos: 1 })).toBe(0);
        }
        await producer.end();
      };
      await publish(0);
      await broker.kill();
      const first = look(workers);
      expect(first.records).toBe(2 * MESSAGES);
      await broker.restart(workers);
      await publish(MESSAGES);
      await broker.kill();
      const second = look(workers);
      expect(second.records).toBe(4 * MESSAGES);
      // Up to 64 of each life, in each partition, may still grow.
      expect(second.values).toBeLessThan(MESSAGES / 10 + 4 * 64);
      await broker.restart(workers + 1);
      const again = await RawClient.connected(broker.mqttPort, "away", AWAY);
      const consumer = await RawClient.connected(broker.mqttPort, "consumer");
      await consumer.subscribe("$queue/jobs", { qos: 1 });
      const expected = Array.from({ length: 2 * MESSAGES }, (_, number) => textOf(number));
      expect(await consumer.receiveTexts(2 * MESSAGES)).toEqual(expected);
      expect(await again.receiveTexts(2 * MESSAGES)).toEqual(expected);
      await eventually("everything is acknowledged", async () => {
        const { acknowledged, waiting, difference } = await ledgerOf(broker, "jobs");
        return acknowledged === 2 * MESSAGES && waiting === 0 && difference === 0;
      });
      for (const client of [again, consumer]) {
        await client.ping();
        await client.expectQuiet(10);
        await client.end();
      }
      await broker.stop();
      expect(look(workers + 1).records).toBe(0);
    } finally {
      await broker.remove();
    }
  }, 240_000);
});

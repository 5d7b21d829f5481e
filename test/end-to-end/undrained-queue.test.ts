/**
 * Goal: a queue that nobody drains costs its neighbours nothing: their messages leave the disk although each of their batches also holds
 * one of its messages, and the file stays small.
 * Method: the whole broker with many queues, all but one drained at once by one consumer each, wave after wave; the store's file is
 * looked at while the waves go on and at the end, and everything is counted.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const QUEUES = isFullSize ? 1_000 : 100;
const WAVES = isFullSize ? 40 : 60;
const PAYLOAD = "x".repeat(isFullSize ? 4_000 : 16_000);
/** Of what goes through, 160 or 96 MB, this much may lie in the files: 4 MiB of dead bytes in each are left alone. */
const FILE_BYTES_MAX = 40 * 1024 * 1024;

describeWorkers("a queue that is never drained", (workers) => {
  it("keeps nothing of the others on disk", async () => {
    const broker = await Broker.start({ workers, settings: `queues:\n  max_queue_count: ${QUEUES}\n` });
    const fileBytes = (): number => {
      let bytes = 0;
      for (let partition = 0; partition < workers; partition += 1) {
        bytes += statSync(join(broker.dataDirectory, `partition-${partition}`, "data.mdb")).size;
      }
      return bytes;
    };
    try {
      await createQueue(broker, { name: "undrained", topic_filter: "waves/0" });
      for (let number = 1; number < QUEUES; number += 1) {
        await createQueue(broker, { name: `q${number}`, topic_filter: `waves/${number}` });
      }
      const consumer = await RawClient.connected(broker.mqttPort, "consumer");
      for (let number = 1; number < QUEUES; number += 1) await consumer.subscribe(`$queue/q${number}`, { qos: 1 });
      const producer = await RawClient.connected(broker.mqttPort, "producer");
      let largest = 0;
      for (let wave = 0; wave < WAVES; wave += 1) {
        for (let number = 0; number < QUEUES; number += 1) {
          producer.publish(`waves/${number}`, PAYLOAD, { qos: 1 });
          if (number % 50 !== 49) continue;
          for (let count = 0; count < 50; count += 1) expect((await producer.take("puback")).reasonCode ?? 0).toBe(0);
        }
        for (let count = 1; count < QUEUES; count += 1) await consumer.receive();
        largest = Math.max(largest, fileBytes());
      }
      await eventually("the others are drained", async () => {
        const { acknowledged, waiting } = await ledgerOf(broker, `q${QUEUES - 1}`);
        return acknowledged === WAVES && waiting === 0;
      });
      expect((await ledgerOf(broker, "undrained")).waiting).toBe(WAVES);
      expect(QUEUES * WAVES * PAYLOAD.length).toBeGreaterThan(2 * FILE_BYTES_MAX);
      expect(largest).toBeLessThan(FILE_BYTES_MAX);
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 240_000);
});

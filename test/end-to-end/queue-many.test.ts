/**
 * Goal: many queues are created, listed, found again after a restart, and none of them is lost or doubled for it.
 * Method: REST from several requests at a time; a start counts them; one of them still takes and gives messages.
 */
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { isFullSize } from "../harness/waiting.ts";

const QUEUES = isFullSize ? 10_000 : 400;
const PAGE = 150;

interface List {
  readonly data: readonly { readonly name: string }[];
  readonly meta: { readonly hasnext: boolean; readonly cursor?: string };
}

describeWorkers(`${QUEUES} queues`, (workers) => {
  it("are there, all of them, before and after a restart", async () => {
    const broker = await Broker.start({ workers, settings: `queues: { max_queue_count: ${QUEUES} }` });
    const names = Array.from({ length: QUEUES }, (_, index) => `q${String(index).padStart(5, "0")}`);
    const createAll = async (): Promise<void> => {
      const left = [...names];
      const create = async (): Promise<void> => {
        for (let name = left.pop(); name !== undefined; name = left.pop()) {
          await createQueue(broker, { name, topic_filter: `fleet/${name}/+` });
        }
      };
      await Promise.all(Array.from({ length: 16 }, create));
    };
    const listed = async (): Promise<string[]> => {
      const found: string[] = [];
      for (let query = ""; ; ) {
        const { data, meta } = (await request(broker, "GET", `/api/v5/queues?limit=${PAGE}${query}`)).body as List;
        found.push(...data.map(({ name }) => name));
        expect(data.length).toBe(meta.hasnext ? PAGE : QUEUES % PAGE);
        if (!meta.hasnext) return found;
        query = `&cursor=${meta.cursor}`;
      }
    };
    try {
      await createAll();
      expect(await listed()).toEqual(names);
      const beyond = await request(broker, "POST", "/api/v5/queues", { topic_filter: "beyond" });
      expect(beyond).toMatchObject({ status: 400, body: { code: "MAX_QUEUE_COUNT_REACHED" } });
      const lowered = await request(broker, "PUT", "/api/v5/queues/config", { max_queue_count: 10 });
      expect(lowered.status).toBe(204);
      const last = names.at(-1)!;
      const producer = await RawClient.connected(broker.mqttPort, "producer");
      expect(await producer.publishSettled(`fleet/${last}/1`, "job", { qos: 1 })).toBe(0);
      await producer.end();

      await broker.stop();
      await broker.restart();
      expect(await listed()).toEqual(names);
      expect(await ledgerOf(broker, names[0]!)).toMatchObject({ stored: 0, difference: 0 });
      const consumer = await RawClient.connected(broker.mqttPort, "consumer");
      await consumer.subscribe(`$queue/${last}`, { qos: 1 });
      expect(await consumer.receiveTexts(1)).toEqual(["job"]);
      await consumer.end();
      await broker.stop();
    } finally {
      await broker.remove();
    }
  });
});

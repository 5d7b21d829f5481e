/**
 * Goal: an operator sees what waits in a queue, as it was published and without taking it, and can remove it; nothing is counted
 * wrong for it, also across a restart.
 * Method: REST beside real clients; every page of a look is compared with what was published.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const MANY = isFullSize ? 200_000 : 10_000;

interface Item {
  readonly position: number;
  readonly payload?: string;
  readonly [field: string]: unknown;
}

interface Page {
  readonly data: readonly Item[];
  readonly meta: { readonly hasnext: boolean; readonly cursor?: string };
}

describeWorkers("what waits in a queue", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  const open = (name: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(broker.mqttPort, unique(name), options);
  const pathOf = (name: string): string => `/api/v5/queue/${encodeURIComponent(name)}/messages`;

  async function look(name: string, query = ""): Promise<Page> {
    const answer = await request(broker, "GET", `${pathOf(name)}${query}`);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body as Page;
  }

  async function purge(name: string): Promise<number> {
    const answer = await request(broker, "DELETE", pathOf(name));
    expect(answer).toMatchObject({ status: 200 });
    return (answer.body as { purged: number }).purged;
  }

  /** Every page, one after the other. */
  async function lookAtAll(name: string, query: string): Promise<{ pages: number[]; items: Item[] }> {
    const pages: number[] = [];
    const items: Item[] = [];
    for (let cursor = ""; ; ) {
      const { data, meta } = await look(name, `?${query}${cursor}`);
      pages.push(data.length);
      items.push(...data);
      if (!meta.hasnext) return { pages, items };
      cursor = `&cursor=${meta.cursor}`;
    }
  }

  /** Publishes many at a time. */
  async function publishMany(topic: string, texts: readonly string[]): Promise<void> {
    for (let start = 0; start < texts.length; start += 10_000) {
      const messages = texts.slice(start, start + 10_000).map((payload) => ({ topic, payload, qos: 1 }));
      expect((await request(broker, "POST", "/api/v5/publish/bulk", messages)).status).toBe(200);
    }
  }

  it("shows each message as it was published, and leaves it there", async () => {
    const name = unique("seen");
    await createQueue(broker, { name, topic_filter: `${name}/#` });
    const producer = await open("producer");
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 600,
      responseTopic: "answers/1",
      correlationData: Buffer.from("id-7"),
      contentType: "text/plain",
      userProperties: { b: ["2", "1"], a: "3" },
    };
    const beganAtMs = Date.now();
    await producer.publishSettled(`${name}/first`, "grüß dich", { qos: 2, properties });
    const binary = Buffer.from([0xff, 0x00, 0x80]);
    await producer.publishSettled(`${name}/second`, binary, { qos: 0, properties: { correlationData: binary } });
    await request(broker, "POST", "/api/v5/publish", { topic: `${name}/third`, payload: "", qos: 1 });

    const { data, meta } = await look(name, "?payload=base64");
    expect(meta).toEqual({ hasnext: false });
    expect(data.map(({ position, publish_at, from_clientid, ...rest }) => rest)).toEqual([
      {
        topic: `${name}/first`,
        qos: 2,
        attempts: 0,
        key: null,
        properties: {
          payload_format_indicator: 1,
          message_expiry_interval: 600,
          response_topic: "answers/1",
          correlation_data: "id-7",
          user_properties: { b: ["2", "1"], a: "3" },
          content_type: "text/plain",
        },
        payload: Buffer.from("grüß dich").toString("base64"),
      },
      {
        topic: `${name}/second`,
        qos: 0,
        attempts: 0,
        key: null,
        properties: { correlation_data_base64: binary.toString("base64") },
        payload: binary.toString("base64"),
      },
      { topic: `${name}/third`, qos: 1, attempts: 0, key: null, properties: {}, payload: "" },
    ]);
    expect(data[2]!.from_clientid).toBe("http_api");
    const at = data[0]!.publish_at as string;
    expect(new Date(at).toISOString()).toBe(at);
    expect(Date.parse(at)).toBeGreaterThanOrEqual(beganAtMs);
    expect((await look(name, "?payload=plain")).data[0]!.payload).toBe("grüß dich");
    for (const query of ["", "?payload=none"]) expect((await look(name, query)).data[0]).not.toHaveProperty("payload");

    expect(await ledgerOf(broker, name)).toMatchObject({ stored: 3, waiting: 3, difference: 0 });
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    expect(await consumer.receiveTexts(1)).toEqual(["grüß dich"]);
    await consumer.end();
    await producer.end();
  });

  it("shows keys of a last-value queue, and how often what came back was handed out", async () => {
    const name = unique("keyed");
    await createQueue(broker, { name, topic_filter: `${name}/+`, is_lastvalue: true, key_expression: "message.topic" });
    await publishMany(`${name}/a`, ["old", "new"]);
    await publishMany(`${name}/b`, ["only"]);
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    await consumer.take("publish");
    await consumer.take("publish");
    expect((await look(name)).data).toEqual([]); // In flight is not waiting.
    await consumer.cut();
    await eventually("both wait again", async () => (await ledgerOf(broker, name)).waiting === 2);
    const { data } = await look(name, "?payload=plain");
    expect(data.map(({ key, attempts, payload }) => [key, attempts, payload])).toEqual([
      [`${name}/a`, 1, "new"],
      [`${name}/b`, 1, "only"],
    ]);
  });

  it("goes through pages in stored order, and says exactly whether there is one more", async () => {
    const name = unique("paged");
    await createQueue(broker, { name, topic_filter: name });
    const texts = Array.from({ length: 1_200 }, (_, index) => String(index));
    await publishMany(name, texts);
    const { pages, items } = await lookAtAll(name, "payload=plain&limit=400");
    expect(pages).toEqual([400, 400, 400]);
    expect(items.map(({ payload }) => payload)).toEqual(texts);
    expect((await lookAtAll(name, "limit=1199")).pages).toEqual([1_199, 1]);
    expect((await look(name)).data.length).toBe(100);
  });

  it("ends a page early rather than answer with too much", async () => {
    const name = unique("large");
    await createQueue(broker, { name, topic_filter: name });
    const producer = await open("producer");
    const payload = Buffer.alloc(1_000_000, "x");
    for (let sent = 0; sent < 20; sent += 1) await producer.publishSettled(name, payload, { qos: 1 });
    const { pages, items } = await lookAtAll(name, "payload=plain&limit=100");
    expect(pages).toEqual([8, 8, 4]);
    expect(items.every(({ payload: text }) => text?.length === payload.length)).toBe(true);
    expect((await lookAtAll(name, "limit=100")).pages).toEqual([20]);
    await producer.end();
  });

  describe("by every spelling", () => {
    const SPELLINGS = ["/queue", "/queues", "/message_queues/queues"];

    it.each(SPELLINGS)("%s/:name/messages, a name or a bare filter", async (spelling) => {
      const topic = unique("spelled");
      await createQueue(broker, { topic_filter: `${topic}/#` });
      for (const name of [`${topic}/#`, `/${topic}/#`]) {
        await publishMany(`${topic}/x`, ["1", "2"]);
        const path = `/api/v5${spelling}/${encodeURIComponent(name)}/messages`;
        expect(((await request(broker, "GET", path)).body as Page).data.length).toBe(2);
        expect(await request(broker, "DELETE", path)).toEqual({ status: 200, body: { purged: 2 } });
        expect((await ledgerOf(broker, `${topic}/#`)).waiting).toBe(0);
      }
      const nowhere = `/api/v5${spelling}/nowhere/messages`;
      expect((await request(broker, "GET", nowhere)).status).toBe(404);
      expect((await request(broker, "DELETE", nowhere)).status).toBe(404);
    });
  });

  it("removes what waits and leaves what is in flight, also across a restart", async () => {
    const name = unique("purged");
    await createQueue(broker, { name, topic_filter: name, local_max_inflight: 5 });
    const consumer = await open("consumer");
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    await publishMany(
      name,
      Array.from({ length: 50 }, (_, index) => String(index)),
    );
    const held = [];
    for (let taken = 0; taken < 5; taken += 1) held.push(await consumer.take("publish"));
    expect(await purge(name)).toBe(45);
    expect(await purge(name)).toBe(0);
    for (const { messageId } of held.slice(1)) consumer.puback(messageId!);
    await consumer.ping();
    await consumer.end();
    const wanted = { stored: 50, purged: 45, in_flight: 0, difference: 0 };
    await eventually("the ledger adds up", async () => (await ledgerOf(broker, name)).acknowledged === 4);
    expect(await ledgerOf(broker, name)).toMatchObject({ ...wanted, waiting: 1 });
    await broker.kill();
    await broker.restart();
    const { waiting, acknowledged, ...rest } = await ledgerOf(broker, name);
    expect(rest).toMatchObject(wanted);
    expect(waiting + acknowledged).toBe(5); // A purge is answered from the disk, an acknowledgement may be behind it.
    expect((await look(name, "?payload=plain")).data.map(({ payload }) => payload)).toContain("0");
  });

  it(`removes ${MANY} while others come`, async () => {
    const name = unique("many");
    await createQueue(broker, { name, topic_filter: name });
    const producer = await open("producer", { version: 4 });
    await publishMany(
      name,
      Array.from({ length: MANY }, () => "old"),
    );
    let sent = 0;
    let isPurging = true;
    const publishing = (async () => {
      for (; isPurging; sent += 1) await producer.publishSettled(name, "new", { qos: 1 });
    })();
    const purged = await purge(name);
    isPurging = false;
    await publishing;
    expect(purged).toBeGreaterThanOrEqual(MANY);
    const ledger = await ledgerOf(broker, name);
    expect(ledger).toMatchObject({ stored: MANY + sent, purged, waiting: MANY + sent - purged, difference: 0 });
    const { items } = await lookAtAll(name, "payload=plain&limit=10000");
    expect(items.every(({ payload }) => payload === "new")).toBe(true);
    expect(items.length).toBe(ledger.waiting);
    await producer.end();
  });
});

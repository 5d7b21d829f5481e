/**
 * Goal: functions in a key expression decide, from REST to delivery, which messages overwrite each other; a fault in one is told when
 * the queue is created, and a message without a key is refused and counted.
 * Method: queues made by REST, messages of an MQTT 5 publisher, then what waits and what a consumer gets.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";

const QUEUES = "/api/v5/message_queues/queues";

interface Published {
  readonly payload: string;
  readonly topic?: string;
  readonly user?: Readonly<Record<string, string>>;
  /** The reason code of its PUBACK; 0 unless told otherwise. */
  readonly code?: number;
}

describeWorkers("key expressions", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, environment: { RESTANTE_VAR_SITE: "north" } });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  async function queueWith(expression: string): Promise<string> {
    const name = unique("queue");
    await createQueue(broker, { name, topic_filter: `${name}/#`, is_lastvalue: true, key_expression: expression });
    return name;
  }

  async function publish(name: string, messages: readonly Published[]): Promise<void> {
    const client = await RawClient.connected(broker.mqttPort, unique("producer"));
    for (const { payload, topic = "t", user, code = 0 } of messages) {
      const properties = user === undefined ? {} : { properties: { userProperties: user } };
      expect([payload, await client.publishSettled(`${name}/${topic}`, payload, { qos: 1, ...properties })]).toEqual([
        payload,
        code,
      ]);
    }
    await client.end();
  }

  /** What waits: the keys with their payloads, oldest first. */
  async function waiting(name: string): Promise<[string | null, string][]> {
    const { status, body } = await request(broker, "GET", `${QUEUES}/${name}/messages?payload=plain`);
    expect(status).toBe(200);
    const { data } = body as { data: readonly { key: string | null; payload: string }[] };
    return data.map(({ key, payload }) => [key, payload]);
  }

  it("by a value inside JSON; what has none is refused and counted", async () => {
    const name = await queueWith("lower(json_value(message.payload, 'a.b'))");
    const id = "12345678901234567890";
    await publish(name, [
      { payload: '{"a":{"b":"X"},"n":1}' },
      { payload: '{"a":{"b":"y"},"n":2}' },
      { payload: '{"a":{"b":"x"},"n":3}' },
      { payload: `{"a":{"b":${id}}}` },
      { payload: `{"a":{"b":${id.replace(/0$/, "1")}}}` },
      { payload: '{"a":{}}', code: 0x83 },
      { payload: "no JSON", code: 0x83 },
    ]);
    expect(await waiting(name)).toEqual([
      ["y", '{"a":{"b":"y"},"n":2}'],
      ["x", '{"a":{"b":"x"},"n":3}'],
      [id, expect.any(String)],
      [id.replace(/0$/, "1"), expect.any(String)],
    ]);
    const { stored, refused, superseded, difference } = await ledgerOf(broker, name);
    expect({ stored, refused, superseded, difference }).toEqual({
      stored: 5,
      refused: 2,
      superseded: 1,
      difference: 0,
    });
  });

  it("by a choice: a user property, else a part of the topic", async () => {
    const property = "message.headers.properties.User-Property.key";
    const name = await queueWith(
      `iif(is_empty(${property}), concat([getenv('SITE'), '-', nth(1, regex_extract(message.topic, 'room([0-9]+)'))]), coalesce(${property}, 'x'))`,
    );
    await publish(name, [
      { payload: "1", topic: "room7/a" },
      { payload: "2", topic: "room8" },
      { payload: "3", topic: "room7/b" },
      { payload: "4", topic: "room7", user: { key: "own" } },
      { payload: "5", topic: "room9", user: { key: "own" } },
    ]);
    expect(await waiting(name)).toEqual([
      ["north-8", "2"],
      ["north-7", "3"],
      ["own", "5"],
    ]);
    const consumer = await RawClient.connected(broker.mqttPort, unique("consumer"));
    await consumer.subscribe(`$queue/${name}`, { qos: 1 });
    const texts: string[] = [];
    while (texts.length < 3) texts.push(String((await consumer.receive()).payload));
    expect(texts).toEqual(["2", "3", "5"]);
    await consumer.end();
  });

  it("by a share of a range", async () => {
    const name = await queueWith("hash_to_range(message.payload, 1, 3)");
    await publish(
      name,
      Array.from({ length: 40 }, (_, number) => ({ payload: `m${number}` })),
    );
    const keys = (await waiting(name)).map(([key]) => key);
    expect(keys.toSorted()).toEqual(["1", "2", "3"]);
  });

  it("a changed expression counts from the next publish on; what is stored keeps its key", async () => {
    const name = await queueWith("message.topic");
    await publish(name, [
      { payload: "old 1", topic: "a" },
      { payload: "old 2", topic: "b" },
    ]);
    const changed = await request(broker, "PUT", `${QUEUES}/${name}`, {
      key_expression: "substr(message.payload, 0, 3)",
    });
    expect(changed.status).toBe(200);
    await publish(name, [
      { payload: "new 1", topic: "a" },
      { payload: "new 2", topic: "b" },
    ]);
    expect((await waiting(name)).map(([, payload]) => payload)).toEqual(["old 1", "old 2", "new 2"]);

    // Under the old expression again, the old keys are there to be overwritten.
    await request(broker, "PUT", `${QUEUES}/${name}`, { key_expression: "message.topic" });
    await publish(name, [{ payload: "newest", topic: "a" }]);
    expect((await waiting(name)).map(([, payload]) => payload)).toEqual(["old 2", "new 2", "newest"]);
  });

  it("a key that is another each time keeps everything, and is not shown", async () => {
    const name = await queueWith("rand_str(16)");
    await publish(name, [{ payload: "1" }, { payload: "1" }]);
    expect(await waiting(name)).toEqual([
      [null, "1"],
      [null, "1"],
    ]);
  });

  it.each([
    ["nosuch(message.topic)", "the function nosuch is unknown at position 0"],
    ["concat('a', lower())", "lower takes 1 argument, not 0 at position 12"],
    ["regex_match(message.topic, '(')", "argument 2 of regex_match is not a regular expression"],
    ["concat(['a', ])", "position 13"],
  ])("%s is refused, in POST and in PUT", async (expression, fault) => {
    const refusal = { status: 400, body: { code: "BAD_REQUEST", message: expect.stringContaining(fault) } };
    const definition = { name: unique("queue"), topic_filter: "t", is_lastvalue: true, key_expression: expression };
    expect(await request(broker, "POST", QUEUES, definition)).toMatchObject(refusal);
    const name = await queueWith("message.from");
    expect(await request(broker, "PUT", `${QUEUES}/${name}`, { key_expression: expression })).toMatchObject(refusal);
  });
});

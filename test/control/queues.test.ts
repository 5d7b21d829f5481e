/**
 * The queue endpoints as EMQX's scripts use them. Goal: shapes, statuses and defaults. Method: requests over HTTP; what the
 * workers hold is compared with what was answered.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { WaitingMessage } from "../../src/worker/commands.ts";
import { type Answer, ask, QUEUES_CONFIG, type Running, startControl } from "./fixture.ts";

let running: Running;
beforeEach(async () => {
  running = await startControl();
});
afterEach(() => running.control.close(0));

const LIST = "/message_queues/queues";
const create = (body: object): Promise<Answer> => ask(running, "POST", LIST, body);

const REGULAR = {
  name: "q1",
  topic_filter: "t/#",
  is_lastvalue: false,
  data_retention_period: 604_800_000,
  dispatch_strategy: "random",
  limits: { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" },
  overflow: "drop_oldest",
  durability: "fsync",
  local_max_inflight: 10,
  redispatch_interval: 100,
  consumer_max_inactive: 30_000,
  ping_interval: 10_000,
  busy_session_retry_interval: 100,
  stream_max_buffer_size: 2_000,
  stream_max_unacked: 1_000,
  consumer_persistence_interval: 10_000,
};

describe("the calls of the examples", () => {
  it.each([
    { topic_filter: "jobs", dispatch_strategy: "random", is_lastvalue: false },
    { topic_filter: "jobs", dispatch_strategy: "least_inflight", is_lastvalue: false },
    {
      topic_filter: "commands/device1",
      is_lastvalue: true,
      key_expression: "message.headers.properties.User-Property.key",
      dispatch_strategy: "random",
    },
  ])("%j", async (body) => {
    const answer = await create(body);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ ...body, name: `/${body.topic_filter}` });
  });
});

describe("POST", () => {
  it("answers with every field, defaults filled in, and the worker holds the same", async () => {
    const answer = await create({ name: "q1", topic_filter: "t/#", is_lastvalue: false });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual(REGULAR);
    expect(
      running.workers.stored.flatMap((partition) => [...partition.values()]).map(({ definition }) => definition),
    ).toEqual([REGULAR]);
    for (const routed of running.workers.routed) expect(routed.get("q1")?.definition).toEqual(REGULAR);
  });

  it("makes a last-value queue by the sender unless told otherwise", async () => {
    const { json } = await create({ name: "q1", topic_filter: "t/#" });
    expect(json).toEqual({ ...REGULAR, is_lastvalue: true, key_expression: "message.from" });
  });

  it("reads durations and sizes as EMQX writes them", async () => {
    const { json } = await create({
      topic_filter: "t",
      data_retention_period: "1h30m",
      limits: { max_shard_message_count: 10, max_shard_message_bytes: "100MB" },
      redispatch_interval: 250,
      consumer_max_inactive: "1.5s",
      ping_interval: "2000",
    });
    expect(json).toMatchObject({
      data_retention_period: 5_400_000,
      limits: { max_shard_message_count: 10, max_shard_message_bytes: 104_857_600 },
      redispatch_interval: 250,
      consumer_max_inactive: 1_500,
      ping_interval: 2_000,
    });
  });

  it.each([
    [{ topic_filter: "t", colour: "red" }, "colour: unknown field"],
    [{ topic_filter: "t", limits: { max: 1 } }, "limits.max: unknown field"],
    [{}, "topic_filter: this field is required"],
    [{ topic_filter: 7 }, "topic_filter: expected a string, found 7"],
    [{ topic_filter: "" }, "topic_filter: a topic filter has at least one character"],
    [{ topic_filter: "a/#/b" }, "topic_filter: # at position 2 must be the last level"],
    [{ topic_filter: "a/b#" }, "topic_filter: # at position 3 must fill its level alone"],
    [{ topic_filter: "a/x+y/#" }, "topic_filter: + at position 3 must fill its level alone"],
    [{ topic_filter: "a\0b" }, "topic_filter: a character that MQTT does not allow at position 1"],
    [{ topic_filter: "a\ud800" }, "topic_filter: a character that MQTT does not allow at position 1"],
    [{ topic_filter: "$share/g/t" }, /^topic_filter: \$share at position 0/],
    [{ topic_filter: "$queue/x" }, /^topic_filter: \$queue at position 0/],
    [{ topic_filter: "x".repeat(70_000) }, /^topic_filter: longer than 65535 bytes/],
    [
      { topic_filter: "é".repeat(512) },
      /^topic_filter: longer than 1023 bytes, which is too long for a queue without a name/,
    ],
    [{ topic_filter: "t", name: "x".repeat(1_025) }, "name: longer than 1024 bytes"],
    [{ topic_filter: "/".repeat(300) }, /^topic_filter: more than 128 levels/],
    [{ topic_filter: "t", name: "" }, /^name: expected a letter or a digit/],
    [{ topic_filter: "t", name: "-x" }, /^name: /],
    [{ topic_filter: "t", name: "a/b" }, /^name: /],
    [{ topic_filter: "t", name: "/t" }, /^name: /],
    [{ topic_filter: "t", name: "é" }, /^name: /],
    [{ topic_filter: "t", name: "a\n" }, /^name: /],
    [{ topic_filter: "t", name: null }, /^name: expected a string/],
    [{ topic_filter: "t", name: "config" }, 'name: "config" is reserved'],
    [{ topic_filter: "t", is_lastvalue: "true" }, /^is_lastvalue: expected true or false/],
    [
      { topic_filter: "t", is_lastvalue: false, key_expression: "message.from" },
      /^key_expression: a regular queue has none/,
    ],
    [{ topic_filter: "t", key_expression: "" }, /^key_expression: .* at position 0$/],
    [{ topic_filter: "t", key_expression: "message.from)" }, /^key_expression: .* at position 12$/],
    [{ topic_filter: "t", key_expression: "lower()" }, /^key_expression: lower takes 1 argument, not 0 at position 0$/],
    [{ topic_filter: "t", key_expression: "regex_match('a', '(')" }, /^key_expression: argument 2 .* at position 17$/],
    [{ topic_filter: "t", key_expression: "nosuch(message.from)" }, /^key_expression: .*nosuch.* at position 0$/],
    [{ topic_filter: "t", data_retention_period: "7 days" }, /^data_retention_period: expected a duration/],
    [{ topic_filter: "t", data_retention_period: -1 }, /^data_retention_period: /],
    [{ topic_filter: "t", data_retention_period: 1.5 }, /^data_retention_period: /],
    [{ topic_filter: "t", data_retention_period: "-1s" }, /^data_retention_period: /],
    [{ topic_filter: "t", ping_interval: "50d" }, /^ping_interval: expected a duration .* from 1 to 2147483647 ms/],
    [
      { topic_filter: "t", dispatch_strategy: "fair" },
      /^dispatch_strategy: expected one of random, least_inflight, round_robin/,
    ],
    [
      { topic_filter: "t", limits: { max_shard_message_count: 0 } },
      'limits.max_shard_message_count: expected an integer of at least 1, found 0; "infinity" is allowed, too',
    ],
    [{ topic_filter: "t", limits: { max_shard_message_count: "10" } }, /^limits\.max_shard_message_count: /],
    [{ topic_filter: "t", limits: { max_shard_message_bytes: "1.5MB" } }, /^limits\.max_shard_message_bytes: /],
    [{ topic_filter: "t", limits: [] }, /^limits: expected a JSON object/],
    [{ topic_filter: "t", limits: null }, /^limits: expected a JSON object/],
    [{ topic_filter: "t", overflow: "block" }, /^overflow: expected one of drop_oldest, drop_newest, reject/],
    [{ topic_filter: "t", durability: "none" }, /^durability: expected one of fsync, memory/],
    [{ topic_filter: "t", local_max_inflight: 0 }, /^local_max_inflight: expected an integer from 1 to 65535/],
    [{ topic_filter: "t", stream_max_unacked: 1.5 }, /^stream_max_unacked: /],
    [{ topic_filter: "t", id: "x" }, "id: unknown field"],
  ])("%j is 400 and says why", async (body, message) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.json.code).toBe("BAD_REQUEST");
    expect(answer.json.message).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect(running.workers.namesStored()).toEqual([]);
  });

  it("refuses a name that is taken, and a second unnamed queue over a filter", async () => {
    const exists = { code: "ALREADY_EXISTS", message: "Message queue already exists" };
    await create({ name: "q1", topic_filter: "t" });
    expect(await create({ name: "q1", topic_filter: "other" })).toMatchObject({ status: 400, json: exists });
    expect((await create({ topic_filter: "t" })).status).toBe(200);
    expect(await create({ topic_filter: "t" })).toMatchObject({ status: 400, json: exists });
    expect((await create({ name: "q2", topic_filter: "t" })).status).toBe(200);
  });

  it("gives a name to one of many that ask at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => create({ name: "one", topic_filter: "t" })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(running.workers.namesStored()).toEqual(["one"]);
  });

  it("stops at max_queue_count, exactly, also when many ask at the same time", async () => {
    await running.control.close(0);
    running = await startControl({ queuesConfig: { ...QUEUES_CONFIG, max_queue_count: 3 } });
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((index) => create({ topic_filter: `t/${index}` })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    const refused = answers.find(({ status }) => status !== 200);
    expect(refused).toMatchObject({
      status: 400,
      json: { code: "MAX_QUEUE_COUNT_REACHED", message: "Max queue count reached" },
    });
  });

  it("spreads queues over the partitions that hold the fewest", async () => {
    for (let index = 0; index < 6; index += 1) await create({ topic_filter: `t/${index}` });
    expect(running.workers.stored.map(({ size }) => size)).toEqual([3, 3]);
    for (const name of [...running.workers.stored[0]!.keys()])
      await ask(running, "DELETE", `/queue/${encodeURIComponent(name)}`);
    await create({ topic_filter: "new/1" });
    await create({ topic_filter: "new/2" });
    expect(running.workers.stored.map(({ size }) => size)).toEqual([2, 3]);
  });
});

describe("one queue", () => {
  const PATHS = ["/queue", "/queues", "/message_queues/queues"];

  it.each(PATHS)("is found at %s/:name, by name and, when unnamed, by its bare filter", async (path) => {
    await create({ name: "q1", topic_filter: "t/#" });
    await create({ topic_filter: "t/#" });
    expect((await ask(running, "GET", `${path}/q1`)).json.name).toBe("q1");
    expect((await ask(running, "GET", `${path}/t%2F%23`)).json.name).toBe("/t/#");
    expect((await ask(running, "GET", `${path}/%2Ft%2F%23`)).json.name).toBe("/t/#");
    expect((await ask(running, "GET", `${path}/t%2f%23`)).json.name).toBe("/t/#");
    const missing = await ask(running, "GET", `${path}/-odd%20name`);
    expect(missing).toMatchObject({ status: 404, json: { code: "NOT_FOUND", message: "Message queue not found" } });
  });

  it("whose name is asked for comes before one whose filter it is", async () => {
    await create({ topic_filter: "jobs" });
    await create({ name: "jobs", topic_filter: "other" });
    expect((await ask(running, "GET", "/queue/jobs")).json.topic_filter).toBe("other");
    expect((await ask(running, "GET", "/queue/%2Fjobs")).json.topic_filter).toBe("jobs");
  });

  it("with the filter `config` is reachable by its whole name", async () => {
    await create({ topic_filter: "config" });
    expect((await ask(running, "GET", "/queues/%2Fconfig")).json.name).toBe("/config");
    expect((await ask(running, "GET", "/queue/config")).json.name).toBe("/config");
  });

  it.each(PATHS)("is removed by DELETE %s/:name, once", async (path) => {
    await create({ name: "q1", topic_filter: "t" });
    const answer = await ask(running, "DELETE", `${path}/q1`);
    expect(answer).toMatchObject({ status: 204, text: "" });
    expect((await ask(running, "DELETE", `${path}/q1`)).status).toBe(404);
    expect(running.workers.namesStored()).toEqual([]);
    expect(running.workers.routed.every(({ size }) => size === 0)).toBe(true);
    expect((await create({ name: "q1", topic_filter: "other" })).status).toBe(200);
  });

  it.each(PATHS)("shows its state at %s/:name/status", async (path) => {
    await create({ topic_filter: "t" });
    const answer = await ask(running, "GET", `${path}/t/status`);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json)).toEqual([
      ...["name", "topic_filter", "stored", "waiting", "in_flight", "acknowledged", "expired", "superseded", "dropped"],
      ...["dead_lettered", "purged", "refused", "difference", "waiting_bytes", "oldest_waiting_ms", "consumers"],
    ]);
    expect((await ask(running, "GET", `${path}/nope/status`)).status).toBe(404);
    const metrics = await ask(running, "GET", `${path}/t/metrics`);
    expect(metrics).toMatchObject({ status: 200, json: { name: "/t", topic_filter: "t", counters: { stored: 9 } } });
    expect(metrics.json.latency_ms.publish_to_stored).toMatchObject({
      count: 0,
      sum: 0,
      max: 0,
      p50: 0,
      p90: 0,
      p99: 0,
    });
    expect((await ask(running, "GET", `${path}/nope/metrics`)).status).toBe(404);
  });
});

describe("what waits", () => {
  const MESSAGE: WaitingMessage = {
    position: 65_536,
    topic: "t",
    qos: 1,
    publishedAtMs: 0,
    clientId: "c",
    attempts: 0,
    key: undefined,
    properties: {},
    messageExpiryIntervalS: undefined,
    payload: undefined,
  };

  it.each(["/queue", "/queues", LIST])(
    "is shown at GET %s/:name/messages, page by page, and removed by DELETE",
    async (path) => {
      await create({ topic_filter: "t" });
      running.workers.waiting.push(MESSAGE, { ...MESSAGE, position: 65_537 });
      const first = await ask(running, "GET", `${path}/t/messages?limit=1`);
      expect(first.json.meta).toEqual({ hasnext: true, cursor: expect.any(String) });
      const { status } = await ask(running, "GET", `${path}/t/messages?cursor=${first.json.meta.cursor}`);
      expect(status).toBe(200);
      expect((await ask(running, "DELETE", `${path}/t/messages`)).json).toEqual({ purged: 2 });
      expect((await ask(running, "GET", `${path}/nope/messages`)).status).toBe(404);
    },
  );

  it.each([
    ["cursor=xyz", "Invalid cursor"],
    [`cursor=${Buffer.from('["1.5"]').toString("base64url")}`, "Invalid cursor"],
    [`cursor=${Buffer.from('["-1"]').toString("base64url")}`, "Invalid cursor"],
    [`cursor=${Buffer.from('["t","q"]').toString("base64url")}`, "Invalid cursor"],
    ["limit=0", "limit: expected an integer from 1 to 10000"],
    ["payload=hex", "payload: expected none, plain or base64"],
  ])("with %s is 400", async (query, message) => {
    await create({ topic_filter: "t" });
    const answer = await ask(running, "GET", `/queue/t/messages?${query}`);
    expect(answer).toMatchObject({ status: 400, json: { code: "BAD_REQUEST", message } });
  });
});

describe("PUT", () => {
  const put = (body: object, name = "q1"): Promise<Answer> => ask(running, "PUT", `${LIST}/${name}`, body);

  it("changes what it has and keeps the rest, on disk and in every worker", async () => {
    await create({ name: "q1", topic_filter: "t/#", is_lastvalue: false, local_max_inflight: 3 });
    const answer = await put({ dispatch_strategy: "round_robin" });
    expect(answer.status).toBe(200);
    const wanted = { ...REGULAR, local_max_inflight: 3, dispatch_strategy: "round_robin" };
    expect(answer.json).toEqual(wanted);
    expect((await ask(running, "GET", "/queue/q1")).json).toEqual(wanted);
    for (const routed of running.workers.routed) expect(routed.get("q1")?.definition).toEqual(wanted);
  });

  it("lets limits come, change one by one, and go", async () => {
    await create({ name: "q1", topic_filter: "t/#", is_lastvalue: false });
    expect((await put({ limits: { max_shard_message_count: 5 } })).json.limits).toEqual({
      max_shard_message_count: 5,
      max_shard_message_bytes: "infinity",
    });
    expect((await put({ limits: { max_shard_message_bytes: "1KB" } })).json.limits).toEqual({
      max_shard_message_count: 5,
      max_shard_message_bytes: 1024,
    });
    expect((await put({ limits: { max_shard_message_count: "infinity" } })).json.limits.max_shard_message_count).toBe(
      "infinity",
    );
  });

  it("takes back what GET gave", async () => {
    await create({ topic_filter: "a/+", key_expression: "message.topic" });
    const { json } = await ask(running, "GET", "/queue/a%2F%2B");
    const answer = await put(json, "a%2F%2B");
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual(json);
  });

  it.each([
    [{ name: "q2" }, "name: cannot be changed"],
    [{ topic_filter: "other" }, "topic_filter: cannot be changed"],
    [{ is_lastvalue: true }, "is_lastvalue: cannot be changed"],
    [{ key_expression: "message.from" }, /^key_expression: a regular queue has none/],
    [{ colour: 1 }, "colour: unknown field"],
    [{ durability: "none" }, /^durability: /],
    [{ ping_interval: "x" }, /^ping_interval: /],
  ])("%j is 400", async (body, message) => {
    await create({ name: "q1", topic_filter: "t/#", is_lastvalue: false });
    const answer = await put(body);
    expect(answer.status).toBe(400);
    expect(answer.json.message).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect((await ask(running, "GET", "/queue/q1")).json).toEqual(REGULAR);
  });

  it("is 404 for a queue that is not there, and 400 without a body", async () => {
    expect((await put({})).status).toBe(404);
    expect((await ask(running, "PUT", "/queue/q1")).status).toBe(400);
  });
});

describe("the list", () => {
  it("is in the order of topic filter, then name", async () => {
    await create({ name: "z", topic_filter: "b" });
    await create({ name: "a", topic_filter: "c" });
    await create({ name: "y", topic_filter: "b" });
    await create({ topic_filter: "a" });
    const { json } = await ask(running, "GET", "/queues");
    expect(json.data.map(({ name }: { name: string }) => name)).toEqual(["/a", "y", "z", "a"]);
    expect(json.meta).toEqual({ hasnext: false });
    expect(json.data[3]).toEqual((await ask(running, "GET", "/queue/a")).json);
  });

  it("comes in pages that hold every queue once, whatever the size of a page", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.constantFrom("a", "b", "é", "日本", "😀/+"), fc.integer({ min: 0, max: 50 })), {
          maxLength: 12,
          selector: ([, number]) => number,
        }),
        fc.integer({ min: 1, max: 13 }),
        async (queues, limit) => {
          const other = await startControl();
          try {
            for (const [filter, number] of queues) {
              await ask(other, "POST", "/queues", { name: `q${number}`, topic_filter: filter });
            }
            const names: string[] = [];
            let pages = 0;
            for (let query = `?limit=${limit}`; query !== ""; ) {
              const { json } = await ask(other, "GET", `/queues${query}`);
              names.push(...json.data.map(({ name }: { name: string }) => name));
              pages += 1;
              expect(json.meta.cursor === undefined).toBe(!json.meta.hasnext);
              query = json.meta.hasnext ? `?limit=${limit}&cursor=${json.meta.cursor}` : "";
            }
            expect([...names].sort()).toEqual(queues.map(([, number]) => `q${number}`).sort());
            expect(pages).toBe(Math.max(1, Math.ceil(queues.length / limit)));
          } finally {
            await other.control.close(0);
          }
        },
      ),
      { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 200 : 15 },
    );
  });

  it("has a page behind each queue, and a path for each, however long its name and filter", async () => {
    const long = "\u0001".repeat(60_000);
    const names = [`/${"\u0001".repeat(1_023)}`, "n".repeat(1_024), "m".repeat(1_024), "other"];
    await create({ topic_filter: names[0]!.slice(1) });
    await create({ topic_filter: `${long}b`, name: names[1] });
    await create({ topic_filter: `${long}a`, name: names[2] });
    await create({ topic_filter: long, name: names[3] });
    const found: string[] = [];
    for (let query = "?limit=1"; query !== ""; ) {
      const { status, json } = await ask(running, "GET", `/queues${query}`);
      expect(status).toBe(200);
      found.push(...json.data.map(({ name }: { name: string }) => name));
      query = json.meta.hasnext ? `?limit=1&cursor=${json.meta.cursor}` : "";
    }
    expect([...found].sort()).toEqual([...names].sort());
    for (const name of names) {
      expect((await ask(running, "DELETE", `${LIST}/${encodeURIComponent(name)}`)).status).toBe(204);
    }
  });

  it("goes on behind the place of a queue that was removed meanwhile", async () => {
    for (const filter of ["a", "b", "c"]) await create({ topic_filter: filter });
    const { json } = await ask(running, "GET", "/queues?limit=2");
    await ask(running, "DELETE", "/queue/b");
    const next = await ask(running, "GET", `/queues?limit=2&cursor=${json.meta.cursor}`);
    expect(next.json.data.map(({ name }: { name: string }) => name)).toEqual(["/c"]);
  });

  it.each(["cursor=x", "cursor=", "cursor=W10", "cursor=WzEsMl0", "cursor=%00", "cursor=bnVsbA"])(
    "?%s is 400",
    async (query) => {
      const answer = await ask(running, "GET", `/queues?${query}`);
      expect(answer).toMatchObject({ status: 400, json: { code: "BAD_REQUEST", message: "Invalid cursor" } });
    },
  );

  it.each(["limit=0", "limit=-1", "limit=x", "limit=10001", "limit=1e3", "limit="])("?%s is 400", async (query) => {
    expect((await ask(running, "GET", `/queues?${query}`)).status).toBe(400);
  });
});

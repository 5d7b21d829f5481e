/** `GET /status` and the configuration endpoints: shapes, and what a change does. Over HTTP. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Answer, answerOf, ask, QUEUES_CONFIG, type Running, startControl } from "./fixture.ts";

let running: Running;
beforeEach(async () => {
  running = await startControl();
});
afterEach(() => running.control.close(0));

describe.each(["/status", "/api/v5/status"])("%s", (path) => {
  const get = async (query = "", method = "GET"): Promise<Answer> =>
    answerOf(await fetch(`${running.url}${path}${query}`, { method }));

  it("is open and speaks EMQX's words", async () => {
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(answer.text).toBe("Node restante@127.0.0.1 is started\nemqx is running");
    expect((await get("?format=json")).json).toEqual({
      node_name: "restante@127.0.0.1",
      cluster: "restante",
      broker_status: "started",
      app_status: "running",
    });
    expect((await get("", "HEAD")).status).toBe(200);
  });

  it("is 503 while a partition cannot store, and names it; what is damaged is counted", async () => {
    const sinceMs = Date.UTC(2026, 0, 31, 12);
    const fault = { reason: "disk_full", sinceMs } as const;
    running.workers.health = [
      { partition: 1, fault, damage: 2, damagedRecords: 30 },
      { partition: 0, fault: null, damage: 0, damagedRecords: 0 },
    ];
    const answer = await get();
    expect(answer.status).toBe(503);
    expect(answer.text).toBe(
      "Node restante@127.0.0.1 is degraded\nemqx is not_storing\n" +
        "partition 1 cannot store: disk_full since 2026-01-31T12:00:00.000Z",
    );
    expect((await get("?format=json")).json).toEqual({
      node_name: "restante@127.0.0.1",
      cluster: "restante",
      broker_status: "degraded",
      app_status: "not_storing",
      faults: [{ partition: 1, reason: "disk_full", since: "2026-01-31T12:00:00.000Z" }],
      damage: [{ partition: 1, values: 2, messages: 30 }],
    });
    running.workers.health = [{ partition: 1, fault: null, damage: 2, damagedRecords: 30 }];
    expect((await get()).text).toMatch(/is running$/);
    expect((await get("?format=json")).json).toMatchObject({ app_status: "running", damage: [{ partition: 1 }] });
  });

  it("is 503 until the broker is ready, and again when it stops", async () => {
    running.control.setReady(false);
    const answer = await get();
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("15");
    expect((await get("?format=json")).json.app_status).toBe("not_running");
    running.control.setReady(true);
    expect((await get()).status).toBe(200);
  });
});

describe.each(["/queues/config", "/message_queues/config"])("%s", (path) => {
  const get = async () => (await ask(running, "GET", path)).json;
  const put = (body: unknown): Promise<Answer> => ask(running, "PUT", path, body);

  it("shows the settings, durations written out", async () => {
    expect(await get()).toEqual({
      enable: true,
      gc_interval: "1h",
      regular_queue_retention_period: "7d",
      max_queue_count: 100,
      find_queue_retry_interval: "10s",
      auto_create: { regular: false, lastvalue: false },
      quota: { threshold_percentage: 10, buffer_max_size: 100, buffer_flush_interval: "1s", buffer_pool_size: 16 },
    });
  });

  it("takes single keys, keeps the others, and gives back what it got", async () => {
    const answer = await put({ gc_interval: "90m", max_queue_count: 2 });
    expect(answer).toMatchObject({ status: 204, text: "" });
    expect(await get()).toMatchObject({ gc_interval: "90m", max_queue_count: 2, find_queue_retry_interval: "10s" });
    await put({ quota: { threshold_percentage: 20 } });
    expect((await get()).quota).toMatchObject({ threshold_percentage: 20, buffer_max_size: 100 });
  });

  it("applies max_queue_count at once and removes nothing for it", async () => {
    for (const filter of ["a", "b"]) await ask(running, "POST", "/queues", { topic_filter: filter });
    await put({ max_queue_count: 1 });
    const answer = await ask(running, "POST", "/queues", { topic_filter: "c" });
    expect(answer.json.code).toBe("MAX_QUEUE_COUNT_REACHED");
    expect((await ask(running, "GET", "/queues")).json.data).toHaveLength(2);
  });

  it("replaces auto_create as a whole and shows every field of it", async () => {
    await put({
      auto_create: { regular: { data_retention_period: "2h", limits: { max_shard_message_bytes: "1MB" } } },
    });
    const { regular, lastvalue } = (await get()).auto_create;
    expect(lastvalue).toBe(false);
    expect(regular).toMatchObject({ data_retention_period: "2h", dispatch_strategy: "random", ping_interval: "10s" });
    expect(regular.limits).toEqual({ max_shard_message_count: "infinity", max_shard_message_bytes: "1MB" });
    await put({ auto_create: { lastvalue: {} } });
    expect((await get()).auto_create).toMatchObject({ regular: false, lastvalue: { key_expression: "message.from" } });
  });

  it.each([
    [{ gc_interval: "-10h" }, /^gc_interval: /],
    [{ gc_interval: "60d" }, /^gc_interval: out of range/],
    [{ enable: "yes" }, /^enable: expected true, false or auto/],
    [{ max_queue_count: 0 }, /^max_queue_count: /],
    [{ colour: 1 }, /^colour: unknown field/],
    [{ auto_create: { regular: {}, lastvalue: {} } }, /either as regular or lastvalue/],
    [
      { auto_create: { regular: { key_expression: "message.from" } } },
      /^auto_create\.regular\.key_expression: unknown field$/,
    ],
    [{ auto_create: { lastvalue: { ping_interval: "x" } } }, /^auto_create\.lastvalue\.ping_interval: /],
    [{ auto_create: { lastvalue: true } }, /^auto_create\.lastvalue: /],
    [{ quota: { threshold_percentage: 101 } }, /^quota\.threshold_percentage: /],
  ])("refuses %j and changes nothing", async (body, message) => {
    const before = await get();
    const answer = await put({ max_queue_count: 7, ...body });
    expect(answer.status).toBe(400);
    expect(answer.json.message).toMatch(message);
    expect(await get()).toEqual(before);
  });

  it("is switched off only without queues; then queues are 503 and the configuration is not", async () => {
    await ask(running, "POST", "/queues", { topic_filter: "a" });
    expect((await put({ enable: false })).json.message).toMatch(/^Cannot disable/);
    await ask(running, "DELETE", "/queue/a");
    expect((await put({ enable: false })).status).toBe(204);
    const answer = await ask(running, "POST", "/queues", { topic_filter: "a" });
    expect(answer).toMatchObject({ status: 503, json: { code: "SERVICE_UNAVAILABLE", message: "Not enabled" } });
    expect((await put({ enable: true })).status).toBe(204);
    expect((await ask(running, "POST", "/queues", { topic_filter: "a" })).status).toBe(200);
  });
});

it("serves with enable set to auto", async () => {
  await running.control.close(0);
  running = await startControl({ queuesConfig: { ...QUEUES_CONFIG, enable: "auto" } });
  expect((await ask(running, "GET", "/queues")).status).toBe(200);
});

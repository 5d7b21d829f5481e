/**
 * Goal: what PUT changes of the queues' configuration outlives the process, and creates queues for subscribers as it says. Method: requests over
 * HTTP, control planes one after the other over the same workers.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { QueuesConfig } from "../../src/control/queues-config.ts";
import { eventually } from "../harness/waiting.ts";
import { type Answer, ask, QUEUES_CONFIG, type Running, startControl } from "./fixture.ts";

let running: Running;
beforeEach(async () => {
  running = await startControl();
});
afterEach(() => running.control.close(0));

describe("what PUT has changed", () => {
  const put = (body: object): Promise<Answer> => ask(running, "PUT", "/queues/config", body);
  const config = async () => (await ask(running, "GET", "/queues/config")).json;

  /** Another start on the same store. */
  async function restart(settings: Partial<QueuesConfig> = {}): Promise<void> {
    const { workers } = running;
    await running.control.close(0);
    running = await startControl({ workers, queuesConfig: { ...QUEUES_CONFIG, ...settings } });
  }

  it("is in force after a restart, and the log says which keys", async () => {
    await put({ max_queue_count: 7, auto_create: { lastvalue: { key_expression: "message.topic" } } });
    await put({ gc_interval: "2h" });
    await restart();
    expect(await config()).toMatchObject({ max_queue_count: 7, gc_interval: "2h", auto_create: { regular: false } });
    expect((await config()).auto_create.lastvalue.key_expression).toBe("message.topic");
    const keys = ["max_queue_count", "auto_create", "gc_interval"];
    expect(running.lines.filter(({ level }) => level === "info")).toMatchObject([{ fields: { keys } }]);
  });

  it("gives way to a setting that was changed since, for that key alone", async () => {
    await put({ max_queue_count: 7, gc_interval: "2h" });
    await restart({ max_queue_count: 50 });
    expect(await config()).toMatchObject({ max_queue_count: 50, gc_interval: "2h" });
    expect(running.lines).toMatchObject([
      { level: "info", fields: { keys: ["gc_interval"] } },
      { level: "warn", fields: { keys: ["max_queue_count"] } },
    ]);
    await put({ max_queue_count: 60 });
    await restart({ max_queue_count: 50 });
    expect(await config()).toMatchObject({ max_queue_count: 60, gc_interval: "2h" });
  });

  it.each([
    [{ regular: true }, "auto_create.regular: expected false or a JSON object, found true"],
    [{ regular: [] }, "auto_create.regular: expected false or a JSON object, found a list"],
    [{ regular: { name: "x" } }, "auto_create.regular.name: unknown field"],
    [{ regular: { key_expression: "message.from" } }, "auto_create.regular.key_expression: unknown field"],
    [{ regular: { limits: { max: 1 } } }, "auto_create.regular.limits.max: unknown field"],
    [{ lastvalue: { key_expression: "f(" } }, /^auto_create\.lastvalue\.key_expression: .* at position 2$/],
  ])("names the field at fault: %j", async (autoCreate, message) => {
    expect(await put({ auto_create: autoCreate })).toMatchObject({
      status: 400,
      json: { code: "BAD_REQUEST", message: typeof message === "string" ? message : expect.stringMatching(message) },
    });
  });

  it("is nothing when it cannot be stored", async () => {
    running.workers.refuse("keepConfig");
    expect(await put({ max_queue_count: 7 })).toMatchObject({ status: 503, json: { code: "DISK_FULL" } });
    expect((await config()).max_queue_count).toBe(100);
    expect((await put({ max_queue_count: 8 })).status).toBe(204);
  });

  it("never lets a queue come into being while queues are switched off", async () => {
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    running.workers.before = (kind) => (kind === "keepConfig" ? released : undefined);
    const off = put({ enable: false });
    await eventually("the change is on its way", () => running.workers.calls.some(({ kind }) => kind === "keepConfig"));
    const created = ask(running, "POST", "/queues", { topic_filter: "t" });
    release();
    expect((await off).status).toBe(204);
    expect(await created).toMatchObject({ status: 503, json: { message: "Not enabled" } });
    expect(running.workers.namesStored()).toEqual([]);
  });
});

describe("a queue that a subscription wants", () => {
  const wanted = (name: string | undefined, topicFilter: string) =>
    running.workers.want({ wanted: "its filter", name, topicFilter });
  const put = (body: object): Promise<Answer> => ask(running, "PUT", "/queues/config", body);
  const names = () => running.workers.namesStored();

  it("is not created unless the configuration says so, and the workers know", async () => {
    await wanted("a", "t/a");
    expect(names()).toEqual([]);
    expect(running.workers.allowing).toEqual([false, false]);
    await put({ auto_create: { regular: {} } });
    expect(running.workers.allowing).toEqual([true, true]);
    await put({ enable: false });
    expect(running.workers.allowing).toEqual([false, false]);
  });

  it("has the fields of the configuration, its name and its filter", async () => {
    await put({ auto_create: { regular: { local_max_inflight: 3, data_retention_period: "1h" } } });
    await wanted("a", "t/a");
    const fields = {
      is_lastvalue: false,
      local_max_inflight: 3,
      data_retention_period: 3_600_000,
      overflow: "drop_oldest",
    };
    expect((await ask(running, "GET", "/queue/a")).json).toMatchObject({ name: "a", topic_filter: "t/a", ...fields });
    await put({ auto_create: { lastvalue: { key_expression: "message.topic" } } });
    await wanted(undefined, "t/b");
    const lastValue = { name: "/t/b", is_lastvalue: true, key_expression: "message.topic" };
    expect((await ask(running, "GET", "/queue/t%2Fb")).json).toMatchObject(lastValue);
  });

  it("is created once for all who ask at the same time", async () => {
    await put({ auto_create: { regular: {} } });
    await Promise.all(Array.from({ length: 50 }, (_, index) => wanted(index % 2 === 0 ? "a" : undefined, "t/a")));
    expect(names().includes("a")).toBe(true);
    expect(running.workers.calls.filter(({ kind }) => kind === "createQueue").length).toBeLessThanOrEqual(2);
    expect(running.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  it("is not created when its name has another filter, there is no room, or the filter is bad; the log says why", async () => {
    await put({ auto_create: { regular: {} }, max_queue_count: 2 });
    await wanted("a", "t/a");
    await wanted("a", "t/other");
    await wanted("b", "$share/x");
    await wanted("b", "t/b");
    await wanted("c", "t/c");
    expect(names()).toEqual(["a", "b"]);
    expect(running.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields)).toMatchObject([
      { queue: "a", code: "ALREADY_EXISTS" },
      { queue: "b", code: "BAD_REQUEST" },
      { queue: "c", code: "MAX_QUEUE_COUNT_REACHED" },
    ]);
  });
});

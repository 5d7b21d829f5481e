/**
 * What holds for every request. Goal: the order of checks (path, method, authentication, body, schema, readiness, handler)
 * and harmless refusals. Method: each check is provoked while those behind it would fail as well.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ADMINISTRATOR, answerOf, ask, basic, fetchAs, type Running, startControl } from "./fixture.ts";
import { KeepingWorkers } from "./keeping-workers.ts";

let running: Running;
beforeEach(async () => {
  running = await startControl();
});
afterEach(() => running.control.close(0));

const post = async (body: string | Buffer, contentType?: string) =>
  answerOf(
    await fetch(`${running.url}/api/v5/queues`, {
      method: "POST",
      headers: {
        authorization: basic(ADMINISTRATOR),
        ...(contentType === undefined ? {} : { "content-type": contentType }),
      },
      body: typeof body === "string" ? body : new Uint8Array(body),
    }),
  );

describe("paths and methods", () => {
  it.each(["/nothing", "/queue", "/queue/", "/queues/", "/queues/a/b", "/message_queues", "/queue/a/status/more"])(
    "%s is not a path",
    async (path) => {
      const answer = await fetchAs(running, undefined, "GET", path);
      expect(answer.status).toBe(404);
      expect(answer.json).toEqual({ code: "NOT_FOUND", message: "Request Path Not Found" });
    },
  );

  it("says so in plain text to who does not take JSON", async () => {
    const answer = await answerOf(await fetch(`${running.url}/favicon.ico`, { headers: { accept: "image/png" } }));
    expect(answer.status).toBe(404);
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
  });

  it.each([
    ["PATCH", "/queues", "GET, POST, HEAD"],
    ["DELETE", "/queues/config", "GET, PUT, HEAD"],
    ["POST", "/queue/x", "GET, PUT, DELETE, HEAD"],
    ["GET", "/publish", "POST"],
    ["OPTIONS", "/status", "GET, HEAD"],
  ])("%s %s is 405 and names what there is", async (method, path, allow) => {
    const answer = await fetchAs(running, undefined, method, path);
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe(allow);
    expect(answer.json.code).toBe("METHOD_NOT_ALLOWED");
  });

  it("refuses a name that is not percent-encoding", async () => {
    expect((await ask(running, "GET", "/queue/%zz")).status).toBe(400);
    expect((await ask(running, "GET", "/queue/%ff")).status).toBe(400);
  });
});

describe("the order of checks", () => {
  it("authenticates before it looks at the body", async () => {
    const answer = await fetchAs(running, undefined, "POST", "/queues", "not json");
    expect(answer.status).toBe(401);
  });

  it("checks the schema before it asks whether the broker is ready", async () => {
    running.control.setReady(false);
    expect((await ask(running, "POST", "/queues", { nonsense: 1 })).status).toBe(400);
    const answer = await ask(running, "POST", "/queues", { topic_filter: "t" });
    expect(answer.status).toBe(503);
    expect(answer.json).toEqual({ code: "SERVICE_UNAVAILABLE", message: "Not ready" });
    expect(answer.headers.get("retry-after")).toBe("15");
    expect((await ask(running, "GET", "/queues")).status).toBe(503);
    expect((await ask(running, "GET", "/queues/config")).status).toBe(200);
  });
});

describe("bodies", () => {
  it.each([
    ["text", "text/plain"],
    ["a form, as curl sends it", "application/x-www-form-urlencoded"],
    ["a lookalike", "application/jsonp"],
  ])("of %s are 415", async (_name, contentType) => {
    const answer = await post("{}", contentType);
    expect(answer.status).toBe(415);
    expect(answer.json.code).toBe("UNSUPPORTED_MEDIA_TYPE");
  });

  it("may name a character set", async () => {
    expect((await post('{"topic_filter":"t"}', "Application/JSON; charset=utf-8")).status).toBe(200);
  });

  it.each(["", "{", "nul", '{"topic_filter":"t",}', "[".repeat(100_000), '{"a":'.repeat(50_000)])(
    "that are not JSON are 400 (%#)",
    async (body) => {
      const answer = await post(body, "application/json");
      expect(answer.status).toBe(400);
      expect(answer.json.code).toBe("BAD_REQUEST");
    },
  );

  it("that are not UTF-8 are 400", async () => {
    const answer = await post(Buffer.from('{"topic_filter":"\xff"}', "latin1"), "application/json");
    expect(answer.status).toBe(400);
    expect(answer.json.message).toMatch(/UTF-8/);
  });

  it.each(["null", "1", '"x"', "[]", "true"])("that are %s and no object are 400", async (body) => {
    const answer = await post(body, "application/json");
    expect(answer.status).toBe(400);
    expect(answer.json.message).toMatch(/JSON object/);
  });

  it("above the bound are 413, and memory is not asked for it", async () => {
    const answer = await post(Buffer.alloc(2 * 1024 * 1024, 0x20), "application/json");
    expect(answer.status).toBe(413);
    expect(answer.json.code).toBe("PAYLOAD_TOO_LARGE");
  });

  it("with keys like __proto__ touch no prototype and are unknown fields", async () => {
    for (const key of ["__proto__", "constructor", "toString"]) {
      const answer = await post(`{"topic_filter":"t","${key}":{"polluted":true}}`, "application/json");
      expect(answer.status).toBe(400);
      expect(answer.json.message).toBe(`${key}: unknown field`);
    }
    const nested = await post('{"topic_filter":"t","limits":{"__proto__":{"polluted":true}}}', "application/json");
    expect(nested.json).toEqual({ code: "BAD_REQUEST", message: "limits.__proto__: unknown field" });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("of requests that need none are ignored", async () => {
    const answer = await fetchAs(running, ADMINISTRATOR, "DELETE", "/queue/x", "whatever");
    expect(answer.status).toBe(404);
  });
});

describe("trouble behind a request", () => {
  it("ends a request with 503 when a worker does not answer in time", async () => {
    await running.control.close(0);
    const workers = new KeepingWorkers();
    running = await startControl({ workers, answerDeadlineMs: 30 });
    let release = (): void => undefined;
    workers.before = (kind) =>
      kind === "createQueue" ? new Promise<void>((resolve) => (release = resolve)) : undefined;
    const answer = await ask(running, "POST", "/queues", { topic_filter: "t" });
    expect(answer.status).toBe(503);
    expect(answer.json.message).toMatch(/may still take effect/);
    release();
    await expect.poll(async () => (await ask(running, "GET", "/queue/t")).status).toBe(200);
  });

  it("answers 500 for a bug, says nothing of it, and reports it", async () => {
    running.workers.refuse("createQueue", 1, new TypeError("planted"));
    const answer = await ask(running, "POST", "/queues", { topic_filter: "t" });
    expect(answer.status).toBe(500);
    expect(answer.json).toEqual({ code: "INTERNAL_ERROR", message: "Internal error" });
    expect(running.faults.map(String)).toEqual(["TypeError: planted"]);
  });

  it("answers with the fault of a worker, in the words of the table, and logs it", async () => {
    running.workers.refuse("createQueue");
    const answer = await ask(running, "POST", "/queues", { topic_filter: "t" });
    expect(answer.status).toBe(503);
    expect(answer.json).toEqual({ code: "DISK_FULL", message: "the disk is full" });
    expect(running.lines).toContainEqual(expect.objectContaining({ level: "warn", message: "request failed" }));
    expect(running.faults).toEqual([]);
  });
});

it("keeps answers out of caches and types out of guessing", async () => {
  const answer = await ask(running, "GET", "/queues");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
});

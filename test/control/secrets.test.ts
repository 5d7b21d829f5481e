/**
 * No secret leaves. Goal: neither an answer nor a log line nor a reported fault holds a secret, a password or a payload.
 * Method: planted secrets in every place that takes one; every route is asked, well and badly; all output is searched.
 */
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CodedError } from "../../src/base/errors.ts";
import { ApiKeys } from "../../src/control/api-keys.ts";
import { ADMINISTRATOR, basic, PUBLISHER, type Running, startControl, VIEWER } from "./fixture.ts";
import { exchange } from "./raw-http.ts";

const PLANTED = "S3cret-planted";
const WRONG = { key: ADMINISTRATOR.key, secret: "wrong-S3cret-planted" };
const PATHS = [
  ...["/queues", "/queue/x", "/queues/x", "/queue/x/status", "/queues/config", "/message_queues/queues"],
  ...["/message_queues/config", "/publish", "/publish/bulk", "/status", "/nothing"],
];
const BODIES = [
  undefined,
  "{",
  `{"${PLANTED}":1}`.slice(0, -1),
  '{"topic_filter":"t"}',
  `{"topic":"a","payload":"payload-${PLANTED}"}`,
  `[{"topic":"#","payload":"payload-${PLANTED}"}]`,
];

let running: Running;
beforeAll(async () => {
  running = await startControl();
});
afterAll(() => running.control.close(0));

it("holds in every answer, log line and fault", async () => {
  let output = "";
  const call = async (authorization: string, method: string, path: string, body?: string): Promise<void> => {
    const response = await fetch(`${running.url}/api/v5${path}?token=${PLANTED}`, {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
    output += [...response.headers].flat().join(" ") + (await response.text());
  };
  const authorizations = [
    ...[ADMINISTRATOR, VIEWER, PUBLISHER, WRONG].map(basic),
    basic(ADMINISTRATOR).replace("Basic", "Bearer"),
    `Basic ${ADMINISTRATOR.key}:${ADMINISTRATOR.secret}`,
  ];
  for (const authorization of authorizations) {
    for (const path of PATHS) {
      await call(authorization, "GET", path);
      await call(authorization, "DELETE", path);
      for (const body of BODIES) await call(authorization, path.startsWith("/queue/") ? "PUT" : "POST", path, body);
    }
  }
  running.workers.refuse("createQueue", 1, new CodedError("DISK_FULL", "the disk is full", new Error(PLANTED)));
  await call(basic(ADMINISTRATOR), "POST", "/queues", '{"name":"other","topic_filter":"t"}');
  const garbage = await exchange(running.port, [`GET / HTTP/1.1\r\nAuthorization: ${PLANTED}\r\n bad\0\r\n\r\n`]);
  output += garbage.text + inspect(running.lines, { depth: 10 }) + inspect(running.faults, { depth: 10 });

  expect(running.lines.map(({ message }) => message)).toEqual(expect.arrayContaining(["request", "request failed"]));
  expect(running.faults).toEqual([]);
  expect(output).not.toContain(PLANTED);
  for (const key of [ADMINISTRATOR, VIEWER, PUBLISHER, WRONG]) {
    expect(output).not.toContain(Buffer.from(`${key.key}:${key.secret}`).toString("base64"));
  }
});

it("holds for the keys in memory: dumped, printed or serialised they show nothing", () => {
  const keys = new ApiKeys([ADMINISTRATOR]);
  const shown = inspect(keys, { showHidden: true, depth: 10 }) + JSON.stringify(keys) + String(keys);
  expect(shown).not.toContain(PLANTED);
  expect(shown).not.toContain(ADMINISTRATOR.key);
});

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
  let calls = 0;
  running.workers.before = () => {
    calls += 1;
    if (calls % 3 === 0) throw new CodedError("DISK_FULL", "the disk is full", new Error(PLANTED));
  };
  for (const key of [ADMINISTRATOR, VIEWER, PUBLISHER, WRONG]) {
    for (const scheme of [basic(key), basic(key).replace("Basic", "Bearer"), `Basic ${key.key}:${key.secret}`]) {
      for (const path of PATHS) {
        for (const method of ["GET", "POST", "PUT", "DELETE"]) {
          for (const body of method === "GET" ? [undefined] : BODIES) {
            const response = await fetch(`${running.url}/api/v5${path}?token=${PLANTED}`, {
              method,
              headers: { authorization: scheme, "content-type": "application/json" },
              ...(body === undefined ? {} : { body }),
            });
            output += [...response.headers].flat().join(" ") + (await response.text());
          }
        }
      }
    }
  }
  const garbage = await exchange(running.port, [`GET / HTTP/1.1\r\nAuthorization: ${PLANTED}\r\n bad\0\r\n\r\n`]);
  output +=
    garbage.text + inspect(running.lines, { depth: 10 }) + inspect(running.faults, { depth: 10, showHidden: true });
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

/**
 * Goal: the process behaves as an operator expects: one per data directory, a status, a clean end, clear refusals.
 * Method: the command line itself, its output and exit codes.
 */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker, ENTRY } from "../harness/broker.ts";
import { isMissing } from "../harness/needs.ts";
import { Child, type Finished, run } from "../harness/process.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";

const restante = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Finished> =>
  run(process.execPath, [ENTRY, ...args], { environment });
const outputOf = ({ stdout, stderr }: Finished): string => `${stdout}\n${stderr}`.trim();

describeWorkers("the process", (workers) => {
  it("refuses a second start on its data directory in one line, and goes on", async () => {
    const broker = await Broker.start({ workers });
    const client = await RawClient.connected(broker.mqttPort, "client");
    const second = await run(process.execPath, broker.commandLine(workers));
    expect(second.code).not.toBe(0);
    expect(outputOf(second).split("\n")).toHaveLength(1);
    expect(outputOf(second)).toContain(broker.dataDirectory);
    await client.ping();
    await client.end();
    await broker.stop();
    await broker.remove();
  });

  it("tells its status, also after a kill", async () => {
    const broker = await Broker.start({ workers });
    expect((await restante(["status", "--data-dir", broker.dataDirectory])).code).toBe(0);
    await broker.kill();
    expect((await restante(["status", "--data-dir", broker.dataDirectory])).code).not.toBe(0);
    await broker.restart();
    expect((await restante(["status", "--data-dir", broker.dataDirectory])).code).toBe(0);
    await broker.stop();
    expect((await restante(["status", "--data-dir", broker.dataDirectory])).code).not.toBe(0);
    await broker.remove();
  });

  it.each(["SIGTERM", "SIGINT"] as const)("%s says goodbye to v5 clients and ends with exit code 0", async (signal) => {
    const broker = await Broker.start({ workers });
    const clients: RawClient[] = [];
    for (let at = 0; at < 8; at++) {
      const client = await RawClient.connected(broker.mqttPort, `client-${at}`, { version: at % 2 === 0 ? 5 : 4 });
      clients.push(client);
    }
    broker.signal(signal);
    for (const client of clients) {
      if (client.version === 5) expect((await client.take("disconnect")).reasonCode).toBe(0x8b);
      await client.expectClose();
      if (client.version === 4) expect(client.waiting).toEqual([]);
    }
    expect((await broker.ended).code).toBe(0);
    await broker.remove();
  });

  it("writes JSON lines only, the ready line with everything in it", async () => {
    const broker = await Broker.start({ workers });
    const lines = broker.logs.map((line) => JSON.parse(line) as Record<string, unknown>);
    const ready = lines.find(({ msg }) => msg === "ready");
    expect(ready).toMatchObject({
      workers,
      pid: broker.pid,
      listeners: {
        mqtt: `127.0.0.1:${broker.mqttPort}`,
        http: `127.0.0.1:${broker.httpPort}`,
      },
    });
    await broker.stop();
    await broker.remove();
  });

  it("makes a key of its own when none is given, and keeps it", async () => {
    const broker = await Broker.start({ workers });
    await broker.stop();
    const args = broker.commandLine(workers);
    args.splice(args.indexOf("--api-keys"), 2);
    for (let round = 0; round < 2; round++) {
      const file = join(broker.dataDirectory, "api-key.txt");
      const child = new Child(process.execPath, args);
      const ready = await child.until((lines) => lines.find((line) => line.includes('"ready"')), 20_000);
      const { http } = (JSON.parse(ready) as { listeners: { http: string } }).listeners;
      const [key, secret] = (await readFile(file, "utf8")).trim().split(":");
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const authorization = `Basic ${Buffer.from(`${key}:${secret}`).toString("base64")}`;
      const answer = await fetch(`http://${http}/api/v5/message_queues/queues`, { headers: { authorization } });
      expect(answer.status).toBe(200);
      child.signal("SIGTERM");
      expect((await child.ended).code).toBe(0);
    }
    await broker.remove();
  });

  it("asks for the key", async () => {
    const broker = await Broker.start({ workers });
    expect((await fetch(`${broker.url}/api/v5/message_queues/queues`)).status).toBe(401);
    expect((await request(broker, "GET", "/api/v5/message_queues/queues")).status).toBe(200);
    await broker.stop();
    await broker.remove();
  });
});

describe.skipIf(isMissing("broker"))("the command line", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "restante-test-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const start = ["start", "--mqtt-port", "0", "--ws-port", "0", "--http-port", "0"];
  const files = { "a.yaml": "queues:\n  no_such_key: 1\n", "keys.txt": "no colon in this line\n" };
  const faults: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>])[] = [
    ["no_such_key", ["--config", "a.yaml"], {}],
    ["workers", ["--workers", "none"], {}],
    ["RESTANTE_QUEUES__MAX_QUEUE_COUNT", [], { RESTANTE_QUEUES__MAX_QUEUE_COUNT: "many" }],
    ["keys.txt", ["--api-keys", "keys.txt"], {}],
    ["--no-such-flag", ["--no-such-flag"], {}],
  ];
  it.each(faults)("refuses a start with one line that names %s", async (named, args, environment) => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    const found = args.map((word) => (word in files ? join(directory, word) : word));
    const finished = await restante([...start, "--data-dir", join(directory, "data"), ...found], environment);
    expect(finished.code).toBeGreaterThan(0);
    expect(outputOf(finished)).toContain(named);
    expect(outputOf(finished).split("\n")).toHaveLength(1);
  });

  it("tells its version", async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
    const finished = await restante(["--version"]);
    expect([finished.code, outputOf(finished)]).toEqual([0, expect.stringContaining(version)]);
  });

  it("checks a configuration", async () => {
    await writeFile(join(directory, "good.yaml"), "workers: 2\n");
    await writeFile(join(directory, "bad.yaml"), "workers: many\n");
    expect((await restante(["check-config", "--config", join(directory, "good.yaml")])).code).toBe(0);
    const bad = await restante(["check-config", "--config", join(directory, "bad.yaml")]);
    expect([bad.code === 0, outputOf(bad)]).toEqual([false, expect.stringContaining("workers")]);
  });
});

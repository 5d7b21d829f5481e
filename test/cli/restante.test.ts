/**
 * Goal: the command's verbs answer as documented; every refusal is one line on standard error and a non-zero exit.
 * Method: the built command as a child process; for `status`, a lock held by this process and real listeners.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { describeReady, statusOf } from "../../src/cli/status.ts";
import { openDataDirectory } from "../../src/config/data-directory.ts";
import { run } from "./command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

describe("help", () => {
  test("--version is the package's", () => {
    expect(run(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("--help lists the verbs, and start --help the flags", () => {
    const { code, stdout } = run(["--help"]);
    expect(code).toBe(0);
    for (const verb of ["start", "status", "check-config"]) expect(stdout).toContain(verb);
    expect(run(["start", "--help"]).stdout).toContain("--mqtt-port <port>");
  });
});

describe("refusals", () => {
  test.each([
    [[], "which command?"],
    [["begin"], "unknown command 'begin'"],
    [["start", "--mqttport", "1"], "unknown option '--mqttport' (Did you mean --mqtt-port?)"],
    [["start", "--mqtt-port", "x"], "--mqtt-port: expected an integer from 0 to 65535"],
    [["start", "--config", "/nowhere.yaml"], "cannot read the settings file /nowhere.yaml: ENOENT"],
    [["start", "--data-dir", "/dev/null"], "/dev/null: a file is in the way"],
    [["check-config", "--api-keys", "/nowhere"], "cannot read the API keys in /nowhere: ENOENT"],
    [["status", "--data-dir", "/nowhere"], "not running on the data directory /nowhere"],
  ])("%j", (flags, problem) => {
    const { code, stdout, stderr } = run(flags);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^restante: [^\n]+\n$/);
    expect(stderr).toContain(problem);
  });

  test("a bad line in the file of keys stops the start without showing the secret", () => {
    const keys = join(folder, "keys");
    writeFileSync(keys, "a:b\nkey:planted:chief\n");
    for (const flags of [["check-config"], ["start", "--data-dir", join(folder, "refused")]]) {
      const { code, stdout, stderr } = run([...flags, "--api-keys", keys]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toBe(
        `restante: ${keys}:2: the role must be one of administrator, viewer, publisher (API_KEYS_INVALID)\n`,
      );
    }
  });

  test("a data directory in use stops the start at once, naming the holder", async () => {
    const path = join(folder, "in-use");
    const directory = await openDataDirectory(path);
    directory.describe({ pid: process.pid, startedAt: "", ready: true, listeners: {}, workers: 1 });
    const { code, stderr } = run(["start", "--data-dir", path]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `restante: the data directory ${path} is in use by the broker with process id ${process.pid} (DATA_DIR_IN_USE)\n`,
    );
    directory.release();
  });
});

describe("check-config", () => {
  test("prints what is in force, and touches nothing", () => {
    const keys = join(folder, "two-keys");
    writeFileSync(keys, "a:planted\nb:planted:viewer\n");
    const environment = { RESTANTE_QUEUES__MAX_QUEUE_COUNT: "7", EMQX_API_KEY__BOOTSTRAP_FILE: keys };
    const { code, stdout, stderr } = run(["check-config", "--mqtt-port", "1884"], environment, folder);
    expect([code, stderr]).toEqual([0, ""]);
    expect(parse(stdout)).toMatchObject({
      mqtt: { port: 1884 },
      queues: { max_queue_count: 7, gc_interval: "1h" },
      data_dir: join(folder, "data"),
      api_keys: keys,
    });
    expect(stdout).toContain("# 2 API keys");
    expect(stdout).not.toContain("planted");
    expect(() => statSync(join(folder, "data"))).toThrow("ENOENT");
  });
});

describe("status", () => {
  test("goes from stopped over starting to ready and back, and believes a listener only when it answers", async () => {
    const path = join(folder, "status");
    const report = () => statusOf(path);
    expect(await report()).toMatchObject({ running: false, ready: false });

    const directory = await openDataDirectory(path);
    expect(await report()).toMatchObject({ running: true, ready: false, problem: "starting" });

    const record = { pid: process.pid, startedAt: "2026-01-31T12:00:00.000Z", ready: false, listeners: {}, workers: 2 };
    directory.describe(record);
    expect(await report()).toMatchObject({ running: true, ready: false, broker: record });

    let answer = 200;
    const server = createServer((_, response) => response.writeHead(answer).end());
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as AddressInfo;
    const listeners = { mqtt: `127.0.0.1:${port}`, http: `0.0.0.0:${port}` };
    directory.describe({ ...record, ready: true, listeners });
    expect(await report()).toMatchObject({ running: true, ready: true, problem: null });
    expect(describeReady({ ...record, listeners })).toBe(
      `restante is running: process ${process.pid}, mqtt 127.0.0.1:${port}, http 0.0.0.0:${port}, workers 2`,
    );
    answer = 404;
    expect(await report()).toMatchObject({ ready: true });
    answer = 503;
    expect(await report()).toMatchObject({ ready: false, problem: expect.stringContaining("says: ") });
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    expect(await report()).toMatchObject({ ready: false, problem: expect.stringContaining("does not answer on mqtt") });

    directory.release();
    expect(await report()).toMatchObject({ running: false, ready: false });
  });

  test("--json prints the report, and the exit code is the same", () => {
    const { code, stdout, stderr } = run(["status", "--json"], { RESTANTE_DATA_DIR: join(folder, "none") });
    expect([code, stderr]).toEqual([1, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ running: false, ready: false, problem: expect.any(String) });
  });
});

/**
 * Goal: a start prepares the directory, the keys and the pool, says ready once, and ends as a signal or a failure asks.
 * Method: the built `start` in a child process around a broker of a few lines, so that every end can be provoked; real signals,
 * real locks, real exit codes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRunning } from "../../src/config/data-directory.ts";
import { startModule } from "./command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-start-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BROKER = {
  good: "({ listeners: { mqtt: '127.0.0.1:1' }, workers: 1, stop: async () => {}, failed: new Promise(() => {}) })",
  stuck: "({ listeners: {}, workers: 1, stop: () => new Promise(() => {}), failed: new Promise(() => {}) })",
  failing:
    "({ listeners: {}, workers: 1, stop: async () => {}, failed: new Promise((_, no) => setTimeout(no, 50, new Error('thread died'))) })",
  endless: "new Promise(() => {})",
  refused: "Promise.reject(new CodedError('LISTEN_FAILED', 'mqtt cannot listen on 127.0.0.1:1883: EADDRINUSE'))",
  broken: "Promise.reject(new TypeError('a bug'))",
  throwing: "(setTimeout(() => { throw new TypeError('uncaught') }, 50), new Promise(() => {}))",
};

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly Record<string, unknown>[];
  readonly stderr: string;
}

/** Starts one of the brokers on `path`; `act` is called with each line of the log. */
function started(
  kind: keyof typeof BROKER,
  path: string,
  act: (line: Record<string, unknown>, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
  graceMs = 100,
): Promise<Ended> {
  const source = `
    import { CodedError } from "${resolve("dist/base/errors.js")}";
    import { start } from "${resolve("dist/cli/start.js")}";
    import { loadSettings } from "${resolve("dist/config/settings.js")}";
    const settings = loadSettings({
      flags: { "--data-dir": process.argv[1] },
      environment: { RESTANTE_SHUTDOWN__GRACE_PERIOD: process.argv[2] },
      workingDirectory: "/",
    });
    const startBroker = async ({ apiKeys, logger }) => {
      logger.info({ apiKeys }, "given");
      setInterval(() => {}, 1000);
      return ${BROKER[kind]};
    };
    process.exit(await start(settings, ["EMQX_MQ__GC_INTERVAL"], async () => startBroker));
  `;
  const child = startModule(source, [path, `${graceMs}ms`]);
  const lines: Record<string, unknown>[] = [];
  let stderr = "";
  let rest = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += String(chunk);
  });
  child.stdout.on("data", (chunk: Buffer) => {
    const parts = (rest + String(chunk)).split("\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const line = JSON.parse(part) as Record<string, unknown>;
      lines.push(line);
      act(line, (signal) => child.kill(signal));
    }
  });
  return new Promise((done) => child.on("close", (code, signal) => done({ code, signal, lines, stderr })));
}

const messages = ({ lines }: Ended) => lines.map(({ msg }) => msg);

describe("a start", () => {
  test("makes the directory and a key, warns of what it ignores, says ready once and stops on SIGTERM", async () => {
    const path = join(folder, "good");
    let running: unknown;
    const ended = await started("good", path, ({ msg }, kill) => {
      if (msg !== "ready") return;
      running = readRunning(path);
      kill("SIGTERM");
    });
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: "" });
    expect(messages(ended).filter((message) => message === "ready")).toHaveLength(1);
    expect(messages(ended).at(-1)).toBe("stopped");
    const ready = ended.lines.find(({ msg }) => msg === "ready");
    expect(ready).toMatchObject({
      listeners: { mqtt: "127.0.0.1:1" },
      workers: 1,
      pid: expect.any(Number),
      version: expect.any(String),
    });
    expect(running).toMatchObject({
      state: "running",
      record: { ready: true, pid: ready!.pid, listeners: { mqtt: "127.0.0.1:1" } },
    });
    expect(ended.lines).toContainEqual(expect.objectContaining({ level: "warn", variable: "EMQX_MQ__GC_INTERVAL" }));

    const key = readFileSync(join(path, "api-key.txt"), "utf8");
    expect(key).toMatch(/^[\w-]{32}:[\w-]{32}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(JSON.stringify(ended.lines)).not.toContain(key.trim().split(":")[1]);
    expect(ended.lines.find(({ msg }) => msg === "given")).toMatchObject({ apiKeys: [{ secret: "***" }] });
    expect(readRunning(path)).toEqual({ state: "stopped" });
  });

  test("ends at once when it is stopped before it is ready", async () => {
    const ended = await started("endless", join(folder, "endless"), ({ msg }, kill) => {
      if (msg === "given") kill("SIGINT");
    });
    expect(ended.code).toBe(0);
    expect(messages(ended)).not.toContain("ready");
  });

  test("that is refused prints one line and no stack there", async () => {
    const ended = await started("refused", join(folder, "refused"));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe("restante: mqtt cannot listen on 127.0.0.1:1883: EADDRINUSE (LISTEN_FAILED)\n");
    expect(ended.lines.at(-1)).toMatchObject({ level: "fatal", code: "LISTEN_FAILED", hint: expect.any(String) });
  });

  test.each([
    ["broken", "a bug"],
    ["failing", "thread died"],
    ["throwing", "uncaught"],
  ] as const)("of a broker that is %s ends with 70, and the log has the stack", async (kind, message) => {
    const ended = await started(kind, join(folder, kind));
    expect(ended.code).toBe(70);
    expect(ended.lines.at(-1)).toMatchObject({
      level: "fatal",
      err: { message, stack: expect.stringContaining(message) },
    });
  });
});

describe("a stop", () => {
  test("that takes longer than its grace ends with 1", async () => {
    const ended = await started("stuck", join(folder, "stuck"), ({ msg }, kill) => {
      if (msg === "ready") kill("SIGTERM");
    });
    expect(ended.code).toBe(1);
    expect(messages(ended).at(-1)).toBe("not stopped within the grace period");
  });

  test("is forced by a second signal", async () => {
    const ended = await started(
      "stuck",
      join(folder, "forced"),
      ({ msg }, kill) => {
        if (msg === "ready") kill("SIGTERM");
        if (msg === "stopping") kill("SIGINT");
      },
      60_000,
    );
    expect(ended.code).toBe(1);
    expect(messages(ended).at(-1)).toBe("second signal: ended at once");
  });
});

test("the launcher sizes the pool before its first use", () => {
  // libuv makes all threads of its pool at its first use, so counting threads tells the size that it took.
  const source = `
    process.argv = [process.argv[0], "restante", "--version"];
    process.on("exit", () => console.log(require("node:fs").readdirSync("/proc/self/task").length));
    require(${JSON.stringify(resolve("dist/cli/launch.cjs"))});
    require("node:fs").stat("/", () => {}); // Node 20 uses the pool to load the command, later versions do not.
  `;
  const threads = (size: string) => {
    const env = { PATH: process.env.PATH, ...(size === "" ? {} : { UV_THREADPOOL_SIZE: size }) };
    const { stdout } = spawnSync(process.execPath, ["-e", source], { env, encoding: "utf8" });
    return Number(stdout.trim().split("\n").at(-1));
  };
  const outsideOfPool = threads("1") - 1;
  expect(threads("") - outsideOfPool).toBe(Math.max(availableParallelism(), 16) + 4);
});

/**
 * Goal: a line of the log is one JSON object with the agreed members, on disk before the call returns, and never shows a secret;
 * what the log cannot write costs lines, never the process.
 * Method: the real logger on a real file, on /dev/full and on a pipe whose reader is gone.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogger, type Logger, type LogLevel } from "../../src/base/logger.ts";
import { Secret } from "../../src/base/secret.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-log-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The lines that `use` logs, read back at once. */
function linesOf(level: LogLevel, use: (logger: Logger) => void, bindings = {}): Record<string, unknown>[] {
  const path = join(folder, `${Math.random()}.log`);
  const fd = openSync(path, "w");
  use(createLogger(level, bindings, fd));
  const text = readFileSync(path, "utf8");
  closeSync(fd);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a line", () => {
  test("has level, time, message, bindings and fields, and nothing else", () => {
    const [line] = linesOf("info", (logger) => logger.info({ workers: 2 }, "ready"), { worker: 1 });
    expect(Object.keys(line!).sort()).toEqual(["level", "msg", "time", "worker", "workers"]);
    expect(line).toMatchObject({ level: "info", msg: "ready", worker: 1, workers: 2 });
    expect(new Date(String(line!.time)).toISOString()).toBe(line!.time);
  });

  test("is left out below the level", () => {
    const lines = linesOf("warn", (logger) => {
      logger.info("no");
      logger.warn("yes");
      logger.child({ room: "log" }).error("child");
    });
    expect(lines.map(({ msg, room }) => [msg, room])).toEqual([
      ["yes", undefined],
      ["child", "log"],
    ]);
    expect(linesOf("silent", (logger) => logger.fatal("no"))).toEqual([]);
  });

  test("carries an error with its stack", () => {
    const [line] = linesOf("info", (logger) => logger.error({ err: new TypeError("broken") }, "failed"));
    expect(line!.err).toMatchObject({
      type: "TypeError",
      message: "broken",
      stack: expect.stringContaining("broken"),
    });
  });
});

describe("a secret", () => {
  const planted = "planted-7f3a";
  const secret = new Secret(planted);

  test("is given out by reveal alone", () => {
    expect(secret.reveal()).toBe(planted);
    for (const shown of [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ a: { secret } }),
      inspect(secret, { showHidden: true }),
    ]) {
      expect(shown).toContain("***");
      expect(shown).not.toContain(planted);
    }
    expect(structuredClone({ secret })).not.toHaveProperty("secret.text");
  });

  test("shows as *** wherever it stands in a line", () => {
    const [line] = linesOf(
      "info",
      (logger) => logger.info({ secret, keys: [{ secret }], deep: { a: { secret } } }, `key ${secret}`),
      { secret },
    );
    expect(JSON.stringify(line)).not.toContain(planted);
    expect(line).toMatchObject({ secret: "***", keys: [{ secret: "***" }], msg: "key ***" });
  });
});

describe("a log that cannot be written", () => {
  test("loses lines on a full disk, and goes on", () => {
    const fd = openSync("/dev/full", "w");
    const logger = createLogger("info", {}, fd);
    for (let line = 0; line < 3_000; line += 1) logger.info({ filler: "x".repeat(1_000) }, "lost");
    closeSync(fd);
  });

  test("loses lines when the reader is gone, and goes on", () => {
    const source = `
      import { createLogger } from "${resolve("dist/base/logger.js")}";
      const logger = createLogger("info");
      const timer = setInterval(() => logger.info("line"), 1);
      setTimeout(() => { clearInterval(timer); process.exitCode = 7; }, 300);
    `;
    const node = `"${process.execPath}" --input-type=module -e '${source}'`;
    const { stdout } = spawnSync("bash", ["-c", `${node} | head -n 1 >/dev/null; echo "\${PIPESTATUS[0]}"`]);
    expect(String(stdout).trim()).toBe("7");
  });
});

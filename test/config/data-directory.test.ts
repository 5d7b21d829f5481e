/**
 * Goal: the data directory is private and belongs to one broker at a time; what a dead one left behind never stands in the way.
 * Method: real directories, modes and locks; other processes hold the lock and are killed. Root may do what others may not, so the
 * refusal of a stranger's directory runs in a child process under another user where this one is root.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CodedError } from "../../src/base/errors.ts";
import {
  holdDataDirectory,
  openDataDirectory,
  type RunningRecord,
  readRunning,
} from "../../src/config/data-directory.ts";

let folder: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-data-"));
  path = join(folder, "data");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const record = (more: Partial<RunningRecord> = {}): RunningRecord => ({
  pid: process.pid,
  startedAt: "2026-01-31T12:00:00.000Z",
  ready: false,
  listeners: {},
  workers: 0,
  ...more,
});
const modeOf = (file: string) => statSync(file).mode & 0o777;

async function refusalOf(opening: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CodedError);
  return error as CodedError;
}

/** Another process that holds the directory, from the built door. */
async function holder(): Promise<ChildProcess> {
  const source = `
    import { openDataDirectory } from "${resolve("dist/config/data-directory.js")}";
    const directory = await openDataDirectory(process.argv[1]);
    directory.describe({ pid: process.pid, startedAt: "", ready: true, listeners: { mqtt: "127.0.0.1:1" }, workers: 1 });
    console.log("held");
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  await once(child.stdout!, "data");
  return child;
}

test("is made with its parents, private, and the lock file too", async () => {
  path = join(folder, "a", "b", "data");
  const directory = await openDataDirectory(path);
  expect(directory.path).toBe(path);
  expect(modeOf(path)).toBe(0o700);
  expect(modeOf(join(path, "broker.lock"))).toBe(0o600);
  directory.release();
});

test("is made private when it is ours and open to others", async () => {
  mkdirSync(path);
  chmodSync(path, 0o775);
  (await openDataDirectory(path)).release();
  expect(modeOf(path)).toBe(0o700);
});

test("belongs to one holder; the second learns the first one's pid", async () => {
  const directory = await openDataDirectory(path);
  directory.describe(record({ ready: true }));
  const error = await refusalOf(openDataDirectory(path));
  expect(error.code).toBe("DATA_DIR_IN_USE");
  expect(error.message).toBe(`the data directory ${path} is in use by the broker with process id ${process.pid}`);
  directory.release();
  (await openDataDirectory(path)).release();
});

test("a holder that has described nothing yet is refused too", async () => {
  const directory = await openDataDirectory(path);
  expect((await refusalOf(openDataDirectory(path))).message).toContain("in use by another process");
  directory.release();
});

test("what a killed process left never stands in the way", async () => {
  const child = await holder();
  expect(readRunning(path)).toMatchObject({ state: "running", record: { pid: child.pid, ready: true } });
  expect((await refusalOf(openDataDirectory(path))).message).toContain(`process id ${child.pid}`);
  child.kill("SIGKILL");
  await once(child, "exit");
  const hold = holdDataDirectory(path); // Says nothing of itself.
  expect((await refusalOf(openDataDirectory(path))).message).toContain("in use by another process");
  hold.release();
  expect(readFileSync(join(path, "broker.lock"), "utf8")).toContain(String(child.pid)); // Stale.
  expect(readRunning(path)).toEqual({ state: "stopped" });
  const directory = await openDataDirectory(path);
  expect(readRunning(path)).toEqual({ state: "running", record: undefined });
  directory.release();
});

test("readers see the newest description, also a shorter one", async () => {
  const directory = await openDataDirectory(path);
  const long = record({ ready: true, workers: 3, listeners: { mqtt: "127.0.0.1:1883", ws: "x".repeat(500) } });
  for (const description of [record(), long, record()]) {
    directory.describe(description);
    expect(readRunning(path)).toEqual({ state: "running", record: description });
  }
  directory.release();
  expect(readRunning(path)).toEqual({ state: "stopped" });
});

test("looking never hinders a start", async () => {
  (await openDataDirectory(path)).release();
  let isLooking = true;
  const looker = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import { readRunning } from "${resolve("dist/config/data-directory.js")}";
       console.log("looking");
       for (;;) readRunning(process.argv[1]);`,
      path,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  children.push(looker);
  looker.on("exit", () => {
    isLooking = false;
  });
  await once(looker.stdout!, "data");
  for (let round = 0; round < 20; round += 1) {
    const directory = await openDataDirectory(path);
    directory.describe(record());
    directory.release();
  }
  expect(isLooking).toBe(true);
});

test("no directory, no lock file, a torn or foreign lock file: stopped, or running without a record", async () => {
  expect(readRunning(path)).toEqual({ state: "stopped" });
  mkdirSync(path);
  expect(readRunning(path)).toEqual({ state: "stopped" });
  const directory = await openDataDirectory(path);
  for (const text of ["", "{", "[1]", "null", '{"pid":"7"}']) {
    writeFileSync(join(path, "broker.lock"), text);
    expect(readRunning(path)).toEqual({ state: "running", record: undefined });
  }
  directory.release();
});

test("a file in the way is named", async () => {
  writeFileSync(path, "");
  const error = await refusalOf(openDataDirectory(path));
  expect(error.code).toBe("DATA_DIR_UNUSABLE");
  expect(error.message).toContain(`${path}: a file is in the way`);
  expect((await refusalOf(openDataDirectory(join(path, "below")))).code).toBe("DATA_DIR_UNUSABLE");
});

test.runIf(process.geteuid?.() === 0)("a stranger's directory that others may read is refused", () => {
  mkdirSync(path);
  chmodSync(path, 0o777);
  chmodSync(folder, 0o755);
  // The user changes after the modules are loaded: that user may not be able to read them.
  const source = `
    import { openDataDirectory } from "${resolve("dist/config/data-directory.js")}";
    process.setuid(65534);
    await openDataDirectory(process.argv[1]).catch((error) => console.log(error.code, error.message));
  `;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", source, path]);
  expect(String(stdout)).toMatch(/^DATA_DIR_UNUSABLE .*mode 0777\) and belongs to user 0, not to user 65534/);
});

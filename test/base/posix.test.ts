/**
 * Goal: the POSIX door does what its contract says on real descriptors.
 * Method: files and sockets of this machine; flags read back from /proc; a worker thread for the second loading.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { createConnection, createServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  closeDescriptor,
  duplicateDescriptor,
  openPipe,
  PosixFault,
  tryAllocate,
  tryLockExclusive,
  tryLockShared,
} from "../../src/base/posix.ts";
import { run } from "../harness/process.ts";
import { writeScript } from "../log/built.ts";

/** The report names the version of glibc, where there is one. */
const isGlibc = "glibcVersionRuntime" in (process.report.getReport() as { header: object }).header;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-posix-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const O_CLOEXEC = 0o2000000;
const flagsOf = (fd: number) =>
  Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))![1]!, 8);

function fault(action: () => unknown): PosixFault {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(PosixFault);
    return error as PosixFault;
  }
  throw new Error("the call succeeded");
}

describe("descriptors", () => {
  test("a duplicate is another number for the same open file, closed on exec", () => {
    const path = join(folder, "shared-offset");
    const fd = openSync(path, "w+");
    const duplicate = duplicateDescriptor(fd);
    expect(duplicate).not.toBe(fd);
    expect(flagsOf(duplicate) & O_CLOEXEC).toBe(O_CLOEXEC);
    writeSync(fd, "first ");
    closeSync(fd);
    writeSync(duplicate, "second"); // Continues at the shared offset.
    closeDescriptor(duplicate);
    expect(readFileSync(path, "utf8")).toBe("first second");
  });

  test("a socket lives on in its duplicate after the first owner destroyed it", async () => {
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    const client = createConnection(port, "127.0.0.1");
    const [accepted] = (await once(server, "connection")) as [Socket];
    const handle = (accepted as unknown as { _handle: { fd: number } })._handle;
    const adopted = new Socket({ fd: duplicateDescriptor(handle.fd), readable: true, writable: true });
    accepted.destroy();
    await once(accepted, "close");
    client.write("ping");
    expect(String((await once(adopted, "data"))[0])).toBe("ping");
    adopted.end("pong");
    expect(String((await once(client, "data"))[0])).toBe("pong");
    client.destroy();
    server.close();
  });

  test("a pipe carries bytes, blocks at neither end, and is closed on exec", () => {
    const { readFd, writeFd } = openPipe();
    expect(() => readSync(readFd, Buffer.alloc(1))).toThrow("EAGAIN");
    for (const fd of [readFd, writeFd]) expect(flagsOf(fd) & O_CLOEXEC).toBe(O_CLOEXEC);
    const chunk = Buffer.alloc(4_096);
    expect(() => {
      for (let written = 0; written < 2 ** 30; written += chunk.length) writeSync(writeFd, chunk);
    }).toThrow("EAGAIN");
    expect(readSync(readFd, chunk)).toBe(chunk.length);
    closeDescriptor(readFd);
    expect(() => writeSync(writeFd, chunk)).toThrow("EPIPE");
    closeDescriptor(writeFd);
  });

  test("a bad descriptor is a fault that names its errno", () => {
    expect(fault(() => duplicateDescriptor(1_000_000))).toMatchObject({ code: "EBADF", syscall: "fcntl" });
    expect(fault(() => closeDescriptor(1_000_000))).toMatchObject({ code: "EBADF", syscall: "close" });
    expect(fault(() => tryLockExclusive(1_000_000))).toMatchObject({ code: "EBADF", syscall: "flock" });
  });
});

describe("locks", () => {
  test("one exclusive holder, or many shared ones", () => {
    const path = join(folder, "lock");
    const [one, two, three] = [openSync(path, "w"), openSync(path, "r"), openSync(path, "r")];
    expect(tryLockExclusive(one)).toBe(true);
    expect(tryLockExclusive(one)).toBe(true); // The holder itself.
    expect(tryLockExclusive(two)).toBe(false);
    expect(tryLockShared(two)).toBe(false);
    closeSync(one);
    expect(tryLockShared(two)).toBe(true);
    expect(tryLockShared(three)).toBe(true);
    expect(tryLockExclusive(three)).toBe(false);
    closeSync(two);
    expect(tryLockExclusive(three)).toBe(true);
    closeSync(three);
  });

  test("a duplicate keeps the lock, and a child process does not inherit it", async () => {
    const path = join(folder, "kept");
    const fd = openSync(path, "w");
    expect(tryLockExclusive(fd)).toBe(true);
    const duplicate = duplicateDescriptor(fd);
    closeSync(fd);
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
    await once(child, "spawn");
    const other = openSync(path, "r");
    expect(tryLockExclusive(other)).toBe(false);
    closeDescriptor(duplicate);
    expect(tryLockExclusive(other)).toBe(true);
    closeSync(other);
    child.stdin?.end();
    await once(child, "exit");
  });
});

test("koffi loads in a worker thread too, with an errno of its own", async () => {
  const path = join(folder, "thread");
  const source = `
    import { openSync } from "node:fs";
    import { parentPort, workerData } from "node:worker_threads";
    const koffi = (await import("koffi")).default;
    const flock = koffi.load(null).func("int flock(int fd, int operation)");
    parentPort.postMessage([flock(openSync(workerData, "w"), 2 | 4), koffi.errno()]);
  `;
  const fd = openSync(path, "w");
  expect(tryLockExclusive(fd)).toBe(true);
  const worker = new Worker(source, { eval: true, workerData: path });
  const [answer] = (await once(worker, "message")) as [[number, number]];
  expect(answer[0]).toBe(-1);
  expect(answer[1]).toBe(11); // EWOULDBLOCK, of that thread.
  await worker.terminate();
  closeSync(fd);
});

test.runIf(isGlibc)(
  "what was freed goes back to the kernel, also from between what is kept",
  async () => {
    // 160 MB in pieces below the allocator's threshold for mappings of their own, of which every hundredth stays.
    const script = writeScript(
      folder,
      "memory.mjs",
      `import { readFileSync } from "node:fs";
     import { setImmediate } from "node:timers/promises";
     import { returnFreeMemory } from "./base/posix.js";
     const megabytes = () => Number(/^Anonymous: *(\\d+)/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8"))[1]) / 1024;
     let all = Array.from({ length: 20_000 }, () => new Uint8Array(8_192).fill(1));
     const full = megabytes();
     const kept = all.filter((_, index) => index % 100 === 0);
     all = undefined;
     const deadlineMs = performance.now() + 20_000;
     do {
       gc();
       await setImmediate();
       await returnFreeMemory();
     } while (megabytes() > full - 120 && performance.now() < deadlineMs);
     console.log(JSON.stringify([kept.length, full - megabytes() >= 120]));`,
    );
    const { stdout, stderr } = await run(process.execPath, ["--expose-gc", script]);
    expect([stdout.trim(), stderr]).toEqual(["[200,true]", ""]);
  },
  60_000,
);

describe.runIf(process.platform === "linux")("allocation", () => {
  test("takes blocks and leaves the size and the bytes as they are", () => {
    const fd = openSync(join(folder, "allocated"), "w+");
    writeSync(fd, "abc");
    expect(tryAllocate(fd, 0, 1024 * 1024)).toBe("allocated");
    expect(tryAllocate(fd, 0, 1024 * 1024)).toBe("allocated");
    const { size, blocks } = fstatSync(fd);
    expect(size).toBe(3);
    expect(blocks * 512).toBeGreaterThanOrEqual(1024 * 1024);
    expect(readFileSync(join(folder, "allocated"), "utf8")).toBe("abc");
    closeSync(fd);
  });

  test("answers what no disk can hold, and throws for what is no file", () => {
    const fd = openSync(join(folder, "huge"), "w+");
    expect(tryAllocate(fd, 0, 2 ** 52)).toBe("full");
    closeSync(fd);
    expect(() => tryAllocate(1_000_000, 0, 4096)).toThrow(new PosixFault("fallocate", 9));
  });
});

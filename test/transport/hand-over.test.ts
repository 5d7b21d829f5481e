/**
 * Goal: a socket moves to another thread without losing a byte, a descriptor or the peer's patience; what an idle connection
 * costs is known.
 * Method: acceptor here, transport in a real worker thread (the built code) that sends every packet back; clients here, or
 * in a child process where memory is measured.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Acceptor } from "../../src/transport/acceptor.ts";
import { connectPacket, numberedPacket, size, until } from "./fixture.ts";

interface Counts {
  readonly connections: number;
  readonly heldBytes: number;
  readonly outputBytes: number;
}

let worker: Worker;
let acceptor: Acceptor;
let handedOver: number;
let port: number;

beforeEach(async () => {
  handedOver = 0;
  worker = new Worker(new URL("./hand-over-worker.mjs", import.meta.url));
  worker.on("message", (message: { closed?: number }) => {
    if (message.closed === 1) acceptor.release(["127.0.0.1"]);
  });
  acceptor = new Acceptor({
    host: "127.0.0.1",
    port: 0,
    listener: "mqtt",
    connectionsMax: 100_000,
    nowMs: () => performance.now(),
    onFault: (error) => {
      throw error;
    },
    onConnect: (handOver) => {
      handedOver += 1;
      worker.postMessage({ kind: "handOver", handOver }, [handOver.head.buffer]);
    },
  });
  await acceptor.listen();
  port = Number(acceptor.address!.split(":").at(-1));
});
afterEach(async () => {
  await acceptor.close();
  await worker.terminate();
});

async function countsOf(): Promise<Counts> {
  worker.postMessage({ kind: "count" });
  for (;;) {
    const [message] = (await once(worker, "message")) as [Partial<Counts>];
    if (message.connections !== undefined) return message as Counts;
  }
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Of the whole process, with this thread's garbage collected. */
function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** Sends CONNECT and `stream` in one go; resolves with what came back behind CONNACK once it is as long. */
function echoed(stream: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let missing = stream.length + 4;
    const client = connect(port, "127.0.0.1", () => client.write(Buffer.concat([connectPacket("c"), stream])));
    client.on("data", (part: Buffer) => {
      parts.push(part);
      missing -= part.length;
      if (missing > 0) return;
      client.destroy();
      resolve(Buffer.concat(parts).subarray(4));
    });
    client.on("end", () => reject(new Error("the connection ended early")));
    client.on("error", reject);
  });
}

describe("hand-over to a worker", () => {
  test("400 kB sent right behind CONNECT come back byte by byte", async () => {
    for (let round = 0; round < 10 * size; round += 1) {
      const stream = Buffer.concat(Array.from({ length: 400 }, (_, number) => numberedPacket(number + round, 1_000)));
      expect((await echoed(stream)).equals(stream)).toBe(true);
    }
  });

  test("2,000 hand-overs, fifty at a time, leave no descriptor, connection or buffer behind", async () => {
    await echoed(numberedPacket(0, 10));
    await until(() => acceptor.connectionCount === 0);
    const before = descriptors();
    const stream = numberedPacket(1, 5_000);
    const lane = async () => {
      for (let index = 0; index < 40 * size; index += 1) expect((await echoed(stream)).equals(stream)).toBe(true);
    };
    await Promise.all(Array.from({ length: 50 }, lane));
    expect(handedOver).toBe(2_000 * size + 1);
    await until(() => acceptor.connectionCount === 0);
    const counts = await countsOf();
    expect(counts).toEqual({ connections: 0, heldBytes: 0, outputBytes: 0 });
    expect(descriptors()).toBeLessThanOrEqual(before + 2); // Clients' own sockets may still be closing.
  });

  test("an idle connection costs little memory", async () => {
    const count = 2_000;
    const child = spawn(
      process.execPath,
      [new URL("./idle-clients.mjs", import.meta.url).pathname, `${port}`, `${count}`],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    await until(() => acceptor.connectionCount >= 200); // Warm: code compiled, heaps grown.
    const firstCount = (await countsOf()).connections;
    const firstBytes = residentBytes();
    await once(child.stdout, "data");
    const { connections } = await countsOf();
    const idleBytes = (residentBytes() - firstBytes) / (connections - firstCount);
    console.log(
      `an idle connection: ${(idleBytes / 1_024).toFixed(1)} KiB of resident memory (${connections} connections)`,
    );
    expect(connections).toBe(count);
    expect(idleBytes).toBeLessThan(32 * 1_024);
    child.stdin.end();
    await once(child, "exit");
    await until(() => acceptor.connectionCount === 0);
  });
});

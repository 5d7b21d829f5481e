/**
 * Goal: a will that is due is published once, whatever ended in between: the connection, the session, the broker by a stop or by a kill; one
 * that is not due or was taken back is not.
 * Method: workers over logs in memory, with time that passes when a test says so; a queue collects the wills on another worker.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeStructured } from "../../src/base/structured.ts";
import { decodeSession } from "../../src/worker/session-record.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "../worker/rig.ts";

const PARTITIONS = 3;
let disks: MemoryDisk[];
let nowMs: number;
let rig: Rig;

beforeEach(async () => {
  disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
  nowMs = 1_700_000_000_000;
  begin(3);
  await rig.storeQueue({ name: "wills", topic_filter: "wills", limits: unlimited }, 1);
});

const unlimited = { max_shard_message_count: "infinity", max_shard_message_bytes: "infinity" } as const;

function begin(workers: number): void {
  rig = new Rig({ workers, partitions: PARTITIONS, disks, nowMs });
}

/** The broker ends; the next one begins some time later. */
async function restart(how: "stop" | "kill", afterMs = 1_000, workers = 3): Promise<void> {
  if (how === "stop") await rig.stop();
  else rig.kill();
  nowMs = rig.nowMs + afterMs;
  begin(workers);
  await rig.pass(100);
}

const published = (): number => rig.status(rig.records[0]!).stored;

function connect(id: string, expiryS: number, willDelayInterval: number, clean = true) {
  return rig.connected(id, {
    clean,
    properties: { sessionExpiryInterval: expiryS },
    will: { topic: "wills", payload: Buffer.from(id), qos: 1, retain: false, properties: { willDelayInterval } },
  });
}

const ids = (): string[] => [0, 1, 2].map((worker) => rig.idOn(worker, "client"));

describe.each(["stop", "kill"] as const)("after a %s", (how) => {
  it("the will of a lasting session is published, once, over several starts", async () => {
    for (const id of ids()) await connect(id, 600, 0);
    await restart(how);
    expect(published()).toBe(3);
    for (const again of ["kill", "stop", "kill"] as const) await restart(again);
    await rig.pass(700_000);
    expect(published()).toBe(3);
    await rig.stop();
  });

  it("a delayed will waits for its delay, counted from the end of the connection", async () => {
    for (const id of ids()) await connect(id, 600, 60);
    await restart(how, 0, 2);
    await rig.pass(50_000);
    expect(published()).toBe(0);
    await rig.pass(11_000);
    expect(published()).toBe(3);
    await restart("kill");
    await rig.pass(100_000);
    expect(published()).toBe(3);
    await rig.stop();
  });

  it("a client that comes back in time takes its delayed will back", async () => {
    for (const id of ids()) await connect(id, 600, 60);
    await restart(how);
    for (const id of ids()) {
      const back = await rig.connected(id, { clean: false, properties: { sessionExpiryInterval: 600 } });
      back.send({ cmd: "disconnect" });
    }
    await rig.pass(300_000);
    await restart(how);
    await rig.pass(700_000);
    expect(published()).toBe(0);
    await rig.stop();
  });

  it("a session that ended while the broker was down leaves its will", async () => {
    for (const id of ids()) await connect(id, 30, 60);
    await restart(how, 120_000);
    if (how === "kill") await rig.pass(31_000); // Nobody knows when the connections ended: its time counts from the start.
    expect(published()).toBe(3);
    await restart("kill");
    await rig.pass(100_000);
    expect(published()).toBe(3);
    await rig.stop();
  });

  it("DISCONNECT has taken the will back", async () => {
    for (const id of ids()) (await connect(id, 600, 0)).send({ cmd: "disconnect" });
    await rig.settle();
    await restart(how);
    await rig.pass(700_000);
    expect(published()).toBe(0);
    await rig.stop();
  });
});

it("a stop publishes the wills of sessions that end with it", async () => {
  for (const id of ids()) await connect(id, 0, 0);
  await restart("stop");
  expect(published()).toBe(3);
  await rig.stop();
});

it("a will that waits for its delay is published when the client begins anew", async () => {
  const [id] = ids();
  const first = await connect(id!, 600, 60);
  first.close();
  await restart("kill");
  await rig.connected(id!, { clean: true });
  expect(published()).toBe(1);
  await rig.stop();
});

it("a session that was written before wills or users were has none", () => {
  const old = {
    clientId: "c",
    target: 7,
    expiryS: null,
    awaySinceMs: 5,
    lastPacketId: 9,
    subscriptions: [],
    inFlight: [],
  };
  const now = { ...old, version: 3, will: null, user: null };
  expect(decodeSession(encodeStructured({ ...old, version: 1 }))).toEqual(now);
  expect(decodeSession(encodeStructured({ ...old, version: 2, will: null }))).toEqual(now);
});

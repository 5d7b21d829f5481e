/**
 * Goal: a full disk is an answer to publishers and nothing else: whoever needs no new space is served on, draining a queue makes room
 * by itself, everything ever acknowledged is delivered once, also by a queue in memory, and the broker says that it cannot store and when it can again.
 * Method: the broker on a tmpfs of a few megabytes (this needs the right to mount), filled with messages for real and then to
 * the last byte by another program. LMDB writes a line to stderr when it meets a full disk: it must never.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker, ENTRY } from "../harness/broker.ts";
import { type Finished, run as runCommand } from "../harness/process.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const PAYLOAD_BYTES = 60_000;
const WINDOW = 20;

const run = (command: string, ...flags: string[]): Buffer => execFileSync(command, flags, { stdio: "pipe" });

/** Why a tmpfs cannot be mounted here; undefined when it can. Where everything must run (CI=true) that is a fault. */
function whyNoMount(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), "restante-mount-"));
  try {
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory);
    run("umount", directory);
    return undefined;
  } catch (cause) {
    if (process.env.CI === "true") throw cause;
    return (cause as Error).message.trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const reason = whyNoMount();
if (reason !== undefined) process.stdout.write(`skipped, a tmpfs cannot be mounted here: ${reason}\n`);

describe.skipIf(reason !== undefined)("a full disk", () => {
  describeWorkers("the broker", (workers) => {
    let mounted = "";
    let broker: Broker;
    /** Acknowledged with success by the broker; acknowledged by a consumer. */
    const stored = new Set<string>();
    const done: string[] = [];
    let sent = 0;
    /** For the queue in memory: what it takes on the full disk is stored when there is space. */
    const fast = ["f1", "f2", "f3"];

    beforeAll(async () => {
      mounted = mkdtempSync(join(tmpdir(), "restante-full-"));
      run("mount", "-t", "tmpfs", "-o", `size=${20 + 12 * workers}m`, "tmpfs", mounted);
      broker = await Broker.start({ workers, directory: mounted });
      await createQueue(broker, { name: "jobs", topic_filter: "jobs/#" });
      await createQueue(broker, { name: "fast", topic_filter: "fast", durability: "memory" });
    });

    afterAll(async () => {
      await broker.remove();
      run("umount", "-l", mounted);
      rmSync(mounted, { recursive: true });
    });

    const payloadOf = (id: string): string => id.padEnd(PAYLOAD_BYTES);

    const publish = async (client: RawClient): Promise<number> => {
      const id = `${sent++}`;
      const code = await client.publishSettled(`jobs/${id}`, payloadOf(id), { qos: 1 });
      if (code === 0) stored.add(id);
      return code;
    };

    /** Publishes with a window until so many were refused; answers all reason codes that came. */
    const publishUntilFull = async (client: RawClient): Promise<number[]> => {
      const codes: number[] = [];
      const waiting = new Map<number, string>();
      let refused = 0;
      while (refused < 2 * WINDOW || waiting.size > 0) {
        for (; waiting.size < WINDOW && refused < 2 * WINDOW; sent++) {
          waiting.set(client.publish(`jobs/${sent}`, payloadOf(`${sent}`), { qos: 1 }), `${sent}`);
        }
        const { messageId, reasonCode = 0 } = await client.take("puback", 20_000);
        codes.push(reasonCode);
        if (reasonCode === 0) stored.add(waiting.get(messageId!)!);
        else refused += 1;
        waiting.delete(messageId!);
      }
      return codes;
    };

    /** Another program takes the last free byte. */
    const fill = (): void => {
      const filler = openSync(join(mounted, "filler"), "a");
      const page = Buffer.alloc(4096);
      expect(() => {
        for (;;) writeSync(filler, page);
      }).toThrow("ENOSPC");
      closeSync(filler);
    };

    /** What a health check sees, and the command. */
    const health = async (): Promise<{ status: number; json: object; text: string; command: Finished }> => {
      const text = await fetch(`${broker.url}/status`);
      const json = await fetch(`${broker.url}/status?format=json`);
      expect(json.status).toBe(text.status);
      const flags = [ENTRY, "status", "--data-dir", broker.dataDirectory];
      const command = await runCommand(process.execPath, flags);
      return { status: text.status, json: (await json.json()) as object, text: await text.text(), command };
    };

    const healthLines = (): string[] => broker.logs.filter((line) => /cannot store|can store again/.test(line));

    const consume = async (client: RawClient, count: number): Promise<void> => {
      for (const text of await client.receiveTexts(count)) done.push(text.trimEnd());
    };

    it("refuses what it cannot store and serves the others", async () => {
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      const codes = await publishUntilFull(publisher);
      expect(new Set(codes)).toEqual(new Set([0, 0x83]));
      expect(stored.size).toBeGreaterThan(50);
      fill();
      expect(await publish(publisher)).toBe(0x83);
      const { status, json, text, command } = await health();
      expect(status).toBe(503);
      expect(text).toMatch(/is degraded\nemqx is not_storing\npartition \d cannot store: disk_full since 2/);
      expect(json).toMatchObject({ app_status: "not_storing", faults: [{ reason: "disk_full" }] });
      expect(command.code).toBe(1);
      expect(command.stderr).toMatch(/^restante: process \d+ says: .*; partition \d cannot store: disk_full .*\n$/);
      expect(healthLines()).toHaveLength(1);

      const old = await RawClient.connected(broker.mqttPort, "old", { version: 4 });
      old.publish("jobs/old", payloadOf("old"), { qos: 1 });
      await old.expectClose();
      expect(old.waiting).toEqual([]);

      const subscriber = await RawClient.connected(broker.mqttPort, "subscriber");
      expect((await subscriber.subscribe("live/#", { qos: 1 })).granted).toEqual([1]);
      expect(await publisher.publishSettled("live/1", "at QoS 1", { qos: 1 })).toBe(0); // Nothing of it is to be stored.
      publisher.publish("live/0", "at QoS 0");
      expect(await subscriber.receiveTexts(2)).toEqual(["at QoS 1", "at QoS 0"]);
      expect((await ledgerOf(broker, "jobs")).stored).toBe(stored.size);
      await subscriber.end();
      await publisher.end();
    });

    it("stores again when its queue was drained, and nothing that was done comes back", async () => {
      const consumer = await RawClient.connected(broker.mqttPort, "consumer");
      await consumer.subscribe("$queue/jobs", { qos: 1 });
      await consume(consumer, Math.floor(stored.size / 2));
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      await eventually("there is room again", async () => (await publish(publisher)) === 0, 20_000);
      await publishUntilFull(publisher);
      const { acknowledged } = await ledgerOf(broker, "jobs");
      expect(acknowledged).toBe(done.length);
      await publisher.end();
      await consumer.cut();
    });

    it("is there again after a kill, on the full disk", async () => {
      await broker.kill();
      await broker.restart();
      const { acknowledged, waiting, difference } = await ledgerOf(broker, "jobs");
      expect([acknowledged, waiting, difference]).toEqual([done.length, stored.size - done.length, 0]);
    });

    it("stores as before when there is space again, and has lost nothing", async () => {
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      await publishUntilFull(publisher);
      expect((await health()).status).toBe(503);
      for (const id of fast) expect(await publisher.publishSettled("fast", payloadOf(id), { qos: 1 })).toBe(0);
      expect(await ledgerOf(broker, "fast")).toMatchObject({ waiting: fast.length, dropped: 0, difference: 0 });
      rmSync(join(mounted, "filler"));
      run("mount", "-o", `remount,size=${28 + 12 * workers}m`, mounted);
      // Nobody publishes meanwhile.
      await eventually("it says that it can store", async () => (await health()).status === 200, 20_000);
      const { json, command } = await health();
      expect(Object.keys(json)).toEqual(["node_name", "cluster", "broker_status", "app_status"]);
      expect(command.code).toBe(0);
      expect(healthLines()).toEqual([
        expect.stringMatching(/"reason":"disk_full".*the partition cannot store/),
        expect.stringMatching(/"forMs":\d+.*the partition can store again/),
      ]);
      expect(await publish(publisher)).toBe(0);
      const consumer = await RawClient.connected(broker.mqttPort, "last");
      await consumer.subscribe("$queue/jobs", { qos: 1 });
      await consume(consumer, stored.size - done.length);
      await eventually("all are done", async () => (await ledgerOf(broker, "jobs")).acknowledged === stored.size);
      expect(done.toSorted()).toEqual([...stored].toSorted());
      const { waiting, in_flight, difference } = await ledgerOf(broker, "jobs");
      expect([waiting, in_flight, difference]).toEqual([0, 0, 0]);
      await publisher.end();
      await consumer.end();
      broker.signal("SIGTERM");
      const { code, stderr } = await broker.ended;
      expect([code, stderr]).toEqual([0, ""]);
      await broker.restart();
      const late = await RawClient.connected(broker.mqttPort, "late");
      await late.subscribe("$queue/fast", { qos: 1 });
      // What was written again stands behind what was stored in between, so in any order.
      const texts = (await late.receiveTexts(fast.length)).map((text) => text.trimEnd());
      expect(texts.toSorted()).toEqual(fast.toSorted());
      await late.end();
    });
  });
});

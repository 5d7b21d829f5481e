/**
 * Goal: what REST is told of a queue counts what its clients were told before. Method: two workers whose turns come in an order drawn from a
 * seed, and a command that is there in the moment in which a client on the other worker has its answer.
 */
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { expect, it } from "vitest";
import { CommandServer } from "../../src/worker/command-server.ts";
import type { QueueStatus } from "../../src/worker/commands.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "./rig.ts";

const SEEDS = 20;

it("a consumer whose SUBACK is out is in the status, on whatever worker it is", async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const rig = new Rig({ workers: 2, seed, disks: [new MemoryDisk(), new MemoryDisk()] });
    const record = rig.createQueue({ topic_filter: "jobs" }, 0);
    const consumer = await rig.connected(rig.idOn(1, "consumer"));
    const { port1, port2 } = new MessageChannel();
    const server = new CommandServer(port1, rig.workers[0]!, []);
    consumer.subscribe(`$queue/${record.definition.name}`, 1);
    while (consumer.take("suback").length === 0) expect(rig.step()).toBe(true);

    port2.postMessage({ number: 1, command: { kind: "queueStatus", record } });
    let status: QueueStatus | undefined;
    void once(port2, "message").then(([{ reply }]) => {
      status = reply as QueueStatus;
    });
    for (let waited = 0; status === undefined && waited < 1_000; waited += 1) {
      await setImmediate();
      rig.step();
    }
    expect([seed, status?.consumers.length]).toEqual([seed, 1]);
    server.close();
    await rig.stop();
  }
});

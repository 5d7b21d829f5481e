/**
 * Goal: a process that holds too much for others stays within its budget: who never takes anything loses it, and everybody else
 * goes on.
 * Method: a broker with the smallest budget, and clients that never acknowledge, with far more sent to them than the budget.
 */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";
import { Witness } from "../harness/witness.ts";

const BUDGET_BYTES = 16 * 1024 * 1024;
const SETTINGS = "limits.memory_budget: 16MB\n";
const PAYLOAD = Buffer.alloc(64 * 1024, "p");
const PUBLISHED_BYTES = 6 * BUDGET_BYTES;
/** Each of them would otherwise have all that is published in its inbox. */
const TAKERS = 3;
const AT_ONCE = 32;
/** The budget, what arrives between two looks, and a heap at work; beside them the rings, which are touched for the first time. */
const GROWTH_BYTES_MAX = 8 * BUDGET_BYTES;
const RINGS_BYTES = 48 * 1024 * 1024;

const anonymousBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

describeWorkers("the memory budget", (workers) => {
  it("holds, and nobody waits for ever", async () => {
    const broker = await Broker.start({ workers, settings: SETTINGS });
    try {
      const witness = await Witness.start(broker.mqttPort);
      const takers: RawClient[] = [];
      for (let taker = 0; taker < TAKERS; taker += 1) {
        const client = await RawClient.connected(broker.mqttPort, `taker-${taker}`, {
          properties: { receiveMaximum: 1 },
        });
        await client.subscribe("much", { qos: 1 });
        takers.push(client);
      }
      const publisher = await RawClient.connected(broker.mqttPort, "publisher");
      const before = anonymousBytes(broker.pid);
      let mostBytes = 0;
      for (let bytes = 0; bytes < PUBLISHED_BYTES; bytes += PAYLOAD.length * AT_ONCE) {
        for (let times = 0; times < AT_ONCE; times += 1) publisher.publish("much", PAYLOAD, { qos: 1 });
        for (let times = 0; times < AT_ONCE; times += 1) await publisher.take("puback", 30_000);
        mostBytes = Math.max(mostBytes, anonymousBytes(broker.pid) - before);
        witness.check();
      }
      expect(mostBytes).toBeLessThan(GROWTH_BYTES_MAX + (workers > 1 ? RINGS_BYTES : 0));
      const said = (what: string): boolean => broker.logs.some((line) => line.includes(what));
      // It looks now and then: a pressure that has ended before is not worth a line.
      if (said("the memory budget is used up")) {
        await eventually("it says that it goes on", () => said("the memory budget holds again"), 30_000);
      }

      // What is left is theirs as before: the newest, for the oldest went.
      const [first] = takers;
      await first!.receiveTexts(3, 30_000);
      let late: RawClient | undefined;
      await eventually(
        "somebody new is let in",
        async () => {
          late = await RawClient.connected(broker.mqttPort, "late").catch(() => undefined);
          return late !== undefined;
        },
        30_000,
      );
      await Promise.all([...takers, publisher, late!].map((client) => client.end()));
      expect((await witness.stop()).witnessed).toBeGreaterThan(5);
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 120_000);
});

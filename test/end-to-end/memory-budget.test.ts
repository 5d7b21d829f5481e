/**
 * Goal: a process that holds too much for others stays within its budget: who never takes anything loses it, publishers are slowed down,
 * and everybody goes on.
 * Method: a broker with the smallest budget; clients that never acknowledge, and one that sleeps and is kept QoS 0, with far more sent to
 * them than the budget, by publishers of which one takes and acknowledges meanwhile.
 */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";
import { Witness } from "../harness/witness.ts";

const BUDGET_BYTES = 16 * 1024 * 1024;
const SETTINGS = "limits.memory_budget: 16MB\nsession.queue_qos0_messages: true\n";
const PAYLOAD = Buffer.alloc(64 * 1024, "p");
/** By each publisher. */
const PUBLISHED_BYTES = (isFullSize ? 8 : 1) * BUDGET_BYTES;
const PUBLISHERS = 3;
/** Each of them would otherwise have all that is published in its inbox. */
const TAKERS = 3;
const AT_ONCE = 32;
const WAIT_MS = 60_000;
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
      const sleeper = { clean: false, properties: { sessionExpiryInterval: 300 } };
      const awake = await RawClient.connected(broker.mqttPort, "sleeper", sleeper);
      await awake.subscribe("much", { qos: 0 });
      await awake.end();
      const publishers: RawClient[] = [];
      for (let publisher = 0; publisher < PUBLISHERS; publisher += 1) {
        publishers.push(await RawClient.connected(broker.mqttPort, `publisher-${publisher}`));
      }
      const [first, ...others] = publishers;
      await first!.subscribe("echo", { qos: 1 });

      const before = anonymousBytes(broker.pid);
      let mostBytes = 0;
      const flood = async (client: RawClient): Promise<void> => {
        for (let bytes = 0; bytes < PUBLISHED_BYTES; bytes += PAYLOAD.length * AT_ONCE) {
          for (let times = 0; times < AT_ONCE; times += 1) client.publish("much", PAYLOAD, { qos: 1 });
          if (client === first) {
            client.publish("echo", "echo", { qos: 1 });
            client.puback((await client.take("publish", WAIT_MS)).messageId!);
            await client.take("puback", WAIT_MS);
          }
          for (let times = 0; times < AT_ONCE; times += 1) await client.take("puback", WAIT_MS);
          mostBytes = Math.max(mostBytes, anonymousBytes(broker.pid) - before);
          witness.check();
        }
      };
      await Promise.all([flood(first!), ...others.map(flood)]);
      expect(mostBytes).toBeLessThan(GROWTH_BYTES_MAX + (workers > 1 ? RINGS_BYTES : 0));
      const said = (what: string): boolean => broker.logs.some((line) => line.includes(what));
      // It looks now and then: a pressure that has ended before is not worth a line.
      if (said("the memory budget is used up")) {
        await eventually("it says that it goes on", () => said("the memory budget holds again"), WAIT_MS);
      }

      // What is left is theirs as before: the newest, for the oldest went.
      await takers[0]!.receiveTexts(3, WAIT_MS);
      let late: RawClient | undefined;
      await eventually(
        "somebody new is let in",
        async () => {
          late = await RawClient.connected(broker.mqttPort, "late").catch(() => undefined);
          return late !== undefined;
        },
        WAIT_MS,
      );
      const woken = await RawClient.connected(broker.mqttPort, "sleeper", sleeper);
      await woken.take("publish", WAIT_MS);
      await Promise.all([...takers, ...publishers, late!, woken].map((client) => client.end()));
      expect((await witness.stop()).witnessed).toBeGreaterThan(5);
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 240_000);
});

/**
 * Goal: the scenarios of stock clients hold when their connections are cut again and again and the broker is killed in between: every job
 * is done, a device ends with the newest command.
 * Method: Paho (3.1.1) and MQTT.js (3.1.1 and 5, sessions that are kept) reconnect by themselves through a relay that cuts everything; the
 * broker comes back behind it, once after a kill and once after a stop.
 */
import type { MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { isMissing } from "../harness/needs.ts";
import { pahoCommander, pahoConsumer, payloadsOf, untilSubscribed } from "../harness/paho.ts";
import type { Child } from "../harness/process.ts";
import { Relay } from "../harness/relay.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";

const JOBS = isFullSize ? 5_000 : 300;
const CUTS = isFullSize ? 40 : 6;
/** A connection that ended without a word is noticed after one and a half keep alives, 90 s. */
const SETTLED_MS = 150_000;
const TIMEOUT_MS = 300_000;
const STRATEGIES = isFullSize ? ["random", "round_robin", "least_inflight"] : ["least_inflight"];

describeWorkers("stock clients that reconnect", (workers) => {
  let broker: Broker;
  let relay: Relay;
  const clients: MqttClient[] = [];
  const children: Child[] = [];
  beforeEach(async () => {
    broker = await Broker.start({ workers });
    relay = await Relay.to(broker.mqttPort);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.endAsync(true);
    for (const child of children.splice(0)) child.signal("SIGKILL");
    await relay.close();
    await broker.stop();
    await broker.remove();
  });

  const restart = async (end: "kill" | "stop"): Promise<void> => {
    await broker[end]();
    await broker.restart();
    relay.targetPort = broker.mqttPort;
  };

  const mqttJs = async (clientId: string, protocolVersion: 4 | 5): Promise<MqttClient> => {
    const kept = protocolVersion === 5 ? { properties: { sessionExpiryInterval: 600 } } : {};
    const options = {
      reconnectPeriod: 50,
      clean: false,
      clientId,
      protocolVersion,
      ...kept,
    };
    const client = await connectMqttJs(relay.port, options);
    client.on("error", () => {}); // A connection that was cut: it comes back by itself.
    clients.push(client);
    return client;
  };

  const paho = (filter: string, options: Parameters<typeof pahoConsumer>[2] = {}): Child => {
    const child = pahoConsumer(relay.port, filter, options);
    children.push(child);
    return child;
  };

  /** Until it is acknowledged: MQTT.js gives up a message whose connection ends while others are being sent again. */
  async function publish(client: MqttClient, job: string): Promise<void> {
    for (let isAcknowledged = false; !isAcknowledged; ) {
      isAcknowledged = await client.publishAsync("jobs", job, { qos: 1 }).then(
        () => true,
        () => pause(50).then(() => false),
      );
    }
  }

  describe.skipIf(isMissing("paho"))("and the broker goes down", () => {
    it.each(STRATEGIES)(
      "do every job, dispatched %s",
      async (strategy) => {
        await createQueue(broker, {
          topic_filter: "jobs",
          dispatch_strategy: strategy,
        });
        const pahos = [paho("$q/jobs"), paho("$q/jobs", { qos: 1, sleepS: 0.05 })];
        for (const consumer of pahos) await untilSubscribed(consumer);
        const consumers = [await mqttJs("kept-4", 4), await mqttJs("kept-5", 5)];
        const collected = consumers.map(collect);
        for (const consumer of consumers) await consumer.subscribeAsync("$q/jobs");
        const producer = await mqttJs("producer", 4);

        const jobs = Array.from({ length: JOBS }, (_, at) => `job ${at}`);
        const published: Promise<unknown>[] = [];
        for (let cut = 0; cut < CUTS; cut += 1) {
          for (const job of jobs.slice((cut * JOBS) / CUTS, ((cut + 1) * JOBS) / CUTS)) {
            published.push(publish(producer, job));
          }
          await pause(100);
          if (cut === CUTS / 2) await restart("kill");
          else if (cut === CUTS / 2 + 1) await restart("stop");
          else relay.cutAll();
        }
        await Promise.all(published);
        let ledger = await ledgerOf(broker, "/jobs");
        await eventually(
          () => `every job is acknowledged: ${JSON.stringify(ledger)}`,
          async () => {
            ledger = await ledgerOf(broker, "/jobs");
            const { stored, acknowledged, difference } = ledger;
            expect(difference).toBe(0);
            expect(stored).toBeGreaterThanOrEqual(JOBS); // What was sent again after a cut is stored again.
            return acknowledged === stored;
          },
          SETTLED_MS,
        );
        const done = (): Set<string> =>
          new Set([...pahos.flatMap(payloadsOf), ...collected.flat().map(({ text }) => text)]);
        await eventually(
          () => `${JOBS} jobs are done, not ${done().size}`,
          () => done().size === JOBS,
        );
        expect(relay.count).toBeGreaterThan(2 * CUTS);
      },
      TIMEOUT_MS,
    );

    it(
      "end with the newest command",
      async () => {
        await createQueue(broker, {
          topic_filter: "commands/device1",
          is_lastvalue: true,
          key_expression: "message.headers.properties.User-Property.key",
        });
        const command = async (...colors: string[]): Promise<void> => {
          const child = pahoCommander(broker.mqttPort, "commands/device1", "set-color", colors);
          children.push(child);
          expect((await child.ended).code).toBe(0);
        };
        await command("green", "red", "yellow");
        await restart("kill");
        const device = paho("$q/commands/device1", { clientId: "device1" });
        await eventually("the newest command comes", () => payloadsOf(device).length > 0);
        expect(payloadsOf(device)).toEqual(["yellow"]);
        await restart("stop");
        await command("blue", "white");
        relay.cutAll();
        await eventually("the newest one after it", () => payloadsOf(device).at(-1) === "white", 20_000);
        await eventually("all is settled", async () => {
          const { stored, acknowledged, superseded } = await ledgerOf(broker, "/commands/device1");
          return stored === acknowledged + superseded;
        });
        expect((await ledgerOf(broker, "/commands/device1")).difference).toBe(0);
      },
      TIMEOUT_MS,
    );
  });
});

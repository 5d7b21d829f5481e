/**
 * Goal: the three scenarios that must always work: a job queue shared at random, one with a slow consumer, and a command
 * queue that keeps the last value.
 * Method: exactly as users run them: the queue is made by curl, consumers and producers are stock clients (Paho for Python
 * in MQTT 3.1.1 with its default QoS 0 subscription, MQTT.js, mosquitto_sub); only the intervals are shorter.
 */
import { afterEach, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { mosquittoSubscribe } from "../harness/mosquitto.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { isMissing } from "../harness/needs.ts";
import { pahoCommander, pahoConsumer, pahoProducer, payloadsOf, untilSubscribed } from "../harness/paho.ts";
import type { Child } from "../harness/process.ts";
import { curl, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, pause } from "../harness/waiting.ts";

const QUEUES = "/api/v5/message_queues/queues";
const JOBS = 500;
const allJobs = Array.from({ length: JOBS }, (_, number) => `job ${number}`).toSorted();

describeWorkers("the seed's scenarios", (workers) => {
  let broker: Broker;
  const running: Child[] = [];
  const started = (child: Child): Child => {
    running.push(child);
    return child;
  };

  const setUp = async (definition: string): Promise<void> => {
    broker = await Broker.start({ workers });
    const answer = await curl(broker, "POST", QUEUES, definition);
    expect([answer.status, answer.body]).toEqual([200, expect.stringContaining("topic_filter")]);
  };
  const finishes = async (child: Child): Promise<void> => {
    const { code, stderr } = await child.ended;
    expect([code, stderr]).toEqual([0, ""]);
  };
  const untilSettled = (name: string): Promise<void> =>
    eventually(`all of ${name} is acknowledged`, async () => {
      const { stored, acknowledged, difference } = await ledgerOf(broker, name);
      expect(difference).toBe(0);
      return stored === JOBS && acknowledged === JOBS;
    });

  afterEach(async () => {
    for (const child of running.splice(0)) child.signal("SIGKILL");
    await broker.stop();
    await broker.remove();
  });

  describe.skipIf(isMissing("paho", "curl", "mosquittoClients"))("scenario 1: a job queue, random", () => {
    const definition = '{"topic_filter": "jobs", "dispatch_strategy": "random", "is_lastvalue": false}';

    it("Paho consumers share the jobs, about half each", async () => {
      await setUp(definition);
      const consumers = [0, 1].map(() => started(pahoConsumer(broker.mqttPort, "$q/jobs")));
      for (const consumer of consumers) await untilSubscribed(consumer);
      await finishes(started(pahoProducer(broker.mqttPort, "jobs", JOBS, 0.002)));
      await untilSettled("/jobs");
      const shares = consumers.map(payloadsOf);
      expect(shares.flat().toSorted()).toEqual(allJobs);
      // Half each, give or take 7 standard deviations of 500 tosses.
      for (const share of shares) expect(Math.abs(share.length - JOBS / 2)).toBeLessThan(80);
    });

    it("MQTT.js consumers do, and jobs from before they existed wait for them", async () => {
      await setUp(definition);
      await finishes(started(pahoProducer(broker.mqttPort, "jobs", JOBS, 0)));
      expect((await ledgerOf(broker, "/jobs")).waiting).toBe(JOBS);
      const clients = [await connectMqttJs(broker.mqttPort), await connectMqttJs(broker.mqttPort)];
      const shares = clients.map(collect);
      await Promise.all(clients.map((client) => client.subscribeAsync("$q/jobs")));
      await untilSettled("/jobs");
      const texts = shares.flat().map(({ text }) => text);
      expect(texts.toSorted()).toEqual(allJobs);
      for (const share of shares) expect(share.length).toBeGreaterThan(0);
      for (const client of clients) await client.endAsync();
    });

    it("mosquitto_sub consumers do", async () => {
      await setUp(definition);
      const consumers = [0, 1].map(() => started(mosquittoSubscribe(broker.mqttPort, ["-t", "$q/jobs"])));
      await eventually("both are attached", async () => (await ledgerOf(broker, "/jobs")).consumers.length === 2);
      await finishes(started(pahoProducer(broker.mqttPort, "jobs", JOBS, 0.002)));
      await untilSettled("/jobs");
      await eventually("all is printed", () => consumers.flatMap(({ lines }) => lines).length === JOBS);
      expect(consumers.flatMap(({ lines }) => lines).toSorted()).toEqual(allJobs);
      for (const { lines } of consumers) expect(Math.abs(lines.length - JOBS / 2)).toBeLessThan(80);
    });
  });

  describe.skipIf(isMissing("paho", "curl"))("scenario 2: a job queue with a slow consumer, least_inflight", () => {
    it("the fast one gets far more, and the queue is never blocked", async () => {
      await setUp('{"topic_filter": "jobs", "dispatch_strategy": "least_inflight", "is_lastvalue": false}');
      const fast = started(pahoConsumer(broker.mqttPort, "$q/jobs"));
      const slow = started(pahoConsumer(broker.mqttPort, "$q/jobs", { sleepS: 0.5 }));
      await untilSubscribed(fast);
      await untilSubscribed(slow);
      await finishes(started(pahoProducer(broker.mqttPort, "jobs", JOBS, 0.01)));
      const producedMs = performance.now();
      await untilSettled("/jobs");
      // What the slow one may still hold is a window of 10, half a second each; far less with least_inflight.
      expect(performance.now() - producedMs).toBeLessThan(5_500);
      await eventually("all is printed", () => payloadsOf(fast).length + payloadsOf(slow).length === JOBS);
      expect([...payloadsOf(fast), ...payloadsOf(slow)].toSorted()).toEqual(allJobs);
      expect(payloadsOf(fast).length).toBeGreaterThan(4 * payloadsOf(slow).length);
      expect(payloadsOf(slow).length).toBeGreaterThan(0);
    });
  });

  describe.skipIf(isMissing("paho", "curl"))("scenario 3: a command queue, last value", () => {
    it("a device that comes back gets only the newest command, then new ones", async () => {
      await setUp(
        JSON.stringify({
          topic_filter: "commands/device1",
          is_lastvalue: true,
          key_expression: "message.headers.properties.User-Property.key",
          dispatch_strategy: "random",
        }),
      );
      const command = (color: string): Child =>
        started(pahoCommander(broker.mqttPort, "commands/device1", "set-color", [`{"color": "${color}"}`]));
      for (const color of ["Green", "Red", "Yellow"]) await finishes(command(color));
      const device = started(pahoConsumer(broker.mqttPort, "$q/commands/device1"));
      await eventually("the newest command arrives", () => payloadsOf(device).length > 0);
      await pause(100);
      expect(payloadsOf(device)).toEqual(['{"color": "Yellow"}']);
      await finishes(command("Blue"));
      await eventually("the next command arrives", () => payloadsOf(device).length > 1);
      expect(payloadsOf(device)).toEqual(['{"color": "Yellow"}', '{"color": "Blue"}']);
      const { stored, superseded, difference } = await ledgerOf(broker, "/commands/device1");
      expect({ stored, superseded, difference }).toEqual({ stored: 4, superseded: 2, difference: 0 });
    });
  });
});

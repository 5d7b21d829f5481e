/**
 * Goal: stock clients work as they come: mosquitto_pub and mosquitto_sub in every quality of service and version, MQTT.js.
 * Method: the real programs against the real broker.
 */
import type { MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { mosquittoPublish, mosquittoSubscribe } from "../harness/mosquitto.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { isMissing } from "../harness/needs.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

describeWorkers("stock clients", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  describe.skipIf(isMissing("mosquittoClients"))("mosquitto_pub and mosquitto_sub", () => {
    it.each(["mqttv311", "mqttv5"])("pass retained messages on, with %s", async (version) => {
      for (const qos of ["0", "1", "2"]) {
        const topic = unique("topic");
        await mosquittoPublish(broker.mqttPort, ["-V", version, "-q", qos, "-r", "-t", topic, "-m", "hello"]);
        // Ends by itself after the one message.
        const subscriber = mosquittoSubscribe(broker.mqttPort, [
          "-V",
          version,
          "-q",
          qos,
          "-t",
          topic,
          "-C",
          "1",
          "-W",
          "5",
        ]);
        expect(await subscriber.ended).toMatchObject({ code: 0, stdout: "hello" });
      }
    });

    it("fill and empty a queue", async () => {
      const name = unique("queue");
      await createQueue(broker, { name, topic_filter: name });
      for (const text of ["a", "b", "c"]) await mosquittoPublish(broker.mqttPort, ["-q", "1", "-t", name, "-m", text]);
      const subscriber = mosquittoSubscribe(broker.mqttPort, ["-t", `$q/${name}`, "-C", "3", "-W", "5"]);
      expect(await subscriber.ended).toMatchObject({ code: 0, stdout: "a\nb\nc" });
      await eventually("all are acknowledged", async () => (await ledgerOf(broker, name)).acknowledged === 3);
    });
  });

  describe("MQTT.js", () => {
    const connect = (options: object = {}): Promise<MqttClient> => connectMqttJs(broker.mqttPort, options);

    it.each([4, 5] as const)("exchanges messages, protocol version %i", async (protocolVersion) => {
      const topic = unique("topic");
      const receiver = await connect({ protocolVersion });
      const sender = await connect({ protocolVersion });
      const got = collect(receiver);
      await receiver.subscribeAsync(topic, { qos: 2 });
      const sent = Array.from({ length: 300 }, (_, at) => `${at} ${"x".repeat(at * 20)}`);
      await Promise.all(sent.map((text, at) => sender.publishAsync(topic, text, { qos: at % 2 === 0 ? 1 : 2 })));
      await eventually(
        () => `300 messages arrive, not ${got.length}`,
        () => got.length === sent.length,
      );
      // In order at each quality of service: MQTT.js tells of a QoS 2 message at its PUBREL, after later ones at QoS 1.
      for (const qos of [1, 2]) {
        const expected = sent.filter((_, at) => at % 2 === qos - 1);
        expect(got.filter((delivery) => delivery.qos === qos).map(({ text }) => text)).toEqual(expected);
      }
      await receiver.endAsync();
      await sender.endAsync();
    });

    it("consumes a queue", async () => {
      const name = unique("queue");
      await createQueue(broker, { name, topic_filter: name });
      const consumer = await connect();
      const got = collect(consumer);
      await consumer.subscribeAsync(`$queue/${name}`, { qos: 1 });
      const producer = await connect();
      const sent = Array.from({ length: 200 }, (_, at) => `${at}`);
      await Promise.all(sent.map((text) => producer.publishAsync(name, text, { qos: 1 })));
      await eventually("all are acknowledged", async () => (await ledgerOf(broker, name)).acknowledged === sent.length);
      expect(got.map(({ text }) => text)).toEqual(sent);
      await consumer.endAsync();
      await producer.endAsync();
    });
  });
});

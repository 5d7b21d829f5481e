/**
 * Goal: stock clients work as they come, in both versions, over every transport they have: every quality of service, retained
 * messages, wills, sessions across a restart of the broker, request and response.
 * Method: each client of test/harness/stock.ts goes through the same, against the real broker; docs/clients.md says what was run.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { isMissing } from "../harness/needs.ts";
import { run } from "../harness/process.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import {
  compilePahoC,
  endpointOf,
  type Level,
  type Message,
  mosquittoFlags,
  STOCK_CLIENTS,
  type StockClient,
  TRANSPORTS,
  type TransportName,
} from "../harness/stock.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const LEVELS: readonly Level[] = [4, 5];
const QUALITIES = [0, 1, 2] as const;
const EACH = 10;

/** Every client with every version that it has. */
const pairsOf = (clients: readonly StockClient[]) =>
  clients.flatMap((client) => LEVELS.map((level) => ({ client, level, title: `${client.name}, version ${level}` })));

const here = STOCK_CLIENTS.filter(({ peers }) => !isMissing(...peers));

describeWorkers("stock clients", (workers) => {
  // The others carry the same bytes: one number of workers is enough for every run.
  const transports = (Object.keys(TRANSPORTS) as TransportName[]).filter(
    (transport) => transport === "tcp" || workers > 1 || isFullSize,
  );
  describe.each(transports)("over %s", (transport) => {
    const clients = here.filter(({ transports }) => transports.includes(transport));
    let broker: Broker;
    let removePahoC: (() => Promise<void>) | undefined;
    beforeAll(async () => {
      if (clients.some(({ peers }) => peers.includes("pahoC"))) removePahoC = await compilePahoC();
      broker = await Broker.start({ workers, settings: TRANSPORTS[transport].settings });
    });
    afterAll(async () => {
      await broker.stop();
      await broker.remove();
      await removePahoC?.();
    });
    const endpoint = () => endpointOf(broker, transport);

    it.concurrent.each(pairsOf(clients))(
      "$title: every quality of service, retained, will",
      async ({ client, level }) => {
        const root = unique("interop");
        const kept: Message = { topic: `${root}/kept`, text: "kept", qos: 1, retain: true };
        await client.publish(endpoint(), level, [kept]);
        const witness = await RawClient.connected(broker.mqttPort, unique("witness"));
        await witness.subscribe(`${root}-will`, { qos: 1 });

        const how = { clientId: unique("subscriber"), filter: `${root}/#`, will: `${root}-will` };
        const subscriber = client.subscribe(endpoint(), level, how);
        expect(await subscriber.subscribed).not.toBe(true);
        await eventually("the retained message comes", () => subscriber.received.length > 0, 30_000);
        expect(subscriber.received).toEqual([kept]);

        const messages = QUALITIES.flatMap((qos) =>
          Array.from(
            { length: EACH },
            (_, at): Message => ({ topic: `${root}/${qos}`, text: `${qos}-${at}`, qos, retain: false }),
          ),
        );
        await client.publish(endpoint(), level, messages);
        const expected = [kept, ...messages];
        const saying = (): string => `${expected.length} messages come, not ${JSON.stringify(subscriber.received)}`;
        await eventually(saying, () => subscriber.received.length >= expected.length, 30_000);
        for (const qos of QUALITIES) {
          const ofQos = subscriber.received.filter((message) => message.topic === `${root}/${qos}`);
          if (!client.isOrdered) ofQos.sort((one, other) => one.text.localeCompare(other.text));
          expect(ofQos).toEqual(messages.filter((message) => message.qos === qos)); // Each once, in order, as published.
        }
        await subscriber.kill();
        expect(await witness.receiveTexts(1)).toEqual(["gone"]);
        await witness.end();
      },
    );

    it("keep their sessions across a kill of the broker", async () => {
      const sleepers = pairsOf(clients).map((pair) => ({
        ...pair,
        clientId: unique("sleeper"),
        root: unique("slept"),
      }));
      const subscribe = ({ client, level, clientId, root }: (typeof sleepers)[number]) =>
        client.subscribe(endpoint(), level, { clientId, filter: `${root}/#`, isLasting: true });
      const missed = (root: string): Message[] =>
        ([1, 2] as const).map((qos) => ({ topic: `${root}/${qos}`, text: `missed ${qos}`, qos, retain: false }));

      await Promise.all(
        sleepers.map(async (sleeper) => {
          const subscriber = subscribe(sleeper);
          expect([sleeper.title, await subscriber.subscribed]).not.toEqual([sleeper.title, true]);
          await subscriber.end();
          await sleeper.client.publish(endpoint(), sleeper.level, missed(sleeper.root));
        }),
      );
      await broker.kill();
      await broker.restart();
      await Promise.all(
        sleepers.map(async (sleeper) => {
          const subscriber = subscribe(sleeper);
          expect([sleeper.title, await subscriber.subscribed]).not.toEqual([sleeper.title, false]);
          const awake: Message = { topic: `${sleeper.root}/3`, text: "awake", qos: 2, retain: false };
          await sleeper.client.publish(endpoint(), sleeper.level, [awake]);
          const expected = [...missed(sleeper.root), awake];
          const saying = (): string => `${sleeper.title}: ${JSON.stringify(subscriber.received)}`;
          await eventually(saying, () => subscriber.received.length >= expected.length, 30_000);
          await subscriber.end();
          expect(subscriber.received.toSorted((one, other) => one.topic.localeCompare(other.topic))).toEqual(expected);
        }),
      );
    });

    const responders = isMissing("mosquittoClients") ? [] : clients.filter(({ canRespond }) => canRespond);
    it.concurrent.each(pairsOf(responders))("$title: answers what mosquitto_rr asks", async ({ client, level }) => {
      const topic = unique("request");
      const how = { clientId: unique("responder"), filter: topic, responds: true };
      const responder = client.subscribe(endpoint(), level, how);
      await responder.subscribed;
      const properties = level === 5 ? ["-D", "publish", "correlation-data", "17"] : [];
      const ask = ["-t", topic, "-e", `${topic}/response`, "-m", "what", "-q", "1", "-W", "30", ...properties];
      const asker = endpointOf(broker, transport === "tcp" ? transport : "tcp");
      const { code, stdout, stderr } = await run("mosquitto_rr", [...mosquittoFlags(asker, level), ...ask]);
      expect([code, stdout.trim(), stderr]).toEqual([0, "WHAT", ""]);
      await responder.end();
    });
  });
});

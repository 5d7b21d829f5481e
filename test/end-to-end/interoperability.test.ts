/**
 * Goal: stock clients work as they come, in both versions, over every transport they have: every quality of service, retained
 * messages, wills, sessions across a restart of the broker, request and response.
 * Method: each client of test/harness/stock.ts goes through the same, against the real broker; docs/clients.md says what was run.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { Authority, type CertificatePaths } from "../harness/certificates.ts";
import { isMissing } from "../harness/needs.ts";
import { run } from "../harness/process.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import {
  compilePahoC,
  endpointOf,
  type Level,
  listenersOf,
  type Message,
  mosquittoFlags,
  STOCK_CLIENTS,
  type StockClient,
  TRANSPORTS,
  type TransportName,
} from "../harness/stock.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";
import { testSeed } from "../random.ts";

const LEVELS: readonly Level[] = [4, 5];
const QUALITIES = [0, 1, 2] as const;
const EACH = 10;

interface Case {
  readonly client: StockClient;
  readonly transport: TransportName;
  readonly level: Level;
  readonly title: string;
}

/**
 * What to run with so many workers. In full all; else, for the others carry the same bytes, TCP, WebSocket with several workers, and what is
 * encrypted once for each client, in a version and with workers that the seed draws.
 */
function casesOf(workers: number): Case[] {
  const isDrawn = (client: number, transport: number, level: Level): boolean =>
    ((testSeed + client + transport) & 3) === (workers > 1 ? 2 : 0) + (level - 4);
  return STOCK_CLIENTS.flatMap((client, clientAt) =>
    client.transports.flatMap((transport, transportAt) =>
      LEVELS.filter((level) => {
        if (isFullSize || transport === "tcp") return true;
        return TRANSPORTS[transport].isEncrypted ? isDrawn(clientAt, transportAt, level) : workers > 1;
      }).map((level) => {
        const title = `${client.name} over ${TRANSPORTS[transport].title}, version ${level}`;
        return { client, transport, level, title };
      }),
    ),
  ).filter(({ client: { peers } }) => !isMissing(...peers));
}

describe.skipIf(isMissing("openssl"))("with certificates", () => {
  let authority: Authority;
  let certificate: CertificatePaths;
  let removePahoC: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    authority = new Authority();
    certificate = authority.issue("the broker");
    if (!isMissing("pahoC", "compiler")) removePahoC = await compilePahoC();
  });
  afterAll(async () => {
    authority.remove();
    await removePahoC?.();
  });

  describeWorkers("stock clients", (workers) => {
    const cases = casesOf(workers);
    let broker: Broker;
    beforeAll(async () => {
      broker = await Broker.start({ workers, settings: listenersOf(certificate) });
    });
    afterAll(async () => {
      await broker.stop();
      await broker.remove();
    });
    const endpoint = (transport: TransportName) => endpointOf(broker, transport, authority.ca);

    it.concurrent.each(cases)(
      "$title: every quality of service, retained, will",
      async ({ client, transport, level }) => {
        const root = unique("interop");
        const kept: Message = { topic: `${root}/kept`, text: "kept", qos: 1, retain: true };
        await client.publish(endpoint(transport), level, [kept]);
        const witness = await RawClient.connected(broker.mqttPort, unique("witness"));
        await witness.subscribe(`${root}-will`, { qos: 1 });

        const how = { clientId: unique("subscriber"), filter: `${root}/#`, will: `${root}-will` };
        const subscriber = client.subscribe(endpoint(transport), level, how);
        expect(await subscriber.subscribed).not.toBe(true);
        await eventually("the retained message comes", () => subscriber.received.length > 0, 30_000);
        expect(subscriber.received).toEqual([kept]);

        const messages = QUALITIES.flatMap((qos) =>
          Array.from(
            { length: EACH },
            (_, at): Message => ({ topic: `${root}/${qos}`, text: `${qos}-${at}`, qos, retain: false }),
          ),
        );
        await client.publish(endpoint(transport), level, messages);
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
      const sleepers = cases.map((each) => ({
        ...each,
        clientId: unique("sleeper"),
        root: unique("slept"),
      }));
      const subscribe = ({ client, transport, level, clientId, root }: (typeof sleepers)[number]) =>
        client.subscribe(endpoint(transport), level, { clientId, filter: `${root}/#`, isLasting: true });
      const missed = (root: string): Message[] =>
        ([1, 2] as const).map((qos) => ({ topic: `${root}/${qos}`, text: `missed ${qos}`, qos, retain: false }));

      await Promise.all(
        sleepers.map(async (sleeper) => {
          const subscriber = subscribe(sleeper);
          expect([sleeper.title, await subscriber.subscribed]).not.toEqual([sleeper.title, true]);
          await subscriber.end();
          await sleeper.client.publish(endpoint(sleeper.transport), sleeper.level, missed(sleeper.root));
        }),
      );
      await broker.kill();
      await broker.restart();
      await Promise.all(
        sleepers.map(async (sleeper) => {
          const subscriber = subscribe(sleeper);
          expect([sleeper.title, await subscriber.subscribed]).not.toEqual([sleeper.title, false]);
          const awake: Message = { topic: `${sleeper.root}/3`, text: "awake", qos: 2, retain: false };
          await sleeper.client.publish(endpoint(sleeper.transport), sleeper.level, [awake]);
          const expected = [...missed(sleeper.root), awake];
          const saying = (): string => `${sleeper.title}: ${JSON.stringify(subscriber.received)}`;
          await eventually(saying, () => subscriber.received.length >= expected.length, 30_000);
          await subscriber.end();
          expect(subscriber.received.toSorted((one, other) => one.topic.localeCompare(other.topic))).toEqual(expected);
        }),
      );
    });

    const responders = isMissing("mosquittoClients") ? [] : cases.filter(({ client }) => client.canRespond);
    it.concurrent.each(responders)("$title: answers what mosquitto_rr asks", async ({ client, transport, level }) => {
      const topic = unique("request");
      const how = { clientId: unique("responder"), filter: topic, responds: true };
      const responder = client.subscribe(endpoint(transport), level, how);
      await responder.subscribed;
      const properties = level === 5 ? ["-D", "publish", "correlation-data", "17"] : [];
      const ask = ["-t", topic, "-e", `${topic}/response`, "-m", "what", "-q", "1", "-W", "30", ...properties];
      const asker = endpoint(TRANSPORTS[transport].isEncrypted ? "tls" : "tcp"); // It has no WebSocket.
      const { code, stdout, stderr } = await run("mosquitto_rr", [...mosquittoFlags(asker, level), ...ask]);
      expect([code, stdout.trim(), stderr]).toEqual([0, "WHAT", ""]);
      await responder.end();
    });
  });
});

/**
 * Goal: no sequence of valid packets and REST calls around queues stops the broker, bends a ledger or loses a job.
 * Method: attackers under few client IDs, so that they take over from each other, do one random thing after another: connect, subscribe,
 * unsubscribe, publish, acknowledge rightly, wrongly, twice or late, reject, disconnect, cut. REST makes, changes and deletes the queues
 * meanwhile. One queue stays: each job of it that its publisher saw acknowledged was acknowledged by a consumer or comes in the end.
 */
import type { IPublishPacket } from "mqtt-packet";
import { expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";

const ATTACK_MS = isFullSize ? 15_000 : 3_000;
const ATTACKERS = 8;
const CLIENT_IDS = 5;
const FILTERS = ["attack/+", "attack/1", "attack/#", "#"];
const STRATEGIES = ["random", "round_robin", "least_inflight"];

describeWorkers(`queues under attack, seed ${testSeed}`, (workers) => {
  it(
    "stay even, and lose nothing",
    async () => {
      const broker = await Broker.start({ workers });
      try {
        await createQueue(broker, { name: "kept", topic_filter: "kept/#" });
        const endMs = performance.now() + ATTACK_MS;
        const isOver = (): boolean => performance.now() > endMs;
        /** Jobs of `kept` that a consumer acknowledged, as far as it knows: the broker may have heard it or not. */
        const settled = new Set<string>();
        const lateIds = new Map<string, number>();
        let connections = 0;

        const attack = async (seed: number): Promise<void> => {
          const random = randomOf(seed);
          const below = (bound: number): number => Math.floor(random() * bound);
          const address = (): string =>
            ["$queue/kept", "$q/kept/#", `$queue/churned-${below(3)}`, `$q/${FILTERS[below(4)]}`][below(4)]!;
          while (!isOver()) {
            const clientId = `attacker-${below(CLIENT_IDS)}`;
            const version = below(2) === 0 ? 4 : 5;
            const isKept = below(2) === 0;
            const expiry = version === 5 && isKept ? { properties: { sessionExpiryInterval: below(100) } } : {};
            const options = { version, clean: !isKept, ...expiry } as const;
            const client = await RawClient.connected(broker.mqttPort, clientId, options).catch(undefinedIfTakenOver);
            if (client === undefined) continue;
            connections += 1;
            const held: IPublishPacket[] = [];
            const acknowledge = (packet: IPublishPacket, code: number): void => {
              if (packet.qos !== 1) return;
              if (code < 0x80 && packet.topic.startsWith("kept/")) settled.add(packet.payload.toString());
              client.puback(packet.messageId!, code);
              lateIds.set(clientId, packet.messageId!);
            };
            for (let moves = 5 + below(60); moves > 0 && !client.isClosed && !isOver(); moves -= 1) {
              const packet = await client.take("publish", 1).catch(() => undefined);
              if (packet !== undefined) held.push(packet);
              const some = held.length === 0 ? undefined : held[below(held.length)]!;
              switch (below(9)) {
                case 0:
                case 1: {
                  const topic = address();
                  const qos = topic.includes("kept") ? 1 : (below(2) as 0 | 1);
                  client.send({
                    cmd: "subscribe",
                    messageId: client.nextIdentifier(),
                    subscriptions: [{ topic, qos, ...(version === 5 ? { nl: false, rap: false, rh: 0 } : {}) }],
                  });
                  break;
                }
                case 2:
                  client.send({
                    cmd: "unsubscribe",
                    messageId: client.nextIdentifier(),
                    unsubscriptions: [address()],
                  });
                  break;
                case 3:
                  client.publish(`attack/${below(3)}`, `${seed}`, { qos: below(3) as 0 | 1 | 2 });
                  break;
                case 4:
                  if (some !== undefined && version === 5) acknowledge(some, 0x80 + below(2) * 3);
                  break;
                case 5: // Acknowledged before, on this connection or an earlier one.
                  if (lateIds.has(clientId)) client.puback(lateIds.get(clientId)!);
                  break;
                case 6:
                  if (some !== undefined) for (let times = below(2); times >= 0; times -= 1) acknowledge(some, 0);
                  break;
                default:
                  for (const each of held.splice(0, held.length >> 1)) acknowledge(each, 0);
              }
            }
            await (below(2) === 0 ? client.end() : client.cut());
          }
        };

        const administer = async (seed: number): Promise<void> => {
          const random = randomOf(seed);
          const below = (bound: number): number => Math.floor(random() * bound);
          while (!isOver()) {
            const name = `churned-${below(3)}`;
            const settings = {
              dispatch_strategy: STRATEGIES[below(3)],
              local_max_inflight: 1 + below(20),
              redispatch_interval: below(2) * 50 + 1,
            };
            const isLastValue = below(3) === 0;
            const created = { name, topic_filter: FILTERS[below(3)], is_lastvalue: isLastValue, ...settings };
            const calls = [
              () => request(broker, "POST", "/api/v5/queues", created),
              () => request(broker, "PUT", `/api/v5/queue/${name}`, settings),
              () => request(broker, "PUT", "/api/v5/queue/kept", settings),
              () => request(broker, "DELETE", `/api/v5/queue/${name}`),
              () => request(broker, "DELETE", `/api/v5/clients/attacker-${below(CLIENT_IDS)}`),
              () => request(broker, "GET", `/api/v5/queue/${name}/status`),
            ];
            expect((await calls[below(calls.length)]!()).status).toBeLessThan(500);
            expect((await ledgerOf(broker, "kept")).difference).toBe(0);
            await pause(below(10));
          }
        };

        const published = new Set<string>();
        const publish = async (): Promise<void> => {
          const client = await RawClient.connected(broker.mqttPort, "publisher");
          for (let number = 0; !isOver(); number += 1) {
            if ((await client.publishSettled(`kept/${number % 7}`, `${number}`, { qos: 1 })) === 0) {
              published.add(`${number}`);
            }
          }
          await client.end();
        };

        const attackers = Array.from({ length: ATTACKERS }, (_, at) => attack(testSeed + at * 7_919));
        await Promise.all([...attackers, administer(testSeed + 1), publish()]);
        expect(Math.min(connections, settled.size, published.size)).toBeGreaterThan(ATTACKERS);
        for (let at = 0; at < CLIENT_IDS; at += 1) {
          const last = await RawClient.connected(broker.mqttPort, `attacker-${at}`);
          await last.end(); // Clean: sessions that were kept hold nothing of a queue any more.
        }

        const last = await RawClient.connected(broker.mqttPort, "last");
        await last.subscribe("$queue/kept", { qos: 1 });
        const missing = (): string[] => [...published].filter((text) => !settled.has(text));
        await eventually(
          () => `${missing().length} jobs come: ${missing().slice(0, 5)}`,
          async () => {
            for (;;) {
              const packet = await last.receive(50).catch(() => undefined);
              if (packet === undefined) break;
              settled.add(packet.payload.toString());
            }
            const { acknowledged, stored } = await ledgerOf(broker, "kept");
            return acknowledged === stored && missing().length === 0;
          },
          60_000,
        );
        const { stored, waiting, in_flight, difference } = await ledgerOf(broker, "kept");
        expect({ stored, waiting, in_flight, difference }).toEqual({
          stored: published.size,
          waiting: 0,
          in_flight: 0,
          difference: 0,
        });
        await last.end();
        expect(broker.logs.filter((line) => /"level":"(error|fatal)"/.test(line))).toEqual([]);
        await broker.stop();
      } finally {
        await broker.remove();
      }
    },
    ATTACK_MS + 120_000,
  );
});

/** An attacker whose CONNECT is overtaken by another's of the same client ID gets no CONNACK: part of the game. */
function undefinedIfTakenOver(error: Error): undefined {
  expect(error.message).toMatch(/the connection was closed|ECONNRESET/);
  return undefined;
}

/**
 * Goal: clients that come and go like mad cost nobody else anything: no message, no descriptor, no turn of a witness.
 * Method: many rounds of one thing at a time (connections, takeovers, garbage, queues made and deleted, subscriptions) while messages
 * flow; then everything that was acknowledged to a publisher must have come, each ledger must be even, and the broker must hold as
 * many descriptors as before.
 */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, deleteQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";

const TIMES = isFullSize ? 3 : 1;
const CONNECTIONS = 500 * TIMES;
const TAKEOVERS = 60 * TIMES;
const FUZZED = 200 * TIMES;
const QUEUES = 8 * TIMES;
const TIMEOUT_MS = isFullSize ? 240_000 : 90_000;
const CHURN_MS = 1_000 * TIMES;

/** Publishes one by one until told to stop; what was acknowledged with success. */
class Publisher {
  readonly acknowledged = new Set<string>();
  #isStopped = false;
  #done: Promise<void>;

  constructor(client: RawClient, topic: string) {
    this.#done = this.#run(client, topic);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(client: RawClient, topic: string): Promise<void> {
    for (let number = 0; !this.#isStopped; number += 1) {
      const text = `${topic} ${number}`;
      if ((await client.publishSettled(topic, text, { qos: 1 })) === 0) this.acknowledged.add(text);
    }
    await client.end();
  }
}

describeWorkers("storms", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers });
  });
  afterAll(async () => {
    await broker.remove();
  });

  const open = (name: string): Promise<RawClient> => RawClient.connected(broker.mqttPort, name);
  const descriptors = (): number => readdirSync(`/proc/${broker.pid}/fd`).length;
  const publisher = async (topic: string): Promise<Publisher> => new Publisher(await open(`to ${topic}`), topic);

  /** Takes what comes until every wanted text has come. */
  const drain = async (client: RawClient, wanted: ReadonlySet<string>, received: Set<string>): Promise<void> => {
    const missing = (): string[] => [...wanted].filter((text) => !received.has(text));
    while (missing().length > 0) {
      const packet = await client.receive(5_000).catch(() => undefined);
      if (packet === undefined) throw new Error(`missing: ${missing().slice(0, 5).join(", ")}`);
      received.add(packet.payload.toString());
    }
  };

  /** Nothing of a queue is left over. */
  const expectEven = (name: string): Promise<void> =>
    eventually(`${name} is done with all its messages`, async () => {
      const { stored, acknowledged, waiting, in_flight, difference } = await ledgerOf(broker, name);
      return acknowledged === stored && waiting === 0 && in_flight === 0 && difference === 0;
    });

  it(
    "give back the descriptors of connections, whole and broken off",
    async () => {
      const whole = async (at: number): Promise<void> => {
        const client = await open(`storm-${at}`);
        await (at % 2 === 0 ? client.end() : client.cut());
      };
      const brokenOff = (at: number): Promise<void> =>
        new Promise((resolve) => {
          const socket = connect(broker.mqttPort, "127.0.0.1", () => {
            socket.write(Buffer.from([0x10, 0x20, 0]).subarray(0, at % 4));
            setTimeout(() => socket.destroy(), at % 10);
          });
          socket.on("error", () => {}).on("close", () => resolve());
        });
      const storm = async (connections: number): Promise<void> => {
        for (let at = 0; at < connections; at += 20) {
          const some = Array.from({ length: 20 }, (_, more) => at + more);
          await Promise.all(some.flatMap((number) => [whole(number), brokenOff(number)]));
        }
      };
      await storm(100); // What is opened once, when it is first needed, is open from here on.
      await pause(200);
      const before = descriptors();
      await storm(CONNECTIONS);
      await eventually(
        () => `${before} descriptors, not ${descriptors()}`,
        () => descriptors() <= before,
      );
    },
    TIMEOUT_MS,
  );

  it(
    "of takeovers lose nothing of a queue",
    async () => {
      await createQueue(broker, { name: "taken", topic_filter: "taken" });
      const traffic = await publisher("taken");
      const received = new Set<string>();
      for (let round = 0; round < TAKEOVERS; round += 1) {
        const lasting = { clean: false, properties: { sessionExpiryInterval: 100 } };
        const client = await RawClient.connected(broker.mqttPort, "one", round % 3 === 0 ? {} : lasting);
        if (!client.connack.sessionPresent) await client.subscribe("$queue/taken", { qos: 1 });
        const endMs = performance.now() + (round % 7) * 4;
        while (performance.now() < endMs) {
          const packet = await client.take("publish", Math.max(1, endMs - performance.now())).catch(() => undefined);
          if (packet === undefined) break;
          received.add(packet.payload.toString());
          if (received.size % 5 !== 0) client.puback(packet.messageId!);
        }
      }
      await traffic.stop();
      const last = await open("one");
      await last.subscribe("$queue/taken", { qos: 1 });
      await drain(last, traffic.acknowledged, received);
      while ((await last.receive(200).catch(() => undefined)) !== undefined);
      await expectEven("taken");
      await last.end();
    },
    TIMEOUT_MS,
  );

  it(
    "of garbage stop nobody else",
    async () => {
      const witness = await open("witness");
      await witness.subscribe("witness", { qos: 1 });
      const traffic = await publisher("witness");
      const packets: Packet[] = [
        { cmd: "publish", topic: "a/b", payload: "x", qos: 1, messageId: 3, retain: false, dup: false },
        { cmd: "publish", topic: "a/b", payload: "y", qos: 2, messageId: 6, retain: true, dup: false },
        { cmd: "subscribe", messageId: 4, subscriptions: [{ topic: "a/+", qos: 2 }] },
        { cmd: "unsubscribe", messageId: 5, unsubscriptions: ["a/+"] },
        { cmd: "pubrel", messageId: 6 },
        { cmd: "puback", messageId: 6 },
      ];
      const send = (bytes: Buffer, cut: number): Promise<void> =>
        new Promise((resolve) => {
          const socket = connect(broker.mqttPort, "127.0.0.1", () => {
            socket.write(bytes.subarray(0, cut));
            setTimeout(() => socket.write(bytes.subarray(cut)), 1);
            setTimeout(() => socket.destroy(), 15);
          });
          socket
            .resume()
            .on("error", () => {})
            .on("close", () => resolve());
        });
      const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
      const connection = fc.tuple(fc.constantFrom(4, 5), fc.shuffledSubarray(packets), flips, fc.nat(), fc.boolean());
      await fc.assert(
        fc.asyncProperty(fc.array(connection, { minLength: 10, maxLength: 10 }), async (connections) => {
          const sending = connections.map(([version, sent, changes, cut, isNoise], at) => {
            const hello: Packet = {
              cmd: "connect",
              clientId: `garbage-${at}`,
              protocolVersion: version as 4 | 5,
              keepalive: 0,
            };
            const parts = [hello, ...sent].map((packet) => generate(packet, { protocolVersion: 4 }));
            const bytes = isNoise ? Buffer.concat([parts[0]!, randomBytes(100)]) : Buffer.concat(parts);
            for (const [place, value] of changes) bytes[place % bytes.length] = value;
            return send(bytes, cut % bytes.length);
          });
          await Promise.all(sending);
        }),
        { numRuns: FUZZED / 10 },
      );
      await traffic.stop();
      await drain(witness, traffic.acknowledged, new Set());
      await witness.end();
    },
    TIMEOUT_MS,
  );

  it(
    "of queues made and deleted under traffic leave every other ledger even",
    async () => {
      await createQueue(broker, { name: "steady", topic_filter: "steady/#" });
      const consumer = await open("steady consumer");
      await consumer.subscribe("$queue/steady", { qos: 1 });
      const traffic = await publisher("steady/1");
      const waiting = await open("waits for its queue");
      await waiting.subscribe("$queue/again", { qos: 1 });
      const sender = await open("sender");
      for (let round = 0; round < QUEUES; round += 1) {
        await createQueue(broker, { name: "again", topic_filter: "steady/+" });
        for (let number = 0; number < 10; number += 1) {
          expect(await sender.publishSettled("steady/2", `${round}/${number}`, { qos: 1 })).toBe(0);
        }
        // What is published after the answer to POST comes; some is acknowledged, the rest goes with the queue.
        const expected = `${round}/${number(round)}`;
        for (let text = ""; text !== expected; ) text = (await waiting.receive()).payload.toString();
        const { difference } = await ledgerOf(broker, "again");
        expect(difference).toBe(0);
        expect(await deleteQueue(broker, "again")).toBeLessThan(300);
      }
      await traffic.stop();
      const all = new Set(traffic.acknowledged);
      for (let round = 0; round < QUEUES; round += 1) for (let at = 0; at < 10; at += 1) all.add(`${round}/${at}`);
      await drain(consumer, all, new Set());
      await expectEven("steady");
      for (const client of [consumer, waiting, sender]) await client.end();
    },
    TIMEOUT_MS,
  );

  it(
    "of subscriptions, and a kill in their middle, lose nothing of who stays",
    async () => {
      await createQueue(broker, { name: "churned", topic_filter: "churned/#" });
      const steady = await open("steady subscriber");
      await steady.subscribe("churned/+", { qos: 1 });
      const traffic = await publisher("churned/1");
      let isDone = false;
      const churn = async (at: number): Promise<void> => {
        const client = await open(`churn-${at}`);
        const filters = ["churned/#", "churned/+", "$queue/churned", "churned/1"];
        for (let round = at; !isDone; round += 1) {
          await client.subscribe(filters[round % 4]!, { qos: 1 });
          await pause(round % 5);
          client.send({
            cmd: "unsubscribe",
            messageId: client.nextIdentifier(),
            unsubscriptions: [filters[round % 4]!],
          });
          await client.take("unsuback");
        }
        await client.cut();
      };
      const churning = Promise.allSettled([0, 1, 2, 3, 4].map(churn)); // The kill ends them.
      await pause(CHURN_MS);
      await traffic.stop();
      await drain(steady, traffic.acknowledged, new Set());
      await broker.kill();
      isDone = true;
      await churning;
      await broker.restart();
      const { stored, waiting, acknowledged, difference } = await ledgerOf(broker, "churned");
      expect([stored, waiting + acknowledged, difference]).toEqual([traffic.acknowledged.size, stored, 0]);
      const consumer = await open("last");
      await consumer.subscribe("$queue/churned", { qos: 1 });
      for (let left = waiting; left > 0; left -= 1) await consumer.receive();
      await expectEven("churned");
      await consumer.end();
    },
    TIMEOUT_MS,
  );
});

/** One of the ten, by round. */
function number(round: number): number {
  return (round * 3) % 10;
}

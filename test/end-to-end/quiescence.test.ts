/**
 * Goal: whatever went before, at rest no message waits while a consumer that takes it has room, and every count of what is in flight is
 * that of the consumers themselves: no wake-up is lost, no counter drifts.
 * Method: publishers, consumers and an operator do everything they may at random; from time to time all hold still, and the status of
 * every queue is compared with what the clients have in their hands. Then everything is settled, and nothing may be left.
 */
import { afterEach, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, deleteQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";
import { RestlessConsumer, SMALL_PACKET_BYTES } from "./restless-consumer.ts";

const RESTS = Number(process.env.RESTANTE_TEST_RUNS ?? (isFullSize ? 12 : 3));
const RESTLESS_MS = isFullSize ? 3_000 : 700;
const CONSUMERS = 12;
const PUBLISHERS = 3;
const PUBLISHER_WINDOW = 30;
const AFTER_STORM = 400;
const TIMEOUT_MS = 300_000;
/** Of a packet beside its payload, at most. */
const HEADER_BYTES_MAX = 200;

const QUEUES = ["plain", "wide", "last", "memory", "small", "turns"];
const FILTERS = [...QUEUES.map((name) => `$queue/${name}`), "$q/t/+", "$queue/turns/t/#"];
const STRATEGIES = ["random", "round_robin", "least_inflight"];
const SIZES = [10, 10, 100, 500, 3_000, 30_000];

interface Status {
  readonly waiting: number;
  readonly in_flight: number;
  readonly consumers: readonly Seen[];
}

interface Seen {
  readonly clientid: string;
  readonly in_flight: number;
  readonly window: number;
  readonly paused: string | null;
}

describeWorkers("at rest", (workers) => {
  let broker: Broker;
  afterEach(() => broker.remove());

  const definitionOf = (name: string): Record<string, unknown> => {
    switch (name) {
      case "wide":
        return { name, topic_filter: "t/+", dispatch_strategy: "least_inflight", local_max_inflight: 100 };
      case "last":
        return { name, topic_filter: "t/#", is_lastvalue: true, key_expression: "message.topic" };
      case "memory":
        return { name, topic_filter: "t/1/#", durability: "memory" };
      case "small":
        return { name, topic_filter: "t/#", limits: { max_shard_message_count: 100 } };
      case "turns":
        return { name, topic_filter: "t/#", dispatch_strategy: "round_robin", local_max_inflight: 1 };
      default:
        return { name, topic_filter: "t/2/#" };
    }
  };

  async function statusOf(name: string): Promise<Status> {
    const { body } = await request(broker, "GET", `/api/v5/queues/${name}/status`);
    return body as Status;
  }

  /** What is wrong at rest; undefined when nothing is. */
  async function faultOf(name: string, consumers: ReadonlyMap<string, RestlessConsumer>): Promise<string | undefined> {
    const status = await statusOf(name);
    const held = status.consumers.reduce((sum, { in_flight }) => sum + in_flight, 0);
    if (held !== status.in_flight) return `${name}: its consumers have ${held} of ${status.in_flight} in flight`;
    if (status.waiting === 0) return undefined;
    const withRoom = status.consumers.filter(({ clientid, in_flight, window }) => {
      const consumer = consumers.get(clientid);
      return in_flight < window && consumer !== undefined && consumer.held.size < consumer.receiveMaximum;
    });
    const idle = withRoom.find(({ clientid }) => consumers.get(clientid)?.isSmall === false);
    if (idle !== undefined) return `${name}: ${status.waiting} wait while there is room at ${JSON.stringify(idle)}`;
    if (withRoom.length === 0) return undefined;
    const { body } = await request(broker, "GET", `/api/v5/queues/${name}/messages?limit=10000`);
    const { data } = body as { data: { topic: string }[] };
    const fitting = data.filter(({ topic }) => Number(topic.split("/")[2]) < SMALL_PACKET_BYTES - HEADER_BYTES_MAX);
    return fitting.length === 0
      ? undefined
      : `${name}: ${fitting.length} small ones wait at ${JSON.stringify(withRoom)}`;
  }

  /** The clients' own counts against the broker's. */
  async function driftOf(consumers: ReadonlyMap<string, RestlessConsumer>): Promise<string | undefined> {
    const counted = new Map<string, number>();
    for (const name of QUEUES) {
      for (const { clientid, in_flight } of (await statusOf(name)).consumers) {
        counted.set(clientid, (counted.get(clientid) ?? 0) + in_flight);
      }
    }
    for (const [clientId, { held, receiveMaximum }] of consumers) {
      const count = counted.get(clientId) ?? 0;
      // What several queues gave it at once waits in its session for its window.
      if (count > held.size && held.size === receiveMaximum) continue;
      if (count !== held.size) return `${clientId} holds ${held.size} and is said to hold ${count}`;
    }
    return undefined;
  }

  async function publishUntil(isDone: () => boolean, name: string, random: () => number): Promise<void> {
    const client = await RawClient.connected(broker.mqttPort, name);
    let unacknowledged = 0;
    while (!isDone()) {
      for (; unacknowledged < PUBLISHER_WINDOW; unacknowledged += 1) publishOne(client, random, 1);
      await client.take("puback");
      unacknowledged -= 1;
      while (client.tryTake("puback") !== undefined) unacknowledged -= 1;
      await pause(random() * 4);
    }
    for (; unacknowledged > 0; unacknowledged -= 1) await client.take("puback");
    await client.end();
  }

  function publishOne(client: RawClient, random: () => number, qos: 0 | 1): void {
    const bytes = SIZES[Math.floor(random() ** 2 * SIZES.length)]!;
    client.publish(`t/${Math.floor(random() * 4)}/${bytes}`, Buffer.alloc(bytes, "x"), { qos });
  }

  /** Changes, purges, deletes and makes queues. */
  async function operateUntil(isDone: () => boolean, random: () => number): Promise<void> {
    while (!isDone()) {
      const name = QUEUES[Math.floor(random() * QUEUES.length)]!;
      const chance = random();
      if (chance < 0.1) {
        expect(await deleteQueue(broker, name)).toBe(204);
        await pause(random() * 20);
        await createQueue(broker, definitionOf(name));
      } else if (chance < 0.15) {
        await request(broker, "DELETE", `/api/v5/queues/${name}/messages`);
      } else if (chance < 0.5) {
        const change = {
          dispatch_strategy: STRATEGIES[Math.floor(random() * STRATEGIES.length)],
          local_max_inflight: 1 + Math.floor(random() ** 3 * 200),
        };
        expect((await request(broker, "PUT", `/api/v5/queues/${name}`, change)).status).toBe(200);
      }
      await pause(random() * 40);
    }
  }

  it(
    "nobody waits in vain and every count is right",
    async () => {
      const seed = testSeed + workers;
      const random = randomOf(seed);
      process.stdout.write(`quiescence: seed ${seed}\n`);
      broker = await Broker.start({ workers });
      for (const name of QUEUES) await createQueue(broker, definitionOf(name));
      const consumers = new Map<string, RestlessConsumer>();
      for (let at = 0; at < CONSUMERS; at += 1) {
        const clientId = `c${at}`;
        const own = randomOf(seed * 1_000 + at);
        consumers.set(
          clientId,
          new RestlessConsumer({ port: broker.mqttPort, clientId, filters: FILTERS, random: own }),
        );
      }
      for (let rest = 0; rest < RESTS; rest += 1) {
        let isOver = false;
        const isDone = () => isOver;
        const busy = [
          ...Array.from({ length: PUBLISHERS }, (_, at) => publishUntil(isDone, `p${at}`, random)),
          operateUntil(isDone, random),
        ];
        await pause(RESTLESS_MS);
        isOver = true;
        await Promise.all(busy);
        await Promise.all([...consumers.values()].map((consumer) => consumer.holdStill()));
        const last = await RawClient.connected(broker.mqttPort, "last");
        for (let count = 0; count < AFTER_STORM; count += 1) publishOne(last, random, 1);
        for (let count = 0; count < AFTER_STORM; count += 1) await last.take("puback");
        await last.end();
        let fault: string | undefined;
        await eventually(
          () => `all is well at rest ${rest}: ${fault}`,
          async () => {
            const faults = await Promise.all(QUEUES.map((name) => faultOf(name, consumers)));
            fault = faults.find((found) => found !== undefined) ?? (await driftOf(consumers));
            return fault === undefined;
          },
        );
        for (const consumer of consumers.values()) consumer.goOn();
      }
      await Promise.all([...consumers.values()].map((consumer) => consumer.holdStill()));
      const good = await RawClient.connected(broker.mqttPort, "good");
      for (const name of QUEUES) await good.subscribe(`$queue/${name}`, { qos: 1 });
      await eventually(
        "everything is settled",
        async () => {
          for (const consumer of consumers.values()) consumer.settle();
          for (let packet = good.tryTake("publish"); packet !== undefined; packet = good.tryTake("publish")) {
            good.puback(packet.messageId!);
          }
          const ledgers = await Promise.all(QUEUES.map((name) => ledgerOf(broker, name)));
          return ledgers.every(({ waiting, in_flight, difference }) => waiting + in_flight + difference === 0);
        },
        60_000,
      );
      const delivered = [...consumers.values()].reduce((sum, consumer) => sum + consumer.delivered, 0);
      process.stdout.write(`quiescence: seed ${seed}, ${RESTS} rests, ${delivered} deliveries\n`);
      await Promise.all([...consumers.values()].map((consumer) => consumer.stop()));
      await good.end();
      await broker.stop();
    },
    TIMEOUT_MS,
  );
});

/**
 * Goal: queues of every kind over the same messages keep, each, what docs/queues.md promises of it, through kills of the broker.
 * Method: stock publishers with QoS 1 and 2 that go on over every kill, consumers that acknowledge, reject, vanish and resume, an
 * operator who changes, purges, deletes and makes queues; the broker is killed (SIGKILL) in the moment in which a publisher has read an
 * acknowledgement, and started again. At the end everything is drained, and what no consumer ever got is compared with what its queue
 * may have lost. The harness looks at every ledger after every start.
 */
import { afterEach, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";
import { AUTO, type Counts, KINDS, SETTINGS } from "./mixed-kinds.ts";
import { MixedConsumer, MixedPublisher, type PublisherOptions } from "./mixed-load.ts";
import { MixedModel, type Published } from "./mixed-model.ts";
import { MixedOperator } from "./mixed-operator.ts";

const ROUNDS = isFullSize ? 12 : 3;
const SYNC_MS_MAX = 1_000;
/** Only what hangs takes so long, also on a machine with much else to do. */
const HANG_MS = 120_000;
const CONSUMERS = 2;
/** By each publisher in each round. */
const PUBLISHED_MIN = 20;
const LAST_VALUES = ["last", "last-memory"];

const PUBLISHERS: readonly Pick<PublisherOptions, "name" | "version" | "qos" | "topicOf" | "expiryS">[] = [
  { name: "four", version: 4, qos: 1, topicOf: (number) => `work/${number % 4}` },
  { name: "five", version: 5, qos: 1, topicOf: (number) => (number % 5 === 4 ? "auto/x" : `work/${number % 4}`) },
  { name: "twice", version: 4, qos: 2, topicOf: (number) => `once/${number % 3}` },
  { name: "state", version: 5, qos: 2, topicOf: (number) => `state/${number % 3}` },
  {
    name: "exact",
    version: 5,
    qos: 2,
    topicOf: (number) => (number % 4 === 3 ? "work/deep/er" : `work/${number % 4}`),
  },
  { name: "strict", version: 5, qos: 1, topicOf: () => "strict/x" },
  { name: "mortal", version: 5, qos: 1, topicOf: (number) => `mortal/${number}`, expiryS: 1 },
];

describeWorkers("kill, queues of every kind", (workers) => {
  let broker: Broker;
  let model: MixedModel;
  let random: () => number;
  let publishers: MixedPublisher[];
  let consumers: MixedConsumer[];
  /** The newest number that a consumer got, by queue of last values and topic. */
  let newest: Map<string, number>;
  afterEach(() => broker.remove());

  /** Of every queue. */
  const makeConsumers = (): MixedConsumer[] =>
    model.watches.flatMap((watch) =>
      Array.from(
        { length: KINDS[watch.name]?.consumers ?? CONSUMERS },
        (_, at) =>
          new MixedConsumer({
            clientId: `${watch.name}-${at === 0 ? 4 : 5}`,
            filter: watch.name === AUTO ? `$queue/${AUTO}/auto/#` : `$queue/${watch.name}`,
            watch,
            model,
            random,
            onDelivery: (published) => onDelivery(watch.name, published),
          }),
      ),
    );

  function onDelivery(queue: string, { topic, number }: Published): void {
    if (!LAST_VALUES.includes(queue)) return;
    const before = newest.get(`${queue} ${topic}`) ?? -1;
    if (queue === "last" && number < before) model.faults.push(`last: ${topic} ${number} came after ${before}`);
    newest.set(`${queue} ${topic}`, Math.max(before, number));
  }

  /** What everyone knows, for a wait that does not end. */
  const describeClients = (): string => `${publishers.join("\n")}\n${consumers.join("\n")}\n${model.faults.join("\n")}`;

  /** One life of the broker, to its kill and the next start. */
  async function live(operator: MixedOperator): Promise<void> {
    let isKilled = false;
    const isDone = () => isKilled;
    const life = { port: broker.mqttPort, isDone, isGood: false };
    const load = [...consumers.map((each) => each.consume(life)), operator.work(isDone)];
    const before = publishers.map(({ acknowledged }) => acknowledged);
    await eventually(
      () => `every publisher is back:\n${describeClients()}`,
      () => publishers.every(({ acknowledged }, at) => acknowledged > before[at]! + PUBLISHED_MIN),
      HANG_MS,
    );
    await pause(random() * 300);
    // As early after a PUBACK as can be: what had to be on disk for it, and is not, is lost.
    const publisher = publishers[Math.floor(random() * publishers.length)]!;
    let killedAtMs = 0;
    publisher.onNextAcknowledgement(() => {
      broker.signal("SIGKILL");
      killedAtMs = performance.now();
      isKilled = true;
    });
    await eventually(() => `${publisher} is acknowledged:\n${describeClients()}`, isDone, HANG_MS);
    await broker.ended;
    model.onKilled(killedAtMs);
    await Promise.all(load);
    expect(model.faults).toEqual([]);
    await broker.restart();
    await operator.lookAtLimits();
  }

  /** Everything is consumed; the ledgers then. Fails when nothing more is settled, however much is left. */
  async function drain(): Promise<Map<string, Counts>> {
    let isDrained = false;
    const life = { port: broker.mqttPort, isDone: () => isDrained, isGood: true };
    const draining = consumers.map((each) => each.consume(life));
    let isStopped = false;
    const stopping = Promise.all(publishers.map((each) => each.stop())).then(() => {
      isStopped = true;
    });
    await eventually(
      () => `every publisher is answered:\n${describeClients()}`,
      () => isStopped,
      HANG_MS,
    );
    await stopping;
    const ledgers = new Map<string, Counts>();
    const unsettled = () => [...ledgers.values()].filter(({ waiting, in_flight }) => waiting + in_flight > 0);
    const describe = (): string =>
      `everything is settled:\n${unsettled()
        .map((each) => JSON.stringify(each))
        .join("\n")}\n${describeClients()}`;
    const look = async (): Promise<number> => {
      for (const { name } of model.watches) {
        if ((await request(broker, "GET", `/api/v5/queues/${name}`)).status === 404) continue; // Deleted last.
        ledgers.set(name, (await ledgerOf(broker, name)) as Counts);
      }
      return unsettled().reduce((sum, { waiting, in_flight }) => sum + waiting + in_flight, 0);
    };
    let left = await look();
    while (left > 0) {
      const before = left;
      const isLess = async () => {
        left = await look();
        return left < before;
      };
      await eventually(describe, isLess, HANG_MS);
    }
    isDrained = true;
    await Promise.all(draining);
    return ledgers;
  }

  it(`each keeps what it promises in ${ROUNDS} rounds`, async () => {
    const seed = testSeed + workers;
    process.stdout.write(`mixed crash test: seed ${seed}, ${workers} workers\n`);
    random = randomOf(seed);
    model = new MixedModel(SYNC_MS_MAX);
    newest = new Map();
    broker = await Broker.start({ workers, settings: SETTINGS });
    for (const [name, { filter, definition }] of Object.entries(KINDS)) {
      await createQueue(broker, { name, ...definition });
      model.watch(name, (topic) => filter.test(topic));
    }
    model.watch(AUTO, (topic) => topic.startsWith("auto/"));
    const maker = await RawClient.connected(broker.mqttPort, "maker");
    await maker.subscribe(`$queue/${AUTO}/auto/#`);
    await maker.end();
    const port = () => broker.mqttPort;
    consumers = makeConsumers();
    publishers = PUBLISHERS.map((publisher) => new MixedPublisher({ ...publisher, model, port }));
    const operator = new MixedOperator(broker, model, random);
    for (let round = 0; round < ROUNDS; round += 1) await live(operator);
    const ledgers = await drain();

    const all = [...model.published.values()];
    const counts = model.watches.map(({ name, deliveries }) => `${name} ${deliveries}`).join(", ");
    process.stdout.write(`mixed crash test: seed ${seed}, ${ROUNDS} rounds, ${all.length} messages; ${counts}\n`);
    expect(model.faults).toEqual([]);
    for (const [name, { judge }] of Object.entries(KINDS)) {
      const ledger = ledgers.get(name);
      if (ledger !== undefined) expect(judge(model.watchOf(name), ledger), name).toEqual([]);
    }
    expect(model.watchOf(AUTO).missing()).toEqual([]);
    expect(ledgers.get("once")!.stored).toBe(all.filter(({ publisher }) => publisher === "twice").length);
    for (const queue of LAST_VALUES) {
      for (const value of all.filter(({ topic, ackedInLife }) => topic.startsWith("state/") && ackedInLife >= 0)) {
        if (queue === "last-memory" && model.isCutShort(value)) continue;
        expect(newest.get(`${queue} ${value.topic}`), queue).toBeGreaterThanOrEqual(value.number);
      }
    }
    await broker.stop();
  }, 600_000);
});

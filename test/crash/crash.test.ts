/**
 * Goal: a kill of the broker at any moment loses no acknowledged message, invents none, and repeats none without cause.
 * Method: publishers and consumers load the broker, which is killed (SIGKILL) at random moments and started again, with a
 * changing number of workers; a model hears everything that was sent, acknowledged and delivered; at the end everything
 * owed is drained. Delivered again may be only what was not acknowledged, or acknowledged too shortly before a kill.
 */
import { afterAll, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";
import { consumeUntilCut, publishUntilCut } from "./load.ts";
import { QueueModel } from "./model.ts";

const ROUNDS = isFullSize ? 30 : 7;
const PUBLISHERS = 3;
const CONSUMERS = 3;
/** A commit starts at the latest 50 ms after an acknowledgement; the rest is for a slow disk, a busy machine, and the way. */
const SYNC_MS_MAX = 1_000;

describeWorkers("kill", (workers) => {
  let broker: Broker | undefined;
  afterAll(async () => {
    await broker?.remove();
  });

  it(`loses nothing in ${ROUNDS} rounds`, async () => {
    const seed = testSeed + workers;
    const random = randomOf(seed);
    const model = new QueueModel(SYNC_MS_MAX);
    process.stdout.write(`crash test: seed ${seed}, ${workers} workers at first\n`);
    broker = await Broker.start({ workers });
    await createQueue(broker, { name: "crash", topic_filter: "crash/#", local_max_inflight: 20 });

    for (let round = 0; round < ROUNDS; round++) {
      let isKilled = false;
      const consuming = {
        filter: "$queue/crash",
        model,
        random,
        acknowledges: 0.9,
        leaves: 0.02,
        isDone: () => isKilled,
      };
      const port = broker.mqttPort;
      const load = [
        ...Array.from({ length: PUBLISHERS }, (_, at) =>
          publishUntilCut(port, `r${round}p${at}`, `crash/${at}`, model),
        ),
        ...Array.from({ length: CONSUMERS }, (_, at) => consumeUntilCut(port, `consumer-${at}`, consuming)),
      ];
      await pause(20 + random() * 180);
      const killedAtMs = performance.now();
      await broker.kill();
      isKilled = true;
      await Promise.all(load);
      model.onKilled(killedAtMs);
      expect(model.faults).toEqual([]);
      await broker.restart(workers === 1 ? 1 : 1 + Math.floor(random() * 4));
    }

    let isDrained = false;
    const draining = { filter: "$queue/crash", model, random, acknowledges: 1, leaves: 0, isDone: () => isDrained };
    const consumers = [0, 1].map((at) => consumeUntilCut(broker!.mqttPort, `last-${at}`, draining));
    await eventually(
      () => `${model.owed().length} acknowledged jobs are owed, such as ${model.owed().slice(0, 5).join(", ")}`,
      async () => {
        const { waiting, in_flight, difference } = await ledgerOf(broker!, "crash");
        expect(difference).toBe(0);
        return waiting === 0 && in_flight === 0;
      },
      120_000,
    );
    isDrained = true;
    await Promise.all(consumers);
    const lost = model.lost();
    process.stdout.write(
      `crash test: seed ${seed}, ${ROUNDS} rounds, ${model.sentCount} messages, ${model.repeatedCount} repeated, ${lost.length} lost\n`,
    );
    expect(model.faults).toEqual([]);
    expect(lost).toEqual([]);
    expect(model.owed()).toEqual([]);
    await broker.stop();
  }, 600_000);
});

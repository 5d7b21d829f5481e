/**
 * Goal: whatever three clients do, in any order, one worker, three workers and a mosquitto answer alike and deliver alike.
 * Method: random lists of operations run on all of them; after each operation its answer, and what came of it, are compared. What lists beside
 * mosquitto avoid stands in differential/operations.ts, each with its reason; seeds are printed.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pages, rowsOf, sectionOf } from "../docs/pages.ts";
import { Broker } from "../harness/broker.ts";
import { type Mosquitto, startMosquitto } from "../harness/mosquitto.ts";
import { isMissing } from "../harness/needs.ts";
import { isFullSize } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";
import { EXCLUDED, type List, printed, randomList } from "./differential/operations.ts";
import { type Observation, World } from "./differential/world.ts";

const LISTS = Number(process.env.RESTANTE_TEST_LISTS ?? (isFullSize ? 40 : 6));
const LENGTH = 40;

/** Where they differ first; undefined when nowhere. */
function differenceOf(list: List, runs: ReadonlyMap<string, readonly Observation[]>): string | undefined {
  for (const [at, operation] of list.operations.entries()) {
    const said = [...runs].map(
      ([server, observations]) => [server, JSON.stringify(observations[at], null, 1)] as const,
    );
    if (new Set(said.map(([, text]) => text)).size === 1) continue;
    const views = said.map(([server, text]) => `${server}: ${text}`).join("\n");
    return `operation ${at}, ${JSON.stringify(operation)}:\n${views}`;
  }
  return undefined;
}

describe.skipIf(isMissing("broker", "mosquitto"))("random operations", () => {
  const brokers: Broker[] = [];
  let mosquitto: Mosquitto;
  const worlds = new Map<string, World>();
  beforeAll(async () => {
    for (const workers of [1, 3]) {
      const broker = await Broker.start({ workers });
      brokers.push(broker);
      worlds.set(`${workers} workers`, await World.on(broker.mqttPort));
    }
    mosquitto = await startMosquitto(["max_inflight_messages 0", "max_queued_messages 0"]);
    worlds.set("mosquitto", await World.on(mosquitto.mqttPort));
  });
  afterAll(async () => {
    for (const world of worlds.values()) await world.close();
    for (const broker of brokers) {
      await broker.stop();
      await broker.remove();
    }
    await mosquitto.remove();
  });

  async function compare(list: List, servers: readonly string[]): Promise<void> {
    const runs = new Map<string, readonly Observation[]>();
    await Promise.all(servers.map(async (server) => runs.set(server, await worlds.get(server)!.run(list))));
    expect(differenceOf(list, runs), printed(list)).toBeUndefined();
  }

  it.each(Array.from({ length: LISTS }, (_, at) => testSeed * 10_000 + at))(
    "are answered alike, seed %i",
    async (seed) => {
      await compare(randomList(randomOf(seed), LENGTH, "peer"), ["1 workers", "3 workers", "mosquitto"]);
      await compare(randomList(randomOf(-seed), LENGTH, "own"), ["1 workers", "3 workers"]);
    },
  );
});

it("leaves out what docs/conformance.md says, and nothing else", () => {
  const page = pages.find(({ path }) => path === "docs/conformance.md")!;
  expect(rowsOf(sectionOf(page, "Beside a mosquitto"))).toEqual(EXCLUDED.map((row) => [...row]));
});

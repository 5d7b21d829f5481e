/**
 * Goal: the benchmarks keep working, and their load loses nothing and repeats nothing, a backlog over a kill included.
 * Method: the side-by-side bench at its small size, against mosquitto and RabbitMQ where they are installed, and all micro benchmarks.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { backlogTable, measureBacklog, measurePressure, pressureTable } from "../../perf/bench/backlog.ts";
import { mosquitto, rabbitmq, restante } from "../../perf/bench/peers.ts";
import { measureAll } from "../../perf/bench/runner.ts";
import { scenarios } from "../../perf/bench/scenarios.ts";
import { measureSessions, sessionsTable } from "../../perf/bench/sessions.ts";
import { benchTable } from "../../perf/bench/table.ts";
import { microTable, runMicroBenchmarks } from "../../perf/run.ts";
import { isMissing } from "../harness/needs.ts";
import { isFullSize } from "../harness/waiting.ts";

const peers = [
  ...(isMissing("mosquitto") ? [] : [mosquitto]),
  ...(isMissing("broker") ? [] : [restante(1), ...(isFullSize ? [restante(3)] : [])]),
];

describe.skipIf(isMissing("compiler"))("the side-by-side bench", () => {
  beforeAll(() => {
    const made = spawnSync("make", ["-s", "-C", "native-bench"], { encoding: "utf8" });
    expect([made.status, made.stderr]).toEqual([0, ""]);
  }, 120_000);

  it.each(scenarios)(
    "$name",
    async (scenario) => {
      const measurements = await measureAll({
        peers,
        scenarios: [scenario],
        consumerWindows: [100],
        repeats: 1,
        size: "small",
        directory: tmpdir(),
        onMeasurement: ({ peer, perS, result }) => {
          const { ok, lost, duplicates, out_of_order } = result;
          expect([peer, { ok, lost, duplicates, out_of_order }, perS > 0]).toEqual([
            peer,
            { ok: true, lost: 0, duplicates: 0, out_of_order: 0 },
            true,
          ]);
        },
      });
      expect(measurements).toHaveLength(peers.length);
      expect(benchTable(measurements)).toContain(scenario.name);
    },
    60_000,
  );
});

describe.skipIf(isMissing("compiler", "rabbitmq"))("the load generator over AMQP", () => {
  it("confirms, drains and shares what RabbitMQ's quorum queue holds, and loses nothing", async () => {
    const directory = await mkdtemp(join(tmpdir(), "restante-bench-"));
    const running = await rabbitmq.start(100, directory);
    try {
      // One node for all: it takes seconds to start. The last scenario comes first: six connections declare the queue.
      for (const { name, run } of scenarios.filter(({ usesQueue }) => usesQueue).toReversed()) {
        const { perS, result } = await run(running, "small", directory);
        const { ok, lost, duplicates } = result;
        expect([name, { ok, lost, duplicates }, perS > 0]).toEqual([name, { ok: true, lost: 0, duplicates: 0 }, true]);
      }
    } finally {
      await running.remove();
      await rm(directory, { recursive: true, force: true });
    }
  }, 120_000);
});

describe.skipIf(isMissing("compiler", "broker"))("the backlog bench", () => {
  const options = { messages: 200_000, workers: 1, directory: tmpdir(), settleMs: 100 };

  it("keeps a backlog over a kill and gives all of it back, once each", async () => {
    const report = await measureBacklog(options);
    const { stored, received, lost, duplicates, ledger } = report;
    expect({ stored, received, lost, duplicates }).toEqual({
      stored: 200_000,
      received: 200_000,
      lost: 0,
      duplicates: 0,
    });
    expect(ledger).toMatchObject({ stored: 200_000, waiting: 0, acknowledged: 200_000, difference: 0 });
    expect(report.diskBytes).toBeGreaterThan(200_000 * 256);
    expect(report.diskBytes).toBeLessThan(200_000 * 256 * 2);
    expect(backlogTable(report)).toContain("difference 0");
  }, 120_000);

  it("holds a full queue to its limit while nobody acknowledges and publishers go on", async () => {
    const limit = 20_000;
    const report = await measurePressure(options, limit, 2);
    const { ledger, acknowledged } = report;
    expect(acknowledged).toBeGreaterThan(limit);
    expect(ledger.waiting + ledger.in_flight).toBe(limit);
    expect(ledger).toMatchObject({ dropped: ledger.stored - limit, acknowledged: 0, difference: 0 });
    expect(pressureTable(report)).toContain("in equal steps");
  }, 60_000);
});

describe.skipIf(isMissing("broker"))("the bench of sleeping sessions", () => {
  it("finds every session and message after a kill", async () => {
    const report = await measureSessions({ sessions: 200, workers: 1, directory: tmpdir(), settleMs: 0 });
    expect(report).toMatchObject({ foundSessions: 200, foundMessages: 10_000 });
    expect(sessionsTable(report)).toContain("200 sessions asleep");
  }, 120_000);
});

describe("the micro benchmarks", () => {
  it("all answer", async () => {
    const rows = await runMicroBenchmarks("small");
    for (const { name, nsPerOp } of rows) expect([name, nsPerOp > 0 && nsPerOp < 1e9]).toEqual([name, true]);
    expect(microTable(rows).split("\n")).toHaveLength(rows.length + 1);
  }, 120_000);
});

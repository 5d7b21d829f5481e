/**
 * Goal: the benches of strangers and of connections keep working, and what strangers cost stays bounded at a small size, too.
 * Method: both at a small size; the crowd within this process, mosquitto where it is installed.
 */
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { connectionsTable, measureConnections } from "../../perf/bench/connections.ts";
import { mosquitto, restante } from "../../perf/bench/peers.ts";
import { measureStrangers, strangersTable } from "../../perf/bench/strangers.ts";
import { runCrowd } from "../../perf/bench/strangers-crowd.ts";
import { isMissing } from "../harness/needs.ts";

const GROWTH_BYTES_MAX = 96 * 1024 * 1024;

describe.skipIf(isMissing("broker"))("a small crowd of strangers", () => {
  it.each([1, 3])(
    "costs little with %i workers, and a witness pair is served among them",
    async (workers) => {
      const size = { stalled: 100, garbage: 30, seconds: 1, settleMs: 100 };
      const report = await measureStrangers({ ...size, workers, directory: tmpdir(), crowd: runCrowd });
      const { alone, among, crowd, beforeBytes, mostBytes } = report;
      expect(crowd.opened).toBeGreaterThan(130);
      expect(crowd.closed).toBeGreaterThan(25); // Nearly all garbage, and who announces 256 MB.
      expect([alone.witnessed > 5, among.witnessed > 5]).toEqual([true, true]);
      expect(mostBytes - beforeBytes).toBeLessThan(GROWTH_BYTES_MAX);
      expect(strangersTable(report)).toContain("times as long");
    },
    60_000,
  );
});

describe.skipIf(isMissing("broker", "compiler"))("the bench of connections", () => {
  it("opens all of them, and loses none", async () => {
    expect(spawnSync("make", ["-s", "-C", "native-bench"]).status).toBe(0);
    const peers = [...(isMissing("mosquitto") ? [] : [mosquitto]), restante(1)];
    const measured = await measureConnections({ peers, connections: 200, repeats: 1, directory: tmpdir() });
    expect(measured).toHaveLength(peers.length * 2);
    for (const { peer, perS, lost } of measured) expect([peer, perS > 0, lost]).toEqual([peer, true, 0]);
    expect(connectionsTable(measured)).toContain("restante-1, 5.0");
  }, 60_000);
});

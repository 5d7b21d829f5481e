/**
 * Goal: the benches of strangers, connections and transports keep working, and what strangers cost stays bounded at a small size, too.
 * Method: all at a small size; the crowd within this process, mosquitto where it is installed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { connectionsTable, measureConnections } from "../../perf/bench/connections.ts";
import { mosquitto, restante } from "../../perf/bench/peers.ts";
import { measureStrangers, strangersTable } from "../../perf/bench/strangers.ts";
import { runCrowd } from "../../perf/bench/strangers-crowd.ts";
import { measureTls, tlsTable } from "../../perf/bench/tls-connections.ts";
import { measureTransports, transportsTable } from "../../perf/bench/transports.ts";
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

describe.skipIf(isMissing("broker", "openssl", "mosquitto"))("the bench of what is around MQTT", () => {
  it("opens connections over TLS beside mosquitto, and loses none", async () => {
    const folder = mkdtempSync(join(tmpdir(), "restante-crowd-"));
    try {
      const source = readFileSync("perf/bench/tls-crowd.ts", "utf8");
      const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext } });
      const crowd = join(folder, "crowd.mjs");
      writeFileSync(crowd, outputText);
      const options = { connections: 50, repeats: 1, workers: 1, directory: tmpdir(), crowd };
      const measured = await measureTls(options);
      expect(measured.map(({ peer, perS, lost }) => [peer, perS > 0, lost])).toEqual([
        ["mosquitto", true, 0],
        ["restante-1", true, 0],
      ]);
      expect(tlsTable(measured)).toContain("restante-1");
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 60_000);

  it("carries messages over each transport", async () => {
    const measured = await measureTransports(1_000, tmpdir());
    expect(measured.map(({ transport }) => transport)).toEqual(["tcp", "tls", "ws", "wss"]);
    expect(
      transportsTable(measured)
        .split("\n")
        .filter((line) => line.startsWith("wss")),
    ).toHaveLength(1);
  }, 60_000);
});

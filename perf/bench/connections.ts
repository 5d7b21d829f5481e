/**
 * npm run bench:connections -- [--connections 8000] [--repeat 3] [--workers 1] [--directory DIR] [--tls]
 *
 * Connections a second, the processor time that one takes and the memory that an idle one keeps, beside mosquitto in the same run: each
 * broker afresh for every measurement, MQTT 3.1.1 and 5 after each other. A tenth of the connections comes and goes first. Memory is that of
 * the first whole round, where nothing can be used again that an earlier one has left; rate and processor time are those of the second.
 * With --tls: over TLS (tls-connections.ts), and what messages cost over each transport (transports.ts).
 */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { missingLines } from "../../test/harness/needs.ts";
import { loadgen } from "./loadgen.ts";
import { mosquitto, type Peer, restante } from "./peers.ts";
import { alignedTable, medianOf } from "./table.ts";
import { compiledCrowd, measureTls, tlsTable } from "./tls-connections.ts";
import { measureTransports, transportsTable } from "./transports.ts";

export interface ConnectionsOptions {
  readonly peers: readonly Peer[];
  readonly connections: number;
  readonly repeats: number;
  readonly directory: string;
}

export interface ConnectionsMeasurement {
  readonly peer: string;
  readonly mqtt: 4 | 5;
  readonly perS: number;
  readonly cpuUs: number;
  readonly idleBytes: number;
  /** Connections that the broker closed. */
  readonly lost: number;
}

const VERSIONS = [4, 5] as const;
/** Handshakes under way at a time. */
const HANDSHAKES = 64;

export async function measureConnections(options: ConnectionsOptions): Promise<ConnectionsMeasurement[]> {
  const measurements: ConnectionsMeasurement[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat += 1) {
    for (const mqtt of VERSIONS) {
      for (const peer of options.peers) measurements.push(await measure(peer, mqtt, options));
    }
  }
  return measurements;
}

async function measure(peer: Peer, mqtt: 4 | 5, options: ConnectionsOptions): Promise<ConnectionsMeasurement> {
  const { connections, directory } = options;
  const running = await peer.start("default", directory);
  try {
    const load = { port: running.port, mqtt, subs: connections, handshakes: HANDSHAKES, "server-pid": running.pid };
    await loadgen("connect", { ...load, subs: Math.ceil(connections / 10), hold: 0, prefix: "first" });
    const cold = await loadgen("connect", { ...load, hold: 1 });
    const warm = await loadgen("connect", { ...load, hold: 0, prefix: "again" });
    return {
      peer: peer.name,
      mqtt,
      perS: warm.connect_per_s!,
      cpuUs: (warm.cpu_server_s * 1e6) / connections,
      idleBytes: cold.bytes_per_conn!,
      lost: cold.disconnects + warm.disconnects,
    };
  } finally {
    await running.remove();
  }
}

export function connectionsTable(measurements: readonly ConnectionsMeasurement[]): string {
  const lines = [["broker, MQTT", "connections/s", "of the first", "cpu us", "bytes idle", "lost"]];
  for (const mqtt of VERSIONS) {
    const of = (name: string): ConnectionsMeasurement[] =>
      measurements.filter((each) => each.mqtt === mqtt && each.peer === name);
    const names = [...new Set(measurements.map(({ peer }) => peer))];
    const rate = (name: string): number => medianOf(of(name).map(({ perS }) => perS));
    for (const name of names) {
      lines.push([
        `${name}, ${mqtt === 4 ? "3.1.1" : "5.0"}`,
        rate(name).toFixed(0),
        (rate(name) / rate(names[0]!)).toFixed(2),
        medianOf(of(name).map(({ cpuUs }) => cpuUs)).toFixed(0),
        medianOf(of(name).map(({ idleBytes }) => idleBytes)).toFixed(0),
        `${of(name).reduce((sum, { lost }) => sum + lost, 0)}`,
      ]);
    }
  }
  return alignedTable(lines);
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({
    options: {
      connections: { type: "string", default: "8000" },
      repeat: { type: "string", default: "3" },
      workers: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      tls: { type: "boolean", default: false },
    },
  });
  const [connections, repeats, workers] = [values.connections, values.repeat, values.workers].map(Number);
  if (![connections, repeats, workers].every((value) => Number.isInteger(value) && value! > 0)) {
    throw new Error("--connections, --repeat and --workers want whole numbers above 0");
  }
  const missing = missingLines(["broker", "compiler", "mosquitto"]);
  if (missing.length > 0) throw new Error(missing.join("\n"));
  const { directory } = values;
  if (values.tls) {
    const options = {
      connections: connections!,
      repeats: repeats!,
      workers: workers!,
      directory,
      crowd: compiledCrowd(),
    };
    process.stdout.write(`${tlsTable(await measureTls(options))}\n\n`);
    process.stdout.write(`${transportsTable(await measureTransports(200_000, directory))}\n`);
  } else {
    const options = {
      peers: [mosquitto, restante(workers!)],
      connections: connections!,
      repeats: repeats!,
      directory,
    };
    process.stdout.write(`${connectionsTable(await measureConnections(options))}\n`);
  }
}

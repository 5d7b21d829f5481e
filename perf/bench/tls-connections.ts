/**
 * Connections over TLS, beside mosquitto with the same certificate: the processor time that one takes and the memory that an idle one keeps. The
 * clients are processes of Node, the same for both brokers; they take more of the machine than the brokers do, so the rate says
 * little and the processor time of the broker is what is compared. A tenth comes and goes first.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Broker } from "../../test/harness/broker.ts";
import { Authority, type CertificatePaths } from "../../test/harness/certificates.ts";
import { freePort } from "../../test/harness/free-port.ts";
import { startMosquitto } from "../../test/harness/mosquitto.ts";
import { pause } from "../../test/harness/waiting.ts";
import { alignedTable, medianOf } from "./table.ts";

export interface TlsOptions {
  readonly connections: number;
  readonly repeats: number;
  readonly workers: number;
  readonly directory: string;
  /** The program of the clients. */
  readonly crowd: string;
}

export interface TlsMeasurement {
  readonly peer: string;
  readonly perS: number;
  readonly cpuUs: number;
  readonly idleBytes: number;
  readonly lost: number;
}

interface Server {
  readonly port: number;
  readonly pid: number;
  remove(): Promise<void>;
}

const PROCESSES = 2;
const HANDSHAKES = 16;
const TICKS_PER_S = 100;

/** Of a process, all its threads, in microseconds; by the kernel's ticks. */
export function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_S;
}

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

export async function measureTls(options: TlsOptions): Promise<TlsMeasurement[]> {
  const authority = new Authority();
  const certificate = authority.issue("the broker");
  const measurements: TlsMeasurement[] = [];
  try {
    for (let repeat = 0; repeat < options.repeats; repeat += 1) {
      for (const start of [startPeer, startOwn]) {
        const server = await start(certificate, options);
        try {
          const peer = start === startPeer ? "mosquitto" : `restante-${options.workers}`;
          measurements.push({ peer, ...(await measure(server, authority.ca, options)) });
        } finally {
          await server.remove();
        }
      }
    }
  } finally {
    authority.remove();
  }
  return measurements;
}

async function measure(server: Server, ca: string, options: TlsOptions): Promise<Omit<TlsMeasurement, "peer">> {
  const { connections, crowd } = options;
  const first = await crowdOf(crowd, server.port, ca, Math.ceil(connections / 10), "first");
  await first.leave();
  await pause(1_000);
  const beforeUs = cpuUsOf(server.pid);
  const beforeBytes = residentBytes(server.pid);
  const all = await crowdOf(crowd, server.port, ca, connections, "all");
  const cpuUs = (cpuUsOf(server.pid) - beforeUs) / connections;
  await pause(1_000);
  const idleBytes = (residentBytes(server.pid) - beforeBytes) / connections;
  return { perS: (connections * 1_000) / all.tookMs, cpuUs, idleBytes, lost: await all.leave() };
}

/** Resolves when all are connected; `leave` answers how many were closed before. */
async function crowdOf(
  program: string,
  port: number,
  ca: string,
  connections: number,
  prefix: string,
): Promise<{ tookMs: number; leave(): Promise<number> }> {
  const each = Math.ceil(connections / PROCESSES);
  const crowds = Array.from({ length: PROCESSES }, (_, number) => {
    const words = [program, port, ca, each, HANDSHAKES, `${prefix}-${number}`].map(String);
    const child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  });
  const said = async (at: number): Promise<number> => {
    const { value, done } = await crowds[at]!.lines.next();
    if (done === true) throw new Error("a crowd ended early");
    return Number(String(value).split(" ")[1]);
  };
  const took = await Promise.all(crowds.map((_, at) => said(at)));
  const leave = async (): Promise<number> => {
    for (const { child } of crowds) child.stdin.end();
    return (await Promise.all(crowds.map((_, at) => said(at)))).reduce((sum, closed) => sum + closed, 0);
  };
  return { tookMs: Math.max(...took), leave };
}

async function startPeer({ cert, key }: CertificatePaths): Promise<Server> {
  const port = await freePort();
  const settings = [`listener ${port} 127.0.0.1`, `certfile ${cert}`, `keyfile ${key}`, "set_tcp_nodelay true"];
  const { pid, remove } = await startMosquitto(settings);
  return { port, pid, remove };
}

async function startOwn({ cert, key }: CertificatePaths, { workers, directory }: TlsOptions): Promise<Server> {
  const settings = `listeners: [{type: tcp, port: 0}, {type: tls, name: tls, port: 0, tls: {cert: ${cert}, key: ${key}}}]\n`;
  const broker = await Broker.start({ workers, directory, settings });
  const remove = async (): Promise<void> => {
    await broker.stop();
    await broker.remove();
  };
  return { port: broker.ports.tls!, pid: broker.pid, remove };
}

export function tlsTable(measurements: readonly TlsMeasurement[]): string {
  const lines = [["broker, TLS 1.3", "connections/s", "cpu us", "of the first", "bytes idle", "lost"]];
  const of = (name: string): TlsMeasurement[] => measurements.filter(({ peer }) => peer === name);
  const cpuUs = (name: string): number => medianOf(of(name).map((each) => each.cpuUs));
  const names = [...new Set(measurements.map(({ peer }) => peer))];
  for (const name of names) {
    lines.push([
      name,
      medianOf(of(name).map(({ perS }) => perS)).toFixed(0),
      cpuUs(name).toFixed(0),
      (cpuUs(name) / cpuUs(names[0]!)).toFixed(2),
      medianOf(of(name).map(({ idleBytes }) => idleBytes)).toFixed(0),
      `${of(name).reduce((sum, { lost }) => sum + lost, 0)}`,
    ]);
  }
  return alignedTable(lines);
}

/** The crowd's program, beside this one as it was compiled. */
export const compiledCrowd = (): string => join(import.meta.dirname, "tls-crowd.js");

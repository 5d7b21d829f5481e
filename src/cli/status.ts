/**
 * `restante status`: running (the data directory is locked), ready (the broker says so) and answering (a listener does).
 */
import { get } from "node:http";
import { createConnection } from "node:net";
import { type RunningRecord, readRunning } from "../config/data-directory.ts";

export interface StatusReport {
  readonly running: boolean;
  /** Running, ready by its own word, and answering. */
  readonly ready: boolean;
  /** What the broker wrote; absent when it does not run or has written nothing yet. */
  readonly broker?: RunningRecord;
  /** Why it is not ready; null when it is. */
  readonly problem: string | null;
}

/** Looks at the broker of a data directory. Throws DATA_DIR_UNUSABLE when this user may not look. */
export async function statusOf(dataDirectory: string): Promise<StatusReport> {
  const state = readRunning(dataDirectory);
  if (state.state === "stopped") {
    return { running: false, ready: false, problem: `not running on the data directory ${dataDirectory}` };
  }
  const { record: broker } = state;
  if (broker === undefined) return { running: true, ready: false, problem: "starting" };
  if (!broker.ready) {
    return { running: true, ready: false, broker, problem: `process ${broker.pid} is not ready: it starts or stops` };
  }
  const silent = await silentListener(broker.listeners);
  if (silent === null) return { running: true, ready: true, broker, problem: null };
  return { running: true, ready: false, broker, problem: `process ${broker.pid} does not answer on ${silent}` };
}

/** `restante is running: process 7, mqtt 127.0.0.1:1883, …` */
export function describeReady({ pid, listeners, workers }: RunningRecord): string {
  const addresses = Object.entries(listeners).map(([name, address]) => `${name} ${address}`);
  return `restante is running: process ${pid}, ${addresses.join(", ")}, workers ${workers}`;
}

const ANSWER_MS_MAX = 3_000;

/** The first listener that does not answer, or null. HTTP must answer a request: a connection alone proves only the kernel. */
async function silentListener(listeners: RunningRecord["listeners"]): Promise<string | null> {
  for (const [name, address] of Object.entries(listeners)) {
    const { host, port } = endpointOf(address);
    const answers = name === "http" ? await answersHttp(host, port) : await accepts(host, port);
    if (!answers) return `${name} ${address}`;
  }
  return null;
}

/** Where to knock: a listener on every address is reached on the loopback one. */
function endpointOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(colon + 1));
  if (host === "0.0.0.0" || host === "") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}

function answersHttp(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path: "/status", agent: false, timeout: ANSWER_MS_MAX }, (response) => {
      response.resume();
      resolve((response.statusCode ?? 500) < 500);
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", () => resolve(false));
  });
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: ANSWER_MS_MAX });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => settle(true));
    socket.on("timeout", () => settle(false));
    socket.on("error", () => settle(false));
  });
}

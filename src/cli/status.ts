/**
 * `restante status`: running (the data directory is locked), ready (the broker says so), answering (a listener does) and storing
 * (every partition can).
 */
import { get } from "node:http";
import { createConnection } from "node:net";
import { text } from "node:stream/consumers";
import { type RunningRecord, readRunning } from "../config/data-directory.ts";

export interface StatusReport {
  readonly running: boolean;
  /** Running, ready by its own word, answering, and able to store. */
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
  const problem = await problemOf(broker.listeners);
  if (problem === null) return { running: true, ready: true, broker, problem };
  return { running: true, ready: false, broker, problem: `process ${broker.pid} ${problem}` };
}

/** `restante is running: process 7, mqtt 127.0.0.1:1883, …` */
export function describeReady({ pid, listeners, workers }: RunningRecord): string {
  const addresses = Object.entries(listeners).map(([name, address]) => `${name} ${address}`);
  return `restante is running: process ${pid}, ${addresses.join(", ")}, workers ${workers}`;
}

const ANSWER_MS_MAX = 3_000;
/** More than any broker says of itself. */
const TEXT_LENGTH_MAX = 4_096;

/** The first listener that does not answer, or what HTTP says is wrong, or null. A connection alone proves only the kernel. */
async function problemOf(listeners: RunningRecord["listeners"]): Promise<string | null> {
  for (const [name, address] of Object.entries(listeners)) {
    const { host, port } = endpointOf(address);
    if (name !== "http") {
      if (!(await accepts(host, port))) return `does not answer on ${name} ${address}`;
      continue;
    }
    const answer = await askHttp(host, port);
    if (answer === null) return `does not answer on ${name} ${address}`;
    if (answer.status >= 500) return `says: ${answer.text}`;
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

/** The status and the text of `GET /status`, on one line; null when none comes. */
function askHttp(host: string, port: number): Promise<{ readonly status: number; readonly text: string } | null> {
  return new Promise((resolve) => {
    const request = get({ host, port, path: "/status", agent: false, timeout: ANSWER_MS_MAX }, (response) => {
      const { statusCode: status = 500 } = response;
      text(response).then(
        (body) => resolve({ status, text: body.slice(0, TEXT_LENGTH_MAX).replaceAll("\n", "; ") }),
        () => resolve(null),
      );
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", () => resolve(null));
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

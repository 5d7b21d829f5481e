/** A control plane on a loopback port, and requests to it. */
import type { ApiKey } from "../../src/control/api-keys.ts";
import { type Control, type ControlOptions, createControl } from "../../src/control/control.ts";
import type { QueuesConfig } from "../../src/control/queues-config.ts";
import { KeepingWorkers } from "./keeping-workers.ts";

export const ADMINISTRATOR: ApiKey = { key: "admin", secret: "admin-S3cret-planted", role: "administrator" };
export const VIEWER: ApiKey = { key: "looker", secret: "viewer-S3cret-planted", role: "viewer" };
export const PUBLISHER: ApiKey = { key: "sender", secret: "publisher-S3cret-planted", role: "publisher" };

export const QUEUES_CONFIG: QueuesConfig = {
  enable: true,
  gc_interval: 3_600_000,
  regular_queue_retention_period: 604_800_000,
  max_queue_count: 100,
  find_queue_retry_interval: 10_000,
  auto_create: { regular: false, lastvalue: false },
  quota: { threshold_percentage: 10, buffer_max_size: 100, buffer_flush_interval: 1_000, buffer_pool_size: 16 },
};

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

export interface Running {
  readonly control: Control;
  readonly workers: KeepingWorkers;
  readonly port: number;
  readonly url: string;
  readonly lines: LogLine[];
  readonly faults: unknown[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed JSON; undefined when the body is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  readonly json: any;
}

export async function startControl(
  options: Partial<ControlOptions> & { readonly workers?: KeepingWorkers; readonly isReady?: boolean } = {},
): Promise<Running> {
  const workers = options.workers ?? new KeepingWorkers();
  const lines: LogLine[] = [];
  const faults: unknown[] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  const control = createControl({
    apiKeys: [ADMINISTRATOR, VIEWER, PUBLISHER],
    queuesConfig: QUEUES_CONFIG,
    nodeName: "restante@127.0.0.1",
    payloadBytesMax: 64 * 1024,
    access: {
      inForce: async () => ({ anonymous: true, users: null, rules: null }),
      reload: async () => ({ anonymous: true, users: null, rules: null }),
    },
    nowMs: () => Date.now(),
    log: { info: write("info"), warn: write("warn"), error: write("error") },
    onFault: (fault) => faults.push(fault),
    ...options,
    workers,
  });
  const { port } = await control.listen("127.0.0.1", 0);
  await control.recover();
  if (options.isReady !== false) control.setReady(true);
  return { control, workers, port, url: `http://127.0.0.1:${port}`, lines, faults };
}

export const basic = ({ key, secret }: { readonly key: string; readonly secret: string }): string =>
  `Basic ${Buffer.from(`${key}:${secret}`).toString("base64")}`;

/** A request as administrator to a path below `/api/v5`, with a JSON body if there is one. */
export function ask(running: Running, method: string, path: string, body?: unknown): Promise<Answer> {
  return fetchAs(running, ADMINISTRATOR, method, path, body);
}

export async function fetchAs(
  running: Running,
  key: ApiKey | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  return answerOf(
    await fetch(`${running.url}/api/v5${path}`, {
      method,
      headers: {
        ...(key === undefined ? {} : { authorization: basic(key) }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    }),
  );
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

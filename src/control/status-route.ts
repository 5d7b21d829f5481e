/**
 * `GET /status`, with and without the base path, open to all: for load balancers and health checks.
 *
 * ```
 *   not ready ──► 503 stopped, not_running    ready ──► workers asked: may all partitions store?
 *                                                         yes ──► 200 started, running
 *                                                         no ───► 503 degraded, not_storing, and why
 * ```
 */
import { REST_IDLE_BODY_BYTES_MAX } from "../base/limits.ts";
import type { PartitionHealth, Workers } from "../worker/commands.ts";
import { jsonResponse, RETRY_LATER, textResponse } from "./answers.ts";
import type { HttpResponse } from "./http.ts";
import type { Route } from "./route.ts";

export interface StatusRouteOptions {
  readonly nodeName: string;
  readonly workers: Workers;
  readonly isReady: () => boolean;
}

/** The words are EMQX's: scripts look for `is running` and `is started`. */
export function statusRoute(pattern: string, { nodeName, workers, isReady }: StatusRouteOptions): Route {
  return {
    method: "GET",
    pattern,
    access: "public",
    readsBody: false,
    bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
    needsReady: false,
    prepare:
      ({ query }) =>
      async () => {
        const format = query.get("format") === "json" ? jsonOf : textOf;
        if (!isReady()) return format(nodeName, "stopped", "not_running", []);
        const health = await healthOf(workers);
        if (health.every(({ fault }) => fault === null)) return format(nodeName, "started", "running", health);
        return format(nodeName, "degraded", "not_storing", health);
      },
  };
}

async function healthOf(workers: Workers): Promise<PartitionHealth[]> {
  const asked = Array.from({ length: workers.count }, (_, worker) => workers.call(worker, { kind: "health" }));
  return (await Promise.all(asked)).flat().sort((one, other) => one.partition - other.partition);
}

function textOf(nodeName: string, broker: string, app: string, health: readonly PartitionHealth[]): HttpResponse {
  const lines = [`Node ${nodeName} is ${broker}`, `emqx is ${app}`];
  for (const { partition, fault } of health) {
    if (fault !== null)
      lines.push(`partition ${partition} cannot store: ${fault.reason} since ${dateOf(fault.sinceMs)}`);
  }
  return textResponse(statusOf(app), lines.join("\n"), app === "running" ? {} : RETRY_LATER);
}

/** EMQX's object; `faults` and `damage` are there only when there is something to say. */
function jsonOf(nodeName: string, broker: string, app: string, health: readonly PartitionHealth[]): HttpResponse {
  const faults = health.flatMap(({ partition, fault }) =>
    fault === null ? [] : [{ partition, reason: fault.reason, since: dateOf(fault.sinceMs) }],
  );
  const damage = health.flatMap(({ partition, damage, damagedRecords }) =>
    damage === 0 ? [] : [{ partition, values: damage, messages: damagedRecords }],
  );
  const object = {
    node_name: nodeName,
    cluster: "restante",
    broker_status: broker,
    app_status: app,
    ...(faults.length === 0 ? {} : { faults }),
    ...(damage.length === 0 ? {} : { damage }),
  };
  return jsonResponse(statusOf(app), object, app === "running" ? {} : RETRY_LATER);
}

const statusOf = (app: string): number => (app === "running" ? 200 : 503);
const dateOf = (ms: number): string => new Date(ms).toISOString();

/**
 * The control plane: REST over HTTP above, commands to the workers below, the registry of queues between.
 *
 * ```
 *   HTTP server ─► pipeline (route, authenticate, schema, ready, handler) ─► registry ─► Workers (commands)
 * ```
 */
import { assert } from "../base/assert.ts";
import {
  HTTP_BODIES_BUDGET_BYTES,
  HTTP_CONNECTIONS_MAX,
  HTTP_HEAD_DEADLINE_MS,
  HTTP_HEADER_BYTES_MAX,
  HTTP_KEEP_ALIVE_MS,
  HTTP_PIPELINED_REQUESTS_MAX,
  HTTP_REQUEST_DEADLINE_MS,
  HTTP_RESPONSE_DEADLINE_MS,
  REGISTRY_REPAIR_MS,
  REST_ANSWER_DEADLINE_MS,
} from "../base/limits.ts";
import type { Workers } from "../worker/commands.ts";
import { type AccessDoor, accessRoutes } from "./access-routes.ts";
import { type ApiKey, ApiKeys } from "./api-keys.ts";
import { AutoCreation } from "./auto-creation.ts";
import { clientRoutes } from "./client-routes.ts";
import type { HttpAddress, HttpBounds } from "./http.ts";
import type { ControlLog } from "./log.ts";
import { createNodeHttpServer } from "./node-http.ts";
import { createPipeline } from "./pipeline.ts";
import { publishRoutes } from "./publish-routes.ts";
import { queueRoutes } from "./queue-routes.ts";
import { type QueuesConfig, QueuesConfigStore } from "./queues-config.ts";
import { queuesConfigRoutes } from "./queues-config-routes.ts";
import { Registry } from "./registry.ts";
import { type Route, RouteTable } from "./route.ts";
import { type StatusRouteOptions, statusRoute } from "./status-route.ts";
import { SystemBroadcast } from "./system-broadcast.ts";

export interface ControlOptions {
  readonly workers: Workers;
  readonly apiKeys: readonly ApiKey[];
  /** `queues.*` of the settings. */
  readonly queuesConfig: QueuesConfig;
  /** As EMQX names nodes, for `GET /status`. */
  readonly nodeName: string;
  /** The largest message REST may publish. */
  readonly payloadBytesMax: number;
  /** How often `$SYS` is brought up to date; 0 or undefined: never, and there is none. */
  readonly systemIntervalMs?: number;
  /** Reads the files of users and rules again; rejects with ACCESS_INVALID. */
  readonly access: AccessDoor;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly log: ControlLog;
  /** Hears of bugs; the thread's owner decides to stop. */
  readonly onFault: (fault: unknown) => void;
  readonly bounds?: Partial<HttpBounds>;
  readonly answerDeadlineMs?: number;
}

export interface Control {
  /** Opens the HTTP listener; what needs the workers is answered 503 until `setReady(true)`. Rejects with LISTEN_FAILED. */
  listen(host: string, port: number): Promise<HttpAddress>;
  /** Loads registry and configuration from the workers (`recovered`), announces every queue to all. Once, before `setReady`. */
  recover(): Promise<void>;
  /** True when every listener of the broker accepts; false at the start of a stop. */
  setReady(isReady: boolean): void;
  /** Accepts nothing more, lets requests end for `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

const BASE = "/api/v5";
const CLOSE_GRACE_MS = 1_000;

const BOUNDS: HttpBounds = {
  connectionsMax: HTTP_CONNECTIONS_MAX,
  headerBytesMax: HTTP_HEADER_BYTES_MAX,
  headDeadlineMs: HTTP_HEAD_DEADLINE_MS,
  requestDeadlineMs: HTTP_REQUEST_DEADLINE_MS,
  responseDeadlineMs: HTTP_RESPONSE_DEADLINE_MS,
  keepAliveMs: HTTP_KEEP_ALIVE_MS,
  pipelinedRequestsMax: HTTP_PIPELINED_REQUESTS_MAX,
  bodiesBytesMax: HTTP_BODIES_BUDGET_BYTES,
};

export function createControl(options: ControlOptions): Control {
  const { log, onFault, workers } = options;
  let isReady = false;
  let hasRecovered = false;
  const { registry, config, autoCreation, routes } = controlParts(options, () => isReady);
  const handler = createPipeline({
    routes,
    apiKeys: new ApiKeys(options.apiKeys),
    isReady: () => isReady,
    answerDeadlineMs: options.answerDeadlineMs ?? REST_ANSWER_DEADLINE_MS,
    log,
  });
  const server = createNodeHttpServer({ handler, onFault, bounds: { ...BOUNDS, ...options.bounds } });
  const systemBroadcast = new SystemBroadcast(options);
  const repairing = setInterval(() => {
    if (registry.isIncomplete) registry.repair().catch(onFault);
  }, REGISTRY_REPAIR_MS);

  return {
    listen: (host, port) => server.listen(host, port),
    async recover() {
      const { inForce, outdated } = config.recover(await registry.recover());
      if (inForce.length > 0) log.info({ keys: inForce }, "settings of queues are in force as REST has changed them");
      if (outdated.length > 0) {
        log.warn({ keys: outdated }, "settings of queues have changed since REST changed them; the settings hold");
      }
      workers.serveWanted((queue) => autoCreation.create(queue));
      await autoCreation.announce();
      hasRecovered = true;
    },
    setReady(ready) {
      assert(!ready || hasRecovered, "the registry is loaded before requests are served");
      isReady = ready;
      if (ready) systemBroadcast.start();
      else systemBroadcast.stop();
    },
    async close(graceMs = CLOSE_GRACE_MS) {
      isReady = false;
      systemBroadcast.stop();
      clearInterval(repairing);
      await server.close(graceMs);
    },
  };
}

export interface ControlParts {
  readonly registry: Registry;
  readonly config: QueuesConfigStore;
  readonly autoCreation: AutoCreation;
  /** Every route there is. */
  readonly routes: RouteTable;
}

/** What the control plane is made of; also for the tests that walk its routes. */
export function controlParts(options: ControlOptions, isReady: () => boolean): ControlParts {
  const { workers, queuesConfig, payloadBytesMax, nodeName, log } = options;
  const registry = new Registry(options);
  const config = new QueuesConfigStore(queuesConfig, async (changes) => {
    await workers.call(0, { kind: "keepConfig", changes });
  });
  const autoCreation = new AutoCreation({ workers, registry, config, log });
  const status: StatusRouteOptions = { nodeName, workers, isReady };
  const below: readonly Route[] = [
    statusRoute("/status", status),
    ...queuesConfigRoutes({ store: config, registry, autoCreation }),
    ...queueRoutes({ registry, config }),
    ...clientRoutes(workers),
    ...accessRoutes(options.access, workers),
    ...publishRoutes({ workers, payloadBytesMax }),
  ];
  const routes = new RouteTable([
    statusRoute("/status", status),
    ...below.map((route) => ({ ...route, pattern: `${BASE}${route.pattern}` })),
  ]);
  return { registry, config, autoCreation, routes };
}

/**
 * The control plane: REST over HTTP above, commands to the workers below, the registry of queues between.
 *
 * ```
 *   HTTP server ─► pipeline (route, authenticate, schema, ready, handler) ─► registry ─► Workers (commands)
 * ```
 */

import type { Workers } from "../worker/commands.ts";
import type { ApiKey } from "./api-keys.ts";
import type { HttpAddress, HttpBounds } from "./http.ts";
import type { ControlLog } from "./log.ts";
import type { QueuesConfig } from "./queues-config.ts";

export interface ControlOptions {
  readonly workers: Workers;
  readonly apiKeys: readonly ApiKey[];
  /** `queues.*` of the settings, as EMQX's `mq.*`. */
  readonly queuesConfig: QueuesConfig;
  /** As EMQX names nodes, for `GET /status`. */
  readonly nodeName: string;
  /** The largest message REST may publish. */
  readonly payloadBytesMax: number;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly log: ControlLog;
  /** Hears of bugs; the thread's owner decides to stop. */
  readonly onFault: (fault: unknown) => void;
  readonly bounds?: Partial<HttpBounds>;
}

export interface Control {
  /** Opens the HTTP listener; until `setReady` everything but 404, 405, 401 and 403 is answered 503. */
  listen(host: string, port: number): Promise<HttpAddress>;
  /** Loads the registry from every worker (`recovered`), announces every queue to all workers. Once, before `setReady`. */
  recover(): Promise<void>;
  /** True when every listener of the broker accepts; false at the start of a stop. */
  setReady(isReady: boolean): void;
  close(): Promise<void>;
}

export function createControl(_options: ControlOptions): Control {
  throw new Error("in the next commit");
}

/**
 * What main and the control thread say to each other.
 *
 * ```
 *   main                          control
 *   new Worker(ControlData) ────► loads the registry from the workers, opens HTTP
 *                    ◄─ listening
 *   ready ──────────────────────► answers
 *                    ◄─ reloadAccess
 *   accessReloaded ────────────► what is in force, or why nothing changed
 *                    ◄─ readAccess
 *   accessRead ─────────────────► the rules in force
 *   stop ───────────────────────► answers 503, ends what is under way
 *                    ◄─ stopped
 * ```
 */
import type { MessagePort } from "node:worker_threads";
import type { PlainError } from "../base/errors.ts";
import type { AccessInForce, AccessSummary } from "./access-routes.ts";
import type { ApiKey } from "./api-keys.ts";
import type { QueuesConfig } from "./queues-config.ts";

export interface ControlData {
  readonly host: string;
  readonly port: number;
  readonly partitions: number;
  /** Command ports to the workers, in their order. */
  readonly ports: readonly MessagePort[];
  readonly apiKeys: readonly ApiKey[];
  readonly queuesConfig: QueuesConfig;
  readonly nodeName: string;
  readonly payloadBytesMax: number;
  readonly systemIntervalMs: number;
  readonly logLevel: string;
}

export type ToControl =
  | { readonly kind: "ready" }
  | {
      readonly kind: "accessReloaded";
      readonly number: number;
      readonly summary?: AccessSummary;
      readonly fault?: PlainError;
    }
  | { readonly kind: "accessRead"; readonly number: number; readonly access: AccessInForce }
  | { readonly kind: "stop"; readonly graceMs: number };

export type FromControl =
  | { readonly kind: "reloadAccess"; readonly number: number }
  | { readonly kind: "readAccess"; readonly number: number }
  | { readonly kind: "listening"; readonly address: string }
  | { readonly kind: "refused"; readonly fault: PlainError }
  | { readonly kind: "stopped" };

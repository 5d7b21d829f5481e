/**
 * What main and a worker thread say to each other, as plain objects over the thread's own port.
 *
 * ```
 *   main                                   worker
 *   new Worker(WorkerData) ──────────────► opens its partitions, recovers
 *                          ◄── opened ──── its routes, its QoS 2 identifiers, its sessions' shared subscriptions
 *   begin (all others' routes) ──────────► knows the whole index
 *                          ◄── begun ─────
 *   serve ───────────────────────────────► knows every queue, too: wills may be published
 *   connections (descriptors, heads) ────►  …
 *                          ◄── verify ──── a password
 *   verified ────────────────────────────► right, wrong or busy
 *   access ──────────────────────────────► other users and rules
 *                          ◄── changed ───
 *                          ◄── closed ──── so many connections less
 *   wrapped (descriptors) ───────────────► takes off TLS or WebSocket, reads CONNECT
 *                          ◄── unwrapped ─ of another worker: main sends it on as a connection
 *                          ◄── severed ─── the session has closed its end of a tunnel
 *   certificates ────────────────────────► in force for connections that come from now on
 *   sever ───────────────────────────────► (to where the tunnel is) closes the client's
 *   stop ────────────────────────────────► disconnects, publishes wills
 *                          ◄── left ──────
 *   close (all have left) ───────────────► takes what others published, commits, closes
 *                          ◄── stopped ───
 * ```
 */
import type { MessagePort } from "node:worker_threads";
import type { VerificationOutcome } from "../access/authentication.ts";
import type { Rules } from "../access/rules.ts";
import type { DoorbellPipes } from "../ring/doorbell.ts";
import type { Mesh } from "../ring/mesh.ts";
import type { SessionLimits } from "../session/ports.ts";
import type { HandOver, TunnelAddress, WrappedConnection } from "../transport/hand-over.ts";
import type { Listener } from "../transport/listener.ts";
import type { TlsMaterial } from "../transport/tls.ts";
import type { AccessChange } from "./access-change.ts";
import type { RouteSummary } from "./route-announcer.ts";
import type { FoundShares, Recovered } from "./worker-start.ts";

/** Who may connect, publish and subscribe, as the settings say. */
export interface WorkerAccess {
  readonly allowAnonymous: boolean;
  /** There is a password file. */
  readonly hasUsers: boolean;
  readonly rules: Rules | undefined;
}

/** A password to be verified; the number is of this worker's asking. */
export interface PasswordRequest {
  readonly number: number;
  readonly username: string;
  readonly password: Uint8Array;
  /** Of the client: whose turn it takes. */
  readonly address: string;
}

export interface WorkerData {
  /** This worker's number, from 0. */
  readonly worker: number;
  readonly workers: number;
  readonly partitions: number;
  readonly dataDirectory: string;
  readonly limits: SessionLimits;
  readonly access: WorkerAccess;
  /** All of the broker: wrapped connections name theirs by its place here. */
  readonly listeners: readonly Listener[];
  /** Of the listeners with TLS, by their place; null for the others. */
  readonly certificates: readonly (TlsMaterial | null)[];
  /** What this worker may hold for slow connections, and for unfinished packets. */
  readonly outputBudgetBytes: number;
  readonly inputBudgetBytes: number;
  readonly stalledMs: number;
  /** What all workers may hold together, and where each says what it does. */
  readonly memoryBudgetBytes: number;
  readonly pressure: SharedArrayBuffer;
  readonly logLevel: string;
  readonly mesh: Mesh;
  /** By worker: its own to listen to, the others to ring. */
  readonly doorbells: DoorbellPipes;
  /** Credit of consumers: `[owner * workers + consumer's worker]`. */
  readonly creditTables: readonly SharedArrayBuffer[];
  /** Commands from the control worker. */
  readonly commands: MessagePort;
}

/** A connection that its worker opens. */
export interface Newcomer {
  readonly handOver: HandOver;
  /** For a client that sent no client ID. */
  readonly assignedClientId: string;
}

export type ToWorker =
  | {
      readonly kind: "begin";
      readonly routes: readonly (readonly RouteSummary[])[];
      /** QoS 2 identifiers found in the partitions of each. */
      readonly inbound: readonly (readonly string[])[];
      readonly shares: readonly FoundShares[];
    }
  | { readonly kind: "connections"; readonly newcomers: readonly Newcomer[] }
  | { readonly kind: "wrapped"; readonly connections: readonly WrappedConnection[] }
  | { readonly kind: "certificates"; readonly certificates: readonly (TlsMaterial | null)[] }
  | { readonly kind: "sever"; readonly tunnel: number }
  | { readonly kind: "serve" }
  | { readonly kind: "access"; readonly change: AccessChange }
  | { readonly kind: "verified"; readonly number: number; readonly outcome: VerificationOutcome }
  | { readonly kind: "stop"; readonly graceMs: number }
  | { readonly kind: "close" };

export type FromWorker =
  | ({ readonly kind: "opened" } & Pick<Recovered, "routes" | "inbound" | "shares">)
  | { readonly kind: "begun" }
  | { readonly kind: "changed" }
  | { readonly kind: "verify"; readonly request: PasswordRequest }
  /** Clients' own sockets are gone, of the listener of this name: the address of each. */
  | { readonly kind: "closed"; readonly listener: string; readonly addresses: readonly string[] }
  | { readonly kind: "unwrapped"; readonly handOver: HandOver }
  | { readonly kind: "severed"; readonly tunnel: TunnelAddress }
  | { readonly kind: "left" }
  | { readonly kind: "stopped" };

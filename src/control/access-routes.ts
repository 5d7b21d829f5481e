/**
 * `GET /access`: what is in force, and how often it has refused. `POST /access/reload`: the files of users and rules are read again, as
 * SIGHUP does; a fault in them is the answer, and changes nothing.
 */
import { type Rules, writtenFormOf } from "../access/rules.ts";
import type { WorkerCounts, Workers } from "../worker/commands.ts";
import { jsonResponse } from "./answers.ts";
import { READERS, type Route, WRITERS } from "./route.ts";

/** What is in force; a null where there is no such file. */
export interface AccessSummary {
  readonly anonymous: boolean;
  readonly users: number | null;
  readonly rules: number | null;
}

/** The rules themselves; of users no more than how many. */
export interface AccessInForce extends Omit<AccessSummary, "rules"> {
  readonly rules: Rules | null;
}

/** Main, which keeps the files. */
export interface AccessDoor {
  inForce(): Promise<AccessInForce>;
  /** Rejects with ACCESS_INVALID. */
  reload(): Promise<AccessSummary>;
}

export function accessRoutes(door: AccessDoor, workers: Workers): readonly Route[] {
  return [
    {
      method: "GET",
      pattern: "/access",
      access: { roles: READERS, scope: "access_control" },
      readsBody: false,
      bodyBytesMax: 0,
      needsReady: true,
      prepare: () => async () => {
        const [{ anonymous, users, rules }, counts] = await Promise.all([door.inForce(), countsOf(workers)]);
        const written = rules === null ? { default: null, rules: null } : writtenFormOf(rules);
        return jsonResponse(200, { anonymous, users, ...written, refused: refusedOf(counts) });
      },
    },
    {
      method: "POST",
      pattern: "/access/reload",
      access: { roles: WRITERS, scope: "access_control" },
      readsBody: false,
      bodyBytesMax: 0,
      needsReady: true,
      prepare: () => async () => jsonResponse(200, await door.reload()),
    },
  ];
}

const countsOf = (workers: Workers): Promise<WorkerCounts[]> =>
  Promise.all(Array.from({ length: workers.count }, (_, worker) => workers.call(worker, { kind: "counts" })));

/** Since the start, over all workers. */
function refusedOf(counts: readonly WorkerCounts[]) {
  const sum = (name: keyof WorkerCounts): number => counts.reduce((total, each) => total + each[name], 0);
  return {
    connects: sum("refusedConnects"),
    publishes: sum("deniedPublishes"),
    subscriptions: sum("deniedSubscriptions"),
    deliveries: sum("deniedDeliveries"),
  };
}

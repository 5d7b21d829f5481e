/**
 * A match: everyone who wants the messages of a topic, flattened from the routes of all filters that match it. It is a
 * snapshot; its arrays never change, so a caller may hold them through a turn in which subscriptions change.
 */
import type { Route } from "./route.ts";

export interface Match<S extends object, Q extends object> {
  /** Subscribers of this worker; those of one session stand together, so that a session gets one copy for all. */
  readonly subscribers: readonly S[];
  /** Whether some session stands there more than once: false lets the caller skip looking for it. */
  readonly hasOverlap: boolean;
  /** Queues of this worker, each once. */
  readonly queues: readonly Q[];
  /** Other workers that have subscribers or queues for this topic, each once, ascending. */
  readonly workers: readonly number[];
  /** By place in `workers`: whether that worker stores any of it, and so must answer before the publisher's PUBACK. */
  readonly durable: readonly boolean[];
  /** How many of `workers` are durable. */
  readonly durableWorkers: number;
  /** The routes it was made from, and their versions then. */
  readonly routes: readonly Route<S, Q>[];
  readonly versions: readonly number[];
}

/** Nobody: the match of every topic without matching filters. */
export const EMPTY_MATCH: Match<never, never> = {
  subscribers: [],
  hasOverlap: false,
  queues: [],
  workers: [],
  durable: [],
  durableWorkers: 0,
  routes: [],
  versions: [],
};

/** How much a match holds, for the bound of those that are remembered. */
export const sizeOf = (match: Match<object, object>): number =>
  1 + match.subscribers.length + match.queues.length + match.workers.length + match.routes.length;

/** Whether a match is still what these routes (the first `count` of `routes`) would make. */
export function isCurrent<S extends object, Q extends object>(
  match: Match<S, Q>,
  routes: readonly Route<S, Q>[],
  count: number,
): boolean {
  if (match.routes.length !== count) return false;
  for (let index = 0; index < count; index += 1) {
    const route = routes[index]!;
    if (match.routes[index] !== route || match.versions[index] !== route.version) return false;
  }
  return true;
}

/** Makes the match of routes. `sessionOf` says which session a subscriber belongs to. */
export function matchOf<S extends object, Q extends object>(
  routes: readonly Route<S, Q>[],
  sessionOf: (subscriber: S) => object,
): Match<S, Q> {
  const lists = routes.map((route) => route.subscribers).filter((list) => list.length > 0);
  const remotes = new Map<number, boolean>();
  for (const route of routes) {
    for (const remote of route.remotes)
      remotes.set(remote >> 1, (remotes.get(remote >> 1) ?? false) || remote % 2 === 1);
  }
  const workers = [...remotes.keys()].sort((one, other) => one - other);
  const durable = workers.map((worker) => remotes.get(worker) === true);
  // A session has one subscription per filter: only several filters can overlap.
  const bySession = lists.length > 1 ? groupsOf(lists, sessionOf) : undefined;
  const subscribers = bySession === undefined ? [...(lists[0] ?? [])] : [...bySession.values()].flat();
  return {
    subscribers,
    hasOverlap: bySession !== undefined && bySession.size < subscribers.length,
    queues: [...new Set(routes.flatMap((route) => route.queues))],
    workers,
    durable,
    durableWorkers: durable.filter(Boolean).length,
    routes: [...routes],
    versions: routes.map((route) => route.version),
  };
}

function groupsOf<S extends object>(lists: readonly S[][], sessionOf: (subscriber: S) => object): Map<object, S[]> {
  const groups = new Map<object, S[]>();
  for (const list of lists) {
    for (const subscriber of list) {
      const session = sessionOf(subscriber);
      const group = groups.get(session);
      if (group === undefined) groups.set(session, [subscriber]);
      else if (!group.includes(subscriber)) group.push(subscriber);
    }
  }
  return groups;
}

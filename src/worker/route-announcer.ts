/**
 * What this worker has for each filter, told to all the others: nothing, something that dies with its connection, or something
 * that is stored. Only changes are told, and whoever caused one goes on when every worker has applied it.
 *
 * ```
 *   filter ─► { volatile, durable } counts ─► state 0 │ 1 │ 2 ─► ROUTE to all ─► ROUTED from all ─► done
 * ```
 */
import { ROUTE, ROUTE_DURABLE, ROUTE_NONE, ROUTE_VOLATILE, type RouteBody, type RouteState } from "../frame/kinds.ts";
import type { Partner } from "./partner.ts";

interface FilterCounts {
  volatile: number;
  durable: number;
  /** What the others were told last. */
  told: RouteState;
}

interface Announcement {
  readonly filter: string;
  pending: number;
  readonly done: (() => void)[];
}

/** A filter and what a worker has for it: for the start, when all is told at once. */
export interface RouteSummary {
  readonly filter: string;
  readonly state: RouteState;
}

export class RouteAnnouncer {
  readonly #others: readonly Partner[];
  readonly #counts = new Map<string, FilterCounts>();
  readonly #announcements = new Map<number, Announcement>();
  /** The newest announcement of a filter that is not yet applied everywhere. */
  readonly #latest = new Map<string, Announcement>();
  #token = 0;
  #isStarted = false;

  constructor(others: readonly Partner[]) {
    this.#others = others;
  }

  /** One more for this filter; `done` when everyone knows of this worker's part in it. */
  add(filter: string, isDurable: boolean, done: () => void): void {
    let counts = this.#counts.get(filter);
    if (counts === undefined) {
      counts = { volatile: 0, durable: 0, told: ROUTE_NONE };
      this.#counts.set(filter, counts);
    }
    if (isDurable) counts.durable += 1;
    else counts.volatile += 1;
    this.#tell(filter, counts, done);
  }

  remove(filter: string, isDurable: boolean): void {
    const counts = this.#counts.get(filter);
    if (counts === undefined) return;
    if (isDurable) counts.durable -= 1;
    else counts.volatile -= 1;
    this.#tell(filter, counts, () => {});
    if (counts.volatile === 0 && counts.durable === 0) this.#counts.delete(filter);
  }

  /** Everything so far, for the others' start; from now on changes are told. */
  start(): RouteSummary[] {
    this.#isStarted = true;
    const routes: RouteSummary[] = [];
    for (const [filter, counts] of this.#counts) {
      counts.told = stateOf(counts);
      routes.push({ filter, state: counts.told });
    }
    return routes;
  }

  /** A partner has applied an announcement. */
  onRouted(token: number): void {
    const announcement = this.#announcements.get(token);
    if (announcement === undefined) return;
    announcement.pending -= 1;
    if (announcement.pending > 0) return;
    this.#announcements.delete(token);
    if (this.#latest.get(announcement.filter) === announcement) this.#latest.delete(announcement.filter);
    for (const done of announcement.done) done();
  }

  #tell(filter: string, counts: FilterCounts, done: () => void): void {
    const state = stateOf(counts);
    if (!this.#isStarted || this.#others.length === 0) {
      done();
      return;
    }
    if (state === counts.told) {
      const pending = this.#latest.get(filter);
      if (pending === undefined) done();
      else pending.done.push(done);
      return;
    }
    counts.told = state;
    this.#token = (this.#token + 1) >>> 0;
    const announcement: Announcement = { filter, pending: this.#others.length, done: [done] };
    this.#announcements.set(this.#token, announcement);
    this.#latest.set(filter, announcement);
    const body: RouteBody = { filter, state, token: this.#token };
    for (const other of this.#others) other.control(ROUTE, body);
  }
}

const stateOf = (counts: FilterCounts): RouteState => {
  if (counts.durable > 0) return ROUTE_DURABLE;
  return counts.volatile > 0 ? ROUTE_VOLATILE : ROUTE_NONE;
};

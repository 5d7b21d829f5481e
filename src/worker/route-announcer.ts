/**
 * What this worker has for each filter, told to all the others: nothing, something that dies with its connection, or something
 * that is stored. Only changes are told, and whoever caused one goes on when every worker has applied it.
 *
 * ```
 *   state of a filter here, as the index says ─ changed ─► ROUTE to all others ─► ROUTED from all ─► done
 * ```
 */
import { ROUTE, ROUTE_NONE, type RouteBody, type RouteState } from "../frame/kinds.ts";
import type { Partner } from "./partner.ts";

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
  /** What the others know. */
  readonly #told = new Map<string, RouteState>();
  readonly #announcements = new Map<number, Announcement>();
  /** The newest announcement of a filter that is not yet applied everywhere. */
  readonly #latest = new Map<string, Announcement>();
  #token = 0;
  #isStarted = false;

  constructor(others: readonly Partner[]) {
    this.#others = others;
  }

  /** Tells what this worker has for a filter now; `done` when everyone knows. */
  tell(filter: string, state: RouteState, done: () => void): void {
    if (!this.#isStarted || this.#others.length === 0) {
      this.#note(filter, state);
      done();
      return;
    }
    if (state === (this.#told.get(filter) ?? ROUTE_NONE)) {
      const pending = this.#latest.get(filter);
      if (pending === undefined) done();
      else pending.done.push(done);
      return;
    }
    this.#note(filter, state);
    this.#token = (this.#token + 1) >>> 0;
    const announcement: Announcement = { filter, pending: this.#others.length, done: [done] };
    this.#announcements.set(this.#token, announcement);
    this.#latest.set(filter, announcement);
    const body: RouteBody = { filter, state, token: this.#token };
    for (const other of this.#others) other.control(ROUTE, body);
  }

  /** Everything so far, for the others' start; from now on changes are told. */
  start(): RouteSummary[] {
    this.#isStarted = true;
    return [...this.#told].map(([filter, state]) => ({ filter, state }));
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

  #note(filter: string, state: RouteState): void {
    if (state === ROUTE_NONE) this.#told.delete(filter);
    else this.#told.set(filter, state);
  }
}

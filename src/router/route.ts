/**
 * One filter's route: who on this worker subscribes, which queues of this worker take from it, and which other workers
 * have some of either.
 *
 * ```
 *   subscribers: │ durable … │ volatile … │     a removal fills the hole from the end of its part
 *                0      #durable       length
 * ```
 */
import { ROUTE_DURABLE, ROUTE_NONE, ROUTE_VOLATILE, type RouteState } from "../frame/kinds.ts";
import type { Match } from "./match.ts";

/** From this many subscribers on, their places are kept in a map: a removal must not search. */
const PLACES_FROM = 32;
const NOBODY: never[] = [];

export class Route<S extends object, Q extends object> {
  /** Grows with every change of this or any other route: equal versions mean equal contents. */
  version = 0;
  queues: Q[] = NOBODY;
  subscribers: S[] = NOBODY;
  /** `worker * 2 + (durable ? 1 : 0)`, ascending. */
  remotes: number[] = NOBODY;
  /** The match of all topics that match this filter alone, if any was asked for since the last change. */
  alone: Match<S, Q> | undefined = undefined;
  #durable = 0;
  /** Those of `queues` that keep nothing on disk now. */
  #volatileQueues: Set<Q> | undefined = undefined;
  #places: Map<S, number> | undefined = undefined;

  get isEmpty(): boolean {
    return this.subscribers.length === 0 && this.queues.length === 0 && this.remotes.length === 0;
  }

  /** What the other workers must know of this one. */
  get localState(): RouteState {
    const volatileQueues = this.#volatileQueues?.size ?? 0;
    if (this.#durable > 0 || this.queues.length > volatileQueues) return ROUTE_DURABLE;
    return this.subscribers.length + volatileQueues > 0 ? ROUTE_VOLATILE : ROUTE_NONE;
  }

  /** Adds a subscriber, or changes whether it is durable. */
  addSubscriber(subscriber: S, durable: boolean): void {
    this.removeSubscriber(subscriber);
    const last = this.subscribers.length;
    // A literal takes one place; the first push of an empty array would take seventeen.
    if (last === 0) this.subscribers = [subscriber];
    else this.subscribers.push(subscriber);
    this.#places?.set(subscriber, last);
    if (this.#places === undefined && this.subscribers.length >= PLACES_FROM) {
      this.#places = new Map(this.subscribers.map((each, place) => [each, place]));
    }
    if (!durable) return;
    this.#move(this.subscribers[this.#durable]!, last);
    this.#move(subscriber, this.#durable);
    this.#durable += 1;
  }

  /** False when it was not there. */
  removeSubscriber(subscriber: S): boolean {
    let hole = this.#places === undefined ? this.subscribers.indexOf(subscriber) : (this.#places.get(subscriber) ?? -1);
    if (hole < 0) return false;
    if (hole < this.#durable) {
      this.#durable -= 1;
      this.#move(this.subscribers[this.#durable]!, hole);
      hole = this.#durable;
    }
    const last = this.subscribers.pop()!;
    if (hole < this.subscribers.length) this.#move(last, hole);
    this.#places?.delete(subscriber);
    if (this.subscribers.length === 0) {
      this.subscribers = NOBODY;
      this.#places = undefined;
    }
    return true;
  }

  /** Adds a queue, or changes whether it keeps anything on disk. */
  addQueue(queue: Q, durable: boolean): void {
    if (!this.queues.includes(queue)) this.queues = [...this.queues, queue];
    if (durable) this.#volatileQueues?.delete(queue);
    else {
      this.#volatileQueues ??= new Set();
      this.#volatileQueues.add(queue);
    }
  }

  removeQueue(queue: Q): boolean {
    if (!this.queues.includes(queue)) return false;
    this.queues = this.queues.filter((each) => each !== queue);
    this.#volatileQueues?.delete(queue);
    return true;
  }

  /** What another worker has. */
  setRemote(worker: number, state: RouteState): void {
    const others = this.remotes.filter((each) => each >> 1 !== worker);
    if (state !== ROUTE_NONE) others.push(worker * 2 + (state === ROUTE_DURABLE ? 1 : 0));
    this.remotes = others.length === 0 ? NOBODY : others.sort((one, other) => one - other);
  }

  #move(subscriber: S, place: number): void {
    this.subscribers[place] = subscriber;
    this.#places?.set(subscriber, place);
  }
}

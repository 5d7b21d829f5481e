/**
 * The filter index: from a topic to everyone who wants its messages. Every worker holds all filters: its own subscribers and
 * queues as objects, the others' as the numbers of their workers.
 *
 * ```
 *   topic bytes ──hash──► remembered match, stamp still right ──────────────────────► Match
 *                 └─ else: walk the trie ─► routes ─ same as remembered? ─ yes ─► Match
 *                                                        └─ no: flatten ───► Match
 * ```
 *
 * A remembered match is right as long as no filter changed that could match its topic. To tell that at the cost of an addition
 * a level, every change counts up a number found by the filter's literal beginning (`a/b` of `a/b/+/#`), and a topic's
 * stamp is the sum of those numbers over all its beginnings, itself included: the hash of the topic passes by them anyway.
 * Filters with another beginning leave the stamp alone; so do all but one in 16,384 that merely share a number.
 */
import { assert } from "../base/assert.ts";
import { MATCH_CACHE_ENTRIES_MAX, TOPIC_BYTES_MAX } from "../base/limits.ts";
import { Region } from "../base/region.ts";
import { ROUTE_NONE, type RouteState } from "../frame/kinds.ts";
import { hashOfByte, LevelTrie, NO_NODE } from "./level-trie.ts";
import { EMPTY_MATCH, isCurrent, type Match, matchOf, sizeOf } from "./match.ts";
import { MatchCache, NOT_REMEMBERED } from "./match-cache.ts";
import { Route } from "./route.ts";
import { TopicWalk } from "./topic-walk.ts";

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const CHANGE_COUNTS = 16 * 1024;

/** `S`: a subscription of a session of this worker; `Q`: a queue of this worker. Kept by reference, told apart by identity. */
export class FilterIndex<S extends object, Q extends object> {
  readonly #sessionOf: (subscriber: S) => object;
  readonly #trie: LevelTrie<Route<S, Q>>;
  readonly #walk: TopicWalk<Route<S, Q>>;
  readonly #cache = new MatchCache<Match<S, Q>>();
  /** Matches of several routes, by the first: topics that match the same filters share one. */
  readonly #shared = new Map<Route<S, Q>, Match<S, Q>>();
  #sharedSize = 0;
  readonly #changes = new Int32Array(CHANGE_COUNTS);
  /** The bytes of the filter that a call is about. */
  readonly #filter = Region.allocate(TOPIC_BYTES_MAX);
  #filterBytes = 0;
  #version = 0;
  #filters = 0;

  /** `seed`: 32 random bits (see LevelTrie). `sessionOf` never changes its answer for a subscriber. */
  constructor(sessionOf: (subscriber: S) => object, seed: number) {
    this.#sessionOf = sessionOf;
    this.#trie = new LevelTrie(seed);
    this.#walk = new TopicWalk(this.#trie);
  }

  /** Filters with at least one subscriber, queue or worker. */
  get filters(): number {
    return this.#filters;
  }

  /** Topics whose match is remembered. */
  get rememberedTopics(): number {
    return this.#cache.topics;
  }

  /** Bytes of the trie, the routes' own objects not included. */
  get trieBytes(): number {
    return this.#trie.memoryBytes;
  }

  /**
   * Adds a subscriber to a valid filter; one that is there already changes to `durable`: its messages are stored. False when the
   * index is full.
   */
  addSubscriber(filter: string, subscriber: S, durable: boolean): boolean {
    const route = this.#routeFor(filter);
    if (route === undefined) return false;
    route.addSubscriber(subscriber, durable);
    return true;
  }

  /** False when it was not there. */
  removeSubscriber(filter: string, subscriber: S): boolean {
    const node = this.#nodeOf(filter);
    if (node === NO_NODE || !this.#trie.valueOf(node)?.removeSubscriber(subscriber)) return false;
    this.#changed(node);
    return true;
  }

  /** Adds a queue of this worker to its filter; `durable`: it keeps messages on disk. False when the index is full. */
  addQueue(filter: string, queue: Q, durable = true): boolean {
    const route = this.#routeFor(filter);
    route?.addQueue(queue, durable);
    return route !== undefined;
  }

  /** False when it was not there. */
  removeQueue(filter: string, queue: Q): boolean {
    const node = this.#nodeOf(filter);
    if (node === NO_NODE || !this.#trie.valueOf(node)?.removeQueue(queue)) return false;
    this.#changed(node);
    return true;
  }

  /** What another worker now has for a filter, as its ROUTE frame says. False when the index is full. */
  setRemote(filter: string, worker: number, state: RouteState): boolean {
    if (state !== ROUTE_NONE) {
      const route = this.#routeFor(filter);
      route?.setRemote(worker, state);
      return route !== undefined;
    }
    const node = this.#nodeOf(filter);
    if (node !== NO_NODE && this.#trie.valueOf(node) !== undefined) {
      this.#trie.valueOf(node)!.setRemote(worker, ROUTE_NONE);
      this.#changed(node);
    }
    return true;
  }

  /** What this worker has for a filter: to be told to the others when it changes. */
  stateOf(filter: string): RouteState {
    const node = this.#nodeOf(filter);
    return node === NO_NODE ? ROUTE_NONE : (this.#trie.valueOf(node)?.localState ?? ROUTE_NONE);
  }

  /** Everyone who wants a message of this valid topic. Allocates only when the topic is new or its subscribers changed. */
  match(region: Region, topicOffset: number, topicBytes: number): Match<S, Q> {
    const { bytes } = region;
    const changes = this.#changes;
    const end = topicOffset + topicBytes;
    let hash = this.#trie.seed;
    let stamp = changes[changeOf(hash)]!;
    for (let at = topicOffset; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === SLASH) stamp = (stamp + changes[changeOf(hash)]!) | 0;
      hash = hashOfByte(hash, byte);
    }
    stamp = (stamp + changes[changeOf(hash)]!) | 0;

    const entry = this.#cache.find(hash, region, topicOffset, topicBytes);
    if (entry !== NOT_REMEMBERED && this.#cache.stampOf(entry) === stamp) return this.#cache.matchOf(entry);

    return this.#matchAgain(region, topicOffset, topicBytes, hash, stamp, entry);
  }

  /** Forgets matches that were not used since the last call; once a minute or so, so that they keep no ended session alive. */
  trim(): void {
    this.#cache.turnOver();
    this.#forgetShared();
  }

  /** The match of a topic that is not remembered, or whose remembered match may have changed. */
  #matchAgain(
    region: Region,
    topicOffset: number,
    topicBytes: number,
    hash: number,
    stamp: number,
    entry: number,
  ): Match<S, Q> {
    const count = this.#walk.walk(region, topicOffset, topicBytes);
    const routes = this.#walk.found;
    if (entry !== NOT_REMEMBERED) {
      const known = this.#cache.matchOf(entry);
      if (isCurrent(known, routes, count)) {
        this.#cache.confirm(entry, stamp);
        return known;
      }
    }
    let match = this.#madeBefore(routes, count);
    let size = 1;
    if (match === undefined) {
      match = matchOf(routes.slice(0, count), this.#sessionOf);
      if (count === 1) routes[0]!.alone = match;
      else {
        size = sizeOf(match);
        this.#share(routes[0]!, match, size);
      }
    }
    if (entry === NOT_REMEMBERED) this.#cache.remember(hash, region, topicOffset, topicBytes, stamp, match, size);
    else this.#cache.replace(entry, stamp, match, size);
    return match;
  }

  /** The match of these routes (the first `count`) if it was made for another topic. */
  #madeBefore(routes: readonly Route<S, Q>[], count: number): Match<S, Q> | undefined {
    if (count === 0) return EMPTY_MATCH;
    const first = routes[0]!;
    const made = count === 1 ? first.alone : this.#shared.get(first);
    return made !== undefined && isCurrent(made, routes, count) ? made : undefined;
  }

  #share(first: Route<S, Q>, match: Match<S, Q>, size: number): void {
    if (this.#sharedSize + size > MATCH_CACHE_ENTRIES_MAX) this.#forgetShared();
    this.#shared.set(first, match);
    this.#sharedSize += size;
  }

  #forgetShared(): void {
    this.#shared.clear();
    this.#sharedSize = 0;
  }

  #nodeOf(filter: string): number {
    this.#filterBytes = this.#filter.bytes.write(filter);
    assert(this.#filterBytes > 0 && this.#filterBytes === Buffer.byteLength(filter), "a filter is within its bound");
    return this.#trie.find(this.#filter, 0, this.#filterBytes);
  }

  /** The route of a filter that is about to gain something, made if need be. */
  #routeFor(filter: string): Route<S, Q> | undefined {
    let node = this.#nodeOf(filter);
    if (node === NO_NODE) node = this.#trie.tryEnsure(this.#filter, 0, this.#filterBytes);
    if (node === NO_NODE) return undefined;
    let route = this.#trie.valueOf(node);
    if (route === undefined) {
      route = new Route();
      this.#trie.setValue(node, route);
      this.#filters += 1;
    }
    this.#stampChange(route);
    return route;
  }

  /** After a route lost something: counts the change, and removes the filter when nothing is left of it. */
  #changed(leaf: number): void {
    const route = this.#trie.valueOf(leaf)!;
    this.#stampChange(route);
    if (!route.isEmpty) return;
    this.#trie.setValue(leaf, undefined);
    this.#filters -= 1;
    let node = leaf;
    while (this.#trie.isBare(node)) node = this.#trie.remove(node);
  }

  /** Counts a change of the filter in `#filter`, so that matches of topics it may match are looked at again. */
  #stampChange(route: Route<S, Q>): void {
    this.#version += 1;
    route.version = this.#version;
    route.alone = undefined;
    const { bytes } = this.#filter;
    let hash = this.#trie.seed;
    let beginning = hash;
    let isLiteral = true;
    for (let at = 0; at < this.#filterBytes && isLiteral; at += 1) {
      const byte = bytes[at]!;
      if (byte === SLASH) beginning = hash;
      else if (byte === PLUS || byte === HASH) isLiteral = false;
      hash = hashOfByte(hash, byte);
    }
    this.#changes[changeOf(isLiteral ? hash : beginning)]! += 1;
  }
}

const changeOf = (hash: number): number => (hash ^ (hash >>> 14)) & (CHANGE_COUNTS - 1);

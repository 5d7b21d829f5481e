/**
 * One client's rights under one set of rules: the rules that speak of it, with its names put in.
 *
 * A client's own name never widens a rule: one with `+`, `#` or `/`, or `$` in front of a filter, fits no allowing rule; a denying rule
 * then denies whatever its filter could have meant.
 */
import { isMatch, isTopicFilter } from "../mqtt/topics.ts";
import type { Identity, Rights, Standing } from "./authorization.ts";
import { DecisionCache, NOT_DECIDED } from "./decision-cache.ts";
import { covers, overlaps } from "./filter-relations.ts";
import { addressesOf, type Rule, type Rules, VARIABLE } from "./rules.ts";

/** One topic of one rule, for one client; without a filter it speaks of everything. */
interface Clause {
  readonly isAllowed: boolean;
  readonly filter: string | undefined;
  readonly isExact: boolean;
}

interface Clauses {
  readonly publish: readonly Clause[];
  readonly subscribe: readonly Clause[];
}

/** Decisions of all clients of a thread. */
let cache: DecisionCache | undefined;
let owners = 0;

export class RuleRights implements Rights {
  readonly #rules: Rules;
  readonly #identity: Identity;
  /** Numbers of its own in the cache, for publishing and for receiving. */
  readonly #publisher: number;
  readonly #receiver: number;
  #clauses: Clauses | undefined;

  constructor(rules: Rules, identity: Identity) {
    this.#rules = rules;
    this.#identity = identity;
    owners = (owners + 2) & 0x7fff_ffff;
    this.#publisher = owners;
    this.#receiver = owners + 1;
    cache ??= new DecisionCache();
  }

  mayPublish(bytes: Buffer, start: number, end: number): boolean {
    const known = cache!.find(this.#publisher, bytes, start, end);
    if (known !== NOT_DECIDED) return known === 1;
    const isAllowed = this.#decide(this.#own.publish, bytes.toString("utf8", start, end), undefined);
    cache!.keep(this.#publisher, bytes, start, end, isAllowed);
    return isAllowed;
  }

  mayReceive(bytes: Buffer, start: number, end: number, filter: string | undefined): boolean {
    const known = cache!.find(this.#receiver, bytes, start, end);
    if (known !== NOT_DECIDED) return known === 1;
    const clauses = this.#own.subscribe;
    const isAllowed = this.#decide(clauses, bytes.toString("utf8", start, end), filter);
    // What a literal filter decides depends on the subscription.
    if (!clauses.some(({ isExact }) => isExact)) cache!.keep(this.#receiver, bytes, start, end, isAllowed);
    return isAllowed;
  }

  /** A rule must cover the filter to allow it; a denial of a part of it is kept message by message. */
  standingOf(filter: string): Standing {
    let isGuarded = false;
    for (const clause of this.#own.subscribe) {
      if (
        clause.filter === undefined ||
        clause.filter === filter ||
        (!clause.isExact && covers(clause.filter, filter))
      ) {
        return standing(clause.isAllowed, isGuarded);
      }
      if (!clause.isAllowed && isPartOf(clause, filter)) isGuarded = true;
    }
    return standing(this.#rules.isAllowedByDefault, isGuarded);
  }

  #decide(clauses: readonly Clause[], topic: string, filter: string | undefined): boolean {
    for (const clause of clauses) {
      const isConcerned =
        clause.filter === undefined ||
        (clause.isExact ? clause.filter === topic || clause.filter === filter : isMatch(clause.filter, topic));
      if (isConcerned) return clause.isAllowed;
    }
    return this.#rules.isAllowedByDefault;
  }

  get #own(): Clauses {
    this.#clauses ??= clausesOf(this.#rules, this.#identity);
    return this.#clauses;
  }
}

const standing = (isAllowed: boolean, isGuarded: boolean): Standing =>
  isAllowed ? (isGuarded ? "guarded" : "open") : "closed";

/** Whether a clause speaks of some topics of a filter; a literal one with a wildcard is no topic's name. */
const isPartOf = ({ filter, isExact }: Clause, other: string): boolean =>
  filter !== undefined && !(isExact && /[+#]/.test(filter)) && overlaps(filter, other);

function clausesOf({ rules }: Rules, identity: Identity): Clauses {
  const publish: Clause[] = [];
  const subscribe: Clause[] = [];
  for (const rule of rules) {
    if (!speaksOf(rule, identity)) continue;
    const { action, isAllowed, topics } = rule;
    const everything: Clause = { isAllowed, filter: undefined, isExact: false };
    const clauses = topics?.flatMap(({ filter, isExact }): Clause[] => {
      const own = isExact ? filter : withNames(filter, isAllowed, identity);
      return own === undefined ? [] : [{ isAllowed, filter: own, isExact }];
    });
    if (action !== "subscribe") publish.push(...(clauses ?? [everything]));
    if (action !== "publish") subscribe.push(...(clauses ?? [everything]));
  }
  return { publish, subscribe };
}

function speaksOf({ users, clients, addresses }: Rule, { user, clientId, address }: Identity): boolean {
  if (users !== undefined && (user === undefined || !users.includes(user))) return false;
  if (clients !== undefined && !clients.includes(clientId)) return false;
  return addresses === undefined || isWithin(addresses, address);
}

const lists = new WeakMap<readonly string[], ReturnType<typeof addressesOf>>();

function isWithin(networks: readonly string[], address: string): boolean {
  let list = lists.get(networks);
  if (list === undefined) {
    list = addressesOf(networks);
    lists.set(networks, list);
  }
  return address !== "" && list.check(address, address.includes(":") ? "ipv6" : "ipv4");
}

/** The filter with the client's names; undefined when it then speaks of nothing. */
function withNames(filter: string, isAllowed: boolean, { user, clientId }: Identity): string | undefined {
  if (!filter.includes("%")) return filter;
  let firstUnfit = -1;
  const own = filter.replace(VARIABLE, (variable, at: number) => {
    const name = variable === "%u" ? user : clientId;
    const isFit = name !== undefined && name !== "" && !/[+#/]/.test(name) && !(at === 0 && name.startsWith("$"));
    if (!isFit && firstUnfit < 0) firstUnfit = at;
    return name ?? "";
  });
  if (firstUnfit < 0 && isTopicFilter(own)) return own;
  if (isAllowed) return undefined;
  // A denial for a client whose name cannot stand there: of all that begins as its filter does before the name.
  const before = filter.slice(0, Math.max(0, filter.search(VARIABLE)));
  return `${before.slice(0, before.lastIndexOf("/") + 1)}#`;
}

/**
 * What three clients may do, and random lists of it. A list is plain data: it runs on any server, and prints.
 *
 * Two kinds of lists: "peer" lists avoid what the specification leaves open or mosquitto 2.0 does otherwise, and run beside it; "own"
 * lists have everything and compare one worker with three. `EXCLUDED` says what peer lists avoid, and why.
 */
import { isMatch } from "../../../src/mqtt/topics.ts";

export type Name = "a" | "b" | "c";
export type Qos = 0 | 1 | 2;

export interface Will {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
}

export type Operation =
  | {
      readonly kind: "connect";
      readonly by: Name;
      readonly clean: boolean;
      readonly expiryS: number;
      readonly will?: Will;
    }
  | {
      readonly kind: "subscribe";
      readonly by: Name;
      readonly filter: string;
      readonly qos: Qos;
      readonly nl: boolean;
      readonly rap: boolean;
      readonly rh: 0 | 1 | 2;
      readonly identifier: number;
    }
  | { readonly kind: "unsubscribe"; readonly by: Name; readonly filter: string }
  | {
      readonly kind: "publish";
      readonly by: Name;
      readonly topic: string;
      readonly qos: Qos;
      readonly retain: boolean;
      readonly text: string;
      /** Sent by its topic alias alone; the alias was given before on this connection. */
      readonly alias: number;
      readonly isAliasKnown: boolean;
      readonly hasProperties: boolean;
    }
  /** Acknowledges nothing, until `release` or the end of its connection. */
  | { readonly kind: "hold"; readonly by: Name }
  | { readonly kind: "release"; readonly by: Name }
  | {
      readonly kind: "end";
      readonly by: Name;
      readonly how: "normal" | "withWill" | "abrupt";
      readonly expiryS?: number;
    };

export interface List {
  readonly versions: Readonly<Record<Name, 4 | 5>>;
  readonly operations: readonly Operation[];
}

/** What peer lists avoid. */
export const EXCLUDED: readonly (readonly [what: string, why: string])[] = [
  [
    "two subscriptions of one session that match the same topic",
    "mosquitto 2.0 takes the QoS and the identifier of the one it finds first; [MQTT-3.3.4-2] and [MQTT-3.3.4-4] ask for the highest QoS and all identifiers",
  ],
  [
    "retained messages for a subscription with No Local",
    "mosquitto 2.0 gives a client its own ones; [MQTT-3.8.3-3] forbids to forward a message to the client ID that published it",
  ],
  [
    "a new connection of a client ID that goes on with the session of one that is still there and has a will",
    "mosquitto 2.0 does not publish that will; [MQTT-3.1.2-8] and section 3.1.3.2.2 of 5.0 have it published, with a will delay of 0",
  ],
  [
    "a subscription that is made again with another No Local or Retain As Published",
    "mosquitto 2.0 keeps the old ones; [MQTT-3.8.4-3] has the subscription replaced",
  ],
  [
    "the end or change of a subscription with an identifier",
    "Restante finds the identifiers of a message that waited, or is sent again, among the subscriptions of that moment; mosquitto 2.0 keeps those of its arrival, which is closer to [MQTT-3.3.4-3]",
  ],
];

const NAMES: readonly Name[] = ["a", "b", "c"];
export const TOPICS = ["t", "t/x", "t/y", "t/x/z", "u", "u/x"] as const;
const FILTERS = ["#", "t", "t/#", "t/+", "t/x", "t/+/z", "u/#", "+", "+/x", "u"] as const;
const ALIASES_MAX = 4;

interface Known {
  isConnected: boolean;
  isHolding: boolean;
  hasWill: boolean;
  expiryS: number;
  filters: Set<string>;
  /** Of each subscription that was made, what a later one of the same filter keeps in peer lists. */
  options: Map<string, { readonly nl: boolean; readonly rap: boolean; readonly identifier: number }>;
  aliases: Map<number, string>;
}

export function randomList(random: () => number, length: number, kind: "peer" | "own"): List {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!;
  const chance = (share: number): boolean => random() < share;
  const versions = { a: pick([4, 5] as const), b: pick([4, 5] as const), c: pick([4, 5] as const) };
  const fresh = (): Known => ({
    isConnected: false,
    isHolding: false,
    hasWill: false,
    expiryS: 0,
    filters: new Set(),
    options: new Map(),
    aliases: new Map(),
  });
  const known: Record<Name, Known> = { a: fresh(), b: fresh(), c: fresh() };
  const operations: Operation[] = [];
  const qos = (): Qos => pick([0, 1, 2] as const);
  let text = 0;

  const connect = (by: Name): void => {
    const client = known[by];
    const endsWill = kind === "peer" && client.isConnected && client.hasWill;
    const clean = chance(0.3) || endsWill;
    const expiryS = versions[by] === 5 ? pick([0, 600, 600]) : clean ? 0 : 600;
    const will = chance(0.35) ? { topic: pick(TOPICS), qos: qos(), retain: chance(0.3) } : undefined;
    operations.push({ kind: "connect", by, clean, expiryS, ...(will === undefined ? {} : { will }) });
    if (clean || client.expiryS === 0) client.filters.clear();
    Object.assign(client, { isConnected: true, isHolding: false, hasWill: will !== undefined, expiryS });
    client.aliases.clear();
  };

  const subscribe = (by: Name): void => {
    const client = known[by];
    const filter = pick(FILTERS);
    if (kind === "peer" && overlaps(filter, client.filters)) return;
    const isV5 = versions[by] === 5;
    client.filters.add(filter);
    const drawn = {
      nl: isV5 && chance(0.25),
      rap: isV5 && chance(0.3),
      identifier: isV5 && chance(0.5) ? 1 + below(5) : 0,
    };
    const kept = kind === "peer" ? (client.options.get(filter) ?? drawn) : drawn;
    client.options.set(filter, kept);
    const rh = pick([0, 0, 1, 2] as const);
    const retainHandling = kept.nl && kind === "peer" ? 2 : rh;
    operations.push({ kind: "subscribe", by, filter, qos: qos(), rh: isV5 ? retainHandling : 0, ...kept });
  };

  const publish = (by: Name): void => {
    const client = known[by];
    const topic = pick(TOPICS);
    const retain = chance(0.3);
    const isV5 = versions[by] === 5;
    const alias = isV5 && chance(0.3) ? 1 + below(ALIASES_MAX) : 0;
    const isAliasKnown = client.aliases.get(alias) === topic && chance(0.7);
    if (alias > 0) client.aliases.set(alias, topic);
    text += 1;
    const isEmpty = retain && chance(0.3);
    operations.push({
      kind: "publish",
      by,
      topic,
      qos: qos(),
      retain,
      text: isEmpty ? "" : `${text}`,
      alias,
      isAliasKnown,
      hasProperties: isV5 && chance(0.4),
    });
  };

  const end = (by: Name): void => {
    const client = known[by];
    const isV5 = versions[by] === 5;
    const how = pick(isV5 ? (["normal", "withWill", "abrupt"] as const) : (["normal", "abrupt"] as const));
    const changed = isV5 && how !== "abrupt" && client.expiryS > 0 && chance(0.2) ? 0 : undefined;
    operations.push({ kind: "end", by, how, ...(changed === undefined ? {} : { expiryS: changed }) });
    Object.assign(client, { isConnected: false, hasWill: false, expiryS: changed ?? client.expiryS });
    if (client.expiryS === 0) client.filters.clear();
  };

  while (operations.length < length) {
    const by = pick(NAMES);
    const client = known[by];
    if (!client.isConnected) {
      connect(by);
      continue;
    }
    const drawn = random();
    if (drawn < 0.52) publish(by);
    else if (drawn < 0.74) subscribe(by);
    else if (drawn < 0.8) {
      const filter = chance(0.8) && client.filters.size > 0 ? pick([...client.filters]) : pick(FILTERS);
      if (kind === "peer" && client.filters.has(filter) && client.options.get(filter)?.identifier !== 0) continue;
      client.filters.delete(filter);
      operations.push({ kind: "unsubscribe", by, filter });
    } else if (drawn < 0.86) {
      operations.push({ kind: client.isHolding ? "release" : "hold", by });
      client.isHolding = !client.isHolding;
    } else if (drawn < 0.96) end(by);
    else connect(by); // A takeover.
  }
  return { versions, operations };
}

/** Whether some topic matches the filter and another one of the session; the same filter again replaces its subscription. */
function overlaps(filter: string, others: ReadonlySet<string>): boolean {
  for (const other of others) {
    if (other === filter) continue;
    if (TOPICS.some((topic) => isMatch(filter, topic) && isMatch(other, topic))) return true;
  }
  return false;
}

export function printed({ versions, operations }: List): string {
  const lines = operations.map((operation, at) => `${at}: ${JSON.stringify(operation)}`);
  return `${JSON.stringify(versions)}\n${lines.join("\n")}`;
}

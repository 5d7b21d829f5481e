/**
 * Rules: who may publish and subscribe to what. The first that speaks of a client, an action and a topic decides; where none does, the
 * default.
 *
 * ```yaml
 *   default: deny
 *   rules:
 *     - allow: publish                   # or subscribe, or all; or deny
 *       user: [alice, bob]               # proven names; all conditions must hold, one of each list
 *       client: sensor-7
 *       address: 10.0.0.0/8
 *       topic: ["sensors/%c/#", {eq: "#"}]
 * ```
 */
import { BlockList, isIP } from "node:net";

/** A topic of a rule: a filter with `%u` and `%c` for the client's names, or a filter that is meant literally. */
export interface RuleTopic {
  readonly filter: string;
  /** Speaks of a subscription with exactly this filter, and of the topic of this name. */
  readonly isExact: boolean;
}

/** Plain data: it crosses threads. A condition that is left out holds for everybody and everything. */
export interface Rule {
  readonly isAllowed: boolean;
  readonly action: "publish" | "subscribe" | "all";
  readonly users?: readonly string[];
  readonly clients?: readonly string[];
  readonly addresses?: readonly string[];
  readonly topics?: readonly RuleTopic[];
}

export interface Rules {
  readonly isAllowedByDefault: boolean;
  readonly rules: readonly Rule[];
}

/** What stands for a client's own name in a filter. */
export const VARIABLE = /%[uc]/g;

/** The addresses of a rule, in the form that is asked. */
export function addressesOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [base, prefix] = network.split("/");
    const family = isIP(base!) === 6 ? "ipv6" : "ipv4";
    list.addSubnet(base!, prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix), family);
  }
  return list;
}

/** Rules in the words of the file that they are read from, for who asks what is in force. */
export const writtenFormOf = ({ isAllowedByDefault, rules }: Rules) => ({
  default: isAllowedByDefault ? "allow" : "deny",
  rules: rules.map(({ isAllowed, action, users, clients, addresses, topics }) => ({
    [isAllowed ? "allow" : "deny"]: action,
    ...(users === undefined ? {} : { user: users }),
    ...(clients === undefined ? {} : { client: clients }),
    ...(addresses === undefined ? {} : { address: addresses }),
    ...(topics === undefined
      ? {}
      : { topic: topics.map(({ filter, isExact }) => (isExact ? { eq: filter } : filter)) }),
  })),
});

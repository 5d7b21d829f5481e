/**
 * Reads written rules, as rules.ts draws them. The one door to zod in this room; in a file of its own, for the workers get the rules as plain data
 * and need not load it.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { isTopicFilter } from "../mqtt/topics.ts";
import { type Rule, type Rules, VARIABLE } from "./rules.ts";

/** A fault in a tree of written rules: where, and in words. */
export interface RuleFault {
  readonly path: readonly (string | number)[];
  readonly problem: string;
}

/** Reads what a file holds. A file that says nothing is a fault: it must name its default. */
export function readRules(
  written: unknown,
): { readonly rules: Rules; readonly fault?: undefined } | { readonly fault: RuleFault } {
  const outcome = rulesSchema.safeParse(written);
  if (outcome.success) return { rules: outcome.data };
  const issue = outcome.error.issues[0]!;
  const path = issue.path.filter((part) => typeof part !== "symbol");
  if (issue.code === "unrecognized_keys") return { fault: { path: [...path, issue.keys[0]!], problem: "unknown key" } };
  return { fault: { path, problem: issue.message } };
}

const words = (noun: string) => z.string(`expected ${noun}`).min(1, `expected ${noun}`);
const oneOrMore = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (written) => (Array.isArray(written) || written === undefined ? written : [written]),
    z.array(item).min(1, "an empty list speaks of nobody").optional(),
  );

const action = z.enum(["publish", "subscribe", "all"], "expected publish, subscribe or all");
const address = words("an IP address or a network such as 10.0.0.0/8").refine(
  isNetwork,
  "expected an IP address or a network such as 10.0.0.0/8",
);
const topic = z.union(
  [
    words("a topic filter")
      .refine((filter) => isTopicFilter(filter.replaceAll(VARIABLE, "x")), "no topic filter")
      .transform((filter) => ({ filter, isExact: false })),
    z
      .strictObject({ eq: words("a topic filter").refine(isTopicFilter, "no topic filter") })
      .transform(({ eq }) => ({ filter: eq, isExact: true })),
  ],
  "expected a topic filter, or eq: with one",
);

const ruleSchema = z
  .strictObject(
    {
      allow: action.optional(),
      deny: action.optional(),
      user: oneOrMore(words("a user's name")),
      client: oneOrMore(words("a client ID")),
      address: oneOrMore(address),
      topic: oneOrMore(topic),
    },
    "expected a mapping with allow or deny",
  )
  .refine(
    ({ allow, deny }) => (allow === undefined) !== (deny === undefined),
    "a rule has allow or deny, and one of them",
  )
  .transform(
    ({ allow, deny, user, client, address: from, topic: topics }): Rule => ({
      isAllowed: allow !== undefined,
      action: (allow ?? deny)!,
      ...(user === undefined ? {} : { users: user }),
      ...(client === undefined ? {} : { clients: client }),
      ...(from === undefined ? {} : { addresses: from }),
      ...(topics === undefined ? {} : { topics }),
    }),
  );

const rulesSchema = z
  .strictObject(
    {
      default: z.enum(["allow", "deny"], "expected allow or deny"),
      rules: z.array(ruleSchema, "expected a list of rules").default([]),
    },
    "expected a mapping with default and rules",
  )
  .transform(({ default: byDefault, rules }): Rules => ({ isAllowedByDefault: byDefault === "allow", rules }));

function isNetwork(network: string): boolean {
  const [base, prefix, ...rest] = network.split("/");
  const version = isIP(base!);
  if (version === 0 || rest.length > 0 || base!.includes("%")) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 6 ? 128 : 32));
}

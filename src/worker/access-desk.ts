/** Who may do what on this worker: the judgement of who connects, the rules in force, and what they need to know of queues. */
import type { Authenticator } from "../access/authentication.ts";
import type { Identity, Rights } from "../access/authorization.ts";
import { RuleRights } from "../access/rights.ts";
import type { Rules } from "../access/rules.ts";
import { queueAddressOf } from "../queue/queue-address.ts";
import type { QueueRegistry } from "../queue/registry.ts";
import type { SessionAccess } from "../session/ports.ts";

export class AccessDesk implements SessionAccess {
  readonly authenticator: Authenticator;
  readonly #registry: QueueRegistry;
  #rules: Rules | undefined;

  /** Without rules everybody may do everything. */
  constructor(authenticator: Authenticator, rules: Rules | undefined, registry: QueueRegistry) {
    this.authenticator = authenticator;
    this.#rules = rules;
    this.#registry = registry;
  }

  /** Other rules are in force from now on, for rights that are asked for from now on. */
  replace(rules: Rules | undefined): void {
    this.#rules = rules;
  }

  rightsOf(identity: Identity): Rights | undefined {
    return this.#rules === undefined ? undefined : new RuleRights(this.#rules, identity);
  }

  queueFilterOf(filter: string): string | undefined {
    const address = queueAddressOf(filter);
    return address === undefined ? undefined : this.#registry.resolve(address)?.definition.topic_filter;
  }
}

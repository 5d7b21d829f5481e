/**
 * Queues that come into being because somebody subscribes to them: off unless `auto_create` says of which kind, and with which fields.
 */
import { CodedError } from "../base/errors.ts";
import type { QueueDefinition } from "../queue/definition.ts";
import type { WantedQueue, Workers } from "../worker/commands.ts";
import type { ControlLog } from "./log.ts";
import { definitionOf } from "./queue-fields.ts";
import type { QueuesConfigStore } from "./queues-config.ts";
import type { Registry } from "./registry.ts";

export interface AutoCreationParts {
  readonly workers: Workers;
  readonly registry: Registry;
  readonly config: QueuesConfigStore;
  readonly log: ControlLog;
}

export class AutoCreation {
  readonly #parts: AutoCreationParts;

  constructor(parts: AutoCreationParts) {
    this.#parts = parts;
  }

  get isAllowed(): boolean {
    const { regular, lastvalue } = this.#parts.config.current.auto_create;
    return this.#parts.config.isEnabled && (regular !== false || lastvalue !== false);
  }

  /** Tells every worker whether to ask; at the start, and when the configuration has changed. */
  async announce(): Promise<void> {
    const { workers } = this.#parts;
    const command = { kind: "allowCreation", isAllowed: this.isAllowed } as const;
    await Promise.all(Array.from({ length: workers.count }, (_, worker) => workers.call(worker, command)));
  }

  /** Creates what a subscription wants, unless it may not be or is there already. Never rejects but for a bug. */
  async create(queue: WantedQueue): Promise<void> {
    const { registry, config, log } = this.#parts;
    const about = { queue: queue.name ?? `/${queue.topicFilter}`, topicFilter: queue.topicFilter };
    if (!this.isAllowed || this.#isThere(queue)) return;
    try {
      await registry.create(this.#definitionOf(queue), (count) => config.admit(count));
      log.info(about, "a subscription has created a queue");
    } catch (fault) {
      if (!(fault instanceof CodedError)) throw fault;
      if (this.#isThere(queue)) return; // Another was first.
      log.warn(
        { ...about, code: fault.code, reason: fault.message },
        "a queue that a subscription wants is not created",
      );
    }
  }

  #isThere({ name, topicFilter }: WantedQueue): boolean {
    const { registry } = this.#parts;
    if (name === undefined) return registry.hasFilter(topicFilter);
    return registry.get(name)?.definition.topic_filter === topicFilter;
  }

  #definitionOf({ name, topicFilter }: WantedQueue): QueueDefinition {
    const { regular, lastvalue } = this.#parts.config.current.auto_create;
    return definitionOf({
      ...(regular !== false ? regular : lastvalue),
      ...(name === undefined ? {} : { name }),
      topic_filter: topicFilter,
      is_lastvalue: regular === false,
    });
  }
}

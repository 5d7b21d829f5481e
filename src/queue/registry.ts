/**
 * What every worker knows of all queues: their records by name and by topic filter, and which one a subscription
 * speaks of. A subscription to a queue that is not there yet stays as a pending binding and is told the moment the
 * queue is announced; nothing polls.
 *
 * ```
 *   bind ──► pending ──add──► bound ──remove──► pending, or bound to the next that fits
 * ```
 */
import { type QueueRecord, unnamedQueueName } from "./definition.ts";
import type { QueueAddress } from "./queue-address.ts";

/** Told whenever a binding's queue appears, goes or is replaced; not for changes of its definition. */
export type BindingListener = (record: QueueRecord | undefined, previous: QueueRecord | undefined) => void;

/** One subscription's tie to a queue, or to the absence of one. */
export interface QueueBinding {
  readonly address: QueueAddress;
  /** The bound queue as it is defined now; undefined while there is none. */
  readonly record: QueueRecord | undefined;
  /** Ends the tie without a call of the listener. Idempotent. */
  close(): void;
}

interface Binding {
  readonly address: QueueAddress;
  readonly listener: BindingListener;
  record: QueueRecord | undefined;
}

export class QueueRegistry {
  readonly #byName = new Map<string, QueueRecord>();
  readonly #namesByFilter = new Map<string, Set<string>>();
  readonly #bindingsByName = new Map<string, Set<Binding>>();
  readonly #bindingsByFilter = new Map<string, Set<Binding>>();

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): QueueRecord | undefined {
    return this.#byName.get(name);
  }

  all(): IterableIterator<QueueRecord> {
    return this.#byName.values();
  }

  /** Announces a queue, or the changed definition of one that is known. */
  set(record: QueueRecord): void {
    const { name, topic_filter: topicFilter } = record.definition;
    const known = this.#byName.get(name);
    if (known !== undefined && !isSameQueue(known, record)) this.remove(name);

    this.#byName.set(name, record);
    addTo(this.#namesByFilter, topicFilter, name);
    for (const binding of this.#concerned(record)) {
      if (binding.record === undefined) this.#choose(binding);
      else if (isSameQueue(binding.record, record)) binding.record = record;
    }
  }

  /** Retracts a queue; its bindings go to the next queue that fits, or wait. */
  remove(name: string): void {
    const record = this.#byName.get(name);
    if (record === undefined) return;
    this.#byName.delete(name);
    removeFrom(this.#namesByFilter, record.definition.topic_filter, name);
    for (const binding of this.#concerned(record)) {
      if (binding.record?.definition.name === name) this.#choose(binding);
    }
  }

  /** The queue an address means now. */
  resolve(address: QueueAddress): QueueRecord | undefined {
    if (address.kind === "filter") return this.#servingFilter(address.topicFilter);
    const record = this.#byName.get(address.name);
    const fits = address.topicFilter === undefined || record?.definition.topic_filter === address.topicFilter;
    return fits ? record : undefined;
  }

  /** Ties a subscription to its queue. The listener is not called for the queue that is there already: read `record`. */
  bind(address: QueueAddress, listener: BindingListener): QueueBinding {
    const binding: Binding = { address, listener, record: this.resolve(address) };
    const [index, key] = this.#indexOf(address);
    addTo(index, key, binding);
    return {
      address,
      get record() {
        return binding.record;
      },
      close: () => removeFrom(index, key, binding),
    };
  }

  #choose(binding: Binding): void {
    const previous = binding.record;
    binding.record = this.resolve(binding.address);
    if (binding.record !== previous) binding.listener(binding.record, previous);
  }

  /** A copy: listeners may bind and close. */
  #concerned(record: QueueRecord): Binding[] {
    const { name, topic_filter: topicFilter } = record.definition;
    return [...(this.#bindingsByName.get(name) ?? []), ...(this.#bindingsByFilter.get(topicFilter) ?? [])];
  }

  #indexOf(address: QueueAddress): [Map<string, Set<Binding>>, string] {
    return address.kind === "named"
      ? [this.#bindingsByName, address.name]
      : [this.#bindingsByFilter, address.topicFilter];
  }

  /** The unnamed queue with that filter, else the oldest named one with exactly that filter. */
  #servingFilter(topicFilter: string): QueueRecord | undefined {
    const unnamed = this.#byName.get(unnamedQueueName(topicFilter));
    if (unnamed !== undefined && unnamed.definition.topic_filter === topicFilter) return unnamed;
    let oldest: QueueRecord | undefined;
    for (const name of this.#namesByFilter.get(topicFilter) ?? []) {
      const record = this.#byName.get(name);
      if (record !== undefined && (oldest === undefined || isOlder(record, oldest))) oldest = record;
    }
    return oldest;
  }
}

const isSameQueue = (one: QueueRecord, other: QueueRecord): boolean =>
  one.definition.name === other.definition.name &&
  one.partition === other.partition &&
  one.target === other.target &&
  one.createdAtMs === other.createdAtMs;

const isOlder = (one: QueueRecord, other: QueueRecord): boolean =>
  one.createdAtMs < other.createdAtMs ||
  (one.createdAtMs === other.createdAtMs && one.definition.name < other.definition.name);

function addTo<T>(index: Map<string, Set<T>>, key: string, item: T): void {
  const items = index.get(key);
  if (items === undefined) index.set(key, new Set([item]));
  else items.add(item);
}

function removeFrom<T>(index: Map<string, Set<T>>, key: string, item: T): void {
  const items = index.get(key);
  if (items?.delete(item) && items.size === 0) index.delete(key);
}

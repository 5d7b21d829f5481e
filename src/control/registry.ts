/**
 * The registry: the one authority over which queues exist. Workers keep and serve queues; whether one is made, changed or
 * removed is decided here, one decision at a time; only creations of different names go on together.
 *
 * ```
 *   create   createQueue (on disk) ─► announceQueue to all ─► listed
 *                                        └ fails ─► retract, delete; if that fails too: doomed, tried again
 *   update   updateQueue (on disk) ─► listed ─► announceQueue to all
 *                                                 └ fails ─► unannounced, tried again: the disk has decided
 *   remove   retractQueue from all ─► deleteQueue (on disk) ─► no longer listed
 *               └ fails ─────────────────┴─► announced again: the queue stays
 * ```
 */
import { CodedError } from "../base/errors.ts";
import { REST_CURSOR_FILTER_CHARACTERS } from "../base/limits.ts";
import { type QueueDefinition, type QueueRecord, unnamedQueueName } from "../queue/definition.ts";
import type {
  Command,
  ConfigChanges,
  LookCommand,
  QueueLook,
  QueueStatus,
  ReplyTo,
  Workers,
} from "../worker/commands.ts";
import { Announcements } from "./announcements.ts";
import type { ControlLog } from "./log.ts";
import { Mutex, NamedMutexes } from "./mutex.ts";

/** Where a page of the list begins: after this queue. */
export interface ListPlace {
  /** `listOrderOf` its topic filter. */
  readonly filterOrder: string;
  readonly name: string;
}

/** What of a topic filter orders the list: a cursor holds no more. */
export const listOrderOf = (topicFilter: string): string => topicFilter.slice(0, REST_CURSOR_FILTER_CHARACTERS);

export interface RegistryOptions {
  readonly workers: Workers;
  readonly nowMs: () => number;
  readonly log: ControlLog;
}

export class Registry {
  readonly #workers: Workers;
  readonly #nowMs: () => number;
  readonly #log: ControlLog;
  readonly #mutex = new Mutex();
  readonly #names = new NamedMutexes();
  readonly #announcements = new Announcements((records) => this.#announceAll(records));
  /** By partition: the queues listed, and those being created. */
  readonly #counts: number[];
  #creating = 0;
  readonly #records = new Map<string, QueueRecord>();
  /** The records in the order of the list: by the beginning of the topic filter, then by name. */
  readonly #ordered: QueueRecord[] = [];
  /** Not every worker follows the stored definition of these. */
  readonly #unannounced = new Set<string>();
  /** On disk although their creation was refused. */
  readonly #doomed = new Map<string, QueueRecord>();

  constructor({ workers, nowMs, log }: RegistryOptions) {
    this.#workers = workers;
    this.#nowMs = nowMs;
    this.#log = log;
    this.#counts = new Array<number>(workers.partitions).fill(0);
  }

  get size(): number {
    return this.#records.size;
  }

  /** True while a change waits for `repair`. */
  get isIncomplete(): boolean {
    return this.#unannounced.size > 0 || this.#doomed.size > 0;
  }

  /**
   * Takes over what the workers' partitions hold, and tells every worker of every queue. Once, at the start. Returns what they hold of
   * the configuration.
   */
  recover(): Promise<ConfigChanges> {
    return this.#mutex.run(async () => {
      const replies = await settleAll(
        this.#numbers().map((worker) => this.#workers.call(worker, { kind: "recovered" })),
      );
      for (const record of replies.flatMap(({ queues }) => queues)) this.#adopt(record);
      await this.#toAll({ kind: "announceQueues", records: this.#ordered });
      return Object.assign({}, ...replies.map(({ configChanges }) => configChanges));
    });
  }

  get(name: string): QueueRecord | undefined {
    return this.#records.get(name);
  }

  /** Whether there is a queue with exactly this topic filter. */
  hasFilter(topicFilter: string): boolean {
    for (let at = this.#firstBehind(listOrderOf(topicFilter), ""); at < this.#ordered.length; at += 1) {
      const { topic_filter: found } = this.#ordered[at]!.definition;
      if (found === topicFilter) return true;
      if (listOrderOf(found) !== listOrderOf(topicFilter)) return false;
    }
    return false;
  }

  /** By name; an unnamed queue also by its bare topic filter. Throws 404. */
  lookUp(nameOrFilter: string): QueueRecord {
    const record = this.#records.get(nameOrFilter) ?? this.#records.get(unnamedQueueName(nameOrFilter));
    if (record === undefined) throw new CodedError("NOT_FOUND", "Message queue not found");
    return record;
  }

  /** At most `count` queues behind `after`, in the order of the list. */
  list(after: ListPlace | undefined, count: number): readonly QueueRecord[] {
    const start = after === undefined ? 0 : this.#firstBehind(after.filterOrder, after.name);
    return this.#ordered.slice(start, start + count);
  }

  /** What its worker knows of a queue. Throws 404. */
  async status(nameOrFilter: string): Promise<QueueStatus> {
    const record = this.lookUp(nameOrFilter);
    return this.#workers.call(this.#ownerOf(record.partition), { kind: "queueStatus", record });
  }

  /** What its worker has counted and measured of a queue. Throws 404. */
  async metrics(nameOrFilter: string): Promise<ReplyTo<"queueMetrics">> {
    const record = this.lookUp(nameOrFilter);
    return this.#workers.call(this.#ownerOf(record.partition), { kind: "queueMetrics", record });
  }

  /** A page of what waits in a queue. Throws 404. */
  async look(nameOrFilter: string, wanted: Omit<LookCommand, "kind" | "record">): Promise<QueueLook> {
    const record = this.lookUp(nameOrFilter);
    return this.#workers.call(this.#ownerOf(record.partition), { kind: "lookIntoQueue", record, ...wanted });
  }

  /** Removes what waits in a queue. Throws 404, or the owner's fault. */
  async purge(nameOrFilter: string): Promise<{ readonly purged: number }> {
    const record = this.lookUp(nameOrFilter);
    return this.#workers.call(this.#ownerOf(record.partition), { kind: "purgeQueue", record });
  }

  /** Runs a task while no queue comes, changes or goes. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#mutex.run(task);
  }

  /**
   * `admit` gets the number of queues there are, with those being created, and throws if there may be no other. Throws ALREADY_EXISTS, what `admit` throws, or the
   * owner's fault; then there is no such queue.
   */
  create(definition: QueueDefinition, admit: (count: number) => void): Promise<QueueRecord> {
    const { name } = definition;
    const create = async (): Promise<QueueRecord> => {
      if (this.#records.has(name)) throw new CodedError("ALREADY_EXISTS", "Message queue already exists");
      admit(this.#records.size + this.#creating);
      const partition = this.#emptiestPartition();
      this.#creating += 1;
      this.#count(partition, 1);
      try {
        return await this.#createIn(partition, definition);
      } finally {
        this.#creating -= 1;
        this.#count(partition, -1); // It is counted as listed from here on, if it is.
      }
    };
    return this.#mutex.share(() => this.#names.run(name, create));
  }

  async #createIn(partition: number, definition: QueueDefinition): Promise<QueueRecord> {
    const leftover = this.#doomed.get(definition.name);
    if (leftover !== undefined) await this.#finishRemoval(leftover);
    const command = { kind: "createQueue", partition, definition, createdAtMs: this.#nowMs() } as const;
    const record = await this.#workers.call(this.#ownerOf(partition), command);
    try {
      await this.#announcements.announce(record);
    } catch (fault) {
      await this.#takeBack(record);
      throw fault;
    }
    this.#insert(record);
    return record;
  }

  /** `change` gets the definition as it is and returns the new one, or throws. Throws 404 and the owner's fault. */
  update(nameOrFilter: string, change: (current: QueueDefinition) => QueueDefinition): Promise<QueueRecord> {
    return this.#mutex.run(async () => {
      const current = this.lookUp(nameOrFilter);
      const wanted = { ...current, definition: change(current.definition) };
      const record = await this.#workers.call(this.#ownerOf(current.partition), {
        kind: "updateQueue",
        record: wanted,
      });
      this.#replace(record);
      await this.#announceOrRemember(record, "The change is stored; some workers do not follow it yet");
      return record;
    });
  }

  /** Throws 404, or a worker's fault; then the queue is still there. */
  remove(nameOrFilter: string): Promise<void> {
    return this.#mutex.run(async () => {
      const record = this.lookUp(nameOrFilter);
      const { name } = record.definition;
      try {
        await this.#retract(name);
        await this.#workers.call(this.#ownerOf(record.partition), { kind: "deleteQueue", record });
      } catch (fault) {
        await this.#announceOrRemember(record, "The queue is not removed; some workers do not serve it yet");
        throw fault;
      }
      this.#unannounced.delete(name);
      this.#drop(record);
    });
  }

  /** Tries again what a worker did not follow. Never throws an expected failure: what fails stays for the next time. */
  repair(): Promise<void> {
    return this.#mutex.run(async () => {
      for (const record of [...this.#doomed.values()]) await orLater(this.#finishRemoval(record));
      for (const name of [...this.#unannounced]) {
        const record = this.#records.get(name);
        if (record !== undefined) await orLater(this.#announceOrRemember(record, "Not announced"));
      }
    });
  }

  #numbers(): readonly number[] {
    return Array.from({ length: this.#workers.count }, (_, worker) => worker);
  }

  #ownerOf(partition: number): number {
    return partition % this.#workers.count;
  }

  async #announce(record: QueueRecord): Promise<void> {
    await this.#toAll({ kind: "announceQueue", record });
  }

  async #announceAll(records: readonly QueueRecord[]): Promise<void> {
    const [record] = records;
    if (records.length === 1) await this.#announce(record!);
    else await this.#toAll({ kind: "announceQueues", records });
  }

  async #retract(name: string): Promise<void> {
    await this.#toAll({ kind: "retractQueue", name });
  }

  async #toAll<K extends "announceQueue" | "announceQueues" | "retractQueue">(
    command: Extract<Command, { kind: K }>,
  ): Promise<void> {
    await settleAll(this.#numbers().map((worker) => this.#workers.call(worker, command)));
  }

  async #announceOrRemember(record: QueueRecord, message: string): Promise<void> {
    const { name } = record.definition;
    try {
      await this.#announce(record);
      this.#unannounced.delete(name);
    } catch (fault) {
      this.#unannounced.add(name);
      if (!(fault instanceof CodedError)) throw fault;
      throw new CodedError("SERVICE_UNAVAILABLE", `${message}: ${fault.message}`, fault);
    }
  }

  /** After a failed creation. */
  async #takeBack(record: QueueRecord): Promise<void> {
    this.#doomed.set(record.definition.name, record);
    await orLater(this.#finishRemoval(record));
    if (this.#doomed.has(record.definition.name)) {
      this.#log.warn({ queue: record.definition.name }, "a refused queue is still on disk; its removal is tried again");
    }
  }

  async #finishRemoval(record: QueueRecord): Promise<void> {
    await this.#retract(record.definition.name);
    await this.#workers.call(this.#ownerOf(record.partition), { kind: "deleteQueue", record });
    this.#doomed.delete(record.definition.name);
  }

  /** The one with the fewest queues; of several the first. */
  #emptiestPartition(): number {
    return this.#counts.indexOf(Math.min(...this.#counts));
  }

  #count(partition: number, by: number): void {
    this.#counts[partition] = (this.#counts[partition] ?? 0) + by;
  }

  /** Two partitions never hold the same name; should it be so, the older queue is the one that was acknowledged first. */
  #adopt(record: QueueRecord): void {
    const { name } = record.definition;
    const known = this.#records.get(name);
    if (known === undefined) {
      this.#insert(record);
      return;
    }
    const [older, younger] = known.createdAtMs <= record.createdAtMs ? [known, record] : [record, known];
    this.#log.error(
      { queue: name, served: older.partition, ignored: younger.partition },
      "two partitions hold a queue of this name; the older one is served",
    );
    this.#replace(older);
  }

  #insert(record: QueueRecord): void {
    const { name, topic_filter: topicFilter } = record.definition;
    this.#records.set(name, record);
    this.#count(record.partition, 1);
    this.#ordered.splice(this.#firstBehind(listOrderOf(topicFilter), name), 0, record);
  }

  /** Name and topic filter never change, so the place in the list stays. */
  #replace(record: QueueRecord): void {
    const { name } = record.definition;
    const index = this.#ordered.findIndex(({ definition }) => definition.name === name);
    const { definition, partition } = this.#ordered[index]!;
    if (definition.topic_filter === record.definition.topic_filter && partition === record.partition) {
      this.#records.set(name, record);
      this.#ordered[index] = record;
      return;
    }
    this.#drop(this.#ordered[index]!);
    this.#insert(record);
  }

  #drop(record: QueueRecord): void {
    const { name } = record.definition;
    this.#records.delete(name);
    this.#count(record.partition, -1);
    const index = this.#ordered.findIndex(({ definition }) => definition.name === name);
    if (index >= 0) this.#ordered.splice(index, 1);
  }

  /** Index of the first queue of the list behind this place. */
  #firstBehind(filterOrder: string, name: string): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { definition } = this.#ordered[middle]!;
      if (isBehind(listOrderOf(definition.topic_filter), definition.name, filterOrder, name)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function isBehind(filterOrder: string, name: string, thanFilterOrder: string, thanName: string): boolean {
  return filterOrder === thanFilterOrder ? name > thanName : filterOrder > thanFilterOrder;
}

/** Waits for all, also when one fails: nothing of this change is on its way when the next one begins. Then the first fault. */
async function settleAll<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(calls);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<T>).value);
}

/** Expected failures are tried again by `repair`; bugs go on up. */
async function orLater(attempt: Promise<void>): Promise<void> {
  try {
    await attempt;
  } catch (fault) {
    if (!(fault instanceof CodedError)) throw fault;
  }
}

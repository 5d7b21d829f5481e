/**
 * Answers the control worker's commands on this worker; see commands.ts for what each means.
 */
import { setImmediate } from "node:timers/promises";
import type { MessagePort } from "node:worker_threads";
import { CodedError } from "../base/errors.ts";
import { CATCH_UP_TURNS_MAX } from "../base/limits.ts";
import { encodeStructured } from "../base/structured.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { layOutCommand } from "./command-message.ts";
import type { Command, CommandReply, CommandRequest, PublishCommand, ReplyTo, WantedAnswer } from "./commands.ts";
import { CONFIG_KEY, encodeConfigChanges, readConfigChanges } from "./config-record.ts";
import { countsOf, tellSystem } from "./counts.ts";
import type { Partition } from "./partition.ts";
import { lookIntoQueue } from "./queue-look.ts";
import { purgeQueue } from "./queue-purge.ts";
import { Shown } from "./shown.ts";
import type { BrokerWorker } from "./worker.ts";

export class CommandServer {
  readonly #port: MessagePort;
  readonly #worker: BrokerWorker;
  readonly #recovered: readonly QueueRecord[];

  constructor(port: MessagePort, worker: BrokerWorker, recovered: readonly QueueRecord[]) {
    this.#port = port;
    this.#worker = worker;
    this.#recovered = recovered;
    port.on("message", (message: CommandRequest | WantedAnswer) => {
      worker.wake();
      if ("command" in message) this.#serve(message);
      else worker.wanted.onAnswer(message.wanted);
    });
  }

  close(): void {
    this.#port.close();
  }

  #serve({ number, command }: CommandRequest): void {
    this.#run(command).then(
      (reply) => this.#port.postMessage({ number, reply } satisfies CommandReply),
      (error: unknown) => {
        if (!(error instanceof CodedError)) throw error; // A bug: the process stops.
        this.#port.postMessage({ number, fault: error.toPlain() } satisfies CommandReply);
      },
    );
  }

  async #run(command: Command): Promise<unknown> {
    const worker = this.#worker;
    switch (command.kind) {
      case "recovered":
        return {
          partitions: [...worker.partitions.keys()],
          queues: this.#recovered,
          configChanges: worker.partitions.has(0) ? readConfigChanges(worker.partitions.get(0)!.log) : {},
        } satisfies ReplyTo<"recovered">;
      case "createQueue": {
        const partition = worker.partitions.get(command.partition)!;
        const target = partition.takeTarget();
        const { definition, createdAtMs } = command;
        const record: QueueRecord = { definition, partition: command.partition, target, createdAtMs };
        await this.#store(partition, "queues", record.definition.name, encodeStructured(record));
        worker.queueRoutes.create(record);
        return record;
      }
      case "updateQueue": {
        const { record } = command;
        await this.#store(this.#partitionOf(record), "queues", record.definition.name, encodeStructured(record));
        worker.owner.update(record);
        worker.wake();
        return record;
      }
      case "deleteQueue": {
        const { record } = command;
        await this.#store(this.#partitionOf(record), "queues", record.definition.name, undefined);
        worker.queueRoutes.remove(record); // Not before: a definition that cannot be removed keeps its queue.
        return null;
      }
      case "announceQueue":
        await this.#announce(command.record);
        return null;
      case "announceQueues":
        await Promise.all(command.records.map((record) => this.#announce(record)));
        return null;
      case "retractQueue":
        worker.queueRoutes.retract(command.name);
        return null;
      case "queueStatus":
        return (await this.#swept(command.record)).status(worker.nowMs());
      case "queueMetrics":
        return (await this.#swept(command.record)).metrics(worker.nowMs());
      case "lookIntoQueue":
        await this.#swept(command.record);
        return lookIntoQueue(command, () => this.#dispatcherOf(command.record).queue, worker.nowMs());
      case "purgeQueue": {
        const { record } = command;
        const purged = await purgeQueue(
          this.#partitionOf(record),
          () => this.#dispatcherOf(record).queue,
          () => worker.wake(),
        );
        return { purged };
      }
      case "health":
        return [...worker.partitions.values()].map(({ health }) => health);
      case "counts":
        return countsOf(worker);
      case "tellSystem":
        tellSystem(worker, command.values);
        return null;
      case "allowCreation":
        worker.wanted.isAllowed = command.isAllowed;
        return null;
      case "keepConfig":
        await this.#store(worker.partitions.get(0)!, "meta", CONFIG_KEY, encodeConfigChanges(command.changes));
        return null;
      case "kickClient":
        if (!worker.desk.kick(command.clientId)) throw new CodedError("CLIENTID_NOT_FOUND", "Client ID not found");
        return null;
      case "publish":
        return { reasonCode: await this.#publish(command) };
    }
  }

  #announce(record: QueueRecord): Promise<void> {
    return new Promise((resolve) => this.#worker.queueRoutes.announce(record, resolve));
  }

  #dispatcherOf(record: QueueRecord): Dispatcher {
    const dispatcher = this.#worker.owner.dispatcherOf(record);
    if (dispatcher === undefined) throw new CodedError("NOT_FOUND", "Message queue not found");
    return dispatcher;
  }

  /**
   * The counts of a queue are exact when what other workers had sent before is taken, as the consumers whose SUBACK is out, and nothing that has
   * expired is left in it: a million go in steps, with turns in between.
   */
  async #swept(record: QueueRecord): Promise<Dispatcher> {
    const shown = new Shown(this.#worker.partners);
    for (let turns = 0; turns < CATCH_UP_TURNS_MAX && !shown.isTaken; turns += 1) {
      this.#worker.wake();
      await setImmediate();
    }
    while (this.#dispatcherOf(record).queue.tidyStep(this.#worker.nowMs())) {
      this.#worker.wake();
      await setImmediate();
    }
    return this.#dispatcherOf(record);
  }

  #partitionOf(record: QueueRecord): Partition {
    return this.#worker.partitions.get(record.partition)!;
  }

  /** Sets or removes a keyed value, a queue's definition or the configuration, and waits for the disk. */
  #store(partition: Partition, table: "queues" | "meta", key: string, value: Uint8Array | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      partition.put(table, key, value);
      partition.company.afterCommit((outcome) => {
        if (outcome === "stored") resolve();
        else reject(new CodedError("IO_ERROR", `The ${FAILED_NOUN[table]} could not be stored`));
      });
      this.#worker.wake();
    });
  }

  /** Publishes for REST; resolves with the worst reason code when everyone has answered. */
  #publish(command: PublishCommand): Promise<number> {
    const { origins, publishing } = this.#worker;
    const message = layOutCommand(command, this.#worker.nowMs());
    return new Promise((resolve) => {
      let pending = 1;
      let worst = -1;
      const number = origins.open({
        expect: () => {
          pending += 1;
        },
        resolve: (_sequence, reasonCode) => {
          worst = worse(worst, reasonCode);
          pending -= 1;
          if (pending > 0) return;
          origins.close(number);
          resolve(worst);
        },
      });
      const attempt = (): void => {
        const reasonCode = publishing.publish(message, 0, undefined, number, 0, 0, 0);
        if (reasonCode < 0)
          setTimeout(attempt, RETRY_MS); // No room now.
        else origins.find(number)?.resolve(0, reasonCode);
        this.#worker.wake();
      };
      attempt();
    });
  }
}

const FAILED_NOUN = { queues: "queue's definition", meta: "configuration" } as const;
const RETRY_MS = 5;
const NO_MATCHING_SUBSCRIBERS = 0x10;

/** Errors over success over "no matching subscribers". */
function worse(one: number, other: number): number {
  if (one < 0 || one === NO_MATCHING_SUBSCRIBERS) return other;
  return other >= 0x80 ? Math.max(one, other) : one;
}

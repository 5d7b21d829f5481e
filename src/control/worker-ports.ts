/**
 * The workers as the control thread sees them: a message port each, a command and its reply matched by number. The queues that workers
 * ask for come on the same ports.
 */
import type { MessagePort } from "node:worker_threads";
import { CodedError } from "../base/errors.ts";
import { homePartitionOf } from "../base/hash.ts";
import type {
  Command,
  CommandReply,
  CommandRequest,
  ReplyTo,
  WantedAnswer,
  WantedQueue,
  Workers,
} from "../worker/commands.ts";

interface Pending {
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerPorts implements Workers {
  readonly count: number;
  readonly partitions: number;
  readonly #ports: readonly MessagePort[];
  readonly #pending = new Map<number, Pending>();
  #number = 0;
  #create: (queue: WantedQueue) => Promise<void> = async () => {};

  /** One port per worker, in their order. */
  constructor(ports: readonly MessagePort[], partitions: number) {
    this.count = ports.length;
    this.partitions = partitions;
    this.#ports = ports;
    for (const port of ports) {
      port.on("message", (message: CommandReply | WantedQueue) => {
        if ("number" in message) this.#onReply(message);
        else void this.#create(message).then(() => port.postMessage({ wanted: message.wanted } satisfies WantedAnswer));
      });
    }
  }

  serveWanted(create: (queue: WantedQueue) => Promise<void>): void {
    this.#create = create;
  }

  call<K extends Command["kind"]>(worker: number, command: Extract<Command, { kind: K }>): Promise<ReplyTo<K>> {
    this.#number += 1;
    const request: CommandRequest = { number: this.#number, command };
    return new Promise<ReplyTo<K>>((resolve, reject) => {
      this.#pending.set(request.number, { resolve, reject });
      this.#ports[worker]?.postMessage(request);
    });
  }

  workerOf(clientId: string): number {
    return homePartitionOf(clientId, this.partitions) % this.count;
  }

  close(): void {
    for (const port of this.#ports) port.close();
  }

  #onReply(reply: CommandReply): void {
    const pending = this.#pending.get(reply.number);
    if (pending === undefined) return;
    this.#pending.delete(reply.number);
    if (reply.fault === undefined) pending.resolve(reply.reply as never);
    else pending.reject(CodedError.fromPlain(reply.fault));
  }
}

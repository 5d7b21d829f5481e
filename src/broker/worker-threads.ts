/**
 * The worker threads, as main sees them: started together, told of connections, stopped together. The first error of any
 * of them ends the broker.
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { VerificationOutcome } from "../access/authentication.ts";
import { newCreditMemory } from "../dispatch/credit.ts";
import { closeDoorbells, createDoorbells, type DoorbellPipes } from "../ring/doorbell.ts";
import { createMesh } from "../ring/mesh.ts";
import type { SessionLimits } from "../session/ports.ts";
import type { HandOver, WrappedConnection } from "../transport/hand-over.ts";
import type { Listener } from "../transport/listener.ts";
import type { TlsMaterial } from "../transport/tls.ts";
import type { AccessChange } from "../worker/access-change.ts";
import type { RouteSummary } from "../worker/route-announcer.ts";
import type {
  FromWorker,
  Newcomer,
  PasswordRequest,
  ToWorker,
  WorkerAccess,
  WorkerData,
} from "../worker/thread-protocol.ts";
import type { FoundShares } from "../worker/worker-start.ts";
import { EventBatches } from "./event-batches.ts";
import { ThreadFailure } from "./thread-failure.ts";

export interface WorkerThreadsOptions {
  readonly workers: number;
  readonly partitions: number;
  readonly dataDirectory: string;
  readonly limits: SessionLimits;
  readonly access: WorkerAccess;
  readonly listeners: readonly Listener[];
  readonly certificates: readonly (TlsMaterial | null)[];
  readonly ringsBudgetBytes: number;
  /** Of all workers together; one half for output, one for unfinished packets. */
  readonly memoryBudgetBytes: number;
  readonly stalledMs: number;
  /** Of MemoryPressure. */
  readonly pressure: SharedArrayBuffer;
  readonly logLevel: string;
  /** Judges a password that a worker asks about. */
  readonly verify: (request: PasswordRequest, judged: (outcome: VerificationOutcome) => void) => void;
  /** Clients' sockets are gone, of the listener of this name: the address of each. */
  readonly onClosed: (listener: string, addresses: readonly string[]) => void;
  /** What was around the bytes of a connection is off, and its CONNECT is there. */
  readonly onUnwrapped: (handOver: HandOver) => void;
  readonly onFailure: (error: Error) => void;
}

export class WorkerThreads {
  /** The control thread's ends of the command ports, by worker. */
  readonly commandPorts: readonly MessagePort[];
  readonly #threads: Worker[] = [];
  readonly #doorbells: DoorbellPipes;
  readonly #options: WorkerThreadsOptions;
  #waiting: { kind: FromWorker["kind"]; resolve: (message: FromWorker) => void }[][] = [];
  #isStopping = false;
  #nextUnwrapping = -1;
  readonly #newcomers = new EventBatches<Newcomer>((worker, newcomers) => {
    this.#threads[worker]!.postMessage({ kind: "connections", newcomers } satisfies ToWorker);
  });
  readonly #wrapped = new EventBatches<WrappedConnection>((worker, connections) => {
    this.#threads[worker]!.postMessage({ kind: "wrapped", connections } satisfies ToWorker);
  });

  constructor(options: WorkerThreadsOptions) {
    this.#options = options;
    const { workers } = options;
    const mesh = createMesh(workers, options.ringsBudgetBytes);
    this.#doorbells = createDoorbells(workers);
    const creditTables = Array.from(
      { length: workers * workers },
      () => newCreditMemory(true, workers) as SharedArrayBuffer,
    );
    const commandPorts: MessagePort[] = [];
    for (let worker = 0; worker < workers; worker += 1) {
      const { port1, port2 } = new MessageChannel();
      commandPorts.push(port1);
      const data: WorkerData = {
        worker,
        workers,
        partitions: options.partitions,
        dataDirectory: options.dataDirectory,
        limits: options.limits,
        access: options.access,
        listeners: options.listeners,
        certificates: options.certificates,
        outputBudgetBytes: Math.floor(options.memoryBudgetBytes / workers / 2),
        inputBudgetBytes: Math.floor(options.memoryBudgetBytes / workers / 2),
        stalledMs: options.stalledMs,
        memoryBudgetBytes: options.memoryBudgetBytes,
        pressure: options.pressure,
        logLevel: options.logLevel,
        mesh,
        doorbells: this.#doorbells,
        creditTables,
        commands: port2,
      };
      this.#start(worker, data, [port2]);
    }
    this.commandPorts = commandPorts;
  }

  #start(worker: number, data: WorkerData, transferList: MessagePort[]): void {
    const thread = new Worker(new URL("../worker/entry.js", import.meta.url), {
      name: `worker ${worker}`,
      workerData: data,
      transferList,
    });
    this.#threads.push(thread);
    this.#waiting.push([]);
    thread.on("message", (message: FromWorker) => this.#onMessage(worker, message));
    thread.on("error", (error) => this.#options.onFailure(new ThreadFailure(`worker ${worker} failed`, error)));
    thread.on("exit", (code) => {
      if (!this.#isStopping) this.#options.onFailure(new ThreadFailure(`worker ${worker} ended with code ${code}`));
    });
  }

  /** Waits until all have recovered, then tells each what all have found. */
  async begin(): Promise<void> {
    const opened = await Promise.all(this.#threads.map((_, worker) => this.#next(worker, "opened")));
    const routes: (readonly RouteSummary[])[] = [];
    const inbound: (readonly string[])[] = [];
    const shares: FoundShares[] = [];
    for (const message of opened) {
      if (message.kind !== "opened") continue;
      routes.push(message.routes);
      inbound.push(message.inbound);
      shares.push(message.shares);
    }
    const begun = this.#threads.map((_, worker) => this.#next(worker, "begun"));
    for (const thread of this.#threads)
      thread.postMessage({ kind: "begin", routes, inbound, shares } satisfies ToWorker);
    await Promise.all(begun);
  }

  /** Every queue is known to all: what a start has found may go on. */
  serve(): void {
    this.#tellAll({ kind: "serve" });
  }

  /** Gives a connection to its worker, with all that come in this event. */
  send(worker: number, newcomer: Newcomer): void {
    this.#newcomers.add(worker, newcomer);
  }

  /** For connections that come from now on. */
  useCertificates(certificates: readonly (TlsMaterial | null)[]): void {
    this.#tellAll({ kind: "certificates", certificates });
  }

  /** Gives a connection that is wrapped to one worker after the other. */
  unwrap(connection: WrappedConnection): void {
    this.#nextUnwrapping = (this.#nextUnwrapping + 1) % this.#threads.length;
    this.#wrapped.add(this.#nextUnwrapping, connection);
  }

  /** Resolves when every worker follows. */
  async changeAccess(change: AccessChange): Promise<void> {
    const changed = this.#threads.map((_, worker) => this.#next(worker, "changed"));
    this.#tellAll({ kind: "access", change });
    await Promise.all(changed);
  }

  /** Disconnects all clients, commits and ends every worker. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const left = this.#threads.map((_, worker) => this.#next(worker, "left"));
    this.#tellAll({ kind: "stop", graceMs });
    await Promise.all(left);
    const stopped = this.#threads.map((_, worker) => this.#next(worker, "stopped"));
    this.#tellAll({ kind: "close" });
    await Promise.all(stopped);
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
    closeDoorbells(this.#doorbells);
  }

  #verify(worker: number, request: PasswordRequest): void {
    const { number } = request;
    this.#options.verify(request, (outcome) => {
      this.#threads[worker]!.postMessage({ kind: "verified", number, outcome } satisfies ToWorker);
    });
  }

  #tellAll(message: ToWorker): void {
    for (const thread of this.#threads) thread.postMessage(message);
  }

  #next(worker: number, kind: FromWorker["kind"]): Promise<FromWorker> {
    return new Promise((resolve) => this.#waiting[worker]!.push({ kind, resolve }));
  }

  #onMessage(worker: number, message: FromWorker): void {
    switch (message.kind) {
      case "closed":
        this.#options.onClosed(message.listener, message.addresses);
        return;
      case "verify":
        this.#verify(worker, message.request);
        return;
      case "unwrapped":
        this.#options.onUnwrapped(message.handOver);
        return;
      case "severed":
        this.#threads[message.tunnel.worker]!.postMessage({
          kind: "sever",
          tunnel: message.tunnel.id,
        } satisfies ToWorker);
        return;
    }
    const waiting = this.#waiting[worker]!;
    const index = waiting.findIndex(({ kind }) => kind === message.kind);
    if (index >= 0) waiting.splice(index, 1)[0]!.resolve(message);
  }
}

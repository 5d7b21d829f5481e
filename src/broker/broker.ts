/**
 * The broker: store, workers, control thread and listeners, started and stopped in order.
 *
 * ```
 *   store: partitions ─► workers recover ─► routes exchanged ─► control: registry, HTTP ─► MQTT accepts ─► ready
 *   stop: accept nothing ─► control ends ─► clients are told, all is committed ─► threads end
 * ```
 */
import { hostname } from "node:os";
import { newClientId } from "../base/assigned-client-id.ts";
import { CodedError } from "../base/errors.ts";
import { homePartitionOf } from "../base/hash.ts";
import { BELONGINGS_BUDGET_PART, BELONGINGS_WORKER_BYTES, MEMORY_CHECK_MS, MEMORY_RETURN_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { MemoryPressure } from "../base/memory-pressure.ts";
import { returnFreeMemory } from "../base/posix.ts";
import type { AccessFiles } from "../config/access-files.ts";
import { type ApiKey, revealApiKeys } from "../config/api-keys.ts";
import { readCertificates } from "../config/certificates.ts";
import type { DataDirectory } from "../config/data-directory.ts";
import { listenersOf } from "../config/listeners.ts";
import type { Settings } from "../config/settings.ts";
import { StoreFault } from "../log/store-fault.ts";
import type { SessionLimits } from "../session/ports.ts";
import { AddressCap } from "../transport/address-cap.ts";
import { ConnectGate } from "../transport/connect-gate.ts";
import type { HandOver } from "../transport/hand-over.ts";
import { logAccess } from "./access-log.ts";
import { AccessReload } from "./access-reload.ts";
import { checkPages } from "./check-pages.ts";
import { leaveCleanMark } from "./clean-mark.ts";
import { ControlThread } from "./control-thread.ts";
import { Listeners, listenerOf } from "./listeners.ts";
import { type LogLine, raisePartitions } from "./raise-partitions.ts";
import { Reload } from "./reload.ts";
import { UserVerification } from "./user-verification.ts";
import { WorkerThreads } from "./worker-threads.ts";

export interface RunningBroker {
  /** By name: `mqtt`, `ws`, `http`; "host:port". */
  readonly listeners: Readonly<Record<string, string>>;
  readonly workers: number;
  /** Resolves when everything that was accepted is on disk and every thread has ended. */
  stop(graceMs: number): Promise<void>;
  /** Rejects when a thread fails; never resolves. */
  readonly failed: Promise<never>;
}

export interface BrokerOptions {
  readonly settings: Settings;
  readonly apiKeys: readonly ApiKey[];
  readonly accessFiles: AccessFiles;
  readonly dataDirectory: DataDirectory;
  readonly logger: Logger;
}

/** Starts everything; rejects with a CodedError when something refuses, and then nothing of it is left accepting. */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { settings, apiKeys, accessFiles, dataDirectory, logger } = options;
  const { workers } = settings;
  const listenerSettings = listenersOf(settings);
  const wanted = listenerSettings.map(listenerOf);
  const certificates = readCertificates(listenerSettings);
  const reload = new Reload(logger);
  const partitions = await openPartitionsFor(dataDirectory.path, workers, logger);
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {}); // Whoever awaits it hears of it; nobody may, while the start is under way.

  const { users, rules } = accessFiles;
  const verification = new UserVerification(users ?? new Map(), fail);
  const pressureMemory = MemoryPressure.newMemory(workers);
  const pressure = new MemoryPressure(pressureMemory, settings.limits.memory_budget);
  const threads = new WorkerThreads({
    workers,
    partitions,
    dataDirectory: dataDirectory.path,
    limits: limitsOf(settings, workers),
    access: { allowAnonymous: settings.access.allow_anonymous, hasUsers: users !== undefined, rules },
    listeners: wanted,
    certificates,
    ringsBudgetBytes: settings.limits.ring_budget,
    memoryBudgetBytes: settings.limits.memory_budget,
    stalledMs: settings.limits.stalled_timeout,
    pressure: pressureMemory,
    logLevel: settings.log.level,
    verify: (request, judged) => verification.verify(request, judged),
    onClosed: (listener, addresses) => listeners.release(listener, addresses),
    onUnwrapped: (handOver) => send(threads, handOver, workers, partitions),
    onFailure: fail,
  });
  reload.add(() => {
    const renewed = readCertificates(listenerSettings);
    return () => threads.useCertificates(renewed);
  });
  const access = new AccessReload(settings, accessFiles, verification, threads, logger);
  reload.add(() => access.prepare());
  const listeners = new Listeners({
    listeners: wanted,
    connectionsMax: settings.limits.max_connections,
    addressCap: new AddressCap(boundOf(settings.limits.max_connections_per_address)),
    allowAnonymous: settings.access.allow_anonymous,
    gate: new ConnectGate({ ...rateOf(settings), isOverBudget: () => pressure.isOver, nowMs: () => performance.now() }),
    onConnect: (handOver) => send(threads, handOver, workers, partitions),
    onWrapped: (connection) => threads.unwrap(connection),
    logger,
  });
  await Promise.race([threads.begin(), failed]);

  const control = new ControlThread(
    {
      host: settings.host,
      port: settings.http.port,
      partitions,
      ports: threads.commandPorts,
      apiKeys: revealApiKeys(apiKeys),
      queuesConfig: settings.queues,
      nodeName: `restante@${hostname()}`,
      payloadBytesMax: settings.limits.max_packet_size,
      systemIntervalMs: settings.sys.interval,
      logLevel: settings.log.level,
    },
    access,
    fail,
  );
  const http = await Promise.race([control.opened, failed]);
  threads.serve();
  const addresses = await Promise.race([listeners.listen(), failed]);
  control.ready();
  logAccess(settings, accessFiles, addresses, logger);
  const memoryReturn = setInterval(returnFreeMemory, MEMORY_RETURN_MS).unref();
  const pressureCheck = watchPressure(pressure, logger);
  return {
    listeners: { ...addresses, http },
    workers,
    failed,
    stop: async (graceMs) => {
      clearInterval(memoryReturn);
      reload.close();
      void listeners.close();
      clearInterval(pressureCheck);
      await control.stop(graceMs);
      await threads.stop(graceMs);
      await verification.close();
      leaveMark(dataDirectory.path, logger);
    },
  };
}

const boundOf = (setting: number | "infinity"): number => (setting === "infinity" ? Number.POSITIVE_INFINITY : setting);

/** No entry for no bound. */
function rateOf({ limits }: Settings): { readonly ratePerS?: number } {
  return limits.connect_rate === "infinity" ? {} : { ratePerS: limits.connect_rate };
}

/** What has held for so long holds again. */
const PRESSURE_QUIET_MS = 2_000;

/** Says when publishers are slowed down and connections have to wait for memory, and when they did not for a while: it may come and go many times a second. */
function watchPressure(pressure: MemoryPressure, logger: Logger): NodeJS.Timeout {
  let wasOver = false;
  let lastOverMs = 0;
  return setInterval(() => {
    const nowMs = performance.now();
    const { isOver } = pressure;
    if (isOver) lastOverMs = nowMs;
    if (isOver === wasOver || (!isOver && nowMs - lastOverMs < PRESSURE_QUIET_MS)) return;
    wasOver = isOver;
    const fields = { heldBytes: pressure.heldBytes };
    if (isOver) logger.warn(fields, "the memory budget is used up: publishers and new connections wait");
    else logger.info(fields, "the memory budget holds again: publishers and new connections go on");
  }, MEMORY_CHECK_MS).unref();
}

/** The store's partitions, raised to the number of workers if it is larger. A store that cannot be used is a refusal. */
async function openPartitionsFor(path: string, workers: number, logger: Logger): Promise<number> {
  const log: LogLine = (fields, message) => logger.info(fields, message);
  try {
    checkPages(path, log);
    return await raisePartitions(path, workers, log);
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error;
    const code = error.code === "store_unavailable" ? "DATA_DIR_UNUSABLE" : "STORE_DAMAGED";
    throw new CodedError(code, `${error.message}: ${error.hint}`, error);
  }
}

/** Without the mark the next start is only slower. */
function leaveMark(path: string, logger: Logger): void {
  try {
    leaveCleanMark(path);
  } catch (error) {
    logger.warn({ err: error }, "no mark of a clean stop could be left: the next start checks the store");
  }
}

function limitsOf(settings: Settings, workers: number): SessionLimits {
  const { session, limits } = settings;
  return {
    inFlightMax: session.max_inflight,
    receiveMaximum: limits.receive_maximum,
    packetBytesMax: limits.max_packet_size,
    queuedMessagesMax: session.max_queued_messages,
    queuedBytesMax: session.max_queued_bytes,
    inboxOverflow: session.overflow,
    queuesQos0: session.queue_qos0_messages,
    sharedStrategy: session.shared_subscription_strategy,
    subscriptionsMax: limits.max_subscriptions,
    sessionsMax: Math.ceil(limits.max_sessions / workers),
    retainedBytesMax: Math.ceil(limits.max_retained_bytes / workers),
    belongingsBytesMax: belongingsBytesMaxOf(limits.memory_budget, workers),
    keepAliveMaxS: Math.floor(limits.max_keepalive / 1000),
    level3ExpiryS:
      session.default_expiry_interval === "infinity"
        ? Number.POSITIVE_INFINITY
        : Math.floor(session.default_expiry_interval / 1000),
  };
}

/** Of one worker: an equal share, but room for one client with all the subscriptions it may have, however many workers there are. */
function belongingsBytesMaxOf(budgetBytes: number, workers: number): number {
  const partBytes = Math.floor(budgetBytes * BELONGINGS_BUDGET_PART);
  return Math.max(Math.floor(partBytes / workers), Math.min(partBytes, BELONGINGS_WORKER_BYTES));
}

/** Gives a connection to the worker of its client ID; one that has none gets an ID first. */
function send(threads: WorkerThreads, handOver: HandOver, workers: number, partitions: number): void {
  const assignedClientId = handOver.clientId === "" ? newClientId() : "";
  const clientId = handOver.clientId === "" ? assignedClientId : handOver.clientId;
  const worker = homePartitionOf(clientId, partitions) % workers;
  threads.send(worker, { handOver, assignedClientId });
}

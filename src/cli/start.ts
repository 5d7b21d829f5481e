/**
 * `restante start`: from settings to a running broker, and from a signal to its end.
 *
 * ```
 *  settings ─► data directory, locked ─► API keys, access files ─► startBroker ─► ready ──┬─ signal ─► stop(grace) ─► exit 0
 *                                                                           │     second signal ─────► exit 1
 *                                                                           └─ failed ───────────────► exit 70
 * ```
 */
import { randomBytes } from "node:crypto";
import { CodedError } from "../base/errors.ts";
import { createLogger, type Logger } from "../base/logger.ts";
import { VERSION } from "../base/version.ts";
import { type AccessFiles, loadAccessFiles } from "../config/access-files.ts";
import { type ApiKey, loadApiKeys } from "../config/api-keys.ts";
import { type DataDirectory, openDataDirectory, type RunningRecord } from "../config/data-directory.ts";
import type { Settings } from "../config/settings.ts";
import { EXIT_BUG, EXIT_REFUSED, refuse } from "./refusal.ts";

/** What the wiring below this file offers; a rejection with a CodedError is a refusal, any other is a bug. */
export type StartBroker = (options: {
  readonly settings: Settings;
  readonly apiKeys: readonly ApiKey[];
  readonly accessFiles: AccessFiles;
  readonly dataDirectory: DataDirectory;
  readonly logger: Logger;
}) => Promise<StartedBroker>;

export interface StartedBroker {
  /** By name, `{"mqtt": "127.0.0.1:1883"}`. */
  readonly listeners: Readonly<Record<string, string>>;
  readonly workers: number;
  /** Resolves when everything that was accepted is on disk and every thread has ended. */
  stop(graceMs: number): Promise<void>;
  /** Rejects when a thread fails; never resolves. */
  readonly failed: Promise<never>;
}

/** Runs a broker to its end and answers the exit code. The caller exits with it: nothing may keep the process up. */
export async function start(
  settings: Settings,
  ignoredVariables: readonly string[],
  loadBroker: () => Promise<StartBroker>,
): Promise<number> {
  process.umask(0o077); // Whatever is made below the data directory is private.
  const logger = createLogger(settings.log.level);
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "uncaught error");
    process.exit(EXIT_BUG);
  });
  const signal = firstSignal(logger);

  let dataDirectory: DataDirectory;
  let record: RunningRecord;
  let apiKeys: readonly ApiKey[];
  let accessFiles: AccessFiles;
  try {
    dataDirectory = await openDataDirectory(settings.data_dir);
    record = { pid: process.pid, startedAt: new Date().toISOString(), ready: false, listeners: {}, workers: 0 };
    dataDirectory.describe(record);
    apiKeys = loadApiKeys(settings.api_keys, settings.data_dir, () => randomBytes(KEY_BYTES).toString("base64url"));
    accessFiles = loadAccessFiles(settings);
  } catch (error) {
    return refuse(error);
  }
  logger.info(
    { version: VERSION, pid: process.pid, node: process.version, dataDirectory: dataDirectory.path },
    "starting",
  );
  for (const name of ignoredVariables) logger.warn({ variable: name }, "this variable of EMQX has no effect here");
  warnOfSmallPool(settings.workers, logger);

  try {
    const startBroker = await loadBroker();
    const starting = startBroker({ settings, apiKeys, accessFiles, dataDirectory, logger });
    const broker = await Promise.race([starting, signal.then(() => null)]);
    if (broker === null) {
      // Nothing was accepted yet, and the store recovers from an end at any moment.
      logger.info("stopped before it was ready");
      return 0;
    }
    const { listeners, workers } = broker;
    dataDirectory.describe({ ...record, ready: true, listeners, workers });
    logger.info({ listeners, workers, pid: process.pid, version: VERSION }, "ready");

    const name = await Promise.race([signal, broker.failed]);
    dataDirectory.describe({ ...record, listeners, workers });
    logger.info({ signal: name }, "stopping");
    const isStopped = await stopInTime(broker, settings.shutdown.grace_period);
    if (!isStopped) logger.error({ graceMs: settings.shutdown.grace_period }, "not stopped within the grace period");
    else logger.info("stopped");
    return isStopped ? 0 : EXIT_REFUSED;
  } catch (error) {
    if (error instanceof CodedError) {
      logger.fatal({ err: error, code: error.code, hint: error.hint }, "the broker cannot run");
      return refuse(error);
    }
    logger.fatal({ err: error }, "the broker failed");
    return EXIT_BUG;
  }
}

const KEY_BYTES = 24;
/** Beyond the grace period, for threads to end. */
const END_MS_MAX = 2_000;

/** Settles with the name of the first signal; a second one ends the process at once. */
function firstSignal(logger: Logger): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (name: NodeJS.Signals) => {
      signals += 1;
      if (signals > 1) {
        logger.warn({ signal: name }, "second signal: ended at once");
        process.exit(EXIT_REFUSED);
      }
      resolve(name);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

async function stopInTime(broker: StartedBroker, graceMs: number): Promise<boolean> {
  const stopping = broker.stop(graceMs).then(() => true);
  const tooLate = new Promise<false>((resolve) => setTimeout(resolve, graceMs + END_MS_MAX, false).unref());
  return await Promise.race([stopping, tooLate, broker.failed]);
}

function warnOfSmallPool(workers: number, logger: Logger): void {
  const poolThreads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  if (poolThreads > workers) return;
  logger.warn(
    { poolThreads, workers },
    "UV_THREADPOOL_SIZE should exceed the workers: their commits wait for each other",
  );
}

/** The entry of the control thread; see thread-protocol.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { CodedError } from "../base/errors.ts";
import { createLogger, type LogLevel } from "../base/logger.ts";
import type { AccessInForce, AccessSummary } from "./access-routes.ts";
import { createControl } from "./control.ts";
import type { ControlData, FromControl, ToControl } from "./thread-protocol.ts";
import { WorkerPorts } from "./worker-ports.ts";

const data = workerData as ControlData;
const main = parentPort!;
const log = createLogger(data.logLevel as LogLevel, { thread: "control" });
const workers = new WorkerPorts(data.ports, data.partitions);
const tell = (message: FromControl): void => main.postMessage(message);

const control = createControl({
  workers,
  apiKeys: data.apiKeys,
  queuesConfig: data.queuesConfig,
  nodeName: data.nodeName,
  payloadBytesMax: data.payloadBytesMax,
  access: { inForce, reload },
  systemIntervalMs: data.systemIntervalMs,
  nowMs: () => Date.now(),
  log,
  onFault: (fault) => {
    throw fault;
  },
});

async function open(): Promise<void> {
  try {
    await control.recover();
    const { host, port } = await control.listen(data.host, data.port);
    tell({ kind: "listening", address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    tell({ kind: "refused", fault: error.toPlain() });
  }
}

const reloads = new Map<number, { resolve(summary: AccessSummary): void; reject(error: Error): void }>();
let lastReload = 0;

const readings = new Map<number, (access: AccessInForce) => void>();
let lastReading = 0;

function inForce(): Promise<AccessInForce> {
  lastReading += 1;
  const number = lastReading;
  return new Promise((resolve) => {
    readings.set(number, resolve);
    tell({ kind: "readAccess", number });
  });
}

function reload(): Promise<AccessSummary> {
  lastReload += 1;
  const number = lastReload;
  return new Promise((resolve, reject) => {
    reloads.set(number, { resolve, reject });
    tell({ kind: "reloadAccess", number });
  });
}

main.on("message", (message: ToControl) => {
  if (message.kind === "accessReloaded") {
    const { number, summary, fault } = message;
    const waiting = reloads.get(number);
    reloads.delete(number);
    if (fault !== undefined) waiting?.reject(CodedError.fromPlain(fault));
    else if (summary !== undefined) waiting?.resolve(summary);
    return;
  }
  if (message.kind === "accessRead") {
    readings.get(message.number)?.(message.access);
    readings.delete(message.number);
    return;
  }
  if (message.kind === "ready") {
    control.setReady(true);
    return;
  }
  control.setReady(false);
  void control.close(message.graceMs).then(() => {
    workers.close();
    tell({ kind: "stopped" });
    main.close();
  });
});

void open();

/**
 * The entry of a worker thread: makes the worker, ties it to its sockets and ports, and follows main; see thread-protocol.ts.
 */
import type { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { createAuthenticator } from "../access/authentication.ts";
import { newClientId } from "../base/assigned-client-id.ts";
import { homePartitionOf } from "../base/hash.ts";
import {
  ENVELOPE_BYTES_MAX,
  MEMORY_CHECK_MS,
  NOTICE_PERIOD_MS,
  PACKET_BYTES_MAX,
  STALL_CHECK_MS,
} from "../base/limits.ts";
import { createLogger, type LogLevel } from "../base/logger.ts";
import { MemoryPressure } from "../base/memory-pressure.ts";
import { closeDescriptor } from "../base/posix.ts";
import { Throttle } from "../base/throttle.ts";
import { newCreditMemory } from "../dispatch/credit.ts";
import { isCommitFailedRejection } from "../log/environment.ts";
import { Doorbell, DoorbellListener } from "../ring/doorbell.ts";
import { ringOf } from "../ring/mesh.ts";
import type { Connection } from "../transport/connection.ts";
import type { Arrival, HandOver, WrappedConnection } from "../transport/hand-over.ts";
import { Transport } from "../transport/transport.ts";
import type { Unwrapper } from "../transport/unwrapper.ts";
import { ClosedConnections } from "./closed-connections.ts";
import { CommandServer } from "./command-server.ts";
import { LateUnwrapper } from "./late-unwrapper.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { PasswordDesk } from "./password-desk.ts";
import { RingPartner } from "./ring-partner.ts";
import type { FromWorker, Newcomer, ToWorker, WorkerData } from "./thread-protocol.ts";
import { BrokerWorker } from "./worker.ts";

const data = workerData as WorkerData;
const main = parentPort!;
const log = createLogger(data.logLevel as LogLevel, { worker: data.worker });

// lmdb-js rejects a promise of its own beside the one it gave; every other unhandled rejection is a bug and ends the process.
process.on("unhandledRejection", (reason) => {
  if (!isCommitFailedRejection(reason)) throw reason;
});

const tell = (message: FromWorker): void => main.postMessage(message);
const closed = new ClosedConnections((listener, addresses) => tell({ kind: "closed", listener, addresses }));
const ownDoorbell = data.doorbells[data.worker];
const listener = ownDoorbell && new DoorbellListener(ownDoorbell, () => worker.wake());
const transport = new Transport({
  wake: () => worker.wake(),
  packetBytesMax: data.limits.packetBytesMax,
  inputBudgetBytes: data.inputBudgetBytes,
  outputBudgetBytes: data.outputBudgetBytes,
  stalledMs: data.stalledMs,
});
const pressure = new MemoryPressure(data.pressure, data.memoryBudgetBytes);
const passwords = new PasswordDesk((request) => tell({ kind: "verify", request }));
const connectionFaults = new Throttle(NOTICE_PERIOD_MS);
const unwrapper = new LateUnwrapper({
  worker: data.worker,
  listeners: data.listeners,
  certificates: data.certificates,
  nowMs: () => performance.now(),
  onConnect: (handOver) => {
    if (isHome(handOver.clientId)) onConnection(introduced(handOver));
    else tell({ kind: "unwrapped", handOver });
  },
  isHome,
  onArrived,
  onClosed: (listener, address) => closed.add(listener, address),
  onFault: warnOfConnection,
});
const onNotice = (fields: object, message: string): void => log.info(fields, message);
const watch = new MemoryWatch({ worker: data.worker, pressure, transport, onNotice });
const memoryCheck = setInterval(() => watch.check(performance.now(), worker), MEMORY_CHECK_MS);
const stallCheck = setInterval(() => transport.endStalled(performance.now()), STALL_CHECK_MS);
const worker = new BrokerWorker({
  worker: data.worker,
  workers: data.workers,
  partitions: data.partitions,
  dataDirectory: data.dataDirectory,
  limits: data.limits,
  authenticator: createAuthenticator({
    allowAnonymous: data.access.allowAnonymous,
    verifyPassword: data.access.hasUsers ? passwords.verify : undefined,
  }),
  rules: data.access.rules,
  connect: (other, handler) => {
    const doorbell = new Doorbell(data.doorbells[other]!);
    const out = ringOf(data.mesh, data.worker, other);
    const back = ringOf(data.mesh, other, data.worker);
    return new RingPartner(other, handler, out, back, doorbell, PACKET_BYTES_MAX + ENVELOPE_BYTES_MAX);
  },
  ...creditOf(),
  nowMs: () => Date.now(),
  random: () => Math.random(),
  flushOutput: () => {
    transport.flush();
    watch.report(worker);
  },
  sent: transport.outputs,
  ask: (queue) => data.commands.postMessage(queue),
  onFault: (fields, message) => log.error(fields, message),
  onNotice,
});

/** Credit tables by the other worker; one memory of its own for consumers and queues that are both here. */
function creditOf(): { creditOut: ArrayBufferLike[]; creditIn: ArrayBufferLike[] } {
  const own = newCreditMemory(false, data.workers);
  const table = (owner: number, consumers: number): ArrayBufferLike =>
    owner === consumers ? own : data.creditTables[owner * data.workers + consumers]!;
  const workers = Array.from({ length: data.workers }, (_, other) => other);
  return {
    creditOut: workers.map((owner) => table(owner, data.worker)),
    creditIn: workers.map((consumers) => table(data.worker, consumers)),
  };
}

const { queues, routes, inbound, shares } = worker.recover();
const commands = new CommandServer(data.commands, worker, queues);

main.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "begin":
      worker.begin(message.routes, message.inbound, message.shares);
      tell({ kind: "begun" });
      break;
    case "serve":
      worker.serve();
      void unwrapper.prepare();
      break;
    case "connections":
      for (const newcomer of message.newcomers) onConnection(newcomer);
      break;
    case "access":
      worker.changeAccess(message.change);
      tell({ kind: "changed" });
      break;
    case "verified":
      passwords.onVerified(message.number, message.outcome);
      break;
    case "wrapped":
      for (const connection of message.connections) onWrapped(connection);
      break;
    case "certificates":
      unwrapper.useCertificates(message.certificates);
      break;
    case "sever":
      unwrapper.sever(message.tunnel);
      break;
    case "stop":
      void stop(message.graceMs);
      break;
    case "close":
      void close();
      break;
  }
});

let isStopping = false;

function onConnection({ handOver, assignedClientId }: Newcomer): void {
  if (isStopping) {
    closeDescriptor(handOver.fd);
    tellClosed(handOver);
    return;
  }
  try {
    serve(transport.open(handOver), assignedClientId, () => tellClosed(handOver));
  } catch (error) {
    warnOfConnection(error as Error);
    closeDescriptor(handOver.fd);
    tellClosed(handOver);
  }
}

/** One whose TLS ends on this thread: when it is gone, the unwrapper tells. */
function onArrived(arrival: Arrival, stream: Socket): void {
  if (isStopping) stream.destroy();
  else serve(transport.adopt(stream, arrival), introduced(arrival).assignedClientId, () => {});
}

function serve(connection: Connection, assignedClientId: string, onClosed: () => void): void {
  const client = worker.newClient(connection, assignedClientId);
  connection.start({
    onPacket: (region, start, end) => client.onPacket(region, start, end),
    onFault: (reasonCode) => client.onFault(reasonCode),
    onDrained: () => client.onDrained(),
    onWritten: () => client.onWritten(),
    onClosed: () => {
      client.onClosed();
      onClosed();
    },
  });
}

function warnOfConnection(error: Error): void {
  connectionFaults.note(1, performance.now(), (count) => {
    log.warn({ err: error, count }, "connections could not be opened");
  });
}

/** Whether the session of this client is on this thread. One without a name gets one from main, unless there is no choice. */
function isHome(clientId: string): boolean {
  if (data.workers === 1) return true;
  return clientId !== "" && homePartitionOf(clientId, data.partitions) % data.workers === data.worker;
}

/** With a name for a client that has none. */
function introduced<Known extends Arrival>(handOver: Known): { handOver: Known; assignedClientId: string } {
  return { handOver, assignedClientId: handOver.clientId === "" ? newClientId() : "" };
}

/** Of a tunnel only the session's end is closed: the client's own socket is elsewhere. */
function tellClosed({ identity, tunnel }: HandOver): void {
  if (tunnel === null) closed.add(identity.listener, identity.address);
  else tell({ kind: "severed", tunnel });
}

function onWrapped(wrapped: WrappedConnection): void {
  const giveUp = ({ fd, listener: index, address }: WrappedConnection): void => {
    closeDescriptor(fd);
    closed.add(data.listeners[index]!.name, address);
  };
  const onFault = (error: Error, connection: WrappedConnection): void => {
    warnOfConnection(error);
    giveUp(connection);
  };
  const open = (loaded: Unwrapper, connection: WrappedConnection): void => {
    if (isStopping) {
      giveUp(connection);
      return;
    }
    try {
      loaded.open(connection);
    } catch (error) {
      onFault(error as Error, connection);
    }
  };
  unwrapper.open(wrapped, open, onFault);
}

/** Disconnects, and waits for the sockets to take it. */
async function stop(graceMs: number): Promise<void> {
  isStopping = true;
  transport.goAway();
  unwrapper.end();
  worker.disconnectAll();
  const endMs = Date.now() + graceMs;
  const isOpen = () => transport.connectionCount > 0 || unwrapper.connectionCount > 0;
  while (isOpen() && Date.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 10));
  transport.destroy();
  unwrapper.destroy();
  while (transport.connectionCount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  worker.wake();
  for (let rounds = 0; rounds < 2; rounds += 1) await new Promise((resolve) => setImmediate(resolve)); // A turn has sent their wills.
  const sentMs = Date.now() + STOP_SENDING_MS;
  while (worker.isSending && Date.now() < sentMs) await new Promise((resolve) => setTimeout(resolve, 1));
  tell({ kind: "left" });
}

/** How long the others may take to take what clients have left. */
const STOP_SENDING_MS = 5_000;

/** Nobody publishes any more: commits and closes. */
async function close(): Promise<void> {
  clearInterval(stallCheck);
  clearInterval(memoryCheck);
  commands.close();
  await worker.close();
  listener?.close();
  tell({ kind: "stopped" });
  main.close();
}

tell({ kind: "opened", routes, inbound, shares });

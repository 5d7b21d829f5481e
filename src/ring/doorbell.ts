/**
 * Doorbells: how a worker wakes one that sleeps in its event loop. A ring says when (`RingWriter.publish`,
 * `RingReader.takeSpaceBell`); what was rung for is read from the rings, so a ring of the bell carries nothing.
 *
 * ```
 *   worker 0 ── ports[0][1] ═══ channel ═══ ports[1][0] ── worker 1
 * ```
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";

/** Ports by worker, then by peer; a worker's own place is empty. A row is sent to its worker, listed for transfer. */
export type DoorbellPorts = readonly (readonly (MessagePort | undefined)[])[];

/** Makes a channel for every pair of workers. */
export function createDoorbells(workers: number): DoorbellPorts {
  const ports: (MessagePort | undefined)[][] = Array.from({ length: workers }, () =>
    new Array(workers).fill(undefined),
  );
  for (let one = 0; one < workers; one += 1) {
    for (let other = one + 1; other < workers; other += 1) {
      const { port1, port2 } = new MessageChannel();
      ports[one]![other] = port1;
      ports[other]![one] = port2;
    }
  }
  return ports;
}

/** One worker's end of the channel to one peer. */
export class Doorbell {
  readonly #port: MessagePort;

  /** `onRing` is called from the event loop, once per ring of the peer. Keeps the thread alive until `close`. */
  constructor(port: MessagePort, onRing: () => void) {
    this.#port = port;
    port.on("message", onRing);
  }

  ring(): void {
    this.#port.postMessage(0);
  }

  close(): void {
    this.#port.close();
  }
}

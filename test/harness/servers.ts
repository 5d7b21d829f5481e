/**
 * The servers that every suite of plain MQTT runs on: ours with one worker and with three, and mosquitto, on which the
 * suites themselves are checked: what fails there too is probably a wrong test. In the full size ours also over TLS and WebSocket.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { Broker } from "./broker.ts";
import { startMosquitto } from "./mosquitto.ts";
import { isMissing } from "./needs.ts";
import { isFullSize } from "./waiting.ts";
import type { Transport } from "./wrapping.ts";

export interface Server {
  readonly mqttPort: number;
  remove(): Promise<void>;
}

/** What a suite sees of the server it runs on. */
export interface Subject {
  /** Valid inside tests and hooks. */
  readonly port: number;
  /** False on mosquitto: a test of what only we promise stands inside `if (subject.isRestante)`: it is absent then, not skipped. */
  readonly isRestante: boolean;
  /** A client ID or topic that no other test uses. */
  unique(name: string): string;
}

let uniqueCount = 0;
export const unique = (name: string): string => `${name}-${++uniqueCount}`;

/** Runs the suite once on every server. */
export function describeServers(title: string, suite: (subject: Subject) => void): void {
  const brokers = variantsOf().map(({ workers, transport, name }) => ({
    name: `restante, ${name}`,
    isRestante: true,
    isSkipped: isMissing("broker", ...(transport === "tls" ? (["openssl"] as const) : [])),
    start: (): Promise<Server> => Broker.start({ workers, transport }),
  }));
  const mosquitto = {
    name: "mosquitto",
    isRestante: false,
    isSkipped: isMissing("mosquitto"),
    start: (): Promise<Server> => startMosquitto(["max_queued_messages 0"]),
  };
  for (const { name, isRestante, isSkipped, start } of [...brokers, mosquitto]) {
    describe.skipIf(isSkipped)(`${title}: ${name}`, () => {
      let server: Server | undefined;
      beforeAll(async () => {
        server = await start();
      });
      afterAll(async () => {
        await server?.remove();
      });
      suite({
        get port() {
          return server!.mqttPort;
        },
        isRestante,
        unique,
      });
    });
  }
}

/** As `describeWorkers`, in the full size also over TLS and WebSocket, or over what is `wrapped`. */
export function describeTransports(
  title: string,
  suite: (workers: number, transport: Transport) => void,
  wrapped: readonly Transport[] = WRAPPED,
): void {
  for (const { workers, transport, name } of variantsOf(wrapped)) {
    const isCertified = transport === "tls" || transport === "wss";
    const needs = isCertified ? (["broker", "openssl"] as const) : (["broker"] as const);
    describe.skipIf(isMissing(...needs))(`${title}: ${name}`, () => suite(workers, transport));
  }
}

interface Variant {
  readonly workers: number;
  readonly transport: Transport;
  readonly name: string;
}

const WRAPPED: readonly Transport[] = ["tls", "ws"];

function variantsOf(wrapped = WRAPPED): Variant[] {
  const plain = [1, 3].map((workers) => ({
    workers,
    transport: "tcp" as const,
    name: workers === 1 ? "1 worker" : `${workers} workers`,
  }));
  if (!isFullSize) return plain;
  return [...plain, ...wrapped.map((transport) => ({ workers: 3, transport, name: `3 workers, ${transport}` }))];
}

/** Runs a suite of ours with one worker and with three; the suite starts its brokers itself. */
export function describeWorkers(title: string, suite: (workers: number) => void): void {
  for (const workers of [1, 3]) {
    describe.skipIf(isMissing("broker"))(`${title}: ${workers} ${workers === 1 ? "worker" : "workers"}`, () => {
      suite(workers);
    });
  }
}

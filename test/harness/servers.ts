/**
 * The servers that every suite of plain MQTT runs on: ours with one worker and with three, and mosquitto, on which the
 * suites themselves are checked: what fails there too is probably a wrong test.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { Broker } from "./broker.ts";
import { startMosquitto } from "./mosquitto.ts";
import { isMissing } from "./needs.ts";

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
  const brokers = [1, 3].map((workers) => ({
    name: `restante, ${workers} ${workers === 1 ? "worker" : "workers"}`,
    isRestante: true,
    isSkipped: isMissing("broker"),
    start: (): Promise<Server> => Broker.start({ workers }),
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

/** Runs a suite of ours with one worker and with three; the suite starts its brokers itself. */
export function describeWorkers(title: string, suite: (workers: number) => void): void {
  for (const workers of [1, 3]) {
    describe.skipIf(isMissing("broker"))(`${title}: ${workers} ${workers === 1 ? "worker" : "workers"}`, () => {
      suite(workers);
    });
  }
}

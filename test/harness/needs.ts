/**
 * What a suite needs beside the broker. A missing tool skips the suite with a line that names what to install; where
 * everything must run (CI=true) it fails instead, so that a skip can never pass for a success.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { RABBITMQ_SERVER } from "./rabbitmq.ts";

/** The Python that the distribution's packages belong to; another one on the PATH would not see them. */
export const PYTHON = "/usr/bin/python3";

const isOnPath = (name: string): boolean =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"].some((folder) => existsSync(join(folder, name)));

const peers = {
  broker: { isThere: () => existsSync("dist/cli/launch.cjs"), install: "run: npm run build" },
  mosquitto: { isThere: () => isOnPath("mosquitto"), install: "apt-get install mosquitto" },
  mosquittoClients: { isThere: () => isOnPath("mosquitto_pub"), install: "apt-get install mosquitto-clients" },
  paho: {
    isThere: () => existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import paho.mqtt.client"]).status === 0,
    install: "apt-get install python3-paho-mqtt",
  },
  pahoC: {
    isThere: () => existsSync("/usr/include/MQTTClient.h"),
    install: "apt-get install libpaho-mqtt-dev",
  },
  rabbitmq: {
    isThere: () => existsSync(RABBITMQ_SERVER) && isOnPath("epmd"),
    install: "apt-get install rabbitmq-server",
  },
  openssl: { isThere: () => isOnPath("openssl"), install: "apt-get install openssl" },
  curl: { isThere: () => isOnPath("curl"), install: "apt-get install curl" },
  compiler: { isThere: () => isOnPath("gcc") && isOnPath("make"), install: "apt-get install gcc make" },
} as const;

export type Peer = keyof typeof peers;

const missingLineOf = (peer: Peer): string => `${peer} is missing (${peers[peer].install})`;

/** What is not there, and how to install it; empty when all of it is. */
export const missingLines = (wanted: readonly Peer[]): string[] =>
  wanted.filter((peer) => !peers[peer].isThere()).map(missingLineOf);

/**
 * Says whether the suite has to be skipped, for `describe.skipIf(isMissing("paho"))`. Prints what to install.
 * @throws under CI=true, instead of answering true.
 */
export function isMissing(...wanted: readonly Peer[]): boolean {
  const missing = missingLines(wanted);
  if (missing.length === 0) return false;
  const line = missing.join("; ");
  if (process.env.CI === "true") throw new Error(line);
  process.stderr.write(`skipped: ${line}\n`);
  return true;
}

/** mosquitto: its command line clients against our broker, and its broker as a peer that our own tests are checked on. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { Child, run } from "./process.ts";
import { RawClient } from "./raw-mqtt.ts";
import { eventually } from "./waiting.ts";

/** One mosquitto_pub run. @throws when it fails. */
export async function mosquittoPublish(port: number, args: readonly string[]): Promise<void> {
  const finished = await run("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(port), ...args]);
  if (finished.code !== 0) throw new Error(`mosquitto_pub ${args.join(" ")}: ${finished.stderr}`);
}

/** A running mosquitto_sub; its `lines` are the payloads. */
export const mosquittoSubscribe = (port: number, args: readonly string[]): Child =>
  new Child("mosquitto_sub", ["-h", "127.0.0.1", "-p", String(port), ...args]);

export interface Mosquitto {
  readonly mqttPort: number;
  readonly pid: number;
  remove(): Promise<void>;
}

/** Starts mosquitto without persistence on a free port; `settings` are further lines of its configuration. */
export async function startMosquitto(settings: readonly string[] = []): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), "restante-mosquitto-"));
  const mqttPort = await freePort();
  const lines = [
    `listener ${mqttPort} 127.0.0.1`,
    "allow_anonymous true",
    "persistence false",
    "log_dest stderr",
    "log_type error",
    ...(userInfo().uid === 0 ? ["user root"] : []),
    ...settings,
  ];
  await writeFile(join(directory, "mosquitto.conf"), `${lines.join("\n")}\n`);
  const child = new Child("/usr/sbin/mosquitto", ["-c", join(directory, "mosquitto.conf")]);
  const accepts = async (): Promise<boolean> => {
    const probe = await RawClient.open(mqttPort).catch(() => undefined);
    await probe?.cut();
    return probe !== undefined;
  };
  await eventually(() => `mosquitto listens: ${child.stderr}`, accepts, 5_000);
  const remove = async (): Promise<void> => {
    child.signal("SIGTERM");
    await child.ended;
    await rm(directory, { recursive: true, force: true });
  };
  return { mqttPort, pid: child.pid, remove };
}

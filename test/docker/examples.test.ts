/**
 * Goal: the examples are complete and their scripts do what their pages say, with the Paho that is installed.
 * Method: compose files are read and compared with the scripts; the scripts run on mosquitto, where `$q/…` is an ordinary topic
 * that they publish to directly. What a queue adds is the matter of the end-to-end tests.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseApiKeyFile } from "../../src/config/api-keys.ts";
import { settingsLeaves } from "../../src/config/schema.ts";
import { type Mosquitto, startMosquitto } from "../harness/mosquitto.ts";
import { isMissing, PYTHON } from "../harness/needs.ts";
import { Child, run } from "../harness/process.ts";

const EXAMPLES = ["job-queue", "command-queue"];
const script = (example: string, name: string) => join("docs/examples", example, name);

interface Service {
  readonly build: string;
  readonly command?: string;
  readonly environment?: Record<string, string>;
}

describe.each(EXAMPLES)("%s", (example) => {
  const text = (name: string) => readFileSync(script(example, name), "utf8");
  const { services } = parse(text("docker-compose.yml")) as { services: Record<string, Service> };

  test("builds what exists, with commands that its scripts understand", () => {
    for (const { build, command } of Object.values(services)) {
      expect(existsSync(join("docs/examples", example, build, "Dockerfile"))).toBe(true);
      if (command === undefined) continue;
      const [python, file, ...words] = command.split(" ");
      expect(python).toBe("python");
      expect(text("Dockerfile")).toContain(` ${file} `);
      for (const word of words.filter((candidate) => candidate.startsWith("--"))) {
        expect(`${text(file!)}${text("client.py")}`).toContain(`"${word}"`);
      }
    }
  });

  test("configures the broker with keys that exist", () => {
    const known = settingsLeaves().map(({ path }) => `RESTANTE_${path.join("__").toUpperCase()}`);
    for (const name of Object.keys(services.restante!.environment!)) expect(known).toContain(name);
    expect(parseApiKeyFile(script(example, "api-keys.txt"))).toMatchObject([{ key: "key" }]);
    expect(text("README.md")).toContain("curl -u key:secret");
  });

  test("shares the way to make a client with the other", () => {
    expect(text("client.py")).toBe(readFileSync(script(EXAMPLES[0]!, "client.py"), "utf8"));
  });
});

describe.skipIf(isMissing("paho", "mosquitto"))("the scripts", () => {
  let mosquitto: Mosquitto;
  beforeAll(async () => {
    mosquitto = await startMosquitto();
  });
  afterAll(() => mosquitto.remove());

  const flags = (...more: string[]) => ["--host", "127.0.0.1", "--port", String(mosquitto.mqttPort), ...more];
  const isWaiting = (lines: readonly string[]) => lines.some((line) => line.includes("waits for")) || undefined;

  test("a producer's jobs reach a worker, which ends on SIGTERM", async () => {
    const worker = new Child(PYTHON, [
      script("job-queue", "consumer.py"),
      ...flags("--name", "w1", "--sleep", "0.001"),
    ]);
    await worker.until(isWaiting, 10_000);
    const producer = await run(PYTHON, [
      script("job-queue", "producer.py"),
      ...flags("--topic", "$q/jobs", "--count", "20", "--interval", "0"),
    ]);
    expect(producer).toMatchObject({ code: 0 });
    await worker.until((lines) => lines.some((line) => line.endsWith("w1 finished: job 19")) || undefined, 10_000);
    expect(worker.lines.filter((line) => line.includes("w1 received: job"))).toHaveLength(20);
    worker.signal("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test("a device says what the commands say", async () => {
    const device = new Child(PYTHON, [script("command-queue", "consumer.py"), ...flags("--name", "lamp")]);
    await device.until(isWaiting, 10_000);
    const producer = await run(PYTHON, [
      script("command-queue", "producer.py"),
      ...flags("--topic", "$q/commands/device1", "--count", "5", "--interval", "0"),
    ]);
    expect(producer).toMatchObject({ code: 0 });
    await device.until((lines) => lines.some((line) => line.endsWith("(command 5)")) || undefined, 10_000);
    expect(device.lines.some((line) => /lamp is (Green|Red|Yellow) now/.test(line))).toBe(true);
    device.signal("SIGTERM");
    expect(await device.ended).toMatchObject({ code: 0 });
  });
});

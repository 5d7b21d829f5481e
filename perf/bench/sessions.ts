/**
 * npm run bench:sessions -- [--sessions 100000] [--workers 1] [--directory DIR]
 *
 * Sessions of clients that are away, each with a subscription: what one costs in memory, and how long a start takes after `kill -9` with all
 * of them there and a hundred messages waiting in each of a hundred. All must be there afterwards.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Broker } from "../../test/harness/broker.ts";
import { RawClient } from "../../test/harness/raw-mqtt.ts";
import { pause } from "../../test/harness/waiting.ts";
import { type Memory, memoryOf } from "./backlog.ts";
import { alignedTable } from "./table.ts";

export interface SessionsOptions {
  readonly sessions: number;
  readonly workers: number;
  readonly directory: string;
  /** Before memory is looked at: garbage is collected meanwhile, and what is free goes back to the system. */
  readonly settleMs: number;
}

export interface SessionsReport {
  readonly sessions: number;
  readonly empty: Memory;
  readonly asleep: Memory;
  readonly restartS: number;
  readonly restarted: Memory;
  /** Sessions and messages found after the kill. */
  readonly foundSessions: number;
  readonly foundMessages: number;
}

const WITH_MESSAGES = 100;
const MESSAGES_EACH = 100;
const AT_A_TIME = 50;
const KEPT = { version: 4, clean: false } as const;

const clientIdOf = (at: number): string => `device-${at}`;
const topicOf = (at: number): string => `devices/${at}/commands`;

/** @throws when the broker fails; what was lost is in the report. */
export async function measureSessions(options: SessionsOptions): Promise<SessionsReport> {
  const { sessions, workers } = options;
  const directory = await mkdtemp(join(options.directory, "restante-sessions-"));
  const broker = await Broker.start({ workers, directory });
  try {
    const empty = await memoryOf(broker.pid);
    await inParallel(sessions, async (at) => {
      const client = await RawClient.connected(broker.mqttPort, clientIdOf(at), KEPT);
      await client.subscribe(topicOf(at), { qos: 1 });
      await client.end();
    });
    await pause(options.settleMs);
    const asleep = await memoryOf(broker.pid);
    const sender = await RawClient.connected(broker.mqttPort, "sender");
    for (let at = 0; at < Math.min(WITH_MESSAGES, sessions); at += 1) {
      for (let message = 0; message < MESSAGES_EACH; message += 1)
        sender.publish(topicOf(at), `${message}`, { qos: 1 });
      for (let message = 0; message < MESSAGES_EACH; message += 1) await sender.take("puback");
    }
    await broker.kill();
    const killedMs = performance.now();
    await broker.restart();
    const restartS = (performance.now() - killedMs) / 1_000;
    await pause(options.settleMs);
    const restarted = await memoryOf(broker.pid);
    let foundSessions = 0;
    let foundMessages = 0;
    await inParallel(sessions, async (at) => {
      const client = await RawClient.connected(broker.mqttPort, clientIdOf(at), KEPT);
      if (client.connack.sessionPresent) foundSessions += 1;
      if (at < WITH_MESSAGES) foundMessages += new Set(await client.receiveTexts(MESSAGES_EACH)).size;
      await client.end();
    });
    await broker.stop();
    return { sessions, empty, asleep, restartS, restarted, foundSessions, foundMessages };
  } finally {
    await broker.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

async function inParallel(count: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
}

export function sessionsTable(report: SessionsReport): string {
  const { sessions, empty, asleep, restarted, restartS, foundSessions, foundMessages } = report;
  const each = ({ anonymousBytes }: Memory): string =>
    `${Math.round((anonymousBytes - empty.anonymousBytes) / sessions)} bytes a session`;
  return alignedTable([
    [`${sessions} sessions asleep`, each(asleep)],
    ["after kill -9", `ready in ${restartS.toFixed(1)} s, ${each(restarted)}`],
    ["found", `${foundSessions} sessions, ${foundMessages} messages`],
  ]);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      sessions: { type: "string", default: "100000" },
      workers: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
    },
  });
  const { sessions, workers, directory } = values;
  const options = { sessions: Number(sessions), workers: Number(workers), directory, settleMs: 15_000 };
  process.stdout.write(`${sessionsTable(await measureSessions(options))}\n`);
}

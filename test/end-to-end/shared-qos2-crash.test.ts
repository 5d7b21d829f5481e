/**
 * Goal: a QoS 2 message of a shared subscription reaches one of its members once, and is not lost, when the broker is killed between the
 * commits of the member's session and of the subscription, and started with another number of workers.
 * Method: members with sessions that last, who keep their QoS 2 state as clients do. The broker's logs are slowed down where it matters:
 * a commit that only says what is done with, as the subscription's does, reaches the disk a moment late; the kill comes in that moment.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { Broker, ENTRY } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually, isFullSize, pause } from "../harness/waiting.ts";
import { randomOf, testSeed } from "../random.ts";

const ROUNDS = isFullSize ? 8 : 1;
const MESSAGES = 30;
const GROUPS = 3;
const LATE_MS = 300;
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };

/** For every thread of the broker: commits that only settle wait. Values stay as they are until their commit ends. */
const environment = pathToFileURL(join(ENTRY, "../../log/environment.js")).href;
const SLOW = `
import { Environment } from ${JSON.stringify(environment)};
const { commit } = Environment.prototype;
Environment.prototype.commit = async function (write) {
  const steps = [];
  let isSettling = true;
  write({
    putBatch: (store, batch, value) => { if (store !== "settled") isSettling = false; steps.push((to) => to.putBatch(store, batch, value)); },
    removeBatch: (store, batch) => steps.push((to) => to.removeBatch(store, batch)),
    put: (store, key, value) => {
      if (store !== "ledgers" && store !== "log") isSettling = false;
      const copy = Buffer.from(key);
      steps.push((to) => to.put(store, copy, value));
    },
    remove: (store, key) => { isSettling = false; const copy = Buffer.from(key); steps.push((to) => to.remove(store, copy)); },
  });
  if (isSettling) await new Promise((resolve) => setTimeout(resolve, ${LATE_MS}));
  await commit.call(this, (to) => { for (const step of steps) step(to); });
};
`;

/** A member of every group: counts each message once, by its identifier. */
class Member {
  readonly #id: string;
  readonly #came: Map<string, number>;
  /** Identifiers received and not released. */
  readonly #received = new Set<number>();
  #client: RawClient | undefined;

  constructor(id: string, came: Map<string, number>) {
    this.#id = id;
    this.#came = came;
  }

  async connect(port: number): Promise<void> {
    this.#client = await RawClient.connected(port, this.#id, lasting);
    for (let group = 0; group < GROUPS; group += 1) {
      await this.#client.subscribe(`$share/g${group}/job/${group}`, { qos: 2 });
    }
  }

  /** Takes what has come, and acknowledges it. */
  look(): void {
    const client = this.#client!;
    for (let packet = client.tryTake("publish"); packet !== undefined; packet = client.tryTake("publish")) {
      const messageId = packet.messageId!;
      const text = packet.payload.toString();
      if (!this.#received.has(messageId)) this.#came.set(text, (this.#came.get(text) ?? 0) + 1);
      this.#received.add(messageId);
      client.send({ cmd: "pubrec", messageId, reasonCode: 0 });
    }
    for (let packet = client.tryTake("pubrel"); packet !== undefined; packet = client.tryTake("pubrel")) {
      this.#received.delete(packet.messageId!);
      client.send({ cmd: "pubcomp", messageId: packet.messageId!, reasonCode: 0 });
    }
  }

  end(): Promise<void> {
    return this.#client!.end();
  }

  async expectClose(): Promise<void> {
    await this.#client!.expectClose();
    this.look(); // What had come before.
  }
}

/** One after the other to the groups, all at once; accepted when it returns. */
async function publishAll(sender: RawClient, texts: readonly string[]): Promise<void> {
  for (const [at, text] of texts.entries()) sender.publish(`job/${at % GROUPS}`, text, { qos: 2 });
  for (const _ of texts) {
    const { messageId, reasonCode = 0 } = await sender.take("pubrec");
    expect(reasonCode).toBe(0);
    sender.send({ cmd: "pubrel", messageId: messageId!, reasonCode: 0 });
  }
  for (const _ of texts) await sender.take("pubcomp");
}

describeWorkers("QoS 2 of a shared subscription in a crash", (workers) => {
  it("reaches one member once", async () => {
    const random = randomOf(testSeed * 100 + workers);
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SLOW)}` };
    const broker = await Broker.start({ workers, environment });
    const came = new Map<string, number>();
    const members = [0, 1, 2].map((at) => new Member(`member-${at}`, came));
    const accepted: string[] = [];
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const member of members) await member.connect(broker.mqttPort);
        const sender = await RawClient.connected(broker.mqttPort, "sender");
        const before = came.size;
        const texts = Array.from({ length: MESSAGES }, (_, at) => `${round}:${at}`);
        await publishAll(sender, texts);
        accepted.push(...texts);
        const wanted = before + Math.ceil((0.5 + random() / 2) * MESSAGES);
        await eventually("some have come", () => {
          for (const member of members) member.look();
          return came.size >= wanted;
        });
        await pause(random() * 100);
        for (const member of members) member.look();
        await broker.kill();
        for (const member of members) await member.expectClose();
        await broker.restart(1 + Math.floor(random() * 4));
      }
      for (const member of members) await member.connect(broker.mqttPort);
      await eventually(
        () => `all have come: ${accepted.filter((text) => !came.has(text))} have not`,
        () => {
          for (const member of members) member.look();
          return accepted.every((text) => came.has(text));
        },
        60_000,
      );
      // Whatever would come twice is on its way behind these.
      const last = await RawClient.connected(broker.mqttPort, "sender");
      const fences = Array.from({ length: GROUPS * members.length }, (_, at) => `fence ${at}`);
      await publishAll(last, fences);
      await eventually("the last have come", () => {
        for (const member of members) member.look();
        return fences.every((text) => came.has(text));
      });
      expect(
        [...came].filter(([, times]) => times !== 1),
        `seed ${testSeed}`,
      ).toEqual([]);
      for (const member of members) await member.end();
      await last.end();
    } finally {
      await broker.remove();
    }
  }, 120_000);
});

/**
 * Goal: a QoS 2 message of a shared subscription reaches one member once, whatever crash comes between the two commits that move it from
 * the subscription to the member's session, whichever of the disks knows, and whoever leaves meanwhile; none is lost.
 * Method: 1 to 3 workers over logs in memory; members with sessions that last, who keep their QoS 2 state as clients do, and a publisher that
 * repeats; everything happens in an order drawn from a seed: events, ends of commits, failures, crashes, other numbers of workers.
 */
import { describe, expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { randomOf } from "../random.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const PARTITIONS = 3;
const MOVES = 260;
const SEEDS = process.env.RESTANTE_TEST_SIZE === "full" ? 150 : 12;

interface Member {
  readonly id: string;
  client: MemoryClient | undefined;
  isConnected: boolean;
  /** Topics it shares. */
  readonly topics: Set<number>;
  /** Identifiers received and not released: it knows a repeat by them. */
  readonly received: Set<number>;
  /** PUBREC and PUBCOMP that it has not sent yet. */
  owed: (readonly ["pubrec" | "pubcomp", number])[];
}

class SharedOrdeal {
  readonly disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
  readonly faults: string[] = [];
  crashes = 0;
  readonly #random: () => number;
  readonly #seed: number;
  #rig: Rig;
  readonly #members: readonly Member[];
  #publisher: MemoryClient | undefined;
  #isPublishing = false;
  readonly #open = new Map<number, string>();
  readonly #released = new Set<number>();
  readonly #accepted = new Set<string>();
  readonly #came = new Map<string, number>();
  #serial = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = randomOf(seed);
    this.#rig = this.#start(1_700_000_000_000);
    this.#members = [0, 1, 2, 3].map((at) => ({
      id: `member-${at}-${seed}`,
      client: undefined,
      isConnected: false,
      topics: new Set([0, 1, 2]),
      received: new Set<number>(),
      owed: [],
    }));
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #start(nowMs: number): Rig {
    const seed = this.#seed * 97 + this.crashes;
    return new Rig({ workers: 1 + this.#below(3), partitions: PARTITIONS, seed, disks: this.disks, nowMs });
  }

  async run(): Promise<void> {
    for (const member of this.#members) this.#connect(member);
    await this.#rig.settle();
    this.#look();
    await this.#rig.settle();
    for (let moves = 0; moves < MOVES; moves += 1) {
      this.#move();
      this.#look();
    }
    await this.#end();
  }

  #move(): void {
    for (let steps = this.#below(12); steps > 0; steps -= 1) this.#rig.step();
    const dice = this.#below(100);
    const member = this.#members[this.#below(this.#members.length)]!;
    if (dice < 45) this.#publish();
    else if (dice < 70) this.#acknowledge(member, 1 + this.#below(4));
    else if (dice < 72) this.#rig.isCommitting = !this.#rig.isCommitting;
    else if (dice < 77) this.#stall(this.#below(PARTITIONS));
    else if (dice < 79) this.#rig.failing.add(this.#below(PARTITIONS));
    else if (dice < 85) this.#connect(member);
    else if (dice < 88) this.#leave(member);
    else if (dice < 92) this.#toggle(member);
    else if (dice < 95) this.#crash();
    for (const worker of this.#rig.workers) worker.wake();
  }

  #stall(partition: number): void {
    const { stalled } = this.#rig;
    if (!stalled.delete(partition)) stalled.add(partition);
  }

  /** The process ends between two events; of each commit under way, all is on disk or nothing. */
  #crash(): void {
    this.crashes += 1;
    for (const log of this.#rig.logs) if (log.isCommitting && this.#below(2) === 0) log.succeed(false);
    this.#rig.kill();
    for (const member of this.#members) {
      member.client = undefined;
      member.isConnected = false;
      member.owed = [];
    }
    this.#publisher = undefined;
    this.#isPublishing = false;
    this.#rig = this.#start(this.#rig.nowMs);
  }

  // The publisher.

  #publish(): void {
    if (this.#publisher === undefined || this.#publisher.isClosed || this.#publisher.connection.isEnded) {
      this.#isPublishing = false;
      const lasting = { clean: false, properties: { sessionExpiryInterval: 3_600 } };
      this.#publisher = this.#rig.open(`publisher-${this.#seed}`, lasting);
    }
    if (!this.#isPublishing || this.#open.size > 6) return;
    this.#serial += 1;
    const messageId = this.#serial;
    this.#open.set(messageId, `${this.#below(3)} ${this.#serial}`);
    this.#send(messageId, false);
  }

  #send(messageId: number, dup: boolean): void {
    const text = this.#open.get(messageId)!;
    this.#publisher!.publish(`t/${text[0]}`, text, 2, messageId, { dup });
  }

  #lookAtPublisher(): void {
    const publisher = this.#publisher;
    if (publisher === undefined) return;
    if (publisher.take("connack").length > 0) {
      this.#isPublishing = true;
      for (const messageId of this.#released) publisher.acknowledge("pubrel", messageId);
      for (const messageId of this.#open.keys()) this.#send(messageId, true);
    }
    for (const { messageId, reasonCode = 0 } of publisher.take("pubrec")) {
      const text = this.#open.get(messageId!);
      this.#open.delete(messageId!);
      if (text !== undefined && reasonCode < 0x80) {
        this.#accepted.add(text);
        this.#released.add(messageId!);
      }
      if (this.#released.has(messageId!)) publisher.acknowledge("pubrel", messageId!);
    }
    for (const { messageId } of publisher.take("pubcomp")) this.#released.delete(messageId!);
  }

  // Members.

  #connect(member: Member): void {
    if (this.#below(2) === 0) member.client?.close(); // Else it is taken over.
    member.isConnected = false;
    member.owed = [];
    const receiveMaximum = 1 + this.#below(8);
    const lasting = { clean: false, properties: { sessionExpiryInterval: 3_600, receiveMaximum } };
    member.client = this.#rig.open(member.id, lasting);
  }

  #leave(member: Member): void {
    member.client?.close();
    member.client = undefined;
    member.isConnected = false;
    member.owed = [];
  }

  /** The first member shares every topic for ever, so that no subscription ends. */
  #toggle(member: Member): void {
    if (!member.isConnected || member === this.#members[0]) return;
    const topic = this.#below(3);
    const filter = `$share/g${topic}/t/${topic}`;
    if (member.topics.delete(topic)) member.client!.unsubscribe(filter);
    else {
      member.topics.add(topic);
      member.client!.subscribe(filter, 2, 20 + topic);
    }
  }

  #lookAtMember(member: Member): void {
    const { client, received, owed } = member;
    if (client === undefined) return;
    if (client.take("connack").length > 0) {
      member.isConnected = true;
      for (const topic of member.topics) client.subscribe(`$share/g${topic}/t/${topic}`, 2, 10 + topic);
    }
    for (const { messageId, payload, qos } of client.take("publish")) {
      if (qos !== 2) this.faults.push(`QoS ${qos}`);
      if (!received.has(messageId!)) {
        const text = payload.toString();
        this.#came.set(text, (this.#came.get(text) ?? 0) + 1);
        received.add(messageId!);
      }
      owed.push(["pubrec", messageId!]);
    }
    for (const { messageId } of client.take("pubrel")) {
      received.delete(messageId!);
      owed.push(["pubcomp", messageId!]);
    }
    if (client.isClosed || client.connection.isEnded) this.#leave(member);
  }

  #acknowledge(member: Member, many: number): void {
    for (const [kind, messageId] of member.owed.splice(0, many)) member.client?.acknowledge(kind, messageId);
  }

  #look(): void {
    this.#lookAtPublisher();
    for (const member of this.#members) this.#lookAtMember(member);
  }

  /** Everyone is there, nothing fails any more, and everything is consumed. */
  async #end(): Promise<void> {
    this.#rig.failing.clear();
    this.#rig.stalled.clear();
    for (let quiet = 0; quiet < 4; quiet += 1) {
      this.#rig.isCommitting = true;
      for (const member of this.#members) if (member.client === undefined) this.#connect(member);
      if (!this.#isPublishing) this.#publish();
      for (const worker of this.#rig.workers) worker.wake();
      await this.#rig.pass(1_200);
      this.#look();
      if (this.#open.size + this.#released.size > 0) quiet = 0;
      for (const member of this.#members) {
        if (member.owed.length > 0) quiet = 0;
        this.#acknowledge(member, Number.POSITIVE_INFINITY);
      }
      await this.#rig.settle();
    }
    this.#judge();
    this.#rig.kill();
  }

  #judge(): void {
    for (const text of this.#accepted) if (!this.#came.has(text)) this.faults.push(`${text} is lost`);
    for (const [text, times] of this.#came) if (times > 1) this.faults.push(`${text} came ${times} times`);
    for (const [number, { records, tables }] of this.disks.entries()) {
      if (records.size > 0) this.faults.push(`${records.size} records are left in partition ${number}`);
      const left = [...tables.keys()].filter((key) => /^(in|out)bound\//.test(key));
      if (left.length > 0) this.faults.push(`left in partition ${number}: ${left}`);
    }
  }
}

/** Two members of a shared subscription that lives in partition 2: one at home in partition 0, and there, and one in partition 1, away. */
async function twoMembers() {
  const disks = Array.from({ length: PARTITIONS }, () => new MemoryDisk());
  const rig = new Rig({ workers: PARTITIONS, partitions: PARTITIONS, disks });
  const filters = Array.from({ length: 100 }, (_, at) => `$share/g${at}/t`);
  const filter = filters.find((each) => homePartitionOf(each, PARTITIONS) === 2)!;
  const [one, other] = [rig.idOn(0, "one"), rig.idOn(1, "other")];
  const client = await rig.lasting(one);
  client.subscribe(filter, 2);
  const away = await rig.lasting(other);
  away.subscribe(filter, 2);
  await rig.settle();
  away.close();
  await rig.settle();
  /** From when the message is on the subscription's disk on, nothing more comes there. */
  const publish = async (): Promise<void> => {
    const publisher = await rig.connected(rig.idOn(2, "publisher"));
    rig.isCommitting = false;
    publisher.publish("t", "x", 2, 1);
    await rig.settle();
    rig.logs[2]!.succeed();
    rig.stalled.add(2);
    rig.isCommitting = true;
    await rig.settle();
    expect(publisher.take("pubrec")).toMatchObject([{ reasonCode: 0 }]);
  };
  return { disks, rig, one, other, client, publish };
}

const texts = (client: MemoryClient): string[] => client.take("publish").map(({ payload }) => payload.toString());

/** A start on these disks after a crash, with so many workers: what the clients get, and what is left when all is done. */
async function afterCrash(disks: readonly MemoryDisk[], workers: number, clientIds: readonly string[]) {
  const rig = new Rig({ workers, partitions: PARTITIONS, disks });
  const came: unknown[] = [];
  for (const id of clientIds) {
    const client = await rig.lasting(id);
    await rig.settle();
    const packets = client.take("publish");
    came.push(packets.map(({ messageId, dup }) => [messageId, dup]));
    for (const { messageId } of packets) client.acknowledge("pubrec", messageId!);
    await rig.settle();
    for (const { messageId } of client.take("pubrel")) client.acknowledge("pubcomp", messageId!);
    await rig.settle();
  }
  await rig.settle();
  rig.kill();
  return came;
}

describe.each([1, 2, 3])("a shared subscription's disk that is behind its member's, then %i workers", (workers) => {
  it("[MQTT-4.8.2-4] takes nothing to another member of what one has received", async () => {
    const { disks, rig, one, other, client, publish } = await twoMembers();
    await publish();
    const [sent] = client.take("publish");
    client.acknowledge("pubrec", sent!.messageId!);
    await rig.settle();
    rig.kill();
    expect(await afterCrash(disks, workers, [other, one])).toEqual([[], [[sent!.messageId, true]]]);
    expect(disks.flatMap(({ records }) => [...records.keys()])).toEqual([]);
  });

  it("goes on with the member when it has caught up", async () => {
    const { disks, rig, one, other, client, publish } = await twoMembers();
    await publish();
    const [sent] = client.take("publish");
    client.acknowledge("pubrec", sent!.messageId!);
    await rig.settle();
    rig.stalled.clear();
    await rig.settle();
    expect(client.take("pubrel")).toMatchObject([{ messageId: sent!.messageId }]);
    rig.kill();
    expect(await afterCrash(disks, workers, [other, one])).toEqual([[], []]);
    expect(disks.flatMap(({ records }) => [...records.keys()])).toEqual([]);
  });

  it("[MQTT-4.8.2-5] takes nothing to another member of what was sent to one whose session has ended", async () => {
    const { disks, rig, one, other, client, publish } = await twoMembers();
    await publish();
    expect(client.take("publish")).toHaveLength(1);
    rig.workerOf(one).desk.kick(one);
    await rig.settle();
    rig.kill();
    expect(await afterCrash(disks, workers, [other])).toEqual([[]]);
    expect(disks.flatMap(({ records }) => [...records.keys()])).toEqual([]);
  });

  it.each([false, true])(
    "gives what a member that left was about to take to one other (with a crash: %s)",
    async (isCrashing) => {
      const { disks, rig, one, other, client } = await twoMembers();
      rig.stalled.add(0);
      const publisher = await rig.connected(rig.idOn(2, "publisher"));
      publisher.publish("t", "x", 2, 1);
      await rig.settle();
      expect(rig.logs[0]!.isCommitting).toBe(true); // The record of the first member.
      client.close();
      const back = await rig.lasting(other);
      rig.logs[0]!.succeed();
      await rig.settle();
      expect(texts(back)).toEqual([]);
      if (isCrashing) {
        rig.kill();
        expect(await afterCrash(disks, workers, [other, one])).toEqual([[], [[expect.anything(), false]]]);
        return;
      }
      rig.stalled.clear();
      await rig.settle();
      expect(texts(back)).toEqual(["x"]);
      rig.kill();
    },
  );
});

describe("a shared subscription of QoS 2 through crashes", () => {
  it(`gives each message once, seeds 1 to ${SEEDS}`, async () => {
    let crashes = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const ordeal = new SharedOrdeal(seed);
      await ordeal.run();
      expect(ordeal.faults, `seed ${seed}`).toEqual([]);
      crashes += ordeal.crashes;
    }
    expect(crashes).toBeGreaterThan(SEEDS);
  }, 600_000);
});

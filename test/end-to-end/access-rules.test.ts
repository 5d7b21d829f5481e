/**
 * Goal: nobody publishes, subscribes or is given anything that the rules in force deny: live, retained, waiting, repeated or from a queue;
 * other rules and users hold from the answer to the reload on, and a file with a fault changes nothing.
 * Method: bare clients of both versions on the real broker; the files are rewritten, and read again by REST or SIGHUP.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IConnectPacket } from "mqtt-packet";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { stringify } from "yaml";
import { hashPassword } from "../../src/pool/scrypt.ts";
import { Broker } from "../harness/broker.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf, request } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const COST = { ln: 10, r: 8, p: 1 };
const ALICE = `alice:${hashPassword(Buffer.from("alice"), COST)}`;
const BOB = `bob:${hashPassword(Buffer.from("bob"), COST)}`;
const BOB_CHANGED = `bob:${hashPassword(Buffer.from("another"), COST)}`;
const NO_SUBSCRIBERS = 0x10;
const LASTING = { clean: false, properties: { sessionExpiryInterval: 600 } };

const RULES = {
  default: "deny",
  rules: [
    { deny: "subscribe", topic: "open/secret" },
    { allow: "all", user: "alice", topic: ["open/#", "own/%c", "$q/open/#", "$queue/+"] },
    { allow: "publish", user: "bob", address: "127.0.0.0/8", topic: ["open/#", "all/#"] },
    { allow: "subscribe", user: "bob", topic: [{ eq: "all/#" }] },
  ],
};

describeWorkers("access rules", (workers) => {
  let folder: string;
  let broker: Broker;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "restante-rules-"));
    write("users", `${ALICE}\n${BOB}\n`);
    write("rules", stringify(RULES));
    const settings = `access:\n  password_file: ${join(folder, "users")}\n  rules_file: ${join(folder, "rules")}\n`;
    broker = await Broker.start({ workers, settings });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    write("users", `${ALICE}\n${BOB}\n`);
    await reload(RULES);
  });

  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

  async function reload(rules: object): Promise<void> {
    write("rules", stringify(rules));
    const answer = await request(broker, "POST", "/api/v5/access/reload");
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 200, body: { anonymous: true } });
  }

  const as = (user: string, options: Partial<IConnectPacket> & { version?: Version } = {}, clientId = unique(user)) =>
    RawClient.connected(broker.mqttPort, clientId, { username: user, password: Buffer.from(user), ...options });

  /** By REST, which no rule concerns. */
  async function publish(topic: string, payload: string, retain = false): Promise<void> {
    const { status } = await request(broker, "POST", "/api/v5/publish", { topic, payload, qos: 1, retain });
    expect([200, 202]).toContain(status);
  }

  it("let through what is allowed, and tell an MQTT 5 client what is not", async () => {
    const [alice, bob] = [await as("alice"), await as("bob")];
    await alice.subscribe("open/#", { qos: 1 });
    for (const qos of [0, 1, 2] as const) {
      expect(await bob.publishSettled("open/a", `${qos}`, { qos })).toBe(0);
      expect(await bob.publishSettled("closed", "x", { qos })).toBe(qos === 0 ? 0 : 0x87);
      expect(await alice.publishSettled(`own/${qos}`, "x", { qos })).toBe(qos === 0 ? 0 : 0x87);
    }
    expect(await alice.receiveTexts(3)).toEqual(["0", "1", "2"]);
    alice.send({
      cmd: "subscribe",
      messageId: 9,
      subscriptions: ["open/a", "#", "open/secret", "all/#", "+/a", "$SYS/#"].map((topic) => ({
        topic,
        qos: 1 as const,
      })),
    });
    expect((await alice.take("suback")).granted).toEqual([1, 0x87, 0x87, 0x87, 0x87, 0x87]);
    expect((await bob.subscribe("all/#")).granted).toEqual([0]);
    for (const filter of ["all/a", "open/#", "#"])
      expect((await bob.subscribe(filter)).granted, filter).toEqual([0x87]);
    const anonymous = await RawClient.connected(broker.mqttPort, unique("alice"));
    expect(await anonymous.publishSettled("open/a", "x", { qos: 1 })).toBe(0x87);
    for (const client of [alice, bob, anonymous]) await client.end();
  });

  it("let an MQTT 3.1.1 client go on after a publish that is dropped", async () => {
    const [alice, bob] = [await as("alice", { version: 4 }), await as("bob", { version: 4 })];
    expect((await alice.subscribe("open/#")).granted).toEqual([0]);
    expect((await alice.subscribe("#")).granted).toEqual([0x80]);
    for (const qos of [1, 2] as const) expect(await bob.publishSettled("closed", "x", { qos })).toBe(0);
    expect(await bob.publishSettled("open/a", "x", { qos: 1 })).toBe(0);
    expect(await alice.receiveTexts(1)).toEqual(["x"]);
    for (const client of [alice, bob]) await client.end();
  });

  it("put a client's own name in, and nothing more than that", async () => {
    const client = await as("alice", {}, "own-name");
    expect(await client.publishSettled("own/own-name", "x", { qos: 1 })).toBe(NO_SUBSCRIBERS);
    expect(await client.publishSettled("own/other", "x", { qos: 1 })).toBe(0x87);
    for (const clientId of ["+", "#", "own-name/x"]) {
      const hostile = await as("alice", {}, clientId);
      for (const filter of ["own/+", "own/#", "own/own-name/x"])
        expect((await hostile.subscribe(filter)).granted).toEqual([0x87]);
      await hostile.end();
    }
    await client.end();
  });

  it("keep what is denied out of a wider subscription, live and retained", async () => {
    await publish("open/secret", "retained secret", true);
    await publish("open/known", "retained", true);
    const alice = await as("alice");
    expect((await alice.subscribe("open/+", { qos: 1 })).granted).toEqual([1]);
    expect(await alice.receiveTexts(1)).toEqual(["retained"]);
    await publish("open/secret", "live secret");
    await publish("open/known", "live");
    expect(await alice.receiveTexts(1)).toEqual(["live"]);
    for (const topic of ["open/secret", "open/known"]) await publish(topic, "", true);
    await alice.end();
  });

  it("hold for wills, at CONNECT and when they are sent", async () => {
    const will = (topic: string) => ({ will: { topic, payload: Buffer.from("will"), qos: 1 as const, retain: false } });
    const shown = { username: "alice", password: Buffer.from("alice") };
    for (const [version, refused] of [
      [5, 0x87],
      [4, 5],
    ] as const) {
      const client = await RawClient.open(broker.mqttPort, version);
      const connack = await client.connect({ clientId: unique("will"), ...shown, ...will("closed") });
      expect(connack.reasonCode ?? connack.returnCode).toBe(refused);
      await client.expectClose();
    }
    const [one, other] = [await as("alice", will("open/will")), await as("alice", will("open/other"))];
    await reload({ ...RULES, rules: [{ deny: "publish", topic: "open/will" }, ...RULES.rules] });
    const watcher = await as("alice");
    await watcher.subscribe("open/#", { qos: 1 });
    await one.cut();
    await other.cut();
    expect((await watcher.receive()).topic).toBe("open/other");
    await publish("open/end", "end");
    expect((await watcher.receive()).topic).toBe("open/end");
    await watcher.end();
  });

  it("ask for the right to a queue and to all that it may hold", async () => {
    for (const topicFilter of ["open/jobs", "closed/jobs", "open/#"])
      await createQueue(broker, { topic_filter: topicFilter });
    await createQueue(broker, { name: "named-closed", topic_filter: "closed/jobs" });
    await createQueue(broker, { name: "named-open", topic_filter: "open/jobs" });
    await publish("open/jobs", "job");
    const alice = await as("alice");
    const granted = async (filter: string) => (await alice.subscribe(filter, { qos: 1 })).granted[0];
    expect(await granted("$q/closed/jobs")).toBe(0x87);
    expect(await granted("$queue/named-closed")).toBe(0x87);
    expect(await granted("$q/open/#")).toBe(0x87); // It may hold open/secret.
    expect(await granted("$q/open/jobs")).toBe(1);
    expect((await alice.receive()).payload.toString()).toBe("job");
    const bob = await as("bob");
    expect((await bob.subscribe("$queue/named-open")).granted).toEqual([0x87]);
    await bob.end();

    // One that is not there yet is granted by its name, and judged when it comes.
    expect(await granted("$queue/later")).toBe(1);
    expect(await granted("$queue/later-closed")).toBe(1);
    await createQueue(broker, { name: "later-closed", topic_filter: "closed/#" });
    await createQueue(broker, { name: "later", topic_filter: "open/later" });
    await publish("closed/x", "not hers");
    await publish("open/later", "hers");
    expect((await alice.receive()).payload.toString()).toBe("hers");
    expect(await ledgerOf(broker, "later-closed")).toMatchObject({ waiting: 1, in_flight: 0 });
    await alice.end();
  });

  it("hold for shared subscriptions as for queues", async () => {
    const alice = await as("alice");
    for (const [filter, code] of [
      ["$share/g/closed", 0x87],
      ["$share/g/open/#", 0x87],
      ["$share/g/open/shared", 1],
    ] as const) {
      expect((await alice.subscribe(filter, { qos: 1 })).granted, filter).toEqual([code]);
    }
    await publish("open/shared", "hers");
    expect(await alice.receiveTexts(1)).toEqual(["hers"]);
    await reload({ ...RULES, rules: [{ deny: "subscribe", topic: "open/shared" }, ...RULES.rules] });
    await publish("open/shared", "nobody's");
    await alice.ping();
    expect(alice.waiting).toEqual([]);
    await alice.end();
  });

  it("of now, not of then, decide on what has waited, is repeated and comes live", async () => {
    const clientId = unique("waiting");
    const before = await as("alice", LASTING, clientId);
    await before.subscribe("open/#", { qos: 2 });
    await publish("open/repeated", "sent and not acknowledged");
    await before.take("publish");
    await before.cut();
    for (const qos of [1, 2] as const) {
      const bob = await as("bob");
      expect(await bob.publishSettled("open/lost", "waits", { qos })).toBe(0);
      expect(await bob.publishSettled("open/kept", "waits", { qos })).toBe(0);
      await bob.end();
    }
    const live = await as("alice");
    await live.subscribe("open/#", { qos: 1 });
    const denied = ["open/lost", "open/repeated"];
    await reload({ ...RULES, rules: [{ deny: "subscribe", topic: denied }, ...RULES.rules] });
    await publish("open/lost", "live");
    await publish("open/kept", "live");
    expect((await live.receive()).topic).toBe("open/kept");
    const after = await as("alice", LASTING, clientId);
    const topics = [await after.receive(), await after.receive(), await after.receive()].map(({ topic }) => topic);
    expect(topics).toEqual(["open/kept", "open/kept", "open/kept"]);
    expect(after.waiting).toEqual([]);

    await reload({ default: "deny", rules: [] }); // She has no right left: nothing more comes, whatever she is subscribed to.
    await publish("open/kept", "nobody's");
    for (const client of [live, after]) await client.ping();
    for (const client of [live, after]) expect(client.waiting).toEqual([]);
    expect((await live.subscribe("open/#")).granted).toEqual([0x87]);
    for (const client of [live, after]) await client.end();
  });

  it("take a queue from a consumer that has lost it, with what it had, and give it back", async () => {
    const name = unique("queue");
    await createQueue(broker, { name, topic_filter: `open/${name}` });
    const alice = await as("alice");
    expect((await alice.subscribe(`$queue/${name}`, { qos: 1 })).granted).toEqual([1]);
    await publish(`open/${name}`, "job");
    await alice.take("publish");
    expect(await ledgerOf(broker, name)).toMatchObject({ in_flight: 1, waiting: 0 });
    await reload({ ...RULES, rules: [{ deny: "subscribe", topic: `open/${name}` }, ...RULES.rules] });
    await eventually("it went back", async () => (await ledgerOf(broker, name)).waiting === 1);
    await reload(RULES);
    expect(await alice.receive()).toMatchObject({ dup: true });
    await eventually("it is done", async () => (await ledgerOf(broker, name)).acknowledged === 1);
    await alice.end();
  });

  it("of users: who is none any more, or has another password, is sent away", async () => {
    const [alice, bob] = [await as("alice"), await as("bob")];
    write("users", `${ALICE}\n${BOB_CHANGED}\n`);
    process.kill(broker.pid, "SIGHUP");
    expect((await bob.take("disconnect")).reasonCode).toBe(0x98);
    await bob.expectClose();
    await alice.ping();
    await expect(as("bob")).rejects.toThrow("CONNACK 134");
    await (await as("bob", { password: Buffer.from("another") })).end();
    write("users", `${BOB}\n`);
    await reload(RULES);
    expect((await alice.take("disconnect")).reasonCode).toBe(0x98);
    await alice.expectClose();
  });

  it("with a fault change nothing, and the answer says what is wrong", async () => {
    const alice = await as("alice");
    for (const [name, text, problem] of [
      ["rules", "", "rules: expected a mapping"],
      ["rules", "default: deny\nrules:\n  - allow: all\n    topics: open/#\n", "rules:4: rules.0.topics: unknown key"],
      ["rules", "default: deny\nrules: [", "rules:2"],
      ["users", `${ALICE}\nmallory:planted\n`, "users:2: expected user"],
      ["users", "", "holds no user"],
    ] as const) {
      write(name, text);
      const answer = await request(broker, "POST", "/api/v5/access/reload");
      expect(answer).toMatchObject({ status: 400, body: { code: "ACCESS_INVALID" } });
      expect(JSON.stringify(answer.body)).toContain(problem);
      expect(JSON.stringify(answer.body)).not.toContain("planted");
      expect(await alice.publishSettled("open/a", "x", { qos: 1 })).toBe(0);
      expect(await alice.publishSettled("closed", "x", { qos: 1 })).toBe(0x87);
      write("users", `${ALICE}\n${BOB}\n`);
      write("rules", stringify(RULES));
    }
    await (await as("bob")).end();
    await alice.end();
  });

  it("are told by REST, with how often something was refused, and nothing secret", async () => {
    const told = async () =>
      (await request(broker, "GET", "/api/v5/access")).body as { refused: Record<string, number> };
    const { refused: before, ...inForce } = await told();
    expect(inForce).toEqual({
      anonymous: true,
      users: 2,
      default: "deny",
      rules: [
        { deny: "subscribe", topic: ["open/secret"] },
        { allow: "all", user: ["alice"], topic: ["open/#", "own/%c", "$q/open/#", "$queue/+"] },
        { allow: "publish", user: ["bob"], address: ["127.0.0.0/8"], topic: ["open/#", "all/#"] },
        { allow: "subscribe", user: ["bob"], topic: [{ eq: "all/#" }] },
      ],
    });
    await expect(as("alice", { password: Buffer.from("another") })).rejects.toThrow("CONNACK");
    const bob = await as("bob");
    for (const qos of [0, 1] as const) await bob.publishSettled("closed", "x", { qos });
    await bob.subscribe("#");
    await reload({ default: "allow" });
    const after = await told();
    expect(after).toMatchObject({ default: "allow", rules: [] });
    const { connects = 0, publishes = 0, subscriptions = 0, deliveries = 0 } = before;
    expect(after.refused).toEqual({
      connects: connects + 1,
      publishes: publishes + 2,
      subscriptions: subscriptions + 1,
      deliveries,
    });
    expect(JSON.stringify(after)).not.toContain("alice");
    await bob.end();
  });

  it("do not give a user's session to another by its client ID, also after a restart", async () => {
    const clientId = unique("owned");
    await (await as("alice", LASTING, clientId)).end();
    const others = async (): Promise<void> => {
      await expect(as("bob", LASTING, clientId)).rejects.toThrow("CONNACK 135");
      await expect(RawClient.connected(broker.mqttPort, clientId)).rejects.toThrow("CONNACK 135");
    };
    await others();
    await broker.stop();
    await broker.restart();
    await others();
    const alice = await as("alice", LASTING, clientId);
    expect(alice.connack.sessionPresent).toBe(true);
    await alice.end();
  });
});

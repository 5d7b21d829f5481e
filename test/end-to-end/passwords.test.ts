/**
 * Goal: with a password file only who knows a password comes in by a name, whichever client and version; nobody's flood keeps another out;
 * no password is seen anywhere.
 * Method: stock and bare clients against the real broker; the flood comes from another address of the loopback.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate, type IConnackPacket, type IConnectPacket } from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hashPassword } from "../../src/pool/scrypt.ts";
import { Broker } from "../harness/broker.ts";
import { mosquittoPublish } from "../harness/mosquitto.ts";
import { connectMqttJs } from "../harness/mqttjs.ts";
import { isMissing } from "../harness/needs.ts";
import { pahoProducer } from "../harness/paho.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { request } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const PASSWORD = "planted-S3cret-of-alice";
const WRONG = "planted-S3cret-of-mallory";
const FLOOD = 400;

let folder: string;
let settings: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-passwords-"));
  const file = join(folder, "users");
  writeFileSync(file, `alice:${hashPassword(Buffer.from(PASSWORD))}\nbob:${hashPassword(Buffer.from("bob's"))}\n`);
  settings = `access:\n  password_file: ${file}\n`;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shown = (username?: string, password?: string): Partial<IConnectPacket> => ({
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password: Buffer.from(password) }),
});

/** The CONNACK's code for such a client; the connection must end after a refusal. */
async function codeOf(port: number, version: Version, credentials: Partial<IConnectPacket>): Promise<number> {
  const client = await RawClient.open(port, version);
  const connack: IConnackPacket = await client.connect({ clientId: `c${version}`, ...credentials });
  const code = (version === 5 ? connack.reasonCode : connack.returnCode) ?? -1;
  if (code === 0) await client.end();
  else await client.expectClose();
  return code;
}

describeWorkers("passwords", (workers) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start({ workers, settings });
  });
  afterAll(async () => {
    await broker.stop();
    await broker.remove();
  });

  it.each([
    [5, 0x86],
    [4, 4],
  ] as const)("are asked of who has a name, MQTT version byte %i", async (version, refused) => {
    const ask = (username?: string, password?: string) => codeOf(broker.mqttPort, version, shown(username, password));
    expect(await ask("alice", PASSWORD)).toBe(0);
    expect(await ask()).toBe(0); // Anonymous clients may come.
    for (const [username, password] of [
      ["alice", WRONG],
      ["alice", ""],
      ["alice", "x".repeat(2_000)],
      ["alice", "bob's"],
      ["Alice", PASSWORD],
      ["nobody", PASSWORD],
      ["__proto__", PASSWORD],
      ["", PASSWORD],
    ] as const) {
      expect(await ask(username, password), `${username} ${password}`).toBe(refused);
    }
    expect(await ask("alice")).toBe(refused);
  });

  it("let what came with CONNECT wait, and then through", async () => {
    const client = await RawClient.open(broker.mqttPort);
    const credentials = shown("alice", PASSWORD);
    client.sendTogether([
      {
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 5,
        clean: true,
        keepalive: 0,
        clientId: "eager",
        ...credentials,
      },
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "eager", qos: 0 }] },
      { cmd: "publish", topic: "eager", payload: "x", qos: 0, retain: false, dup: false },
    ] as Parameters<RawClient["sendTogether"]>[0]);
    expect((await client.take("connack")).reasonCode).toBe(0);
    expect((await client.receive()).payload.toString()).toBe("x");
    await client.end();
  });

  it("that are wrong let nothing through that came with them", async () => {
    const witness = await RawClient.connected(broker.mqttPort, "witness");
    await witness.subscribe("eager/#");
    const client = await RawClient.open(broker.mqttPort);
    const credentials = shown("alice", WRONG);
    client.sendTogether([
      {
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 5,
        clean: true,
        keepalive: 0,
        clientId: "refused",
        ...credentials,
      },
      { cmd: "publish", topic: "eager/refused", payload: "x", qos: 0, retain: false, dup: false },
    ] as Parameters<RawClient["sendTogether"]>[0]);
    expect((await client.take("connack")).reasonCode).toBe(0x86);
    await client.expectClose();
    witness.publish("eager/end", "end");
    expect((await witness.receive()).topic).toBe("eager/end");
    await witness.end();
  });

  it("cost the same for a name that nobody has", async () => {
    const elapsed = async (username: string): Promise<number> => {
      const startMs = performance.now();
      await codeOf(broker.mqttPort, 5, shown(username, WRONG));
      return performance.now() - startMs;
    };
    const times = { known: Number.POSITIVE_INFINITY, unknown: Number.POSITIVE_INFINITY };
    for (let round = 0; round < 5; round += 1) {
      times.known = Math.min(times.known, await elapsed("alice"));
      times.unknown = Math.min(times.unknown, await elapsed("nobody"));
    }
    // The least of five: a hash is 40 ms of one core, the rest of a refusal a millisecond or two.
    expect(times.unknown).toBeGreaterThan(times.known / 3);
  });

  it("are shown by stock clients", async () => {
    const client = await connectMqttJs(broker.mqttPort, { username: "alice", password: PASSWORD });
    await client.publishAsync("stock", "x", { qos: 1 });
    await client.endAsync();
    const refused = connectMqttJs(broker.mqttPort, { username: "alice", password: WRONG });
    await expect(refused).rejects.toThrow(/Bad username or password/i);
  });

  it.skipIf(isMissing("mosquittoClients"))("are shown by mosquitto_pub", async () => {
    for (const version of ["mqttv311", "mqttv5"]) {
      const args = ["-V", version, "-q", "1", "-t", "stock", "-m", "x", "-u", "alice"];
      await mosquittoPublish(broker.mqttPort, [...args, "-P", PASSWORD]);
      await expect(mosquittoPublish(broker.mqttPort, [...args, "-P", WRONG])).rejects.toThrow(
        /not authori[sz]ed|bad user/i,
      );
    }
  });

  it.skipIf(isMissing("paho"))("are shown by Paho", async () => {
    const shownByPaho = { MQTT_USER: "alice", MQTT_PASSWORD: PASSWORD };
    expect(await pahoProducer(broker.mqttPort, "stock", 1, 0, shownByPaho).ended).toMatchObject({ code: 0 });
  });

  it("of a flood keep nobody else waiting, and are answered as busy beyond a bound", async () => {
    const packet: IConnectPacket = {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: true,
      keepalive: 0,
      clientId: "",
      username: "alice",
      password: Buffer.from(WRONG),
    };
    const bytes = generate(packet, { protocolVersion: 5 });
    const codes: number[] = [];
    const flood = Array.from({ length: FLOOD }, () => {
      const socket = connect({ port: broker.mqttPort, host: "127.0.0.1", localAddress: "127.0.0.2" });
      socket.on("error", () => {});
      socket.on("connect", () => socket.write(bytes));
      socket.on("data", (answer: Buffer) => codes.push(answer[3]!));
      return socket;
    });
    await eventually("the flood is too much", () => codes.includes(0x89));
    expect(await codeOf(broker.mqttPort, 5, shown("alice", PASSWORD))).toBe(0);
    expect(codes.length).toBeLessThan(FLOOD); // It did not wait for all of them.
    for (const socket of flood) socket.destroy();
  });

  it("are seen nowhere", async () => {
    const paths = ["/status?format=json", "/api/v5/message_queues/queues", "/api/v5/message_queues/config"];
    const answers = await Promise.all(paths.map((path) => request(broker, "GET", path)));
    const seen = `${broker.logs.join("\n")}${JSON.stringify(answers)}`;
    expect(seen).toContain('"msg":"ready"');
    expect(seen).not.toMatch(/planted|scrypt/);
  });
});

describe("clients without a password", () => {
  it.each([
    [5, 0x87],
    [4, 5],
  ] as const)("stay outside when told so, MQTT version byte %i", async (version, refused) => {
    const broker = await Broker.start({ settings: `${settings}  allow_anonymous: false\n` });
    try {
      expect(await codeOf(broker.mqttPort, version, {})).toBe(refused);
      expect(await codeOf(broker.mqttPort, version, shown("alice", PASSWORD))).toBe(0);
      expect(broker.logs.join()).not.toContain("anonymous clients may connect");
    } finally {
      await broker.stop();
      await broker.remove();
    }
  });

  it("are warned of when the network reaches the listener, and only then", async () => {
    for (const [host, isWarned] of [
      ["0.0.0.0", true],
      ["127.0.0.1", false],
    ] as const) {
      const broker = await Broker.start({ flags: ["--host", host] });
      await broker.stop();
      expect(broker.logs.some((line) => line.includes("anonymous clients may connect from the network"))).toBe(
        isWarned,
      );
      await broker.remove();
    }
  });
});

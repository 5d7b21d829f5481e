/**
 * Goal: MQTT over TLS and over secure WebSocket is MQTT; a listener asks for what it is told to ask for, shows the certificate of the host
 * that is asked for, and renews it without a restart; what goes wrong in a handshake or behind it costs a bounded amount.
 * Method: a broker with four listeners and certificates of openssl; Node's own TLS where the handshake is the point, stock clients else.
 */
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { join, resolve } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { IClientOptions } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { Authority, type CertificatePaths } from "../harness/certificates.ts";
import { mosquittoPublish, mosquittoSubscribe } from "../harness/mosquitto.ts";
import { collect, connectMqttJs } from "../harness/mqttjs.ts";
import { isMissing, PYTHON } from "../harness/needs.ts";
import { run } from "../harness/process.ts";
import { connectBytes } from "../harness/raw-bytes.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

const residentBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

describe.skipIf(isMissing("openssl"))("with certificates", () => {
  let authority: Authority;
  let stranger: Authority;
  let server: CertificatePaths;
  let other: CertificatePaths;
  let device: CertificatePaths;
  beforeAll(() => {
    authority = new Authority();
    stranger = new Authority("someone else's authority");
    server = authority.issue("the broker", ["localhost"], "server");
    other = authority.issue("the other host", ["*.other.example"]);
    device = authority.issue("device-7");
  });
  afterAll(() => {
    authority.remove();
    stranger.remove();
  });

  const settings = (): string => `
access: {allow_anonymous: true}
listeners:
  - {type: tcp, port: 0}
  - type: tls
    port: 0
    tls:
      cert: ${server.cert}
      key: ${server.key}
      sni: [{host: "*.other.example", cert: ${other.cert}, key: ${other.key}}]
  - {type: wss, port: 0, tls: {cert: ${server.cert}, key: ${server.key}, min_version: 1.3}}
  - type: tls
    name: known
    port: 0
    tls: {cert: ${server.cert}, key: ${server.key}, ca: ${authority.ca}, client_auth: required}
  - type: tls
    name: asked
    port: 0
    tls: {cert: ${server.cert}, key: ${server.key}, ca: ${authority.ca}, client_auth: optional}
`;

  describeWorkers("TLS", (workers) => {
    let broker: Broker;
    beforeAll(async () => {
      broker = await Broker.start({ workers, settings: settings() });
    });
    afterAll(() => broker.remove());

    const portOf = (listener: string): number => broker.ports[listener]!;
    const read = ({ cert, key }: CertificatePaths) => ({ cert: readFileSync(cert), key: readFileSync(key) });

    /** A TLS connection; "refused" when the handshake, or the first byte behind it, says no. */
    async function shake(listener: string, options: ConnectionOptions = {}): Promise<TLSSocket | "refused"> {
      const socket = connect({ port: portOf(listener), host: "127.0.0.1", ca: authority.pem, ...options });
      const outcome = new Promise<TLSSocket | "refused">((settle) => {
        socket.on("error", () => settle("refused"));
        socket.on("close", () => settle("refused"));
        socket.once("data", () => settle(socket)); // TLS 1.3 tells a client only then what the server makes of its certificate.
      });
      socket.on("secureConnect", () => socket.write(connectBytes({ clientId: unique("shaken") })));
      const settled = await outcome;
      if (settled === "refused") socket.destroy();
      return settled;
    }

    async function accepted(listener: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
      const socket = await shake(listener, options);
      if (socket === "refused") throw new Error("refused");
      return socket;
    }

    it("carries MQTT of both versions, over TLS 1.2 and 1.3 and secure WebSocket, with every QoS", async () => {
      const topic = unique("carried");
      const ca = authority.pem;
      const tls = (options: IClientOptions) => connectMqttJs(portOf("tls"), { protocol: "mqtts", ca, ...options });
      const clients = await Promise.all([
        tls({ protocolVersion: 4, maxVersion: "TLSv1.2" } as IClientOptions),
        tls({ protocolVersion: 5, minVersion: "TLSv1.3" } as IClientOptions),
        connectMqttJs(portOf("wss"), { protocol: "wss", path: "/mqtt", protocolVersion: 5, ca }),
        connectMqttJs(portOf("mqtt"), { protocolVersion: 5 }),
      ]);
      const arrived = clients.map(collect);
      for (const client of clients) await client.subscribeAsync(topic, { qos: 2 });
      const payload = Buffer.alloc(200_000, "x");
      for (const client of clients) {
        for (const qos of [0, 1, 2] as const) await client.publishAsync(topic, payload, { qos });
      }
      await eventually("each has all", () => arrived.every((deliveries) => deliveries.length === 12), 30_000);
      expect(arrived.flat().every(({ text }) => text.length === payload.length)).toBe(true);
      await Promise.all(clients.map((client) => client.endAsync()));
    });

    it.skipIf(isMissing("paho"))("leaves nothing behind for a client that reads one packet each time", async () => {
      const script = resolve("test/harness/python/outer-loop.py");
      const started = [0, 1, 2, 3, 4, 5].map(async (index) => {
        const [listener, transport] = index % 2 === 0 ? ["tls", "tcp"] : ["wss", "websockets"];
        const args = [
          script,
          String(portOf(listener!)),
          transport!,
          authority.ca,
          unique("outer"),
          unique("outer-loop"),
        ];
        const { stdout, stderr } = await run(PYTHON, args);
        expect([transport, stdout.trim(), stderr]).toEqual([transport, "kept kept kept new0 new1 new2", ""]);
      });
      await Promise.all(started);
    });

    it("keeps to the versions that a listener is set to", async () => {
      for (const [listener, maxVersion, protocol] of [
        ["tls", "TLSv1.2", "TLSv1.2"],
        ["tls", "TLSv1.3", "TLSv1.3"],
      ] as const) {
        const socket = await accepted(listener, { maxVersion });
        expect(socket.getProtocol()).toBe(protocol);
        socket.destroy();
      }
      const tooOld: ConnectionOptions = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" };
      expect(await shake("tls", tooOld)).toBe("refused");
      expect(await shake("wss", { maxVersion: "TLSv1.2" })).toBe("refused");
    });

    it("shows the certificate of the host that is asked for", async () => {
      const subjectOf = async (servername: string): Promise<string> => {
        const socket = await accepted("tls", { servername, checkServerIdentity: () => undefined });
        const name = socket.getPeerCertificate().subject.CN;
        socket.destroy();
        return String(name);
      };
      expect(await subjectOf("localhost")).toBe("the broker");
      expect(await subjectOf("a.other.example")).toBe("the other host");
      expect(await subjectOf("other.example")).toBe("the broker");
    });

    it("verifies client certificates where it is told to, and an unverified one is never let in", async () => {
      const rogue = stranger.issue("device-7");
      for (const versions of [{ maxVersion: "TLSv1.2" }, { minVersion: "TLSv1.3" }] as const) {
        expect(await shake("known", versions)).toBe("refused");
        expect(await shake("known", { ...versions, ...read(rogue) })).toBe("refused");
        expect(await shake("asked", { ...versions, ...read(rogue) })).toBe("refused");
        for (const listener of ["known", "asked", "tls"]) {
          (await accepted(listener, { ...versions, ...read(device) })).destroy();
        }
        (await accepted("asked", versions)).destroy();
      }
    });

    it("resumes sessions, whichever thread a client comes to, and none of another listener", async () => {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const identity = read(device);
        let session: Buffer | undefined;
        const shakeOnce = async (listener: string): Promise<boolean> => {
          const socket = connect({
            ...{ port: portOf(listener), host: "127.0.0.1", ca: authority.pem, maxVersion, ...identity },
            ...(session === undefined ? {} : { session }),
          });
          let next: Buffer | undefined;
          socket.on("session", (ticket) => {
            next = ticket;
          });
          await once(socket, "secureConnect");
          socket.write(connectBytes({ clientId: unique("resumed") }));
          await once(socket, "data");
          await eventually("a ticket", () => next !== undefined || socket.isSessionReused());
          const isReused = socket.isSessionReused();
          socket.destroy();
          session = next ?? session;
          return isReused;
        };
        const reused: boolean[] = [];
        for (let round = 0; round < 7; round += 1) reused.push(await shakeOnce("known"));
        expect([maxVersion, ...reused]).toEqual([maxVersion, false, true, true, true, true, true, true]);
        expect(await shakeOnce("asked")).toBe(false);
      }
    });

    it("leaves its will when it is cut", async () => {
      const watcher = await RawClient.connected(portOf("mqtt"), unique("watcher"));
      const topic = unique("will");
      await watcher.subscribe(topic);
      const willing = await connectMqttJs(portOf("tls"), {
        protocol: "mqtts",
        ca: authority.pem,
        will: { topic, payload: Buffer.from("gone"), qos: 0, retain: false },
      });
      willing.stream.on("error", () => {});
      willing.stream.destroy();
      expect((await watcher.receive()).payload.toString()).toBe("gone");
      await watcher.end();
    });

    it("is bounded for who does not read", async () => {
      const topic = unique("unread");
      const socket = await accepted("tls");
      socket.pause();
      const subscribe = Buffer.concat([
        Buffer.of(0x82, topic.length + 6, 0, 1, 0, 0, topic.length),
        Buffer.from(topic),
        Buffer.of(1),
      ]);
      socket.write(subscribe);
      const publisher = await RawClient.connected(portOf("mqtt"), unique("publisher"));
      const isSubscribed = async () => (await publisher.publishSettled(topic, "x", { qos: 1 })) === 0;
      await eventually("it is subscribed", isSubscribed);
      const before = residentBytes(broker.pid);
      for (let count = 0; count < 40; count += 1) {
        await publisher.publishSettled(topic, Buffer.alloc(500_000), { qos: 1 });
      }
      expect(residentBytes(broker.pid) - before).toBeLessThan(128 * 1024 * 1024);
      socket.destroy();
      await publisher.end();
    });

    it("closes what is no TLS, and what is no MQTT behind it", async () => {
      const plain = connectPlain({ port: portOf("tls"), host: "127.0.0.1" });
      plain.on("error", () => {});
      plain.resume();
      plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await new Promise((settle) => plain.on("close", settle));
      const socket = connect({ port: portOf("tls"), host: "127.0.0.1", ca: authority.pem });
      socket.on("error", () => {});
      socket.resume();
      await once(socket, "secureConnect");
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await new Promise((settle) => socket.on("close", settle));
    });

    it.skipIf(isMissing("mosquittoClients"))("serves mosquitto_pub and mosquitto_sub", async () => {
      const topic = unique("mosquitto");
      const tls = ["--cafile", authority.ca, "-t", topic, "-q", "1"];
      const certificate = ["--cert", device.cert, "--key", device.key];
      await mosquittoPublish(portOf("tls"), [...tls, "-r", "-m", "kept"]);
      for (const listener of ["tls", "known"]) {
        const subscriber = mosquittoSubscribe(portOf(listener), [...tls, ...certificate, "-V", "5", "-C", "2"]);
        await subscriber.until((lines) => (lines.includes("kept") ? true : undefined), 20_000);
        await mosquittoPublish(portOf(listener), [...tls, ...certificate, "-m", listener]);
        const { code, stdout } = await subscriber.ended;
        expect([code, stdout]).toEqual([0, `kept\n${listener}`]);
      }
    });

    it.skipIf(isMissing("paho"))("serves Paho for Python, over TLS and secure WebSocket", async () => {
      for (const [listener, transport] of [
        ["tls", "tcp"],
        ["wss", "websockets"],
      ] as const) {
        const topic = unique("paho");
        const script = resolve("test/harness/python/round-trip.py");
        const finished = await run(PYTHON, ["-u", script, String(portOf(listener)), transport, authority.ca, topic]);
        expect([finished.stderr, finished.code, finished.stdout.trim()]).toEqual(["", 0, "012"]);
      }
    });
  });

  it("takes a verified name for a user, and lets nobody in without one, where nobody is anonymous", async () => {
    const broker = await Broker.start({ settings: settings().replace("true", "false") });
    const connectTo = (listener: string, options: IClientOptions) =>
      connectMqttJs(broker.ports[listener]!, { protocol: "mqtts", ca: authority.pem, protocolVersion: 5, ...options });
    const files = { cert: readFileSync(device.cert), key: readFileSync(device.key) };
    await (await connectTo("asked", files)).endAsync();
    await expect(connectTo("asked", {})).rejects.toMatchObject({ code: 0x87 });
    await expect(connectTo("tls", files)).rejects.toMatchObject({ code: 0x87 });
    await broker.remove();
  });

  it("is told at a stop, in MQTT and then in TLS", async () => {
    const broker = await Broker.start({ workers: 3, settings: settings() });
    const socket = connect({ port: broker.ports.tls!, host: "127.0.0.1", ca: authority.pem });
    socket.write(connectBytes({ clientId: "last" }));
    const [connack] = (await once(socket, "data")) as [Buffer];
    expect(connack[0]).toBe(0x20);
    const rest = once(socket, "data") as Promise<[Buffer]>;
    const ended = once(socket, "end");
    await broker.stop();
    expect([(await rest)[0][0], (await rest)[0][2]]).toEqual([0xe0, 0x8b]);
    await ended;
    await broker.remove();
  });

  it("renews certificates at SIGHUP, keeps connections, and stays as it was when a file is bad", async () => {
    const renewed = ["one", "two"].map((name) => authority.issue(name));
    const [cert, key] = ["live.pem", "live.key"].map((name) => join(authority.directory, name)) as [string, string];
    const put = (paths: CertificatePaths): void => {
      copyFileSync(paths.cert, cert);
      copyFileSync(paths.key, key);
    };
    put(renewed[0]!);
    const list = `listeners: [{type: tcp, port: 0}, {type: tls, port: 0, tls: {cert: ${cert}, key: ${key}}}]`;
    const broker = await Broker.start({ workers: 3, settings: list });
    const shown = (): Promise<string> =>
      new Promise((settle, reject) => {
        const socket = connect({ port: broker.ports.tls!, host: "127.0.0.1", ca: authority.pem }, () => {
          settle(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.on("error", reject);
      });
    let session: Buffer | undefined;
    /** Whether the session of the last time is resumed. */
    const isResumed = async (): Promise<boolean> => {
      const known = session === undefined ? {} : { session };
      const socket = connect({ port: broker.ports.tls!, host: "127.0.0.1", ca: authority.pem, ...known });
      socket.on("session", (ticket) => {
        session = ticket;
      });
      await once(socket, "secureConnect");
      await eventually("a ticket", () => session !== undefined);
      const isReused = socket.isSessionReused();
      socket.destroy();
      return isReused;
    };
    const isReloaded = (message: string, count: number) => (): boolean =>
      broker.logs.filter((line) => line.includes(message)).length === count;
    const old = await connectMqttJs(broker.ports.tls!, { protocol: "mqtts", ca: authority.pem });
    expect(await shown()).toBe("one");
    expect([await isResumed(), await isResumed()]).toEqual([false, true]);

    put(renewed[1]!);
    process.kill(broker.pid, "SIGHUP");
    await eventually("reloaded", isReloaded('"reloaded"', 1));
    for (let worker = 0; worker < 3; worker += 1)
      await eventually("every worker has it", async () => (await shown()) === "two");
    expect(await isResumed()).toBe(false); // Whoever was vouched for before is looked at again.

    for (const [file, content] of [
      [key, readFileSync(renewed[0]!.key, "utf8")],
      [cert, "no certificate"],
    ] as const) {
      writeFileSync(file, content);
      const before = broker.logs.filter((line) => line.includes("not reloaded")).length;
      process.kill(broker.pid, "SIGHUP");
      await eventually("the fault is logged", isReloaded("not reloaded", before + 1));
      for (let worker = 0; worker < 3; worker += 1) expect(await shown()).toBe("two");
    }
    await old.publishAsync("still", "there", { qos: 1 });
    await old.endAsync();
    await broker.remove();
  });

  it("stops a start with one line that names the listener and the file", async () => {
    const bad: readonly [string, RegExp][] = [
      [`{cert: ${server.cert}, key: ${device.key}}`, /the listener tls: tls: .*mismatch/],
      [`{cert: /nowhere.pem, key: ${device.key}}`, /the listener tls: tls\.cert: cannot read \/nowhere\.pem: ENOENT/],
      [`{cert: ${server.key}, key: ${server.key}}`, /the listener tls: tls: /],
      [
        `{cert: ${server.cert}, key: ${server.key}, ca: ${server.key}, client_auth: required}`,
        /tls\.ca: .* holds no certificate/,
      ],
    ];
    for (const [tls, line] of bad) {
      await expect(Broker.start({ settings: `listeners: [{type: tls, port: 0, tls: ${tls}}]` })).rejects.toThrow(line);
    }
  });
});

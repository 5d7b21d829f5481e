/**
 * Stock clients behind one interface, so that each is put through the same: Paho C and Paho Python by a small program with the same
 * command line, MQTT.js in this process, mosquitto_pub and mosquitto_sub as they are.
 *
 * A transport is a row of `TRANSPORTS`; a client names those that it has. docs/clients.md is compared with both.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import type { Broker } from "./broker.ts";
import type { CertificatePaths } from "./certificates.ts";
import { type Peer, PYTHON } from "./needs.ts";
import { Child, run } from "./process.ts";

export type Level = 4 | 5;
export type TransportName = keyof typeof TRANSPORTS;

/** Where a broker listens, and what to trust there. */
export interface Endpoint {
  readonly transport: TransportName;
  readonly port: number;
  /** File of a certificate; undefined where nothing is encrypted. */
  readonly ca: string | undefined;
}

export interface Transport {
  /** As docs/clients.md names it. */
  readonly title: string;
  readonly scheme: string;
  readonly path: string;
  readonly isEncrypted: boolean;
  /** The listener's name. */
  readonly listener: string;
}

export const TRANSPORTS = {
  tcp: { title: "TCP", scheme: "mqtt", path: "", isEncrypted: false, listener: "mqtt" },
  tls: { title: "TLS", scheme: "mqtts", path: "", isEncrypted: true, listener: "tls" },
  ws: { title: "WebSocket", scheme: "ws", path: "/mqtt", isEncrypted: false, listener: "ws" },
  wss: { title: "secure WebSocket", scheme: "wss", path: "/mqtt", isEncrypted: true, listener: "wss" },
} satisfies Record<string, Transport>;

export const TRANSPORT_NAMES = Object.keys(TRANSPORTS) as TransportName[];

/** Settings that open a listener for each transport. */
export function listenersOf({ cert, key }: CertificatePaths): string {
  const each = TRANSPORT_NAMES.map((name) => {
    const tls = TRANSPORTS[name].isEncrypted ? `, tls: {cert: ${cert}, key: ${key}}` : "";
    return `  - {type: ${name}, port: 0${tls}}`;
  });
  return `listeners:\n${each.join("\n")}\n`;
}

/** `ca`: the file of the certificate to trust. */
export const endpointOf = (broker: Broker, transport: TransportName, ca: string): Endpoint => ({
  transport,
  port: broker.ports[TRANSPORTS[transport].listener]!,
  ca: TRANSPORTS[transport].isEncrypted ? ca : undefined,
});

export interface Message {
  readonly topic: string;
  readonly text: string;
  readonly qos: 0 | 1 | 2;
  readonly retain?: boolean;
}

export interface Subscribing {
  readonly clientId: string;
  readonly filter: string;
  /** Its session outlives the connection. */
  readonly isLasting?: boolean;
  /** A will "gone" at QoS 1 to this topic. */
  readonly will?: string;
  /** Answers each message with its text in capitals: to the response topic, or in MQTT 3.1.1 to `TOPIC/response`. */
  readonly responds?: boolean;
}

/** A running subscriber at QoS 2. */
export interface Subscriber {
  /** Resolves at SUBACK: whether the session was there before; undefined where the client does not say. */
  readonly subscribed: Promise<boolean | undefined>;
  readonly received: readonly Message[];
  /** DISCONNECT. */
  end(): Promise<void>;
  /** Gone without a word. */
  kill(): Promise<void>;
}

export interface StockClient {
  readonly name: string;
  readonly peers: readonly Peer[];
  readonly transports: readonly TransportName[];
  /** Publishes over one connection: in order. */
  readonly isOrdered: boolean;
  /** mosquitto's tools cannot answer: they ask. */
  readonly canRespond: boolean;
  publish(to: Endpoint, level: Level, messages: readonly Message[]): Promise<void>;
  subscribe(to: Endpoint, level: Level, how: Subscribing): Subscriber;
}

const HOST = "127.0.0.1";
const SUBSCRIBED_MS_MAX = 30_000;

const urlOf = ({ transport, port }: Endpoint, scheme: string = TRANSPORTS[transport].scheme): string =>
  `${scheme}://${HOST}:${port}${TRANSPORTS[transport].path}`;

async function runToEnd(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

/** Lines of a subscriber: "QOS RETAIN TOPIC TEXT". */
const messagesOf = (child: Child): Message[] =>
  child.lines.flatMap((line) => {
    const parts = /^([012]) ([01]) (\S+) (.*)$/.exec(line);
    if (parts === null) return [];
    const [, qos, retain, topic, text] = parts;
    return [{ qos: Number(qos) as 0 | 1 | 2, retain: retain === "1", topic: topic!, text: text! }];
  });

function childSubscriber(
  child: Child,
  presentOf: (lines: readonly string[]) => { is: boolean | undefined } | undefined,
) {
  return {
    subscribed: child.until(presentOf, SUBSCRIBED_MS_MAX).then(({ is }) => is),
    get received() {
      return messagesOf(child);
    },
    end: async (): Promise<void> => {
      child.signal("SIGTERM");
      const { code, stderr } = await child.ended;
      if (code !== 0) throw new Error(`a subscriber ended with code ${code}: ${stderr}`);
    },
    kill: async (): Promise<void> => {
      child.signal("SIGKILL");
      await child.ended;
    },
  } satisfies Subscriber;
}

/** The clients whose program has the command line of test/harness/c/stock-client.c. */
function programClient(
  name: string,
  peers: readonly Peer[],
  command: () => readonly [string, ...string[]],
  urlFor: (to: Endpoint) => string,
): StockClient {
  const start = (mode: string, to: Endpoint, level: Level): string[] => [mode, urlFor(to), to.ca ?? "-", String(level)];
  return {
    name,
    peers,
    transports: TRANSPORT_NAMES,
    isOrdered: true,
    canRespond: true,
    publish: async (to, level, messages) => {
      const [program, ...before] = command();
      const quadruples = messages.flatMap(({ qos, retain, topic, text }) => [
        `${qos}`,
        retain ? "1" : "0",
        topic,
        text,
      ]);
      await runToEnd(program, [...before, ...start("publish", to, level), ...quadruples]);
    },
    subscribe: (to, level, { clientId, filter, isLasting, will, responds }) => {
      const [program, ...before] = command();
      const how = [clientId, isLasting ? "1" : "0", "2", filter, will ?? "-", responds ? "1" : "0"];
      const child = new Child(program, [...before, ...start("subscribe", to, level), ...how]);
      return childSubscriber(child, (lines) => {
        const line = lines.find((text) => text.startsWith("subscribed "));
        return line === undefined ? undefined : { is: line.endsWith("-1") ? undefined : line.endsWith("1") };
      });
    },
  };
}

let compiled: string | undefined;

/** Compiles the program on Paho C into a folder of its own; returns what removes it. For beforeAll. */
export async function compilePahoC(): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), "restante-paho-c-"));
  const program = join(directory, "stock-client");
  const flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1"];
  await runToEnd("gcc", [...flags, "-o", program, resolve("test/harness/c/stock-client.c"), "-lpaho-mqtt3cs"]);
  compiled = program;
  return () => rm(directory, { recursive: true, force: true });
}

function compiledProgram(): readonly [string] {
  if (compiled === undefined) throw new Error("compilePahoC comes first");
  return [compiled];
}

const mosquitto: StockClient = {
  name: "mosquitto_pub, mosquitto_sub",
  peers: ["mosquittoClients"],
  transports: ["tcp", "tls"],
  isOrdered: false,
  canRespond: false,
  publish: async (to, level, messages) => {
    for (const { qos, retain, topic, text } of messages) {
      const args = [...mosquittoFlags(to, level), "-q", `${qos}`, "-t", topic, "-m", text];
      await runToEnd("mosquitto_pub", retain ? [...args, "-r"] : args);
    }
  },
  subscribe: (to, level, { clientId, filter, isLasting, will }) => {
    const lasting = isLasting ? ["-c", ...(level === 5 ? ["-x", "600"] : [])] : [];
    const last = will === undefined ? [] : ["--will-topic", will, "--will-payload", "gone", "--will-qos", "1"];
    const what = ["-i", clientId, "-q", "2", "-t", filter, "-F", "%q %r %t %p", "-d"];
    // What it says of its own waits in a buffer otherwise, until a message comes.
    const child = new Child("stdbuf", [
      "-oL",
      "mosquitto_sub",
      ...mosquittoFlags(to, level),
      ...lasting,
      ...last,
      ...what,
    ]);
    return childSubscriber(child, (lines) =>
      lines.some((line) => /^Subscribed \(mid: \d+\): 2/.test(line)) ? { is: undefined } : undefined,
    );
  },
};

export const mosquittoFlags = ({ port, ca }: Endpoint, level: Level): string[] => [
  ...["-h", HOST, "-p", `${port}`, "-V", level === 5 ? "mqttv5" : "mqttv311"],
  ...(ca === undefined ? [] : ["--cafile", ca]),
];

function mqttJsOptions(to: Endpoint, level: Level, options: IClientOptions): IClientOptions {
  const trust = to.ca === undefined ? {} : { ca: readFileSync(to.ca) };
  return { protocolVersion: level, reconnectPeriod: 0, connectTimeout: SUBSCRIBED_MS_MAX, ...trust, ...options };
}

const mqttJs: StockClient = {
  name: "MQTT.js",
  peers: [],
  transports: TRANSPORT_NAMES,
  isOrdered: true,
  canRespond: true,
  publish: async (to, level, messages) => {
    const client = await connectAsync(urlOf(to), mqttJsOptions(to, level, {}));
    for (const { topic, text, qos, retain } of messages) {
      await client.publishAsync(topic, text, { qos, retain: retain ?? false });
    }
    await client.endAsync();
  },
  subscribe: (to, level, how) => {
    const received: Message[] = [];
    const opened = openMqttJs(to, level, how, received);
    return {
      subscribed: opened.then(({ isPresent }) => isPresent),
      received,
      end: async () => (await opened).client.endAsync(),
      kill: async () => {
        const { client } = await opened;
        client.stream.destroy();
        await client.endAsync(true);
      },
    };
  },
};

async function openMqttJs(to: Endpoint, level: Level, how: Subscribing, received: Message[]) {
  const { clientId, filter, isLasting = false, will, responds = false } = how;
  const lasting = level === 5 && isLasting ? { properties: { sessionExpiryInterval: 600 } } : {};
  const last =
    will === undefined ? {} : { will: { topic: will, payload: Buffer.from("gone"), qos: 1 as const, retain: false } };
  const options = mqttJsOptions(to, level, { clientId, clean: !isLasting, manualConnect: true, ...lasting, ...last });
  const { connect } = await import("mqtt");
  const client: MqttClient = connect(urlOf(to), options);
  const present = new Promise<boolean>((resolvePresent, reject) => {
    client.once("connect", ({ sessionPresent }) => resolvePresent(sessionPresent));
    client.once("error", reject);
  });
  client.on("message", (topic, payload, { qos, retain, properties }) => {
    const text = payload.toString();
    received.push({ topic, text, qos, retain });
    if (!responds) return;
    const correlation = properties?.correlationData;
    const answer = correlation === undefined ? {} : { properties: { correlationData: correlation } };
    client.publish(properties?.responseTopic ?? `${topic}/response`, text.toUpperCase(), { qos: 1, ...answer });
  });
  client.connect();
  const isPresent = await present;
  const [granted] = await client.subscribeAsync(filter, { qos: 2 });
  if (granted?.qos !== 2) throw new Error(`SUBACK ${granted?.qos}`);
  return { client, isPresent };
}

const PAHO_SCHEMES: Readonly<Record<TransportName, string>> = { tcp: "tcp", tls: "ssl", ws: "ws", wss: "wss" };

export const STOCK_CLIENTS: readonly StockClient[] = [
  programClient("Paho C", ["pahoC", "compiler"], compiledProgram, (to) => urlOf(to, PAHO_SCHEMES[to.transport])),
  programClient(
    "Paho Python",
    ["paho"],
    () => [PYTHON, "-u", resolve("test/harness/python/stock_client.py")],
    (to) => urlOf(to),
  ),
  mqttJs,
  mosquitto,
];

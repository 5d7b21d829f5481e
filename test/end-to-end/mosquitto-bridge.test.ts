/**
 * Goal: a mosquitto that is set up as a bridge to this broker works as with another mosquitto: it is taken at its first try, messages go
 * both ways once and do not come back, retained ones stay retained, its state is told, and nothing is lost while the two are apart.
 * Method: real bridges of each protocol version, over TCP and TLS, to one broker behind a relay for each; bare clients at both ends.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { Authority } from "../harness/certificates.ts";
import { type Mosquitto, startMosquitto } from "../harness/mosquitto.ts";
import { isMissing } from "../harness/needs.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { Relay } from "../harness/relay.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers, unique } from "../harness/servers.ts";
import { listenersOf } from "../harness/stock.ts";
import { eventually, isFullSize } from "../harness/waiting.ts";

const NOBODY = 1;

/**
 * As mosquitto's setting names the versions. Those before 5 mark the connection as a bridge's. With 5 it (2.0.11) asks for no session
 * expiry interval, so that its session ends with its connection.
 */
const ROWS = [
  { protocol: "mqttv31", listener: "mqtt" },
  { protocol: "mqttv311", listener: "tls" },
  { protocol: "mqttv50", listener: "mqtt" },
  ...(isFullSize
    ? [{ protocol: "mqttv311", listener: "mqtt" } as const, { protocol: "mqttv50", listener: "tls" } as const]
    : []),
] as const;

interface Bridge {
  readonly name: string;
  readonly isLasting: boolean;
  readonly listener: string;
  readonly relay: Relay;
  readonly mosquitto: Mosquitto;
}

describe.skipIf(isMissing("mosquitto", "openssl"))("a bridge", () => {
  let authority: Authority;
  beforeAll(() => {
    authority = new Authority();
  });
  afterAll(() => authority.remove());

  describeWorkers("from mosquitto", (workers) => {
    let broker: Broker;
    let bridges: Bridge[];
    beforeAll(async () => {
      broker = await Broker.start({ workers, settings: listenersOf(authority.issue("the broker")) });
      bridges = await Promise.all(
        ROWS.map(({ protocol, listener }) => bridgeTo(broker, protocol, listener, authority.ca)),
      );
    });
    afterAll(async () => {
      for (const { relay, mosquitto } of bridges) {
        await mosquitto.remove();
        await relay.close();
      }
      await broker.stop();
      await broker.remove();
    });

    /** Clients of the mosquitto and of the broker, each subscribed to all that the bridge carries. */
    async function ends({ name, mosquitto }: Bridge): Promise<{ near: RawClient; far: RawClient }> {
      const near = await RawClient.connected(mosquitto.mqttPort, unique("near"));
      const far = await RawClient.connected(broker.mqttPort, unique("far"));
      await near.subscribe("#", { qos: 2 });
      await far.subscribe(`${name}/#`, { qos: 2 });
      return { near, far };
    }

    it.concurrent.each(ROWS.map((row, index) => ({ ...row, index })))(
      "of $protocol over $listener carries messages both ways, once",
      async ({ index }) => {
        const bridge = bridges[index]!;
        const { name, relay, mosquitto } = bridge;
        const { near, far } = await ends(bridge);
        expect(await nextOf(far, `${name}/state`)).toMatchObject({ payload: "1" });
        expect(relay.count).toBe(1);

        for (const qos of [0, 1, 2] as const) {
          await near.publishSettled(`out/${qos}`, "out", { qos });
          expect(await nextOf(far, `${name}/out/${qos}`)).toEqual({ payload: "out", qos, retain: false });
        }
        await untilSubscribed(far, near, name);
        for (const qos of [0, 1, 2] as const) {
          await far.publishSettled(`${name}/in/${qos}`, "in", { qos });
          expect(await nextOf(near, `in/${qos}`)).toEqual({ payload: "in", qos, retain: false });
        }

        await near.publishSettled("both", "from near", { qos: 1 });
        expect(await nextOf(far, `${name}/both`)).toMatchObject({ payload: "from near" });
        await far.publishSettled(`${name}/both`, "from far", { qos: 1 });
        expect(await nextOf(near, "both")).toMatchObject({ payload: "from near" });
        expect(await nextOf(near, "both")).toMatchObject({ payload: "from far" }); // What came back would be before it.
        expect(await nextOf(far, `${name}/both`)).toMatchObject({ payload: "from far" });
        await near.publishSettled("both", "the end", { qos: 1 });
        expect(await nextOf(far, `${name}/both`)).toMatchObject({ payload: "the end" });

        await far.publishSettled(`${name}/job`, "job", { qos: 1 });
        expect(await nextOf(near, `${name}/job`)).toMatchObject({ payload: "job", qos: 1 }); // By its own topic.
        await eventually("it is done", async () => (await ledgerOf(broker, name)).acknowledged === 1, 20_000);

        await far.publishSettled(`${name}/in/kept`, "kept", { qos: 1, retain: true });
        expect(await nextOf(near, "in/kept")).toMatchObject({ payload: "kept" });
        const later = await RawClient.connected(mosquitto.mqttPort, unique("later"));
        await later.subscribe("in/kept", { qos: 1 });
        expect(await later.receive()).toMatchObject({ topic: "in/kept", retain: true });
        await Promise.all([near, far, later].map((client) => client.end()));
      },
    );

    // It waits five seconds before it comes again.
    if (workers === 1 && !isFullSize) return;
    it("keeps what is published while it is away, across a kill of the broker, and says that it was", async () => {
      const pairs = await Promise.all(
        bridges.map(async (bridge) => {
          const { near, far } = await ends(bridge);
          await untilSubscribed(far, near, bridge.name);
          return { ...bridge, near, far };
        }),
      );
      for (const { relay } of pairs) {
        relay.targetPort = NOBODY;
        relay.cutAll();
      }
      for (const { name, near, far } of pairs) {
        while ((await nextOf(far, `${name}/state`)).payload !== "0");
        await far.publishSettled(`${name}/in/away`, "far", { qos: 1 });
        await near.publishSettled("out/away", "near", { qos: 1 });
      }
      await broker.kill();
      await broker.restart();
      await Promise.all(
        pairs.map(async ({ name, isLasting, listener, relay, mosquitto, near }) => {
          const back = await RawClient.connected(broker.mqttPort, unique("back"));
          await back.subscribe(`${name}/#`, { qos: 1 });
          relay.targetPort = broker.ports[listener]!;
          if (isLasting) expect(await nextOf(near, "in/away")).toMatchObject({ payload: "far" });
          expect(await nextOf(back, `${name}/out/away`)).toMatchObject({ payload: "near" });

          process.kill(mosquitto.pid, "SIGKILL");
          const states: string[] = [];
          const reader = await RawClient.connected(broker.mqttPort, unique("reader"));
          await reader.subscribe(`${name}/state`, { qos: 1 });
          while (states.at(-1) !== "0") states.push((await nextOf(reader, `${name}/state`)).payload);
          await Promise.all([back, reader].map((client) => client.end()));
        }),
      );
      for (const { near, far } of pairs) await Promise.all([near.cut(), far.cut()]);
    });
  });
});

async function bridgeTo(broker: Broker, protocol: string, listener: "mqtt" | "tls", ca: string): Promise<Bridge> {
  const name = unique(`bridge-${protocol}`);
  await createQueue(broker, { name, topic_filter: `${name}/job` });
  const relay = await Relay.to(broker.ports[listener]!);
  const mosquitto = await startMosquitto([
    `connection ${name}`,
    `address 127.0.0.1:${relay.port}`,
    `bridge_protocol_version ${protocol}`,
    `remote_clientid ${name}`,
    "cleansession false",
    "restart_timeout 1",
    `notification_topic ${name}/state`,
    ...(listener === "tls" ? [`bridge_cafile ${ca}`] : []),
    `topic in/# in 2 "" ${name}/`,
    `topic out/# out 2 "" ${name}/`,
    `topic both both 1 "" ${name}/`,
    `topic $queue/${name} in 1`,
    `topic probe in 0 "" ${name}/`,
  ]);
  return { name, isLasting: protocol !== "mqttv50", listener, relay, mosquitto };
}

/** The next message of that topic; others before it are passed over. */
async function nextOf(client: RawClient, wanted: string): Promise<{ payload: string; qos: number; retain: boolean }> {
  for (;;) {
    const { topic, payload, qos, retain } = await client.receive();
    if (topic === wanted) return { payload: payload.toString(), qos, retain };
  }
}

/** The last of the bridge's subscriptions is there. */
async function untilSubscribed(far: RawClient, near: RawClient, name: string): Promise<void> {
  const probe = unique("probe");
  const timer = setInterval(() => far.publish(`${name}/probe`, probe), 50);
  while ((await nextOf(near, "probe")).payload !== probe);
  clearInterval(timer);
}

/**
 * Goal: the cap of connections per address holds over all listeners of a broker, and a connection that ends makes room, wrapped or not.
 * Method: a broker with a cap of 2, clients over TCP and over WebSocket.
 */
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { Broker } from "../harness/broker.ts";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeWorkers } from "../harness/servers.ts";
import { eventually } from "../harness/waiting.ts";

/** Tries until there is room: main hears a moment later that others are gone. */
async function entered<T>(tryEnter: () => Promise<T | undefined>): Promise<T> {
  let client: T | undefined;
  const isIn = async (): Promise<boolean> => {
    client = await tryEnter().catch(() => undefined);
    return client !== undefined;
  };
  await eventually("there is room", isIn, 30_000);
  return client!;
}

const overTcp = (broker: Broker, clientId: string) => (): Promise<RawClient> =>
  RawClient.connected(broker.mqttPort, clientId);

const overWebSocket = (broker: Broker) => (): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${broker.wsPort}/mqtt`, ["mqtt"]);
    socket.once("open", () => resolve(socket)).on("error", reject);
  });

describeWorkers("connections of an address", (workers) => {
  it("are capped over all listeners, and who leaves makes room", async () => {
    const settings = "limits.max_connections_per_address: 2\nlisteners: [{type: tcp, port: 0}, {type: ws, port: 0}]\n";
    const broker = await Broker.start({ workers, settings });
    try {
      for (const leaver of ["plain", "wrapped"]) {
        const plain = await entered(overTcp(broker, "plain"));
        const wrapped = await entered(overWebSocket(broker));
        await expect(overTcp(broker, "third")()).rejects.toThrow("the connection was closed");
        await expect(overWebSocket(broker)()).rejects.toThrow();
        if (leaver === "plain") await plain.end();
        else wrapped.terminate();
        const late = await entered(overTcp(broker, "late"));
        await late.end();
        if (leaver === "plain") wrapped.terminate();
        else await plain.end();
      }
      await broker.stop();
    } finally {
      await broker.remove();
    }
  }, 90_000);
});

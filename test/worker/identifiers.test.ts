/**
 * Goal: a message that has waited carries the identifiers of the subscriptions that it matched when it was published, whatever has become
 * of them since.
 * Method: a client with a window of one message, whose subscriptions change while messages wait for it: in memory, stored, while it is
 * away, before their commit, and over a restart.
 */
import { describe, expect, it } from "vitest";
import { MemoryDisk } from "../queue/memory-log.ts";
import type { MemoryClient } from "./memory-client.ts";
import { Rig } from "./rig.ts";

const NARROW = { receiveMaximum: 1 };
const LASTING = { properties: { ...NARROW, sessionExpiryInterval: 3600 } };

/** Takes all that waits, one by one: each payload with its identifiers in order. */
async function takeAll(rig: Rig, client: MemoryClient): Promise<[string, number[]][]> {
  const taken: [string, number[]][] = [];
  for (;;) {
    await rig.settle();
    const packets = client.take("publish");
    if (packets.length === 0) return taken;
    for (const packet of packets) {
      const identifiers = [packet.properties?.subscriptionIdentifier ?? []].flat() as number[];
      taken.push([packet.payload.toString(), identifiers.sort((one, other) => one - other)]);
      if (packet.qos > 0) client.acknowledge(packet.qos === 2 ? "pubrec" : "puback", packet.messageId!);
      if (packet.qos !== 2) continue;
      await rig.settle();
      client.acknowledge("pubcomp", packet.messageId!);
    }
  }
}

describe.each([1, 2] as const)("QoS %i", (qos) => {
  describe.each([
    ["a session that ends with its connection", false],
    ["a session that outlives it", true],
  ] as const)("to %s", (_what, isLasting) => {
    const open = async () => {
      const rig = new Rig({ disks: [new MemoryDisk()] });
      const client = await (isLasting
        ? rig.lasting("client", LASTING)
        : rig.connected("client", { properties: NARROW }));
      const publisher = await rig.connected("publisher");
      let packetId = 0;
      const publish = (...names: string[]): void => {
        for (const name of names) {
          packetId += 1;
          publisher.publish("t/a", name, 1, packetId); // What a subscription is given has its own QoS at most.
        }
      };
      const publish2 = async (...names: string[]): Promise<void> => {
        for (const name of names) {
          packetId += 1;
          publisher.publish("t/a", name, 2, packetId);
          await rig.settle();
          publisher.acknowledge("pubrel", packetId);
          await rig.settle();
        }
      };
      const send = async (...names: string[]): Promise<void> => {
        if (qos === 2) await publish2(...names);
        else publish(...names);
        await rig.settle();
      };
      return { rig, client, publish, send };
    };

    it("are kept when a subscription is made again, or goes", async () => {
      const { rig, client, send } = await open();
      client.subscribe("t/+", qos, 1, 1);
      client.subscribe("t/a", qos, 2, 2);
      await rig.settle();
      await send("1", "2", "3");
      client.subscribe("t/+", qos, 3, 7);
      await rig.settle();
      await send("4");
      client.unsubscribe("t/a", 4);
      await rig.settle();
      await send("5");
      client.subscribe("t/+", qos, 5); // Without an identifier.
      await rig.settle();
      await send("6");
      client.subscribe("t/a", qos, 6, 9);
      await rig.settle();
      await send("7");
      expect(await takeAll(rig, client)).toEqual([
        ["1", [1, 2]],
        ["2", [1, 2]],
        ["3", [1, 2]],
        ["4", [2, 7]],
        ["5", [7]],
        ["6", []],
        ["7", [9]],
      ]);
    });

    it("belong to what was published before the change, also when that is not on disk yet", async () => {
      const { rig, client, publish } = await open();
      client.subscribe("t/a", 1, 1, 1);
      await rig.settle();
      publish("1", "2");
      client.subscribe("t/a", 1, 2, 2);
      publish("3");
      client.unsubscribe("t/a", 3);
      client.subscribe("t/+", 1, 4, 3);
      publish("4");
      expect(await takeAll(rig, client)).toEqual([
        ["1", [1]],
        ["2", [1]],
        ["3", [2]],
        ["4", [3]],
      ]);
    });
  });
});

it("are those of before for a client that comes back after a restart and subscribes again", async () => {
  const disks = [new MemoryDisk()];
  let rig = new Rig({ disks });
  let client = await rig.lasting("client", LASTING);
  client.subscribe("t/a", 1, 1, 1);
  await rig.settle();
  client.close();
  const publisher = await rig.connected("publisher");
  publisher.publish("t/a", "1", 1, 1);
  publisher.publish("t/a", "2", 1, 2);
  await rig.settle();
  rig.kill();
  rig = new Rig({ disks });
  client = await rig.lasting("client", LASTING);
  client.subscribe("t/a", 1, 1, 2);
  await rig.settle();
  (await rig.connected("publisher")).publish("t/a", "3", 1, 3);
  expect(await takeAll(rig, client)).toEqual([
    ["1", [1]],
    ["2", [1]],
    ["3", [2]],
  ]);
});

it.each([0, 1, 2] as const)(
  "[MQTT-3.3.4-5] QoS %i: a delivery by a shared subscription has its own, whatever else the session shares",
  async (qos) => {
    for (const isLasting of [false, true]) {
      const disks = [new MemoryDisk()];
      let rig = new Rig({ disks });
      const connected = () => (isLasting ? rig.lasting("client", LASTING) : rig.connected("client"));
      let client = await connected();
      client.subscribe("$share/one/t/+", 2, 1, 11);
      client.subscribe("$share/other/#", 2, 2, 22);
      client.subscribe("t/a", 2, 3, 33);
      client.subscribe("t/+", 2, 4, 44);
      await rig.settle();
      const publisher = await rig.connected("publisher");
      publisher.publish("t/a", "x", qos, 1);
      await rig.settle();
      // The window has room for one; the others come over the restart.
      if (isLasting && qos === 2) {
        rig.kill();
        rig = new Rig({ disks });
        client = await connected();
      }
      const taken = await takeAll(rig, client);
      const expected = [
        ["x", [11]],
        ["x", [22]],
        ["x", [33, 44]],
      ];
      expect(
        taken.toSorted(([, [one]], [, [other]]) => one! - other!),
        `lasting: ${isLasting}`,
      ).toEqual(expected);
      rig.kill();
    }
  },
);

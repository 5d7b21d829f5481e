/**
 * Goal: the aliases that a client is sent always mean the topic that was published, stay within its maximum, and go to the topics that come
 * often.
 * Method: a worker in memory, whose packets mqtt-packet reads, and a client's own table of aliases; random topics and maxima.
 */
import fc from "fast-check";
import type { IPublishPacket } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "../worker/rig.ts";

/** What a client makes of a packet: its own table, as the specification says. */
function resolve(table: Map<number, string>, packet: IPublishPacket): string {
  const alias = packet.properties?.topicAlias;
  if (alias === undefined) return packet.topic;
  if (packet.topic !== "") table.set(alias, packet.topic);
  return table.get(alias) ?? "unknown alias";
}

const topics = fc.oneof(
  { weight: 6, arbitrary: fc.nat(60).map((number) => `plant/line/${number}`) },
  { weight: 2, arbitrary: fc.nat(3).map((number) => `hot/${number}/temperature`) },
  { weight: 1, arbitrary: fc.nat(40).map((length) => "x".repeat(length + 1)) },
  { weight: 1, arbitrary: fc.constantFrom("y".repeat(255), "y".repeat(256), "y".repeat(257), "a/b", "ü/ü/ü") },
);

describe("topic aliases of deliveries", () => {
  it("a client resolves every PUBLISH to the topic it was published to", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ topic: topics, qos: fc.constantFrom(0, 1, 2) }), { maxLength: 150 }),
        fc.constantFrom(0, 1, 2, 7, 32, 65_535),
        fc.option(fc.integer({ min: 30, max: 300 }), { nil: undefined }),
        async (publishes, aliasMaximum, packetMaximum) => {
          const rig = new Rig({ disks: [new MemoryDisk()] });
          const maximumPacketSize = packetMaximum === undefined ? {} : { maximumPacketSize: packetMaximum };
          const client = await rig.connected("c", {
            properties: { ...(aliasMaximum === 0 ? {} : { topicAliasMaximum: aliasMaximum }), ...maximumPacketSize },
          });
          client.subscribe("#", 2);
          await rig.settle();
          client.take("suback");
          const publisher = await rig.connected("p");
          const table = new Map<number, string>();
          let messageId = 0;
          for (const { topic, qos } of publishes) {
            messageId += 1;
            publisher.publish(topic, "x", qos as 0 | 1 | 2, qos === 0 ? 0 : messageId);
            await rig.settle();
            const [packet] = client.take("publish");
            const bytes = 2 + 2 + Buffer.byteLength(topic) + (qos === 0 ? 0 : 2) + 1 + 1 + (topic.length > 120 ? 1 : 0);
            if (packetMaximum !== undefined && bytes > packetMaximum) {
              if (packet === undefined) continue;
            }
            expect(resolve(table, packet!)).toBe(topic);
            expect(packet!.properties?.topicAlias ?? 0).toBeLessThanOrEqual(Math.min(aliasMaximum, 32));
            if (packet!.qos === 1) client.acknowledge("puback", packet!.messageId!);
            if (packet!.qos === 2) client.acknowledge("pubrec", packet!.messageId!);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("go to the topics that come often, and leave their names out", async () => {
    const rig = new Rig({ disks: [new MemoryDisk()] });
    const client = await rig.connected("c", { properties: { topicAliasMaximum: 4 } });
    client.subscribe("#", 0);
    await rig.settle();
    const publisher = await rig.connected("p");
    const table = new Map<number, string>();
    let named = 0;
    for (let round = 0; round < 100; round += 1) {
      for (const topic of ["hot/one", "hot/two", `cold/${round}`]) {
        publisher.publish(topic, "x", 0, 0);
        await rig.settle();
        for (const packet of client.take("publish")) {
          expect(resolve(table, packet)).toBe(topic);
          if (topic.startsWith("hot") && packet.topic !== "") named += 1;
        }
      }
    }
    expect(named).toBeLessThanOrEqual(4);
  });
});

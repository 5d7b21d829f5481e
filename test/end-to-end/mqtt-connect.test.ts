/**
 * Goal: a connection begins, is limited and ends as MQTT 3.1.1 and 5 say, and a bad packet ends its own connection only.
 * Method: exact packets on bare sockets; a witness connection must live through all of them.
 */
import type { IConnectPacket } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { RawClient } from "../harness/raw-mqtt.ts";
import { describeServers } from "../harness/servers.ts";
import { pause } from "../harness/waiting.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** What a connected v5 client may not send, and the reason code of the DISCONNECT that answers it. */
const badPackets: readonly (readonly [string, Uint8Array, readonly number[]])[] = [
  ["a second CONNECT", bytes(0x10, 14, 0, 4, 77, 81, 84, 84, 5, 2, 0, 0, 0, 0, 1, 97), [0x82]],
  ["a CONNACK", bytes(0x20, 3, 0, 0, 0), [0x81, 0x82]],
  ["packet type 0", bytes(0x00, 0), [0x81, 0x82]],
  ["PUBLISH with QoS 3", bytes(0x36, 7, 0, 1, 97, 0, 1, 0, 120), [0x81, 0x82]],
  ["PUBLISH with QoS 0 and DUP", bytes(0x38, 5, 0, 1, 97, 0, 120), [0x81, 0x82]],
  ["PUBLISH to a topic with #", bytes(0x30, 5, 0, 1, 0x23, 0, 120), [0x81, 0x82, 0x90]],
  ["PUBLISH to a topic with +", bytes(0x30, 7, 0, 3, 97, 47, 0x2b, 0, 120), [0x81, 0x82, 0x90]],
  ["PUBLISH to an empty topic", bytes(0x30, 4, 0, 0, 0, 120), [0x81, 0x82]],
  ["PUBLISH to a topic that is not UTF-8", bytes(0x30, 6, 0, 2, 0xc3, 0x28, 0, 120), [0x81, 0x82, 0x90]],
  ["PUBLISH with packet identifier 0", bytes(0x32, 6, 0, 1, 97, 0, 0, 0), [0x81, 0x82]],
  ["PUBLISH whose topic is longer than the packet", bytes(0x30, 4, 0, 9, 97, 0), [0x81, 0x82]],
  ["PUBLISH with topic alias 0", bytes(0x30, 8, 0, 1, 97, 3, 0x23, 0, 0, 120), [0x94, 0x81, 0x82]],
  ["PUBLISH with an unknown property", bytes(0x30, 7, 0, 1, 97, 2, 0x7f, 0, 120), [0x81, 0x82]],
  ["a length of five bytes", bytes(0x30, 0xff, 0xff, 0xff, 0xff, 0x01), [0x81, 0x82, 0x95]],
  ["SUBSCRIBE with wrong flags", bytes(0x80, 7, 0, 1, 0, 0, 1, 97, 0), [0x81, 0x82]],
  ["SUBSCRIBE without a filter", bytes(0x82, 3, 0, 1, 0), [0x81, 0x82]],
  ["SUBSCRIBE with reserved option bits", bytes(0x82, 7, 0, 1, 0, 0, 1, 97, 0xc0), [0x81, 0x82]],
  ["SUBSCRIBE with QoS 3", bytes(0x82, 7, 0, 1, 0, 0, 1, 97, 3), [0x81, 0x82]],
  ["SUBSCRIBE with subscription identifier 0", bytes(0x82, 9, 0, 1, 2, 0x0b, 0, 0, 1, 97, 0), [0x81, 0x82]],
  ["UNSUBSCRIBE without a filter", bytes(0xa2, 3, 0, 1, 0), [0x81, 0x82]],
  ["PUBREL with wrong flags", bytes(0x60, 2, 0, 1), [0x81, 0x82]],
];

describeServers("connecting", (subject) => {
  const open = (clientId: string, options: Parameters<typeof RawClient.connected>[2] = {}) =>
    RawClient.connected(subject.port, clientId, options);

  it("answers CONNECT with its limits", async () => {
    const client = await open(subject.unique("limits"));
    expect(client.connack.sessionPresent).toBe(false);
    if (subject.isRestante) {
      expect(client.connack.properties?.receiveMaximum).toBe(1_000);
      expect(client.connack.properties?.maximumPacketSize).toBe(1024 * 1024);
    }
    await client.end();
  });

  it("accepts MQTT 3.1.1", async () => {
    const client = await open(subject.unique("v3"), { version: 4 });
    expect(client.connack.returnCode).toBe(0);
    await client.ping();
    await client.end();
  });

  it("assigns a client identifier to a v5 client without one", async () => {
    const client = await open("");
    expect(client.connack.properties?.assignedClientIdentifier).toMatch(/./);
    await client.end();
  });

  it("takes an empty client identifier from a v3 client only with a clean session", async () => {
    const clean = await open("", { version: 4 });
    await clean.end();
    const kept = await RawClient.open(subject.port, 4);
    kept.sendBytes(bytes(0x10, 12, 0, 4, 77, 81, 84, 84, 4, 0, 0, 0, 0, 0));
    expect((await kept.take("connack")).returnCode).toBe(2); // [MQTT-3.1.3-8]
    await kept.expectClose(); // [MQTT-3.1.4-5]
  });

  it("refuses enhanced authentication", async () => {
    const client = await RawClient.open(subject.port);
    const properties = { authenticationMethod: "SCRAM-SHA-1" };
    const connack = await client.connect({ clientId: subject.unique("auth"), properties });
    expect(connack.reasonCode).toBe(0x8c);
    await client.expectClose();
  });

  it("refuses an unknown protocol version", async () => {
    const client = await RawClient.open(subject.port, 4);
    client.sendBytes(bytes(0x10, 13, 0, 4, 77, 81, 84, 84, 9, 2, 0, 0, 0, 1, 97));
    await client.expectClose(); // [MQTT-3.1.2-2]
  });

  it("closes without a word when the first packet is not CONNECT", async () => {
    const client = await RawClient.open(subject.port, 4);
    client.sendBytes(bytes(0xc0, 0));
    await client.expectClose(); // [MQTT-3.1.0-1]
    expect(client.waiting).toEqual([]);
  });

  it("says 0x8E to the connection that another one takes over from", async () => {
    const clientId = subject.unique("twice");
    const first = await open(clientId);
    const second = await open(clientId);
    if (subject.isRestante) expect((await first.take("disconnect")).reasonCode).toBe(0x8e);
    await first.expectClose(); // [MQTT-3.1.4-3]
    await second.ping();
    await second.end();
  });

  it("closes a v3 connection that another one takes over from", async () => {
    const clientId = subject.unique("twice");
    const first = await open(clientId, { version: 4 });
    const second = await open(clientId, { version: 4 });
    await first.expectClose();
    await second.ping();
    await second.end();
  });

  it("takes over between protocol versions", async () => {
    const clientId = subject.unique("twice");
    const first = await open(clientId, { version: 4 });
    const second = await open(clientId, { version: 5 });
    await first.expectClose();
    await second.ping();
    await second.end();
  });

  it("ends a silent connection after one and a half keep alive times", async () => {
    const startMs = performance.now();
    const silent = await open(subject.unique("silent"), { keepalive: 1 });
    const talking = await open(subject.unique("talking"), { keepalive: 1 });
    let isSilentOpen = true;
    const pings = (async (): Promise<void> => {
      while (isSilentOpen) {
        await talking.ping();
        await pause(600);
      }
    })();
    try {
      await silent.expectClose(12_000); // [MQTT-3.1.2-22]; mosquitto looks for silent connections every five seconds only.
    } finally {
      isSilentOpen = false;
    }
    expect(performance.now() - startMs).toBeGreaterThan(1_400);
    if (subject.isRestante) expect((await silent.take("disconnect")).reasonCode).toBe(0x8d);
    await pings;
    await talking.end();
  });

  it("takes a CONNECT in pieces, and a PUBLISH right behind it", async () => {
    const topic = subject.unique("pieces");
    const listener = await open(subject.unique("listener"), { version: 4 });
    await listener.subscribe(topic);
    const client = await RawClient.open(subject.port, 4);
    const id = Buffer.from(subject.unique("pieces"));
    const connect = Buffer.concat([bytes(0x10, 12 + id.length, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, id.length), id]);
    const publish = Buffer.concat([bytes(0x30, 3 + topic.length, 0, topic.length), Buffer.from(`${topic}x`)]);
    const all = Buffer.concat([connect, publish]);
    for (let at = 0; at < all.length; at += 5) {
      client.sendBytes(all.subarray(at, at + 5));
      await pause(2);
    }
    expect((await client.take("connack")).returnCode).toBe(0);
    expect((await listener.receive()).payload.toString()).toBe("x");
    await client.end();
    await listener.end();
  });

  if (subject.isRestante) {
    it("ends the connection that sends more than the maximum packet size", async () => {
      const client = await open(subject.unique("large"));
      client.publish("large", Buffer.alloc(1024 * 1024 + 1));
      expect((await client.take("disconnect")).reasonCode).toBe(0x95); // [MQTT-3.2.2-15]
      await client.expectClose();
    });
  }

  it("sends a client nothing larger than its maximum packet size", async () => {
    const topic = subject.unique("small-only");
    const properties: IConnectPacket["properties"] = { maximumPacketSize: 100 };
    const receiver = await open(subject.unique("small"), { properties });
    await receiver.subscribe(topic, { qos: 1 });
    const sender = await open(subject.unique("sender"));
    await sender.publishSettled(topic, "x".repeat(200), { qos: 1 });
    await sender.publishSettled(topic, "fits", { qos: 1 });
    expect((await receiver.receive()).payload.toString()).toBe("fits"); // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    await receiver.end();
    await sender.end();
  });

  it("sends a client no more than its receive maximum unacknowledged", async () => {
    const topic = subject.unique("window");
    const receiver = await open(subject.unique("receiver"), { properties: { receiveMaximum: 3 } });
    await receiver.subscribe(topic, { qos: 1 });
    const sender = await open(subject.unique("sender"));
    for (let number = 0; number < 10; number++) await sender.publishSettled(topic, `${number}`, { qos: 1 });
    const first = [await receiver.take("publish"), await receiver.take("publish"), await receiver.take("publish")];
    await receiver.expectQuiet(200, "publish"); // [MQTT-3.3.4-9]
    for (const { messageId } of first) receiver.puback(messageId!);
    expect(await receiver.receiveTexts(7)).toEqual(["3", "4", "5", "6", "7", "8", "9"]);
    await receiver.end();
    await sender.end();
  });

  describe("bad packets", () => {
    // mosquitto takes DUP with QoS 0 for granted.
    const refused = badPackets.filter(([name]) => subject.isRestante || !name.includes("DUP"));
    it.each(refused)("%s ends its connection only", async (_name, packet, codes) => {
      const witness = await open(subject.unique("witness"));
      const client = await open(subject.unique("bad"));
      client.sendBytes(packet);
      if (subject.isRestante) expect(codes).toContain((await client.take("disconnect")).reasonCode);
      await client.expectClose();
      await witness.ping();
      await witness.end();
    });

    it("noise disturbs nobody else", async () => {
      const witness = await open(subject.unique("witness"));
      for (let round = 0; round < 20; round++) {
        const client = await RawClient.open(subject.port, 4);
        client.sendBytes(Buffer.from(Array.from({ length: 64 }, (_, at) => (at * 37 + round * 101 + 200) % 256)));
        await witness.ping();
        await client.cut();
      }
      await witness.ping();
      await witness.end();
    });
  });
});

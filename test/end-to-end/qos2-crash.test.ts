/**
 * Goal: a QoS 2 publish that a crash of the broker interrupts between store and PUBREC is stored once, however often the
 * publisher sends it again.
 * Method: a publisher with a session that is kept sends one message and the broker is killed after a random moment, also
 * one in which PUBREC has arrived; after the restart the publisher goes on as its state says; the queue must hold it once. Also
 * when the start after the crash has more workers, and sessions move: then lasting subscribers, too, must get it once.
 */
import { describe, expect, it } from "vitest";
import { Broker } from "../harness/broker.ts";
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { createQueue, ledgerOf } from "../harness/rest.ts";
import { describeWorkers } from "../harness/servers.ts";
import { isFullSize, pause } from "../harness/waiting.ts";

/** When the kill comes: ms after the PUBLISH was written, or after its PUBREC was read. */
const moments = isFullSize ? [0, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, "pubrec"] : [0.3, 1.5, "pubrec"];

describeWorkers("a QoS 2 publish in a crash", (workers) => {
  describe.each([4, 5] as const)("MQTT version byte %i", (version: Version) => {
    it("is stored once", async () => {
      const options = {
        version,
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
      };
      const code = version === 5 ? { reasonCode: 0 } : {};
      const broker = await Broker.start({ workers });
      try {
        await createQueue(broker, { name: "once", topic_filter: "once/#" });
        await (await RawClient.connected(broker.mqttPort, "publisher", options)).end();
        for (const [round, moment] of moments.entries()) {
          const before = await RawClient.connected(broker.mqttPort, "publisher", options);
          expect(before.connack.sessionPresent).toBe(true);
          const messageId = 100 + round;
          before.publish(`once/${round}`, `${round}`, { qos: 2, messageId });
          if (typeof moment === "number") await pause(moment);
          else await before.take("pubrec");
          await broker.kill();
          await before.expectClose();
          const hasPubrec = moment === "pubrec" || before.waiting.some(({ cmd }) => cmd === "pubrec");

          await broker.restart();
          const after = await RawClient.connected(broker.mqttPort, "publisher", options);
          expect(after.connack.sessionPresent).toBe(true);
          if (!hasPubrec) {
            after.publish(`once/${round}`, `${round}`, { qos: 2, messageId, dup: true });
            expect((await after.take("pubrec")).messageId).toBe(messageId);
          }
          after.send({ cmd: "pubrel", messageId, ...code });
          expect((await after.take("pubcomp")).messageId).toBe(messageId);
          const { stored, waiting, difference } = await ledgerOf(broker, "once");
          expect({ stored, waiting, difference }).toEqual({ stored: round + 1, waiting: round + 1, difference: 0 });
          await after.end();
        }
        await broker.stop();
      } finally {
        await broker.remove();
      }
    }, 180_000);
  });

  const more = workers === 1 ? 3 : 4;
  it.each(isFullSize ? moments : [0.5, "pubrec"])(
    `is stored once when ${more} workers follow, killed after %s`,
    async (moment) => {
      const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
      const subscribers = Array.from({ length: 8 }, (_, at) => `subscriber-${at}`);
      const broker = await Broker.start({ workers });
      try {
        for (let at = 0; at < 3; at++) await createQueue(broker, { name: `once-${at}`, topic_filter: "once" });
        for (const id of subscribers) {
          const subscriber = await RawClient.connected(broker.mqttPort, id, lasting);
          await subscriber.subscribe("once", { qos: 2 });
          await subscriber.end();
        }
        await (await RawClient.connected(broker.mqttPort, "publisher", lasting)).end();
        const before = await RawClient.connected(broker.mqttPort, "publisher", lasting);
        before.publish("once", "message", { qos: 2, messageId: 9 });
        if (typeof moment === "number") await pause(moment);
        else await before.take("pubrec");
        await broker.kill();
        await before.expectClose();

        await broker.restart(more);
        const after = await RawClient.connected(broker.mqttPort, "publisher", lasting);
        // As a publisher that has not read its PUBREC.
        after.publish("once", "message", { qos: 2, messageId: 9, dup: true });
        expect((await after.take("pubrec")).messageId).toBe(9);
        after.send({ cmd: "pubrel", messageId: 9, reasonCode: 0 });
        expect((await after.take("pubcomp")).messageId).toBe(9);
        for (let at = 0; at < 3; at++) {
          expect(await ledgerOf(broker, `once-${at}`)).toMatchObject({ stored: 1, waiting: 1, difference: 0 });
        }
        after.publish("once", "last", { qos: 1, messageId: 10 });
        await after.take("puback");
        for (const id of subscribers) {
          const subscriber = await RawClient.connected(broker.mqttPort, id, lasting);
          const got: string[] = [];
          while (got.at(-1) !== "last") got.push((await subscriber.take("publish")).payload.toString());
          expect(got, id).toEqual(["message", "last"]);
          await subscriber.end();
        }
        await after.end();
        await broker.stop();
      } finally {
        await broker.remove();
      }
    },
    60_000,
  );
});

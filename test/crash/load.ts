/** The load of the crash test: raw publishers that record what was acknowledged, consumers that acknowledge some of it. */
import { RawClient } from "../harness/raw-mqtt.ts";
import type { QueueModel } from "./model.ts";

const PUBLISHER_WINDOW = 50;

/** Publishes until its connection ends. */
export async function publishUntilCut(port: number, name: string, topic: string, model: QueueModel): Promise<void> {
  const client = await RawClient.connected(port, name, { version: name.endsWith("0") ? 5 : 4 }).catch(() => undefined);
  if (client === undefined) return; // The kill came first.
  const unacknowledged = new Map<number, string>();
  for (let number = 0; ; ) {
    for (; unacknowledged.size < PUBLISHER_WINDOW && !client.isClosed; number++) {
      const id = `${name}/${number}`;
      model.onSent(id);
      unacknowledged.set(client.publish(topic, id, { qos: 1 }), id);
    }
    const puback = await client.take("puback").catch(() => undefined);
    if (puback === undefined) return;
    if ((puback.reasonCode ?? 0) < 0x80) model.onPublisherAcknowledged(unacknowledged.get(puback.messageId!)!);
    unacknowledged.delete(puback.messageId!);
  }
}

let connections = 0;

/** How a consumer behaves; `random` answers from 0 to below 1. */
export interface Consuming {
  readonly filter: string;
  readonly model: QueueModel;
  readonly random: () => number;
  /** The part of what it gets that it acknowledges. */
  readonly acknowledges: number;
  /** The part of what it gets after which it cuts its connection and comes back. */
  readonly leaves: number;
  /** Ends by itself when this answers true. */
  readonly isDone: () => boolean;
}

/** Consumes until its connection ends by the broker or it is done. */
export async function consumeUntilCut(port: number, clientId: string, consuming: Consuming): Promise<void> {
  const { filter, model, random } = consuming;
  while (!consuming.isDone()) {
    const connection = ++connections;
    const client = await RawClient.connected(port, clientId).catch(() => undefined);
    if (client === undefined) return;
    let leaves = false;
    try {
      await client.subscribe(filter, { qos: 1 });
      while (!leaves && !consuming.isDone()) {
        const packet = await client.take("publish", 100).catch(() => undefined);
        if (packet === undefined) {
          if (client.isClosed) return;
          continue;
        }
        const id = packet.payload.toString();
        model.onDelivered(id, packet.dup, connection);
        if (random() < consuming.acknowledges) {
          client.puback(packet.messageId!);
          model.onConsumerAcknowledged(id, performance.now());
        } else {
          leaves = random() < consuming.leaves;
        }
      }
      // What waits unread was delivered as well, and goes back with the connection.
    } catch {
      return; // The kill came while it subscribed.
    } finally {
      // The ping answers when the broker has read all acknowledgements before it.
      if (!client.isClosed) await client.ping().catch(() => undefined);
      model.onConnectionEnded(connection);
      await client.cut();
    }
  }
}

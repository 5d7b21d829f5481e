/**
 * The load of the mixed crash test: MQTT.js publishers that go on over every kill and send again what was not acknowledged, and
 * consumers of the queues on bare sockets, which acknowledge, reject or vanish, and resume their sessions.
 */
import { connect } from "node:net";
import { MqttClient } from "mqtt";
import { RawClient } from "../harness/raw-mqtt.ts";
import { pause } from "../harness/waiting.ts";
import type { MixedModel, Published, QueueWatch } from "./mixed-model.ts";

const RECONNECT_MS = 20;
const PUBLISHER_WINDOW = 10;
const SESSION_SECONDS = 600;

export interface PublisherOptions {
  readonly name: string;
  readonly version: 4 | 5;
  readonly qos: 1 | 2;
  readonly model: MixedModel;
  /** Where the broker listens now. */
  readonly port: () => number;
  /** The topic of the message with this number, and its Message Expiry Interval. */
  readonly topicOf: (number: number) => string;
  readonly expiryS?: number | undefined;
}

/** Publishes without end; `stop` waits until all that it began is answered. */
export class MixedPublisher {
  /** Answers so far that say yes, and that say no. */
  acknowledged = 0;
  refused = 0;
  sent = 0;
  readonly #options: PublisherOptions;
  readonly #client: MqttClient;
  readonly #running: Promise<void>[];
  #onAcknowledged: (() => void) | undefined;
  #isStopped = false;

  constructor(options: PublisherOptions) {
    const { name: clientId, version: protocolVersion } = options;
    this.#options = options;
    this.#client = new MqttClient(() => connect({ port: options.port(), host: "127.0.0.1", noDelay: true }), {
      clientId,
      protocolVersion,
      clean: false,
      reconnectPeriod: RECONNECT_MS,
      connectTimeout: 5_000,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: SESSION_SECONDS } } : {}),
    });
    this.#client.on("error", () => {}); // The broker is down: it tries again.
    this.#running = Array.from({ length: PUBLISHER_WINDOW }, () => this.#publish());
  }

  /** Calls `act` in the moment in which the next PUBACK or PUBCOMP that says yes is read; answers its answer. */
  afterNextAcknowledgement<T>(act: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#onAcknowledged = () => {
        this.#onAcknowledged = undefined;
        resolve(act());
      };
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
    await this.#client.endAsync();
  }

  async #publish(): Promise<void> {
    const { name, version, qos, model, topicOf, expiryS } = this.#options;
    while (!this.#isStopped) {
      const number = this.sent++;
      const topic = topicOf(number);
      const expiry = version === 5 && expiryS !== undefined ? { properties: { messageExpiryInterval: expiryS } } : {};
      model.onSent(name, number, topic, qos);
      try {
        await this.#client.publishAsync(topic, `${name}/${number}`, { qos, ...expiry });
        model.onPublisherAcknowledged(name, number, performance.now());
        this.acknowledged += 1;
        this.#onAcknowledged?.();
      } catch (error) {
        if (typeof (error as { code?: unknown }).code === "number") this.refused += 1;
        else if ((error as Error).message === "Connection closed") model.onWithdrawn(name, number);
        else throw error;
      }
    }
  }
}

export interface MixedConsumerOptions {
  readonly clientId: string;
  readonly filter: string;
  readonly watch: QueueWatch;
  readonly random: () => number;
  readonly port: number;
  /** Ends by itself when this answers true. */
  readonly isDone: () => boolean;
  /** Only acknowledges. */
  readonly isGood: boolean;
  readonly onDelivery?: (published: Published) => void;
}

/** The number of the newest connection of a consumer. */
let connections = 0;
export const nextConnection = (): number => connections + 1;

/** Consumes until the broker is killed or it is done; it may cut its connection and come back. */
export async function consumeMixed(options: MixedConsumerOptions): Promise<void> {
  const { isDone, watch } = options;
  while (!isDone()) {
    const connection = ++connections;
    let client: RawClient | undefined;
    try {
      client = await consumeOnce(options, connection);
    } catch {
      return; // The kill came.
    } finally {
      watch.onConnectionEnded(connection);
      await client?.cut();
    }
  }
}

/** Until it leaves; then what waits unread was delivered as well, and goes back with the connection. */
async function consumeOnce(options: MixedConsumerOptions, connection: number): Promise<RawClient> {
  const { clientId, filter, watch, random, port, isDone, isGood, onDelivery } = options;
  const version = clientId.endsWith("4") ? 4 : 5;
  const lasting = version === 5 ? { properties: { sessionExpiryInterval: SESSION_SECONDS } } : {};
  const client = await RawClient.connected(port, clientId, { version, clean: false, ...lasting });
  if (!client.connack.sessionPresent) await client.subscribe(filter, { qos: 1 });
  while (!isDone()) {
    const packet = client.tryTake("publish");
    if (packet === undefined) {
      if (client.isClosed) throw new Error("the connection was closed");
      await pause(2);
      continue;
    }
    const id = packet.payload.toString();
    const published = watch.onDelivered(id, packet.dup, connection);
    if (published !== undefined) onDelivery?.(published);
    const chance = isGood ? 0 : random();
    if (chance < 0.9) {
      client.puback(packet.messageId!);
      if (published !== undefined) watch.onConsumerAcknowledged(id, performance.now());
    } else if (chance < 0.93 && version === 5) {
      watch.onRejected(id);
      client.puback(packet.messageId!, 0x80);
    } else if (chance > 0.98) {
      break;
    }
  }
  // The ping answers when the broker has read all acknowledgements before it.
  if (!client.isClosed) await client.ping();
  return client;
}

/**
 * The load of the mixed crash test: MQTT.js publishers that go on over every kill and send again what was not acknowledged, and
 * consumers of the queues on bare sockets, which acknowledge, reject or vanish, and resume their sessions.
 */
import { connect } from "node:net";
import { MqttClient } from "mqtt";
import type { IConnackPacket } from "mqtt-packet";
import { RawClient } from "../harness/raw-mqtt.ts";
import { pause } from "../harness/waiting.ts";
import type { MixedModel, Published, QueueWatch } from "./mixed-model.ts";

const RECONNECT_MS = 20;
const PUBLISHER_WINDOW = 10;
const SESSION_SECONDS = 600;
/** A consumer that keeps what it got, and gets nothing more, leaves: its window may be full for ever. */
const KEPT_MS_MAX = 200;
/** Before a publisher that was refused goes on. */
const REFUSED_PAUSE_MS = 20;

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

  toString(): string {
    const { name } = this.#options;
    const state = this.#client.connected ? "connected" : "not connected";
    return `${name} ${state}, sent ${this.sent}, acknowledged ${this.acknowledged}, refused ${this.refused}`;
  }

  /** Calls `act` in the moment in which the next PUBACK or PUBCOMP that says yes is read. */
  onNextAcknowledgement(act: () => void): void {
    this.#onAcknowledged = () => {
      this.#onAcknowledged = undefined;
      act();
    };
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
        if (typeof (error as { code?: unknown }).code === "number") {
          this.refused += 1;
          await pause(REFUSED_PAUSE_MS);
        } else if ((error as Error).message === "Connection closed") model.onWithdrawn(name, number);
        else throw error;
      }
    }
  }
}

export interface MixedConsumerOptions {
  readonly clientId: string;
  readonly filter: string;
  readonly watch: QueueWatch;
  readonly model: MixedModel;
  readonly random: () => number;
  readonly onDelivery: (published: Published) => void;
}

/** One life of the broker, for a consumer. */
export interface ConsumerLife {
  readonly port: number;
  /** Ends by itself when this answers true. */
  readonly isDone: () => boolean;
  /** Only acknowledges. */
  readonly isGood: boolean;
}

/** The number of the newest connection of a consumer. */
let connections = 0;
export const nextConnection = (): number => connections + 1;

/** A consumer with a session that goes on over every kill. */
export class MixedConsumer {
  readonly #options: MixedConsumerOptions;
  /** A SUBACK came: the subscription is on disk. A kill before it may leave a session without one. */
  #isSubscribed = false;
  #connections = 0;
  #taken = 0;
  #acknowledged = 0;
  #state = "not connected";

  constructor(options: MixedConsumerOptions) {
    this.#options = options;
  }

  /** What it believes about itself. */
  toString(): string {
    const { clientId } = this.#options;
    return `${clientId} ${this.#state}, connection ${this.#connections}, took ${this.#taken}, acknowledged ${this.#acknowledged}`;
  }

  /** Consumes until the broker is killed or it is done; it may cut its connection and come back. */
  async consume(life: ConsumerLife): Promise<void> {
    const { watch, model } = this.#options;
    while (!life.isDone()) {
      const connection = ++connections;
      this.#connections += 1;
      let client: (RawClient & { connack: IConnackPacket }) | undefined;
      try {
        client = await this.#connect(life.port);
        await this.#subscribe(client);
        await this.#consumeOnce(client, life, connection);
      } catch (error) {
        if (!life.isDone()) model.faults.push(`${this}: ${(error as Error).message}`);
        this.#state = "gave up";
        return; // The kill came.
      } finally {
        watch.onConnectionEnded(connection);
        await client?.cut();
      }
    }
    this.#state = "done";
  }

  #connect(port: number): Promise<RawClient & { connack: IConnackPacket }> {
    const { clientId } = this.#options;
    const version = clientId.endsWith("4") ? 4 : 5;
    const lasting = version === 5 ? { properties: { sessionExpiryInterval: SESSION_SECONDS } } : {};
    this.#state = "connecting";
    return RawClient.connected(port, clientId, { version, clean: false, ...lasting });
  }

  async #subscribe(client: RawClient & { connack: IConnackPacket }): Promise<void> {
    const { sessionPresent } = client.connack;
    if (this.#isSubscribed) {
      if (!sessionPresent) throw new Error("its session is gone");
      return;
    }
    this.#state = "subscribing";
    await client.subscribe(this.#options.filter, { qos: 1 });
    this.#isSubscribed = true;
  }

  /** Until it leaves; then what waits unread was delivered as well, and goes back with the connection. */
  async #consumeOnce(client: RawClient, { isDone, isGood }: ConsumerLife, connection: number): Promise<void> {
    const { watch, random, onDelivery } = this.#options;
    this.#state = "consuming";
    let keepsSome = false;
    let lastMs = performance.now();
    while (!isDone()) {
      const packet = client.tryTake("publish");
      if (packet === undefined) {
        if (client.isClosed) throw new Error("the connection was closed");
        if (keepsSome && performance.now() - lastMs > KEPT_MS_MAX) break;
        await pause(2);
        continue;
      }
      this.#taken += 1;
      lastMs = performance.now();
      const id = packet.payload.toString();
      const published = watch.onDelivered(id, packet.dup, connection);
      if (published !== undefined) onDelivery(published);
      const chance = isGood ? 0 : random();
      if (chance < 0.9) {
        client.puback(packet.messageId!);
        this.#acknowledged += 1;
        if (published !== undefined) watch.onConsumerAcknowledged(id, performance.now());
      } else if (chance < 0.93 && client.version === 5) {
        watch.onRejected(id);
        client.puback(packet.messageId!, 0x80);
      } else if (chance > 0.98) {
        break;
      } else {
        keepsSome = true;
      }
    }
    // The ping answers when the broker has read all acknowledgements before it.
    this.#state = "leaving";
    if (!client.isClosed) await client.ping();
  }
}

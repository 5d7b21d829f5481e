/**
 * A consumer that does at random whatever consumers do: acknowledges, rejects, keeps, subscribes, unsubscribes, reads no more for
 * a while, leaves with and without a word, is taken over. Told to hold still it settles what it has, and takes what comes then.
 */
import { RawClient, type Version } from "../harness/raw-mqtt.ts";
import { pause } from "../harness/waiting.ts";

/** Of a consumer that takes small packets only. */
export const SMALL_PACKET_BYTES = 1_000;
const DEAF_MS_MAX = 200;
const RECEIVE_MAXIMUM_V4 = 65_535;

export interface RestlessOptions {
  readonly port: number;
  readonly clientId: string;
  /** Filters of queues to choose from. */
  readonly filters: readonly string[];
  /** In [0, 1). */
  readonly random: () => number;
}

export class RestlessConsumer {
  readonly clientId: string;
  readonly done: Promise<void>;
  readonly #options: RestlessOptions;
  #client: RawClient | undefined;
  #version: Version = 5;
  #isStill = false;
  #isAtRest = false;
  #isStopped = false;
  /** It takes no packet above SMALL_PACKET_BYTES. */
  isSmall = false;
  /** Of the connection it has. */
  receiveMaximum = 0;
  /** Identifiers of deliveries that are not settled. */
  readonly held = new Set<number>();
  delivered = 0;

  constructor(options: RestlessOptions) {
    this.clientId = options.clientId;
    this.#options = options;
    this.done = this.#run();
  }

  /** Is connected and subscribed, has settled what it had, and from now on only takes. */
  async holdStill(): Promise<void> {
    this.#isStill = true;
    while (!this.#isAtRest) await pause(5);
  }

  goOn(): void {
    this.#isStill = false;
    this.#isAtRest = false;
  }

  /** Acknowledges what it has; how many those were. */
  settle(): number {
    const { size } = this.held;
    for (const identifier of this.held) this.#client?.puback(identifier);
    this.held.clear();
    return size;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.done;
    await this.#client?.end();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        if (this.#client === undefined || this.#client.isClosed) await this.#connect();
        if (this.#isAtRest) this.#take();
        else if (this.#isStill) await this.#comeToRest();
        else await this.#act();
      } catch (error) {
        if (this.#client?.isClosed !== true) throw error; // A connection that ended under it is part of the game.
      }
      await pause(this.#isAtRest ? 5 : this.#options.random() * 10);
    }
  }

  /** Also while it is connected: then it takes itself over. */
  async #connect(): Promise<void> {
    const { port, clientId, random } = this.#options;
    const properties = {
      receiveMaximum: 1 + Math.floor(random() * 30),
      sessionExpiryInterval: random() < 0.7 ? 100 : 0,
      ...(random() < 0.3 ? { maximumPacketSize: SMALL_PACKET_BYTES } : {}),
    };
    this.#version = random() < 0.3 ? 4 : 5;
    const isNew = random() < 0.3;
    const options = { version: this.#version, clean: isNew, ...(this.#version === 5 ? { properties } : {}) };
    this.held.clear();
    const client = await RawClient.connected(port, clientId, options);
    this.isSmall = this.#version === 5 && "maximumPacketSize" in properties;
    this.receiveMaximum = this.#version === 5 ? properties.receiveMaximum : RECEIVE_MAXIMUM_V4;
    this.#client = client;
    if (!client.connack.sessionPresent || random() < 0.3) await this.#subscribe();
  }

  async #subscribe(): Promise<void> {
    const { filters, random } = this.#options;
    const filter = filters[Math.floor(random() * filters.length)]!;
    await this.#client!.subscribe(filter, { qos: random() < 0.2 ? 0 : 1 });
  }

  #take(): void {
    const client = this.#client!;
    for (let packet = client.tryTake("publish"); packet !== undefined; packet = client.tryTake("publish")) {
      this.delivered += 1;
      if (packet.qos === 1) this.held.add(packet.messageId!);
    }
  }

  async #comeToRest(): Promise<void> {
    await this.#subscribe();
    this.#take();
    this.settle();
    await this.#client!.ping(); // Everything before it has been read by the broker.
    this.#isAtRest = true;
  }

  async #act(): Promise<void> {
    const { filters, random } = this.#options;
    const client = this.#client!;
    const chance = random();
    if (chance < 0.01) {
      client.pause();
      await pause(random() * DEAF_MS_MAX);
      client.resume();
    } else if (chance < 0.02) await client.cut();
    else if (chance < 0.03) await client.end();
    else if (chance < 0.04) await this.#connect();
    else if (chance < 0.06) await this.#subscribe();
    else if (chance < 0.08) await client.unsubscribe(filters[Math.floor(random() * filters.length)]!);
    else this.#answer();
  }

  #answer(): void {
    this.#take();
    const { random } = this.#options;
    for (const identifier of this.held) {
      const chance = random();
      if (chance < 0.3) continue;
      this.#client!.puback(identifier, chance < 0.4 && this.#version === 5 ? 0x80 : 0);
      this.held.delete(identifier);
    }
  }
}

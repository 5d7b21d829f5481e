/**
 * A publisher and a subscriber with QoS 1 who want nothing but to be served, one message after the other, whatever else goes on.
 */
import { RawClient } from "./raw-mqtt.ts";
import { pause } from "./waiting.ts";

/** Generous: the machine may be busy, the broker must not be. */
const SERVED_MS_MAX = 10_000;
/** Between two messages. */
const PAUSE_MS = 2;
/** No stranger has it but by guessing. */
const TOPIC = "0c3f5e79-the-witness";

export interface Testimony {
  /** Messages, each of which was acknowledged and came. */
  readonly witnessed: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export class Witness {
  readonly #publisher: RawClient;
  readonly #subscriber: RawClient;
  #durationsMs: number[] = [];
  #witnessed = 0;
  #isStopped = false;
  #fault: unknown;
  readonly #done: Promise<void>;

  private constructor(publisher: RawClient, subscriber: RawClient) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    this.#done = this.#run().catch((error: unknown) => {
      this.#fault = error;
    });
  }

  static async start(port: number): Promise<Witness> {
    const subscriber = await RawClient.connected(port, "witness-who-subscribes");
    await subscriber.subscribe(TOPIC, { qos: 1 });
    return new Witness(await RawClient.connected(port, "witness-who-publishes"), subscriber);
  }

  /** @throws what has befallen it. */
  check(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** What it has seen since the last time it was asked. */
  testify(): Testimony {
    this.check();
    const sorted = this.#durationsMs.sort((one, other) => one - other);
    this.#durationsMs = [];
    const p99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
    return { witnessed: sorted.length, p99Ms, slowestMs: sorted.at(-1) ?? 0 };
  }

  /** Ends the pair; what it has seen since it was last asked. */
  async stop(): Promise<Testimony> {
    this.#isStopped = true;
    await this.#done;
    const testimony = this.testify();
    await Promise.all([this.#publisher.end(), this.#subscriber.end()]);
    return testimony;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const text = `message ${this.#witnessed}`;
      const startMs = performance.now();
      const messageId = this.#publisher.publish(TOPIC, text, { qos: 1 });
      const came = await this.#subscriber.receive(SERVED_MS_MAX);
      const answer = await this.#publisher.take("puback", SERVED_MS_MAX);
      this.#durationsMs.push(performance.now() - startMs);
      if (came.payload.toString() !== text || answer.messageId !== messageId || (answer.reasonCode ?? 0) !== 0) {
        throw new Error(`the witness got ${came.payload.toString()} and ${JSON.stringify(answer)} for ${text}`);
      }
      this.#witnessed += 1;
      await pause(PAUSE_MS);
    }
  }
}

/** Eclipse Paho for Python, as most users run it: MQTT 3.1.1, `subscribe` at QoS 0, acknowledgements after the callback. */
import { resolve } from "node:path";
import { PYTHON } from "./needs.ts";
import { Child } from "./process.ts";

const script = (name: string): string => resolve("test/harness/python", name);

/** A consumer that prints each payload as a line, after "subscribed"; `sleepS` is the time its callback takes. */
export const pahoConsumer = (
  port: number,
  filter: string,
  options: { readonly qos?: number; readonly sleepS?: number; readonly clientId?: string } = {},
): Child =>
  new Child(PYTHON, [
    "-u",
    script("consumer.py"),
    String(port),
    filter,
    String(options.qos ?? 0),
    String(options.sleepS ?? 0),
    options.clientId ?? "",
  ]);

/**
 * A producer of `count` messages "job 0" … at QoS 1, `intervalS` apart; ends when all are acknowledged. With `MQTT_USER` and `MQTT_PASSWORD`
 * in its environment it shows these.
 */
export const pahoProducer = (
  port: number,
  topic: string,
  count: number,
  intervalS: number,
  environment: Readonly<Record<string, string>> = {},
): Child =>
  new Child(PYTHON, ["-u", script("producer.py"), String(port), topic, String(count), String(intervalS)], {
    environment,
  });

/** An MQTT 5 producer that sends each payload at QoS 1 with the user property `key`; ends when all are acknowledged. */
export const pahoCommander = (port: number, topic: string, key: string, payloads: readonly string[]): Child =>
  new Child(PYTHON, ["-u", script("commander.py"), String(port), topic, key, ...payloads]);

/** What a consumer printed so far, without the line that says it is subscribed. */
export const payloadsOf = (consumer: Child): readonly string[] =>
  consumer.lines.filter((line) => line !== "subscribed");

/** Waits for the consumer's SUBACK. */
export const untilSubscribed = (consumer: Child): Promise<true> =>
  consumer.until((lines) => (lines.includes("subscribed") ? true : undefined), 10_000);

/** Retained messages with an expiry: each goes when it is over, from memory and from the store. A timer for each, none for the others. */
import type { Region } from "../base/region.ts";
import { TimerEntry, type TimerWheel } from "../base/timer-wheel.ts";
import { expiresAtMsOf, topicOf } from "../frame/message.ts";
import type { Partition } from "./partition.ts";

export class RetainedExpiry {
  readonly #wheel: TimerWheel;
  readonly #forget: (partition: Partition, topic: string, message: Region) => void;
  readonly #timers = new Map<string, TimerEntry>();

  constructor(wheel: TimerWheel, forget: (partition: Partition, topic: string, message: Region) => void) {
    this.#wheel = wheel;
    this.#forget = forget;
  }

  /** A topic has this message now; undefined: none. */
  watch(partition: Partition, topic: string, message: Region | undefined): void {
    const before = this.#timers.get(topic);
    if (before !== undefined) {
      this.#wheel.cancel(before);
      this.#timers.delete(topic);
    }
    const expiresAtMs = message === undefined ? 0 : expiresAtMsOf(message, 0);
    if (message === undefined || expiresAtMs === 0) return;
    const timer = new TimerEntry(() => {
      this.#timers.delete(topic);
      this.#forget(partition, topic, message);
    });
    this.#timers.set(topic, timer);
    this.#wheel.schedule(timer, expiresAtMs);
  }

  /** As `watch`, of a message that a start has read back. */
  found(partition: Partition, message: Region): void {
    if (expiresAtMsOf(message, 0) !== 0) this.watch(partition, topicOf(message, 0), message);
  }
}

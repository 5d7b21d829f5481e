/** What a worker does by the clock: its queues look at their deadlines, and what is only kept for a while is forgotten. */
import { HOUSEKEEPING_MS, QUEUE_IDLE_TICK_MS, QUEUE_TICK_MS } from "../base/limits.ts";
import { TimerEntry, type TimerWheel } from "../base/timer-wheel.ts";
import type { QueueOwner } from "./queue-owner.ts";

export class Upkeep {
  readonly #wheel: TimerWheel;
  readonly #queueTick: TimerEntry;
  readonly #housekeeping: TimerEntry;

  constructor(wheel: TimerWheel, owner: QueueOwner, keepHouse: (nowMs: number) => void) {
    this.#wheel = wheel;
    this.#queueTick = new TimerEntry((now) => {
      owner.onDeadline(now);
      // What expires is never handed out, whenever it is counted; what is newly rejected brings the tick forward.
      const nextMs = Math.max(owner.nextDeadlineMs(), now + QUEUE_TICK_MS);
      this.#tickQueuesAt(Math.min(nextMs, now + QUEUE_IDLE_TICK_MS));
    });
    this.#housekeeping = new TimerEntry((now) => {
      keepHouse(now);
      wheel.schedule(this.#housekeeping, now + HOUSEKEEPING_MS);
    });
  }

  start(nowMs: number): void {
    this.#queueTick.onDue(nowMs);
    this.#housekeeping.onDue(nowMs);
  }

  /** Something of a queue is due sooner than it said. */
  onRejected(nowMs: number): void {
    this.#tickQueuesAt(nowMs + QUEUE_TICK_MS);
  }

  /** Queues look at their deadlines then, unless they do so earlier. */
  #tickQueuesAt(atMs: number): void {
    const tick = this.#queueTick;
    if (!tick.isScheduled || tick.deadlineMs > atMs) this.#wheel.schedule(tick, atMs);
  }
}

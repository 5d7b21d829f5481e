/** What a worker does by the clock: its queues look at their deadlines, and what is only kept for a while is forgotten. */
import { HOUSEKEEPING_MS, QUEUE_IDLE_TICK_MS, QUEUE_TICK_MS } from "../base/limits.ts";
import { TimerEntry, type TimerWheel } from "../base/timer-wheel.ts";

/** Whoever has queues. */
interface DeadlineOwner {
  onDeadline(nowMs: number): void;
  nextDeadlineMs(): number;
}

export class Upkeep {
  readonly #wheel: TimerWheel;
  readonly #queueTick: TimerEntry;
  readonly #housekeeping: TimerEntry;

  constructor(wheel: TimerWheel, owners: readonly DeadlineOwner[], keepHouse: (nowMs: number) => void) {
    this.#wheel = wheel;
    this.#queueTick = new TimerEntry((now) => {
      let nextMs = Number.POSITIVE_INFINITY;
      for (const owner of owners) {
        owner.onDeadline(now);
        nextMs = Math.min(nextMs, owner.nextDeadlineMs());
      }
      // What expires is never handed out, whenever it is counted; what is newly rejected brings the tick forward.
      nextMs = Math.max(nextMs, now + QUEUE_TICK_MS);
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
